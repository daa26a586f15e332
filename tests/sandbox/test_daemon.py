"""The background sandbox: started, found again, killed, healed, stopped."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import clusterkit
from clusterkit_sandbox import __version__, daemon
from clusterkit_sandbox.daemon import AlreadyRunning, Info, SandboxError
from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.state_dir import default_directory
from tests.unit.odd_files import EACH, ODD, same

Start = Callable[..., Info]


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "sandbox"
    yield place
    daemon.stop(place)


@pytest.fixture
def start(directory: Path) -> Start:
    """Starts one without emulators: the clouds are tested elsewhere."""

    def run(pace: Pace = daemon.DEFAULT_PACE, faults: str = "") -> Info:
        return daemon.start(pace, faults=faults, directory=directory, emulators=())

    return run


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, "it did not come true within 20 s"
        time.sleep(0.01)


def test_start_status_stop(directory: Path, start: Start) -> None:
    assert daemon.status(directory) is None
    assert not directory.exists()
    info = start(Pace(7))
    assert info.pace == Pace(7)
    assert info.kube == "embedded"
    assert time.time() - info.started < 60
    assert daemon.status(directory) == info
    assert daemon.describe(info)["pace"] == "7"
    assert daemon.stop(directory) is True
    assert daemon.status(directory) is None
    assert daemon.stop(directory) is False
    assert sorted(file.name for file in directory.iterdir()) == ["daemon.log", "lock"]
    assert (directory / "daemon.log").read_text() == ""


def _as_of_another_version(info: Info) -> None:
    file = info.directory / "sandbox.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"version": "0.0.1"}))


def _runs(pid: int) -> bool:
    """Whether a process lives; one that ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def test_a_sandbox_of_another_version_is_restarted(
    directory: Path, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    old = start(Pace(7))
    assert daemon.ensure(directory=directory) == old
    _as_of_another_version(old)
    new = daemon.ensure(directory=directory)
    assert new.pid != old.pid
    assert (new.version, new.pace, new.kube) == (__version__, Pace(7), "embedded")
    assert not _runs(old.pid)
    assert "clusterkit 0.0.1 started it" in caplog.text
    assert daemon.ensure(directory=directory) == new
    with pytest.raises(AlreadyRunning):
        start()
    _as_of_another_version(new)
    assert start(Pace(3)).pace == Pace(3)


def test_who_comes_late_does_not_stop_the_new_one(directory: Path, start: Start) -> None:
    _as_of_another_version(start())
    with ThreadPoolExecutor(4) as pool:
        found = {
            info.pid for info in pool.map(lambda _: daemon.ensure(directory=directory), [0] * 4)
        }
    assert len(found) == 1
    assert daemon.status(directory) is not None


def test_the_variables_of_an_earlier_sandbox_do_not_matter(
    directory: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "gone")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(directory / "gone"))
    assert daemon.status(start().directory) is not None


def test_both_packages_have_the_version_of_the_distribution() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert tomllib.loads(text)["project"]["version"] == __version__ == clusterkit.__version__


def test_files_are_for_the_owner_only(directory: Path, start: Start) -> None:
    info = start()
    assert _mode(directory) == 0o700
    assert _mode(directory / "run") == 0o700
    for name in ("sandbox.json", "lock", "daemon.log"):
        assert _mode(directory / name) == 0o600, name
    assert json.loads((directory / "sandbox.json").read_text())["token"] == info.token
    assert info.token not in repr(info)
    assert "PRIVATE KEY" not in "".join(
        file.read_text() for file in directory.rglob("*") if file.is_file()
    )


def test_a_second_one_is_refused_and_ensure_finds_the_first(directory: Path, start: Start) -> None:
    info = start(Pace(7))
    with pytest.raises(AlreadyRunning, match="already running in") as raised:
        start()
    assert "clusterkit sandbox stop" in raised.value.hint
    assert daemon.ensure(directory=directory) == info
    assert daemon.ensure(Pace(7), "embedded", directory) == info
    with pytest.raises(SandboxError, match="has pace 7, not 9"):
        daemon.ensure(Pace(9), directory=directory)
    with pytest.raises(SandboxError, match="has kube embedded, not envtest"):
        daemon.ensure(kube="envtest", directory=directory)


def test_kill_minus_nine_is_healed(directory: Path, start: Start) -> None:
    info = start()
    os.kill(info.pid, signal.SIGKILL)
    _until(lambda: daemon.status(directory) is None)
    assert (directory / "sandbox.json").exists()
    again = start()
    assert again.pid != info.pid
    assert again.token != info.token
    assert daemon.status(directory) == again


def test_stop_clears_what_a_dead_one_left(directory: Path, start: Start) -> None:
    info = start()
    os.kill(info.pid, signal.SIGKILL)
    _until(lambda: daemon.status(directory) is None)
    assert daemon.stop(directory) is False
    assert not (directory / "sandbox.json").exists()
    assert not (directory / "run").exists()


