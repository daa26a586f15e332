"""Streams that are closed, full or nobody reads, and Ctrl-C while the program loads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
COMMAND = f"{sys.executable} -m clusterkit"


def _sh(script: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(folder), **more}
    return subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_full_disk_under_stdout_is_told_and_fails(tmp_path: Path) -> None:
    done = _sh(f"ulimit -f 0; exec {COMMAND} schema > full", tmp_path)
    assert done.returncode == 1
    assert done.stderr == "error: stdout: cannot be written: File too large\n"
    assert (tmp_path / "full").stat().st_size == 0


def test_a_reader_that_ends_early_is_no_error(tmp_path: Path) -> None:
    done = _sh(f"{COMMAND} schema | true; echo ${{PIPESTATUS[0]}}", tmp_path)
    assert done.stdout == "141\n"
    assert done.stderr == ""


def test_closed_streams(tmp_path: Path) -> None:
    done = _sh(f"{COMMAND} schema <&- >&- 2>&-; echo $?", tmp_path)
    assert done.stdout == "0\n"
    assert done.stderr == ""
    done = _sh(f"{COMMAND} validate nowhere.yaml 2>&-; echo $?", tmp_path)
    assert done.stdout == "2\n"


def test_ctrl_c_while_it_loads_is_no_traceback(tmp_path: Path) -> None:
    """Typer takes half of the time; here it is pressed in just that moment."""
    (tmp_path / "typer.py").write_text(
        "import os, signal, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "time.sleep(5)\n"
    )
    done = _sh(f"{COMMAND} --version", tmp_path, PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert done.returncode == 128 + signal.SIGINT
    assert done.stdout + done.stderr == ""


def test_ctrl_c_at_its_end_is_no_traceback(tmp_path: Path) -> None:
    """As by somebody who presses it twice, when the first has just ended a run."""
    code = (
        "import atexit, os, signal\n"
        "from clusterkit.cli.main import run\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "atexit.register(os.kill, os.getpid(), signal.SIGINT)\n"
        "run()\n"
    )
    done = _sh(f"{sys.executable} -c '{code}' --version", tmp_path)
    assert done.returncode in (-signal.SIGINT, 128 + signal.SIGINT)
    assert "Traceback" not in done.stderr
