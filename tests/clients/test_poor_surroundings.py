"""A process without a terminal, disk or file descriptors: it does its work or says why not, and
the next ordinary command finishes it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.clients.conftest import TOOL, Cloud, User

pytestmark = pytest.mark.deep
BROKEN_PIPE = 141
"""128 + SIGPIPE, as a shell tells it"""
TRACES = ("Traceback", "a bug in clusterkit", "Exception ignored", "Fatal Python error")


@dataclass(frozen=True)
class Surroundings:
    """What a shell makes of a command."""

    script: str
    """``$@`` is the command; its exit code is the script's"""
    codes: Collection[int] = (0,)
    """what it may end with, done or not"""
    env: Mapping[str, str] = field(default_factory=dict)


def piped(streams: str) -> str:
    return f'"$@" {streams}| true; exit ${{PIPESTATUS[0]}}'


POOR: Mapping[str, Surroundings] = {
    "no stdin": Surroundings('exec "$@" <&-'),
    "no stdout": Surroundings('exec "$@" >&-'),
    "no stderr": Surroundings('exec "$@" 2>&-'),
    "no stream": Surroundings('exec "$@" <&- >&- 2>&-'),
    "nobody reads stdout": Surroundings(piped(""), (0, BROKEN_PIPE)),
    "nobody reads stderr": Surroundings(piped("2>&1 >&3 3>&- "), (0, BROKEN_PIPE)),
    "dumb terminal": Surroundings('exec "$@"', env={"TERM": "dumb", "COLUMNS": "1"}),
    "no locale": Surroundings('exec "$@"', env={"LC_ALL": "C", "PYTHONUTF8": "0"}),
    "full disk": Surroundings('ulimit -f 0; exec "$@"', (0, 1, 4)),
    "nearly full disk": Surroundings('ulimit -f 1; exec "$@"', (0, 1, 4)),
    "64 files": Surroundings('ulimit -n 64; exec "$@"'),
    "nowhere to write": Surroundings('exec "$@"', (0, 1, 4), {"XDG_STATE_HOME": "/proc/nowhere"}),
}


OFTEN = ("no stream", "nobody reads stdout", "full disk", "64 files")


def seldom(what: str) -> object:
    """In ``make long`` only."""
    return pytest.param(what, marks=pytest.mark.long)


def poorly(user: User, how: Surroundings, *words: str) -> subprocess.CompletedProcess[str]:
    """Run clusterkit in such surroundings."""
    script = f"exec 3>&1; {how.script}"
    done = user.run("bash", "-c", script, "bash", TOOL, *words, ok=None, env=user.env | how.env)
    assert done.returncode in how.codes, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert [word for word in TRACES if word in done.stdout + done.stderr] == [], done.stderr
    if done.returncode not in (0, BROKEN_PIPE):
        assert "error: " in done.stderr, done.stderr
    return done


@pytest.mark.parametrize("what", [what if what in OFTEN else seldom(what) for what in POOR])
def test_the_next_ordinary_command_finishes(user: User, cloud: Cloud, what: str) -> None:
    how, name = POOR[what], f"poor-{cloud.name}"
    profile = str(user.profile(name, cloud))
    if poorly(user, how, "up", profile, "--yes").returncode != 0:
        user.tool("up", profile, "--yes")
    assert user.tool("plan", profile).stdout == f"{name}: nothing to do\n"
    poorly(user, how, "plan", profile)
    poorly(user, how, "status", profile)
    kubeconfig = Path(user.env["KUBECONFIG"])
    done = poorly(user, how, "destroy", profile, "--yes")
    if done.returncode != 0 or name in kubeconfig.read_text():
        user.tool("destroy", profile, "--yes")
    assert user.tool("status", profile, ok=1).stdout.count("\n") <= 1
    assert name not in kubeconfig.read_text()
    if "XDG_STATE_HOME" not in how.env:  # else it could not know of the receipt
        assert not [*Path(user.env["XDG_STATE_HOME"]).rglob(f"*{name}*.json")]


@pytest.mark.parametrize("command", ["up", "destroy"])
def test_nobody_who_could_confirm_means_no(user: User, cloud: Cloud, command: str) -> None:
    profile = str(user.profile(f"asked-{cloud.name}", cloud))
    if command == "destroy":
        user.tool("up", profile, "--yes")
    there = user.tool("status", profile, ok=None).stdout
    for script in ('exec "$@" <&-', 'exec "$@" </dev/null', 'echo y | "$@"'):
        done = user.run("bash", "-c", script, "bash", TOOL, command, profile, ok=1)
        assert "--yes" in done.stderr
    assert user.tool("status", profile, ok=None).stdout == there
    user.tool("destroy", profile, "--yes")
