"""The program: ``clusterkit`` and ``python -m clusterkit``."""

from __future__ import annotations

import sys
from typing import NoReturn


def run() -> NoReturn:
    """The console script; Ctrl-C while it loads ends it without a traceback."""
    try:
        from clusterkit.cli.main import run as main
    except KeyboardInterrupt:
        sys.exit(130)
    main()


if __name__ == "__main__":
    run()