def test_a_process_id_used_again_is_left_alone(directory: Path, start: Start) -> None:
    info = start()
    os.kill(info.pid, signal.SIGKILL)
    _until(lambda: daemon.status(directory) is None)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        (directory / "lock").write_text(f"{other.pid}\n")
        told = json.loads((directory / "sandbox.json").read_text()) | {"pid": other.pid}
        (directory / "sandbox.json").write_text(json.dumps(told))
        assert daemon.status(directory) is None
        assert daemon.stop(directory) is False
        assert other.poll() is None
        other.communicate(b"\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(directory: Path, start: Start, number: int) -> None:
    info = start()
    os.kill(info.pid, number)
    _until(lambda: not (directory / "run").exists())
    _until(lambda: daemon.status(directory) is None)
    assert not (directory / "sandbox.json").exists()


def test_ctrl_c_in_the_terminal_that_started_it_is_not_for_it(directory: Path) -> None:
    program = (
        "import os, pathlib, signal, sys, time\n"
        "from clusterkit_sandbox import daemon\n"
        "daemon.start(directory=pathlib.Path(sys.argv[1]), emulators=())\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a job of "&" ignores it
        "os.killpg(0, signal.SIGINT)\n"
        "time.sleep(30)\n"  # until the signal has come
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(directory)],
        start_new_session=True,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    info = daemon.status(directory)
    assert info is not None
    assert daemon.describe(info)["kube"] == "embedded"


def test_many_who_want_one_share_it(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def one(_: int) -> Info:
        return daemon.ensure(directory=directory)

    with ThreadPoolExecutor(4) as pool:
        assert len({info.pid for info in pool.map(one, range(4))}) == 1


def test_a_failed_start_says_why(directory: Path, start: Start) -> None:
    with pytest.raises(SandboxError, match="minikube") as raised:
        daemon.start(kube="minikube", directory=directory, emulators=())
    assert str(directory / "daemon.log") in raised.value.hint
    assert daemon.status(directory) is None
    with pytest.raises(SandboxError, match="fault 'brake=1'"):
        start(faults="brake=1")
    with pytest.raises(SandboxError, match="no emulator 'moon'"):
        daemon.start(directory=directory, emulators=["moon"])
    assert start().directory == directory


def test_a_directory_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    (shared / "thesis.txt").write_text("precious")
    with pytest.raises(SandboxError, match="accessible to other users") as raised:
        daemon.start(directory=shared, emulators=())
    assert "CLUSTERKIT_SANDBOX_DIR" in raised.value.hint
    assert _mode(shared) == 0o755
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(SandboxError, match="cannot use"):
        daemon.start(directory=file, emulators=())


@EACH
@pytest.mark.parametrize("name", ["lock", "sandbox.json", "daemon.log"])
def test_its_own_files_are_regular_ones(directory: Path, name: str, kind: str) -> None:
    directory.mkdir(mode=0o700)
    odd = directory / name
    ODD[kind](odd)
    if name == "sandbox.json" and kind != "directory":  # replaced like any other left behind
        assert daemon.start(directory=directory, emulators=()).directory == directory
        return
    before = same(odd)
    with pytest.raises(SandboxError, match=str(odd)):
        daemon.start(directory=directory, emulators=())
    assert same(odd) == before
    assert daemon.status(directory) is None
    odd.rmdir() if kind == "directory" else odd.unlink()


def test_a_damaged_info_file_has_a_cure(directory: Path, start: Start) -> None:
    start()
    (directory / "sandbox.json").write_text("{")
    with pytest.raises(SandboxError, match="damaged") as raised:
        daemon.status(directory)
    assert "sandbox stop" in raised.value.hint
    assert daemon.stop(directory) is True


def test_where_it_lives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert default_directory() == Path.home() / ".local/state/clusterkit/sandbox"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_directory() == tmp_path / "clusterkit/sandbox"
    monkeypatch.setenv("CLUSTERKIT_SANDBOX_DIR", str(tmp_path / "own"))
    assert default_directory() == tmp_path / "own"


def test_commands_reach_it(directory: Path, start: Start) -> None:
    info = start(faults="throttle=0.5")
    assert daemon.describe(info)["faults"] == "throttle=0.5"
    daemon.set_faults(info, "pages=2")
    assert daemon.describe(info)["faults"] == "pages=2"
    with pytest.raises(SandboxError, match="fault 'brake'"):
        daemon.set_faults(info, "brake")
    daemon.reset(info)
    assert daemon.requests(info) == []
    daemon.stop(directory)
    with pytest.raises(SandboxError, match="does not answer"):
        daemon.describe(info)


def test_a_shell_can_take_the_environment(directory: Path, start: Start) -> None:
    info = start()
    variables = daemon.environment(info)
    assert variables["HTTPS_PROXY"] == info.proxy
    assert variables["AWS_CA_BUNDLE"] == str(info.ca_file)
    odd = 'it\'s $HOME; `rm`\n"x" \\'
    lines = daemon.shell_exports({**variables, "ODD": odd})
    done = subprocess.run(
        ["sh", "-c", 'eval "$1"; printf %s "$ODD"; printf "|%s" "$HTTPS_PROXY"', "sh", lines],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{odd}|{info.proxy}"
    with pytest.raises(ValueError, match="not a valid name"):
        daemon.shell_exports({"A; rm": "x"})


def test_a_user_who_may_do_less(directory: Path, start: Start, tmp_path: Path) -> None:
    info = start()
    policy = tmp_path / "policy.json"
    policy.write_text('{"Statement": [{"Effect": "Allow", "Action": ["ec2:Describe*"]}]}')
    limited = daemon.environment(info, [str(policy), "vpc:*"])
    everything = daemon.environment(info)
    assert limited.keys() == everything.keys()
    assert limited["AWS_CA_BUNDLE"] == everything["AWS_CA_BUNDLE"]
    for wrong in ("DescribeVpcs", str(Path(__file__))):
        with pytest.raises(SandboxError, match=r"not an action|not a policy"):
            daemon.environment(info, [wrong])


def test_other_hosts_are_refused(start: Start) -> None:
    info = start()
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({"https": info.proxy}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=info.ca_file)),
    )
    with pytest.raises(OSError, match=r"403 the sandbox does not emulate example\.com"):
        opener.open("https://example.com/", timeout=10)
