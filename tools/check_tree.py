"""House rules no linter knows: files of at most 400 lines, names that say something, no machine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

LONGEST = 400
SILENT = re.compile(r"(?:^|/)(?:utils?|helpers?|common|base)(?:_[^/]*)?\.py$")
HOSTS = re.compile(r"https?://[^/\s\"']*(?:pypi|npmjs|debian)\.[a-z.]+/simple|/(?:work|farm)/")


def problems(path: str) -> list[str]:
    """What is wrong with one file of the checkout."""
    found = []
    try:
        text = Path(path).read_text()
    except (UnicodeDecodeError, OSError):
        return []
    if path.startswith(("clusterkit/", "clusterkit_sandbox/")) and path.endswith(".py"):
        lines = text.count("\n")
        if lines > LONGEST:
            found.append(f"{path}: {lines} lines; split it by subject (at most {LONGEST})")
        if SILENT.search(path):
            found.append(f"{path}: the name says nothing; call it what it is about")
    if path != "tools/check_tree.py" and (match := HOSTS.search(text)):
        found.append(f"{path}: names a machine: {match.group()}")
    return found


def main() -> int:
    """Check every file git knows."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n")
    found = [problem for path in files if path for problem in problems(path)]
    sys.stderr.write("".join(f"{problem}\n" for problem in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
