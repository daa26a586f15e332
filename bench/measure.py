"""A sandbox of one's own, and commands run on it as a user runs them, each measured."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clusterkit_sandbox import daemon
from clusterkit_sandbox.pace import Pace


@dataclass(frozen=True)
class Taken:
    """What one command took."""

    wall: float
    """seconds"""
    requests: int
    processor: float
    """seconds, user and system, of the command and its children"""
    memory: float
    """peak resident set of its largest process, MB"""
    output: str = ""


class Bench:
    """One sandbox, and a folder for each tool."""

    def __init__(self, folder: Path, pace: Pace) -> None:
        """Start the sandbox; ``close`` ends it."""
        self.folder = folder
        self.sandbox = folder / "sandbox"
        self.info = daemon.start(pace, directory=self.sandbox)
        self.env = dict(os.environ) | daemon.environment(self.info)
        self.env |= {"XDG_STATE_HOME": str(folder / "state"), "NO_COLOR": "1"}
        self.env |= {"KUBECONFIG": str(folder / "kubeconfig")}
        # whoever installs and uses a tool has its bytecode after the first run
        self.env.pop("PYTHONDONTWRITEBYTECODE", None)

    def close(self) -> None:
        """End the sandbox."""
        daemon.stop(self.sandbox)

    def run(self, command: list[str], where: Path, env: Mapping[str, str], *good: int) -> Taken:
        """Run one command and say what it took; any exit code but ``good`` ends the benchmark."""
        before = int(daemon.describe(self.info)["requests"])
        with (
            (self.folder / "output").open("w+") as output,
            (self.folder / "said").open("w+") as said,
        ):
            started = time.perf_counter()
            child = subprocess.Popen(
                command,
                cwd=where,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=said,
            )
            _, status, usage = os.wait4(child.pid, 0)
            wall = time.perf_counter() - started
            child.returncode = os.waitstatus_to_exitcode(status)
            if child.returncode not in good:
                said.seek(0)
                sys.exit(f"{' '.join(command)} exited {child.returncode}:\n{said.read()[-4000:]}")
            output.seek(0)
            printed = output.read()
        requests = int(daemon.describe(self.info)["requests"]) - before
        processor = usage.ru_utime + usage.ru_stime
        return Taken(wall, requests, processor, usage.ru_maxrss / 1024, printed)
