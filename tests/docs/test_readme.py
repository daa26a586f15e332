"""What the pages show is what happens: the sessions, the profile, the links."""

from __future__ import annotations

import csv
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from clusterkit import clouds
from clusterkit.profile.model import load
from clusterkit_sandbox import daemon
from clusterkit_sandbox.pace import Pace

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()
FIRST = (ROOT / "docs" / "first-real-run.md").read_text()
ALIBABA = (ROOT / "docs" / "alibaba.md").read_text()
POSTS = (ROOT / "docs" / "seeds.md").read_text()
_CHANGING = (
    (re.compile(r"process \d+|127\.0\.0\.1:\d+|pace \w+"), "#"),
    (re.compile(r"ip-[\d-]+"), "ip-#"),
    (re.compile(r"\b\d+(\.\d+)? (s|min)\b|\b\d+:\d\d min\b|\b\d+(m\d+)?s\b"), "#"),
    (re.compile(r"v1\.\d+\.\d+"), "v#"),
    (re.compile(r"sha256:[0-9a-f]+"), "sha256:#"),
    (re.compile(r"\s+"), " "),
)


def plain(line: str) -> str:
    """A line without what is different every time."""
    for pattern, instead in _CHANGING:
        line = pattern.sub(instead, line)
    return line.strip()


def shown_by(line: str, printed: list[str]) -> bool:
    """Whether a line was printed; ``...`` in it stands for anything."""
    whole = re.compile(".*".join(map(re.escape, line.split("..."))))
    return any(whole.fullmatch(each) for each in printed)


def session(page: str) -> list[tuple[str, list[str]]]:
    """The commands of a page's session, each with the lines shown; ``...`` stands for more."""
    block = page.split("<!-- session: begin -->")[1].split("<!-- session: end -->")[0]
    found: list[tuple[str, list[str]]] = []
    for line in block.strip().strip("`").splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.strip() not in ("", "..."):
            found[-1][1].append(plain(line))
    return found


@pytest.mark.client
@pytest.mark.parametrize("page", [README, ALIBABA], ids=["readme", "alibaba"])
def test_the_session_of_a_page_is_what_happens(page: str, tmp_path: Path) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    keep = {name: os.environ[name] for name in ("LANG",) if name in os.environ}
    env = keep | {
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "CLUSTERKIT_SANDBOX_DIR": str(tmp_path / "sandbox"),
        "KUBECONFIG": str(tmp_path / "kubeconfig"),
    }

    def run(command: str) -> list[str]:
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        return [plain(line) for line in done.stdout.splitlines()]

    commands = session(page)
    assert len(commands) > 4
    # who copies a line must not build on an account of their own
    changes = re.compile("clusterkit (up|destroy|kaniko) ")
    changing = [command for command, _ in commands if changes.match(command)]
    assert changing
    assert all("--sandbox" in command for command in changing)
    try:
        start = "clusterkit sandbox start"
        if commands[0][0] != start:
            run(f"{start} --pace max")
        for command, shown in commands:
            printed = run(command + (" --pace max" if command == start else ""))
            assert shown == printed or not command.startswith("cat ")
            for line in shown:
                assert shown_by(line, printed), f"{command}: {line!r}\n" + "\n".join(printed)
    finally:
        run("clusterkit sandbox stop")


def test_the_demo_is_the_session_of_the_readme() -> None:
    ran = re.findall(r"^ *run (.*)$", (ROOT / "tools" / "demo.sh").read_text(), re.MULTILINE)
    told = [command for command, _ in session(README)]
    assert told == [command for command in dict.fromkeys(ran) if command in told]


def test_the_python_of_the_readme_builds_and_destroys(tmp_path: Path) -> None:
    block = README.split("<!-- example: begin -->")[1].split("<!-- example: end -->")[0]
    code = block.split("```python\n")[1].split("```")[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
    env = {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "CLUSTERKIT_SANDBOX_DIR": str(tmp_path / "sandbox"),
    }
    info = daemon.start(Pace(math.inf), directory=tmp_path / "sandbox")
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        daemon.stop(info.directory)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^\d\d changes in account \d+$", done.stdout, re.MULTILINE)
    assert "RunStarted(action='up'" in done.stdout
    assert re.search(
        r"^cluster/demo \S+ (active|ready)$", done.stdout, re.MULTILINE | re.IGNORECASE
    )
    assert done.stdout.rstrip().splitlines()[-1].startswith("RunEnded(action='destroy'")
    assert ", failed=0, stopped=0," in done.stdout.rstrip().splitlines()[-1]


def test_the_profile_of_the_readme_is_valid(tmp_path: Path) -> None:
    block = README.split("```yaml")[1].split("```")[0]
    path = tmp_path / "profile.yaml"
    path.write_text(block)
    assert load(path, clouds.model, clouds.CLOUDS).name == "demo"


@pytest.mark.parametrize("lines", re.findall(r"```yaml\n(.*?)```", POSTS, re.DOTALL))
def test_the_lines_for_a_post_are_valid(lines: str, tmp_path: Path) -> None:
    given = yaml.safe_load(lines)
    whole = yaml.safe_load((ROOT / "profiles" / f"{given['cloud']}-minimal.yaml").read_text())
    path = tmp_path / "profile.yaml"
    path.write_text(yaml.safe_dump(whole | given))
    profile = load(path, clouds.model, clouds.CLOUDS)
    assert profile.cloud == given["cloud"]


def test_the_minutes_of_the_first_real_run_are_the_facts() -> None:
    with (ROOT / "facts" / "durations.tsv").open() as stream:
        facts = {
            f"{row['cloud']}: {row['what']}": row for row in csv.DictReader(stream, delimiter="\t")
        }
    rows = re.findall(r"^\| (\w+: .*?) \| (\d+) \| (\d+) \| (\d+) \|$", FIRST, re.M)
    assert len(rows) > 10
    for what, *minutes in rows:
        seconds = (int(facts[what][part]) for part in ("min", "typical", "max"))
        assert [max(1, round(each / 60)) for each in seconds] == list(map(int, minutes)), what


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target
