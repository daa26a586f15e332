"""The program: ``clusterkit`` and ``python -m clusterkit``."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from typing import NoReturn

COLLECT = (200_000, 5, 20)
"""new objects until the garbage collector looks at the youngest, and how often it then looks at
older ones (700, 10 and 10 by default)"""


def run() -> NoReturn:
    """The console script; Ctrl-C while it loads ends it without a traceback."""
    # most of what is made while it loads stays to the end: looking through it again and again is a
    # tenth of a plan's processor time, and once more at the exit a fifth
    gc.set_threshold(*COLLECT)
    atexit.register(gc.freeze)
    # pydantic would look for plugins in the metadata of every package that is installed
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        from clusterkit.cli.main import run as main
    except KeyboardInterrupt:
        sys.exit(130)
    main()


if __name__ == "__main__":
    run()
