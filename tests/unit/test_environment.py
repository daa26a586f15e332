"""What a kubeconfig remembers of the environment it was written in."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusterkit.clouds import CLOUDS
from clusterkit.environment import SECRETS, STORED, remembered


@pytest.mark.parametrize("cloud", CLOUDS)
def test_whose_stored_credentials_are_used_is_remembered(cloud: str) -> None:
    stored = STORED[cloud]
    environ = dict.fromkeys([*stored.names, *stored.places], "/a/team")
    assert remembered(cloud, environ, named=False) == environ
    assert remembered(cloud, environ, named=True) == dict.fromkeys(stored.places, "/a/team")


@pytest.mark.parametrize("cloud", CLOUDS)
def test_keys_of_the_environment_are_not_and_outrank_stored_ones(cloud: str) -> None:
    environ = dict.fromkeys(STORED[cloud].names, "team")
    for key in STORED[cloud].keys:
        assert remembered(cloud, {**environ, key: "secret"}, named=False) == {}
    secret = {*SECRETS[cloud].needed, *SECRETS[cloud].optional}
    assert not secret & {*STORED[cloud].names, *STORED[cloud].places}


def test_files_are_found_from_other_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = remembered("eks", {"AWS_CONFIG_FILE": "conf"}, named=False)
    assert found == {"AWS_CONFIG_FILE": str(tmp_path / "conf")}
