"""The script that makes nodes pull through a mirror, really run."""

from __future__ import annotations

import base64
import subprocess
import tomllib
from pathlib import Path

import pytest

from clusterkit.alibaba.nodes import REGISTRIES as FOLDER
from clusterkit.alibaba.nodes import user_data
from clusterkit.kube.mirror import REGISTRIES, script


@pytest.mark.parametrize(
    ("mirror", "base"),
    [
        ("m.example.com", "https://m.example.com/v2"),
        ("registry.example.com:5000/mirror/of", "https://registry.example.com:5000/v2/mirror/of"),
    ],
)
def test_every_registry_is_pulled_through_the_mirror(
    mirror: str, base: str, tmp_path: Path
) -> None:
    folder = tmp_path / "etc with space" / "cert.d"
    older = folder / "gcr.io"
    older.mkdir(parents=True)
    (older / "hosts.toml").write_text("of another mirror, longer than what comes\n" * 20)
    for _ in range(2):  # it may run again
        text = script(mirror, str(folder))
        done = subprocess.run(["sh"], input=text, text=True, capture_output=True, check=True)
        assert (done.stdout, done.stderr) == ("", "")
        assert {path.name for path in folder.iterdir()} == set(REGISTRIES)
        for registry, server in REGISTRIES.items():
            [written] = (folder / registry).iterdir()
            assert written.name == "hosts.toml"
            assert written.stat().st_mode & 0o777 == 0o644
            found = tomllib.loads(written.read_text())
            assert found["server"] == f"https://{server}"
            [(host, how)] = found["host"].items()
            assert host == f"{base}/{registry}"
            assert how == {"capabilities": ["pull", "resolve"], "override_path": True}


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    text = script("m.example.com", str(tmp_path / "file"))
    done = subprocess.run(["sh"], input=text, text=True, capture_output=True, check=False)
    assert done.returncode != 0
    assert done.stderr


def test_the_user_data_is_the_script() -> None:
    """ECS takes 32 KB of it (help.aliyun.com, document 49121)."""
    data = user_data("m.example.com")
    assert base64.b64decode(data).decode() == script("m.example.com", FOLDER)
    assert FOLDER in script("m.example.com", FOLDER)
    assert len(data) < 4096
