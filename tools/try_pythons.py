"""Try every Python that pyproject.toml names; ``try_pythons.py 3.13`` tries one.

For each: the wheel with its runtime dependencies only, used from a folder that holds nothing of the
checkout, and the time of ``clusterkit --help``; then, in an environment of its own, the unit and
engine tests and one lifecycle per cloud; with ``--whole`` the newest runs the whole suite, with
coverage. The Python of ``.venv`` is not tested again. A Python that is not installed is skipped,
and that is printed.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOME = [
    "tests/unit",
    "tests/engine",
    "tests/drivers/test_lifecycle.py",
    "-k",
    "not lifecycle or minimal",
]
"""of the lifecycles only those of the minimal profiles"""
HELP_SECONDS = 0.3
"""the most processor time of ``clusterkit --help``, as the median of ``HELP_RUNS``; on an idle
machine that is the time a user waits, and other work on the machine does not change it"""
HELP_RUNS = 9


def say(line: str) -> None:
    """Print, before anything that a program we run prints."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run(*words: str | Path, folder: Path = ROOT, env: dict[str, str] | None = None) -> None:
    """Run a program; ``CalledProcessError`` if it fails."""
    say("+ " + " ".join(map(str, words)))
    subprocess.run([str(word) for word in words], cwd=folder, env=env, check=True)


def processor_seconds() -> float:
    """What the programs that ended so far took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def named() -> list[str]:
    """The versions that the classifiers name, oldest first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pattern = r"Programming Language :: Python :: 3\.(\d+)"
    found = [re.fullmatch(pattern, line) for line in project["classifiers"]]
    return [f"3.{minor}" for minor in sorted(int(match[1]) for match in found if match)]


def interpreter(version: str) -> Path | None:
    """A Python of this version, on PATH or among pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    on_path = shutil.which(f"python{version}")
    found = [*([Path(on_path)] if on_path else []), *pyenv.glob(f"{version}.*/bin/python")]
    code = f"import sys, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '{version}')"
    for python in found:
        # pyenv has shims on PATH for versions that are not switched on: they fail when run
        done = subprocess.run([python, "-c", code], capture_output=True, check=False)
        if done.returncode == 0:
            return python
    return None


def try_wheel(python: Path, wheel: Path) -> None:
    """Install the wheel without extras and use it away from the checkout."""
    with tempfile.TemporaryDirectory(prefix="clusterkit-wheel-") as name:
        folder = Path(name)
        run(python, "-m", "venv", folder / "venv")
        made = folder / "venv" / "bin"
        run(
            made / "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            "-c",
            ROOT / "constraints.txt",
            wheel,
        )
        shutil.copytree(ROOT / "profiles", folder / "profiles")
        env = {"HOME": name, "PATH": f"{made}:/usr/bin:/bin"}
        code = f"import clusterkit; assert clusterkit.__file__.startswith({name!r})"
        run(made / "python", "-c", code, folder=folder, env=env)
        for profile in sorted((folder / "profiles").glob("*.yaml")):
            run("clusterkit", "validate", profile, folder=folder, env=env)
        taken = []
        for _ in range(HELP_RUNS):
            begin = processor_seconds()
            words = [made / "clusterkit", "--help"]
            subprocess.run(words, cwd=folder, env=env, check=True, capture_output=True)
            taken.append(processor_seconds() - begin)
        median = statistics.median(taken)
        say(f"clusterkit --help takes {median:.2f} s (median of {HELP_RUNS})")
        if median >= HELP_SECONDS:
            sys.exit(f"clusterkit --help may take {HELP_SECONDS} s; something heavy is imported")


def try_tests(python: Path, version: str, *, whole: bool) -> None:
    """Run the tests in ``.venv-VERSION``."""
    venv = ROOT / f".venv-{version}"
    run("sh", "tools/install.sh", python, venv, "dev")
    words = ["-q", "-n", "3", "--dist", "worksteal", "-m", "not deep"]
    words += ["--cov", "--cov-report", "term:skip-covered"] if whole else SOME
    run(venv / "bin" / "pytest", *words)


def main() -> int:
    """Try them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("versions", nargs="*", metavar="VERSION")
    parser.add_argument("--whole", action="store_true", help="the whole suite under the newest")
    given = parser.parse_args()
    versions = given.versions or named()
    found = {version: interpreter(version) for version in versions}
    for version in [version for version, python in found.items() if python is None]:
        say(f"Python {version} is not installed: skipped")
    there = {version: python for version, python in found.items() if python is not None}
    if not there:
        sys.exit("none of them is installed")
    newest = list(there)[-1]
    with tempfile.TemporaryDirectory(prefix="clusterkit-dist-") as name:
        run(next(iter(there.values())), "-m", "venv", f"{name}/venv")
        run(f"{name}/venv/bin/pip", "wheel", "-q", "--no-deps", "-w", name, ".")
        [wheel] = Path(name).glob("*.whl")
        for version, python in there.items():
            say(f"== Python {version}: {python}")
            try_wheel(python, wheel)
            if version != "{}.{}".format(*sys.version_info):
                try_tests(python, version, whole=given.whole and version == newest)
    return 0


if __name__ == "__main__":
    sys.exit(main())
