"""Whatever data a profile holds, the answer is a list of findings in plain words."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterkit.clouds import CLOUDS, model
from clusterkit.errors import ProfileError
from clusterkit.profile.model import load

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        ["10.0.0.0/16", "1.35", "eks", "m7i.large", "node", "::1", "~", "%", "ssh-rsa"]
    )
)


inner_names = st.sampled_from(
    ["cidr", "zones", "nat", "min", "max", "cpu", "memory", "name", "machine", "count", "labels"]
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(inner_names | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


def profiles(cloud: str) -> st.SearchStrategy[dict[str, object]]:
    fields = model(cloud).model_fields
    return st.fixed_dictionaries(
        {"cloud": st.just(cloud)},
        optional={name: values for name in fields if name != "cloud"},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("profiles")


@pytest.mark.parametrize("cloud", CLOUDS)
@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_any_data_ends_in_plain_words(folder: Path, cloud: str, data: st.DataObject) -> None:
    profile = data.draw(profiles(cloud))
    path = folder / "profile.yaml"
    path.write_text(yaml.safe_dump(profile, allow_unicode=True))
    with pytest.raises(ProfileError) as error:
        load(path, model, CLOUDS)
    for finding in error.value.findings:
        assert finding.where.startswith(f"{path}:")
        for jargon in ("Input should", "pydantic", "cannot be used here", "Field required"):
            assert jargon not in finding.what
