"""Lines of code per folder of both packages: no blanks, comments or docstrings.

Each is compared with the same folder at the tag ``before-ground`` (or ``--since REV``) if git knows
it; what was in ``clusterkit/sandbox`` then is ``clusterkit_sandbox`` now.
"""

from __future__ import annotations

import argparse
import ast
import io
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("clusterkit", "clusterkit_sandbox")
SINCE = "before-ground"
MOVED = {"clusterkit/sandbox": "clusterkit_sandbox"}
_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


def docstrings(tree: ast.AST) -> Iterator[ast.Constant]:
    """Every string that is a statement: docstrings, and what stands below an attribute."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str()) as text):
                yield text


def lines_of_code(text: str) -> int:
    """How many lines hold a token that is neither a comment nor a docstring."""
    prose: set[int] = set()
    for string in docstrings(ast.parse(text)):
        prose.update(range(string.lineno, (string.end_lineno or string.lineno) + 1))
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NO_CODE:
            code.update(range(token.start[0], token.end[0] + 1))
    return len(code - prose)


def folder(path: str) -> str:
    """The package and the folder under it: ``clusterkit/eks``; ``clusterkit`` for its own files."""
    for before, after in MOVED.items():
        path = path.replace(f"{before}/", f"{after}/")
    return "/".join(path.split("/")[:-1][:2])


def git(*words: str) -> str:
    """What git prints; empty if it fails."""
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def now() -> Counter[str]:
    """The checkout."""
    found: Counter[str] = Counter()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            found[folder(str(path.relative_to(ROOT)))] += lines_of_code(path.read_text())
    return found


def then(revision: str) -> Counter[str]:
    """A revision; empty if git does not know it."""
    found: Counter[str] = Counter()
    for path in git("ls-tree", "-r", "--name-only", revision, "--", *PACKAGES).splitlines():
        if path.endswith(".py"):
            found[folder(path)] += lines_of_code(git("show", f"{revision}:{path}"))
    return found


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--since", default=SINCE, metavar="REV")
    since = parser.parse_args().since
    here, before = now(), then(since)
    if not before:
        sys.stdout.write(f"there is no revision {since} here: nothing to compare with\n")
    here["total"], before["total"] = here.total(), before.total()
    for name in sorted(here | before, key=lambda name: (name == "total", name)):
        line = f"{name:30}{here[name]:7}"
        if before[name]:
            line += f"{before[name]:9}{100 * (here[name] - before[name]) / before[name]:+8.1f} %"
        sys.stdout.write(f"{line}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
