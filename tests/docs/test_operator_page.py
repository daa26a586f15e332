"""docs/operator.md: its session is what happens, and its tables are what is."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clusterkit.environment import SECRETS
from clusterkit.operator import names
from clusterkit.operator.crd import OWN
from clusterkit.operator.metrics import COUNTERS, GAUGES, SECONDS
from tests.docs.test_readme import session, shown_by

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "operator.md").read_text()
_CHANGING = ((re.compile(r"\b\d+(m\d+)?s\b"), "#"), (re.compile(r"v1\.\d+\.\d+"), "v#"),
             (re.compile(r"\s+"), " "))  # fmt: skip


def plain(line: str) -> str:
    """A line without what is different every time."""
    for pattern, instead in _CHANGING:
        line = pattern.sub(instead, line)
    return line.strip()


def test_its_tables_have_every_field_annotation_key_and_metric() -> None:
    for field in OWN:
        assert f"| `{field}" in PAGE, field
    for name in (names.CONFIRM, names.AT, names.PAUSED, names.ADOPT, names.DEFAULT_CREDENTIALS):
        assert f"| `{name}` |" in PAGE, name
    for cloud, keys in SECRETS.items():
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| {cloud} |"))
        assert all(f"`{key}`" in row for key in (*keys.needed, *keys.optional))
    counters, seconds = (f"{name}_total" for name in COUNTERS), (f"{n}_seconds" for n in SECONDS)
    for metric in (*GAUGES, *counters, *seconds):
        assert f"`clusterkit_{metric}`" in PAGE, metric


@pytest.mark.client
def test_its_session_is_what_happens(tmp_path: Path) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    env = {
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "CLUSTERKIT_SANDBOX_DIR": str(tmp_path / "sandbox"),
        "TMPDIR": str(tmp_path),
    }
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    clusterkit = [sys.executable, "-m", "clusterkit"]
    start = [*clusterkit, "sandbox", "start", "--pace", "max"]
    subprocess.run(start, env=env, check=True, capture_output=True)
    words = [*clusterkit, "operator", "run", "--sandbox", "--port", "0"]
    with (tmp_path / "log").open("w") as log:
        operator = subprocess.Popen(
            words, env=env, cwd=tmp_path, stdout=subprocess.PIPE, stderr=log, text=True
        )
    assert operator.stdout is not None
    try:
        env["KUBECONFIG"] = operator.stdout.readline().strip().removeprefix("export KUBECONFIG=")
        for command, shown in session(PAGE):
            done = subprocess.run(
                ["sh", "-c", command], cwd=tmp_path, env=env, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, timeout=200, check=False,
            )  # fmt: skip
            log_text = (tmp_path / "log").read_text()[-3000:]
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{log_text}"
            printed = [plain(line) for line in done.stdout.splitlines()]
            for line in map(plain, shown):
                assert shown_by(line, printed), f"{command}: {line!r}\n{printed}"
        operator.send_signal(signal.SIGTERM)
        assert operator.wait(60) == 0, (tmp_path / "log").read_text()
    finally:
        operator.kill()
        operator.wait()
        operator.stdout.close()
        subprocess.run([*clusterkit, "sandbox", "stop"], env=env, check=False, capture_output=True)
