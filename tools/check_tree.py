"""House rules that no linter knows: file lengths, file names, formatting, no names of machines.

A file over 400 lines is printed, over 600 lines is refused. ``# fmt: skip`` and ``off`` are refused
in drivers, so that a driver's lines can be counted and compared.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

LONG, LONGEST = 400, 600
PACKAGES = ("clusterkit/", "clusterkit_sandbox/")
DRIVERS = ("clusterkit/alibaba/", "clusterkit/eks/", "clusterkit/gke/", "clusterkit/aks/")
FORMAT = re.compile(r"#\s*fmt:\s*(?:skip|off)")
SILENT = re.compile(r"(?:^|/)(?:utils?|helpers?|common|base)(?:_[^/]*)?\.py$")
STRANGER = re.compile(r"pip install(?: -\S+)* [\"']?clusterkit\b")
"""clusterkit is in no package index; the public one has another project under that name"""
HOSTS = re.compile(r"https?://[^/\s\"']*(?:pypi|npmjs|debian)\.[a-z.]+/simple|/(?:work|farm)/")


def lines(path: str, text: str) -> int:
    """How many lines a module of the packages has; 0 for any other file."""
    return text.count("\n") if path.startswith(PACKAGES) and path.endswith(".py") else 0


def problems(path: str, text: str) -> list[str]:
    """What is wrong with one file of the checkout."""
    found = []
    if (length := lines(path, text)) > LONGEST:
        found.append(f"{path}: {length} lines; split it by subject (at most {LONGEST})")
    if path.startswith(PACKAGES) and SILENT.search(path):
        found.append(f"{path}: the name says nothing; call it what it is about")
    if path.startswith(DRIVERS) and (match := FORMAT.search(text)):
        line = text.count("\n", 0, match.start()) + 1
        found.append(f"{path}:{line}: '{match.group()}' is not allowed in a driver")
    if path != "tools/check_tree.py" and (match := HOSTS.search(text)):
        found.append(f"{path}: names a machine: {match.group()}")
    if path != "tools/check_tree.py" and (match := STRANGER.search(text)):
        found.append(f"{path}: installs another project's package: {match.group()}")
    return found


def main() -> int:
    """Check every file git knows."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    found = []
    for path in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split():
        try:
            text = Path(path).read_text()
        except (UnicodeDecodeError, OSError):
            continue
        found += problems(path, text)
        if LONG < (length := lines(path, text)) <= LONGEST:
            sys.stdout.write(f"{path}: {length} lines; over {LONG} needs a reason\n")
    sys.stderr.write("".join(f"{problem}\n" for problem in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
