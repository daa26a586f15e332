"""What of a folder is sent to a build."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from clusterkit.errors import ClusterkitError, UsageError
from clusterkit.ready.context import look, pack, stream_file
from clusterkit.ready.dockerignore import Patterns


def made(folder: Path, *files: str, ignore: str | None = None) -> Path:
    for name in ("Dockerfile", *files):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    if ignore is not None:
        (folder / ".dockerignore").write_text(ignore)
    return folder


@pytest.mark.parametrize(
    ("patterns", "out", "kept"),
    [
        (["*.md"], ["a.md"], ["b/a.md", "a.mdx"]),
        (["**/*.md"], ["a.md", "b/c/a.md"], ["a.txt"]),
        (["node_modules"], ["node_modules", "node_modules/a/b"], ["a/node_modules"]),
        (["/build/", "./dist"], ["build/a", "dist/a"], ["a/build"]),
        (["*", "!src", "src/*.tmp"], ["a", "src/b.tmp"], ["src/a.py"]),
        (["*.md", "!README.md"], ["a.md"], ["README.md"]),
        (["# comment", "", "  a  "], ["a"], ["# comment", "b"]),
        (["temp?"], ["temp1"], ["temp", "temp12", "a/temp1"]),
        (["[a-c].txt"], ["b.txt"], ["d.txt"]),
        (["a/**/z"], ["a/z", "a/b/c/z"], ["a/b"]),
        (["a/**"], ["a/b", "a/b/c"], ["b"]),
        (["**/.git"], [".git/config", "sub/.git/HEAD"], [".github/a"]),
        (["a\\*b"], ["a*b"], ["axb"]),
        (["../x", "."], [], ["x", "a"]),
    ],
)
def test_patterns(patterns: list[str], out: list[str], kept: list[str]) -> None:
    found = Patterns.of(patterns)
    assert [path for path in out if not found.leaves_out(path)] == []
    assert [path for path in kept if found.leaves_out(path)] == []


def test_a_pattern_that_is_none() -> None:
    with pytest.raises(ClusterkitError, match="is not a pattern") as caught:
        Patterns.of(["a", "[x"])
    assert caught.value.where == ".dockerignore:2"


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    made(tmp_path, "a.py", "b.log", "dist/x", "dist/y", ignore="*.log\ndist\nDockerfile\n")
    found = look(tmp_path, "Dockerfile")
    # kaniko needs both files, though COPY does not get them
    assert set(found.paths) == {"Dockerfile", ".dockerignore", "a.py"}
    assert (found.files, found.left_out, found.ignore) == (3, 2, ".dockerignore")
    assert found.size == sum((tmp_path / path).stat().st_size for path in found.paths)


def test_what_is_taken_back_from_a_folder(tmp_path: Path) -> None:
    made(tmp_path, "dist/x", "dist/keep/y", ignore="dist\n!dist/keep\n")
    assert "dist/keep/y" in look(tmp_path, "Dockerfile").paths
    assert "dist/x" not in look(tmp_path, "Dockerfile").paths


def test_a_dockerfile_has_an_ignore_file_of_its_own(tmp_path: Path) -> None:
    made(tmp_path, "a", "b", "ci/Dockerfile", ignore="a\n")
    (tmp_path / "ci" / "Dockerfile.dockerignore").write_text("b\n")
    found = look(tmp_path, "ci/Dockerfile")
    assert found.ignore == "ci/Dockerfile.dockerignore"
    assert "a" in found.paths
    assert "b" not in found.paths


def test_what_usually_holds_secrets_is_named(tmp_path: Path) -> None:
    names = [".env", "conf/.env.prod", "keys/id_rsa", "tls.key", "home/.aws/credentials"]
    made(tmp_path, *names, ".env.example", "src/keyboard.py", ".npmrc", ignore=".npmrc\n")
    assert sorted(look(tmp_path, "Dockerfile").secrets) == sorted(names)


def test_links_are_sent_as_links_and_pipes_not_at_all(tmp_path: Path) -> None:
    made(tmp_path, "a", "empty/x")
    (tmp_path / "empty" / "x").unlink()
    (tmp_path / "out").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    found, sent = look(tmp_path, "Dockerfile"), bytearray()
    pack(found, sent.extend)
    with tarfile.open(fileobj=io.BytesIO(bytes(sent)), mode="r:gz") as archive:
        kinds = {entry.name: entry for entry in archive}
    assert set(kinds) == {"Dockerfile", "a", "empty", "out"}
    assert kinds["out"].issym()
    assert kinds["empty"].isdir()


@pytest.mark.parametrize(
    ("context", "dockerfile", "words"),
    [
        ("none", "Dockerfile", "there is no such folder"),
        (".", "other/Dockerfile", "there is no other/Dockerfile in it"),
    ],
)
def test_no_context(tmp_path: Path, context: str, dockerfile: str, words: str) -> None:
    made(tmp_path)
    with pytest.raises(UsageError, match=words):
        look(tmp_path / context, dockerfile)


def test_a_file_is_sent_as_it_is(tmp_path: Path) -> None:
    path, sent = tmp_path / "c.tar.gz", bytearray()
    path.write_bytes(b"\x1f\x8b" + b"x" * 100_000)
    stream_file(path, sent.extend)
    assert sent == path.read_bytes()
    path.write_bytes(b"plain")
    with pytest.raises(UsageError, match=r"is not a .tar.gz"):
        stream_file(path, sent.extend)
