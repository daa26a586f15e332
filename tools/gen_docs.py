"""docs/profile.md, docs/portability.md, docs/cli.md and the tables of docs/verify.md, made from
models, drivers, commands and checks; ``--check`` only compares.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer

from clusterkit.cli.main import app
from clusterkit.clouds import CLOUDS, becomes, load, model
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.kube.api import Access, KubeApi
from clusterkit.profile.model import BaseProfile
from clusterkit.profile.model import load as load_profile
from clusterkit.profile.portability import page as portability
from clusterkit.profile.schema import markdown
from clusterkit.ready.checks import Check
from clusterkit.ready.subject import Subject
from clusterkit.ready.verify import every, ordered

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
BEGIN, END = "<!-- checks: begin -->", "<!-- checks: end -->"
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


def checks_of(cloud: str) -> tuple[Check, ...]:
    """Every check of a cloud's own that one of its profiles has; no network."""
    driver = load(cloud)
    found: dict[str, Check] = {}
    for path in sorted((ROOT / "profiles").glob(f"{cloud}-*.yaml")):
        profile = load_profile(path, model, CLOUDS)
        where = (profile.cloud, profile.name, profile.region)
        target = Target(*where, account=profile.account, home=profile.home)
        clients = driver.connect(target, CloudConnection())
        for each in (profile, *pushing(profile)):
            found |= {check.id: check for check in driver.checks(each, clients)}
    return ordered(found.values())


def pushing(profile: BaseProfile) -> Iterator[BaseProfile]:
    """The profile with each way to push, on which checks depend."""
    if registry := profile.registry:
        for way in ("node", "secret"):
            yield profile.model_copy(update={"registry": registry.model_copy(update={"push": way})})


def nobody() -> Access:
    """Checks are made without asking anybody."""
    raise NotImplementedError


def table(checks: Iterable[Check]) -> str:
    """One row for each check."""
    rows = [
        "| id | checks that | level | for | if not, people see | what to do |",
        "|---|---|---|---|---|---|",
    ]
    for check in checks:
        seen = f"`{check.seen}`" if check.seen else ""
        cells = (check.id, check.title, check.level, check.purpose, seen, check.cure)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def verify(text: str) -> str:
    """docs/verify.md with the tables of all checks."""
    before, _, rest = text.partition(BEGIN)
    parts = ["### Every cluster", table(every(Subject(KubeApi(nobody))))]
    for cloud in CLOUDS:
        if checks := checks_of(cloud):
            parts += [f"### {cloud}", table(checks)]
    inner = "\n\n".join(parts)
    return f"{before}{BEGIN}\n{inner}\n{END}{rest.partition(END)[2]}"


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
        DOCS / "verify.md": verify((DOCS / "verify.md").read_text()),
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
