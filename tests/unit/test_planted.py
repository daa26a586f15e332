"""Each check of ``make check`` sees a fault planted in either package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = Path(sys.executable).parent
PACKAGES = ("clusterkit", "clusterkit_sandbox")
COPIED = (*PACKAGES, "tools", "pyproject.toml", ".importlinter", ".gitignore")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of its own, where nothing is wrong yet."""
    made = tmp_path_factory.mktemp("tree")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, made / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, made / name)
    subprocess.run(["git", "init", "--quiet"], cwd=made, check=True)
    return made


def run(tree: Path, *command: str | Path) -> tuple[int, str]:
    """Exit status and output of a check, which sees nothing but this tree."""
    environ: Mapping[str, str] = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(
        command, cwd=tree, env=environ, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def ruff(tree: Path) -> tuple[int, str]:
    return run(tree, TOOLS / "ruff", "check", "--no-cache")


def mypy(tree: Path, file: str) -> tuple[int, str]:
    """Of one file, for it takes minutes without a cache; ``packages`` say what it checks else."""
    settings = tomllib.loads((tree / "pyproject.toml").read_text())["tool"]["mypy"]
    assert sorted(settings["packages"]) == sorted(PACKAGES)
    return run(tree, TOOLS / "mypy", f"--cache-dir={os.devnull}", file)


def lint_imports(tree: Path) -> tuple[int, str]:
    return run(tree, TOOLS / "lint-imports", "--no-logo", "--no-cache")


def check_tree(tree: Path) -> tuple[int, str]:
    return run(tree, sys.executable, "tools/check_tree.py")


@pytest.mark.parametrize("package", PACKAGES)
def test_ruff_sees_a_print(tree: Path, package: str) -> None:
    planted = tree / package / "planted.py"
    planted.write_text('"""Planted."""\n')
    assert ruff(tree)[0] == 0
    planted.write_text('"""Planted."""\n\nprint("planted")\n')
    status, text = ruff(tree)
    planted.unlink()
    assert status == 1
    assert f"{package}/planted.py:3" in text
    assert "T201" in text


@pytest.mark.parametrize("package", PACKAGES)
def test_mypy_sees_a_type_error(tree: Path, package: str) -> None:
    planted = tree / package / "planted.py"
    planted.write_text("def planted(number):\n    return number\n")
    status, text = mypy(tree, f"{package}/planted.py")
    planted.write_text("def planted(number: int) -> int:\n    return number\n")
    sound, _ = mypy(tree, f"{package}/planted.py")
    planted.unlink()
    assert (status, sound) == (1, 0)
    assert f"{package}/planted.py:1: error" in text


def only_with(
    check: Callable[[Path], tuple[int, str]], tree: Path, planted: Path, sound: str, wrong: str
) -> str:
    """What a check says of a file with the wrong text in it, after it took the sound one."""
    planted.write_text(sound)
    before, _ = check(tree)
    planted.write_text(wrong)
    status, said = check(tree)
    planted.unlink()
    assert (before, status) == (0, 1)
    return said


@pytest.mark.parametrize(
    ("package", "line", "contract"),
    [
        ("clusterkit_sandbox", "import clusterkit.errors", "The judge and the judged"),
        ("clusterkit", "import clusterkit_sandbox.faults", "One loader reaches the sandbox"),
    ],
)
def test_import_linter_sees_one_package_in_the_other(
    tree: Path, package: str, line: str, contract: str
) -> None:
    sound = '"""Planted."""\n'
    text = only_with(lint_imports, tree, tree / package / "planted.py", sound, f"{sound}\n{line}\n")
    assert any(contract in row and " BROKEN" in row for row in text.splitlines()), text
    assert f"{package}.planted" in text


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize(
    ("name", "text"), [("planted.py", "NUMBER = 1\n" * 700), ("utils.py", "NUMBER = 1\n")]
)
def test_check_tree_sees_a_long_file_and_an_empty_name(
    tree: Path, package: str, name: str, text: str
) -> None:
    assert check_tree(tree)[0] == 0
    planted = tree / package / name
    planted.write_text(text)
    status, said = check_tree(tree)
    planted.unlink()
    assert status == 1
    assert f"{package}/{name}" in said


@pytest.mark.parametrize("words", ["'clusterkit[eks]'", "-U clusterkit"])
def test_check_tree_sees_another_project_installed(tree: Path, words: str) -> None:
    sound = "pip install '.[eks]', in the folder with clusterkit's source\n"
    said = only_with(check_tree, tree, tree / "planted.md", sound, f"pip install {words}\n")
    assert "planted.md: installs another project's package" in said
