"""A real executor in place of the emulated one: the program that ``KANIKO_EXECUTOR`` names.

It gets the container's arguments and environment, the way to the sandbox, and the files of the
container below a folder of its own, ``KANIKO_ROOT``; paths in the arguments and variables are
changed to where those files are. A real executor changes the file system it runs in, so the
program is to be one that contains it.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from clusterkit_sandbox.kaniko.container import Container

ROOT = "KANIKO_ROOT"
_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")


def run(program: str, container: Container, write: Callable[[str], None]) -> int:
    """Run it to its end; the exit code. What it writes to mounted paths is the container's."""
    with tempfile.TemporaryDirectory(prefix="kaniko-") as name:
        root = Path(name)
        for folder in container.folders:
            _below(root, folder).mkdir(parents=True, exist_ok=True)
        for path, data in container.files.items():
            file = _below(root, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        (root / "dev").mkdir(exist_ok=True)
        known = [*container.folders, *container.files, "/dev/termination-log"]
        proxy = dict.fromkeys(_PROXIES, container.door.proxy)
        env = {key: _moved(value, known, root) for key, value in container.environment.items()}
        env |= proxy | {"SSL_CERT_FILE": str(container.door.ca_file), ROOT: name}
        # the program is one of this machine
        env["PATH"] = os.environ.get("PATH", os.defpath)
        try:
            started = subprocess.Popen(
                [program, *(_moved(one, known, root) for one in container.arguments)],
                env=env,
                cwd=name,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            write(f"KANIKO_EXECUTOR={program}: {error}")
            return 128
        watching = threading.Thread(target=_end, args=(container, started), daemon=True)
        watching.start()
        with started:
            _feed(started, container)
            assert started.stdout is not None
            for line in started.stdout:
                write(line.decode(errors="replace").rstrip("\r\n"))
        log = root / "dev/termination-log"
        if log.is_file():
            container.files["/dev/termination-log"] = log.read_bytes()
        container.stopped.set()
        watching.join()
        return started.returncode


def _end(container: Container, started: subprocess.Popen[bytes]) -> None:
    """End the program when the container is to end; nothing if it has ended by itself."""
    container.stopped.wait()
    started.terminate()


def _feed(started: subprocess.Popen[bytes], container: Container) -> None:
    """Give it its standard input; a program that does not read it has ended already."""
    assert started.stdin is not None
    data = container.stdin.read() if container.stdin is not None else b""
    try:
        started.stdin.write(data)
        started.stdin.close()
    except BrokenPipeError:
        return


def _below(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _moved(text: str, known: Iterable[str], root: Path) -> str:
    """A flag or variable that names something of the container, with where that is here."""
    head, mark, path = text.rpartition("=")
    scheme, colon, rest = path.partition("://")
    if colon and scheme in ("dir", "tar"):
        head, mark, path = f"{head}{mark}{scheme}", colon, rest
    wanted = path.rstrip("/")
    if wanted and any(one == wanted or one.startswith(f"{wanted}/") for one in known):
        return f"{head}{mark}{root}{path}"
    return text
