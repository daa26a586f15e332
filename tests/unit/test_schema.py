"""The JSON Schema agrees with the loader, and the table of fields names every field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from clusterkit.clouds import CLOUDS, becomes, model
from clusterkit.profile.portability import page
from clusterkit.profile.schema import json_schema, markdown

MODELS = {cloud: model(cloud) for cloud in CLOUDS}
PROFILES = sorted((Path(__file__).parents[2] / "profiles").glob("*.yaml"))
GOOD: dict[str, Any] = {
    "cloud": "eks",
    "name": "demo",
    "region": "eu-west-1",
    "pools": [{"name": "default", "machine": "m7i.xlarge"}],
}


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = json_schema(MODELS)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.name)
def test_shipped_profiles_fit(validator: Draft202012Validator, path: Path) -> None:
    assert not list(validator.iter_errors(yaml.safe_load(path.read_text())))


@pytest.mark.parametrize(
    "more",
    [
        {
            "network": {
                "nat": True,
                "zones": ["eu-west-1a", "eu-west-1b"],
                "services": "172.20.0.0/16",
            }
        },
        {
            "pools": [
                {"name": "a", "machine": {"cpu": 4, "memory": 16}, "count": {"min": 1, "max": 2}}
            ]
        },
        {"registry": {"name": "a", "repositories": ["b"], "push": "node"}},
        {"registry": {"name": "a", "repositories": ["b"], "push": ["builds/kaniko"]}},
        {"ssh_key": "~/.ssh/id.pub", "kubernetes": "1.35", "log_days": 7, "tags": {"a": "b"}},
    ],
)
def test_what_fits(validator: Draft202012Validator, more: dict[str, object]) -> None:
    assert not list(validator.iter_errors(GOOD | more))


@pytest.mark.parametrize(
    "more",
    [
        {"cloud": "ekss"},
        {"colour": "red"},
        {"name": "Demo_X"},
        {"name": "x" * 41},
        {"kubernetes": 1.3},
        {"region": "eu-west-1a"},
        {"network": {"cidr": "10.0.0.0"}},
        {"network": {"nat": "two"}},
        {"network": {"zones": []}},
        {"pools": []},
        {"pools": [{"name": "a"}]},
        {"pools": [{"name": "a", "machine": "ecs.g7.xlarge"}]},
        {"pools": [{"name": "a", "machine": {"cpu": "four", "memory": 16}}]},
        {"pools": [{"name": "a", "machine": "m7i.large", "count": 0}]},
        {"pools": [{"name": "a", "machine": "m7i.large", "disk": {"size": 5}}]},
        {"registry": {"name": "A", "repositories": ["b"]}},
        {"registry": {"name": "a", "repositories": ["b"], "push": "everybody"}},
        {"log_days": 31},
        {"admins": ["arn:aws:sts::123456789012:assumed-role/Dev/me"]},
        {"ready": {"jenkins_x": {"git_url": "git@github.com:a/b"}}},
    ],
)
def test_what_does_not_fit(validator: Draft202012Validator, more: dict[str, object]) -> None:
    assert list(validator.iter_errors(GOOD | more))


def test_each_field_is_described() -> None:
    def undescribed(model: dict[str, Any]) -> list[str]:
        return [key for key, field in model["properties"].items() if not field.get("description")]

    definitions = json_schema(MODELS)["$defs"]
    assert {name: undescribed(model) for name, model in definitions.items()} == {
        name: [] for name in definitions
    }


def test_the_table_names_each_field_and_mapping() -> None:
    text = markdown(MODELS)
    for path in ("network.existing", "pools[]", "pools[].taints[]", "ready.jenkins_x", "registry"):
        assert f"### `{path}`" in text
    for part in json_schema(MODELS)["$defs"].values():
        for key, field in part["properties"].items():
            assert any(
                line.startswith(f"| `{key}` |") and line.endswith(f" {field['description']} |")
                for line in text.splitlines()
            )
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {5}
    assert "| `region` | text | required | AWS region such as `eu-west-1` |" in rows
    assert "| `max_unavailable` | number, 1 to 100 | `1` |" in text


def test_the_page_of_portability_has_every_field_once_and_where_it_belongs() -> None:
    text = page(MODELS, {cloud: becomes(cloud) for cloud in CLOUDS}, "name: demo")
    everywhere, _, rest = text.partition("## Values that differ")
    some, _, only = rest.partition("## What only one cloud has")
    fields = {cloud: {*becomes(cloud)} for cloud in CLOUDS}
    for field in set().union(*fields.values()):
        owners = [cloud for cloud in CLOUDS if field in fields[cloud]]
        part = everywhere if len(owners) == len(CLOUDS) else only if len(owners) == 1 else some
        rows = [
            line
            for line in part.splitlines()
            if line.replace("[]", "").startswith(f"| `{field}` |")
        ]
        assert len(rows) == 1, field
    example = "```yaml\nname: demo\n```"
    assert example in everywhere
