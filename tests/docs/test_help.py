"""Every command's help has an example, and the example works; help comes at once."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from clusterkit.cli.main import app

ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent
ORDER = (
    "sandbox start", "sandbox status", "sandbox env", "schema", "validate", "init", "plan", "up",
    "status", "verify", "kubeconfig", "token", "kaniko manifest", "ready jenkins-x",
    "ready jenkins", "repair registry-auth",
    "sandbox requests", "destroy", "sandbox faults", "sandbox reset", "sandbox stop",
)  # fmt: skip
ELSEWHERE = {"kaniko build", "operator run", "operator manifests"}
"""needs a cluster in which containers run (tests/cli/test_kaniko.py), runs until Ctrl-C
(test_operator_page.py), needs a management cluster (tests/operator)
"""
CODES = {"plan": 20}


def examples(command: Any = None, path: str = "") -> Iterator[tuple[str, str]]:
    """Command and example, of every command that does something."""
    command = command or typer.main.get_command(app)
    inner = getattr(command, "commands", None)
    if inner is None:
        found = re.match(r"Example: (.*)", command.epilog or "")
        assert found, f"{path} has no example"
        yield path, found[1]
        return
    for name, sub in inner.items():
        yield from examples(sub, f"{path} {name}".strip())


def test_the_list_of_commands_is_cut_nowhere_at_80_columns() -> None:
    root: Any = typer.main.get_command(app)
    groups = [root, *(each for each in root.commands.values() if hasattr(each, "commands"))]
    assert len(groups) > 4
    for command in groups:
        shown = command.get_help(typer.Context(command, terminal_width=80))
        _, _, listed = shown.partition("Commands:")
        assert next(iter(command.commands)) in listed
        assert "..." not in listed, listed


def test_every_example_works(tmp_path: Path) -> None:
    found = dict(examples())
    assert set(found) == {*ORDER, *ELSEWHERE}
    (tmp_path / "profiles").symlink_to(ROOT / "profiles")
    env = {
        "HOME": str(tmp_path),
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "CLUSTERKIT_SANDBOX_DIR": str(tmp_path / "sandbox"),
    }
    try:
        for name in ORDER:
            done = subprocess.run(
                ["sh", "-c", found[name]],
                cwd=tmp_path,
                env=env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == CODES.get(name, 0), f"{found[name]}\n{done}"
            assert "Traceback" not in done.stderr
    finally:
        subprocess.run(
            ["sh", "-c", "clusterkit sandbox stop"],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_help_loads_no_sdk_and_is_quick() -> None:
    """Under 0.3 s of processor time, which other work on the machine does not change much."""
    code = (
        "import sys\n"
        "from clusterkit.cli.main import run\n"
        "sys.argv = ['clusterkit', '--help']\n"
        "try:\n"
        "    run()\n"
        "except SystemExit:\n"
        "    pass\n"
        "heavy = {'boto3', 'botocore', 'moto', 'flask', 'aiohttp', 'kubernetes', 'pydantic'}\n"
        "sys.exit(','.join(heavy & set(sys.modules)) or 0)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=30)
    taken = []
    for _ in range(5):
        started = _processor_seconds()
        subprocess.run([BIN / "clusterkit", "--help"], check=True, capture_output=True, timeout=30)
        taken.append(_processor_seconds() - started)
    assert min(taken) < 0.3, taken


@pytest.mark.parametrize("word", ["upp", "destory"])
def test_a_mistyped_command_is_told(word: str) -> None:
    done = subprocess.run(
        [BIN / "clusterkit", word], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
