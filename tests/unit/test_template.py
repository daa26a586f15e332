"""What `init` writes and what is shipped validates, on every cloud."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clusterkit.clouds import CLOUDS, model, template
from clusterkit.errors import ProfileError
from clusterkit.profile.model import BaseProfile, load
from tests.drivers.fields import paths

SHIPPED = Path(__file__).parents[2] / "profiles"
ELSEWHERE = {"alibaba": "eu-central-1", "eks": "us-east-2", "gke": "us-central1", "aks": "eastus"}
ALONG = {"ready": "registry: {name: demo, repositories: [app]}", "ssh_from": "ssh_key: id.pub"}
"""optional fields that need another one"""

each = pytest.mark.parametrize("cloud", CLOUDS)


def loaded(folder: Path, text: str) -> BaseProfile:
    path = folder / "profile.yaml"
    path.write_text(text)
    return load(path, model, CLOUDS)


def optional(lines: list[str]) -> Iterator[tuple[int, str]]:
    """The number and the key of each line that only has to be uncommented."""
    for number, line in enumerate(lines):
        key, colon, _ = line.strip().removeprefix("# ").partition(":")
        commented = line.strip().startswith("# ") and colon
        if commented and key.islower() and key.replace("_", "").isalpha():
            yield number, key


@each
@pytest.mark.parametrize("name", ["minimal", "jenkins-x"])
def test_the_shipped_profiles(cloud: str, name: str) -> None:
    profile = load(SHIPPED / f"{cloud}-{name}.yaml", model, CLOUDS)
    assert profile.cloud == cloud
    if name == "minimal":
        assert profile.model_fields_set == {"cloud", "name", "region", "pools"}


@each
def test_the_starter(cloud: str, tmp_path: Path) -> None:
    profile = loaded(tmp_path, template(cloud, "mine", ELSEWHERE[cloud]))
    assert (profile.name, profile.region) == ("mine", ELSEWHERE[cloud])
    with pytest.raises(ProfileError) as error:
        template(cloud, "x\ny: 1", f"{ELSEWHERE[cloud]} no")
    assert [finding.where for finding in error.value.findings] == ["name", "region"]


@each
def test_every_optional_line_of_the_starter_works(cloud: str, tmp_path: Path) -> None:
    """Each commented field, taken alone, validates, and every field of the profile is there."""
    (tmp_path / "id.pub").write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43)
    lines = template(cloud, "mine", ELSEWHERE[cloud]).splitlines()
    named = {"cloud", "name", "region", "pools", "machine", "count"}
    for number, key in optional(lines):
        named.add(key)
        used = lines[number].replace("# ", "", 1).replace("~/.ssh/id_ed25519.pub", "id.pub")
        text = "\n".join([*lines[:number], used, *lines[number + 1 :], ALONG.get(key, "")])
        assert loaded(tmp_path, text).cloud == cloud, key
    fields = [path.split(".") for path in paths(model(cloud))]
    of_pools = {names[1] for names in fields if names[0] == "pools" and len(names) > 1}
    assert {names[0] for names in fields} | of_pools <= named
