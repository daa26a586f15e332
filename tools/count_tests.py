"""How many tests there are; fails if there are fewer than ``tests/counts.toml`` records.

``--write`` records more. A number is lowered by hand only, in the commit that removes the tests.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
RECORD = ROOT / "tests" / "counts.toml"
HEADER = """\
# how many tests `make test` and `make deep` have; `make check` fails when there are fewer
"""


def collected() -> dict[str, int]:
    """The number of tests of each target."""
    pytest = Path(sys.executable).parent / "pytest"
    words = [pytest, "--collect-only", "-q", "-m", "deep", "-p", "no:cacheprovider"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    found = re.search(r"^(\d+)/(\d+) tests collected", done.stdout, re.MULTILINE)
    if found is None:
        sys.exit(f"pytest could not collect the tests:\n{done.stdout}{done.stderr}")
    deep, both = int(found[1]), int(found[2])
    return {"test": both - deep, "deep": deep}


def main() -> int:
    """Compare, or record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="record the numbers that rose")
    write = parser.parse_args().write
    recorded = tomllib.loads(RECORD.read_text()) if RECORD.exists() else {}
    now = collected()
    fewer = False
    for target, number in now.items():
        before = recorded.get(target, 0)
        sys.stdout.write(f"make {target}: {number} tests, recorded {before}\n")
        if number < before:
            fewer = True
            sys.stderr.write(
                f"tests/counts.toml records {before} tests for make {target}, but only {number} are"
                f" collected; bring the missing ones back, or lower the number by hand and say why"
                f" in the commit\n"
            )
    if write:
        lines = [f"{key} = {max(number, recorded.get(key, 0))}\n" for key, number in now.items()]
        RECORD.write_text(HEADER + "".join(lines))
    return 1 if fewer else 0


if __name__ == "__main__":
    sys.exit(main())
