"""docs/profile.md, docs/portability.md and docs/cli.md, made from models, drivers and commands;
``--check`` only compares.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from clusterkit.cli.main import app
from clusterkit.clouds import CLOUDS, becomes, model
from clusterkit.profile.portability import page as portability
from clusterkit.profile.schema import markdown

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
EXAMPLE = ROOT / "profiles" / "portable.yaml"


def commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command with its whole name, groups before what is in them."""
    yield path, command
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        yield from commands(inner, f"{path} {name}")


def cli() -> str:
    """The help of every command at 100 columns."""
    parts = [
        "# The commands\n\nThis page is made by `make docs` from what `--help` prints; "
        "`make check` fails when it is behind.\n"
    ]
    for name, command in commands(typer.main.get_command(app), "clusterkit"):
        context = typer.Context(
            command,
            info_name=name,
            terminal_width=100,
            max_content_width=100,
            help_option_names=["-h", "--help"],
        )
        parts.append(f"## {name}\n\n```\n{command.get_help(context).rstrip()}\n```\n")
    return "\n".join(parts)


def main() -> int:
    """Write the pages, or say which is behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    models = {cloud: model(cloud) for cloud in CLOUDS}
    tables = {cloud: becomes(cloud) for cloud in CLOUDS}
    pages = {
        DOCS / "profile.md": markdown(models),
        DOCS / "portability.md": portability(models, tables, EXAMPLE.read_text()),
        DOCS / "cli.md": cli(),
    }
    behind = [p for p, text in pages.items() if not p.exists() or p.read_text() != text]
    for page in behind:
        if check:
            sys.stderr.write(f"{page.name} is behind the code: make docs\n")
        else:
            page.write_text(pages[page])
    return 1 if check and behind else 0


if __name__ == "__main__":
    sys.exit(main())
