"""Our dataclasses are the standard library's but for how their methods come about."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from typing import Any

import pytest

from clusterkit import frozen


def _pair(decorate: Any) -> tuple[Any, Any]:
    """A class and one that inherits from it."""

    @decorate(frozen=True)
    class Key:
        name: str
        secret: str = field(repr=False)
        seen: int = field(default=0, compare=False)
        late: bool = field(default=False, kw_only=True)

    @decorate(frozen=True)
    class Longer(Key):
        tags: dict[str, str] = field(default_factory=dict)
        size: int = 1

    return Key, Longer


OURS, STANDARD = _pair(frozen.dataclass), _pair(dataclass)


@pytest.mark.parametrize(
    "made",
    [
        lambda key, _: key("a", "b"),
        lambda key, _: key("a", "b", 3, late=True),
        lambda key, _: key(secret="b", name="a"),
        lambda _, longer: longer("a", "b", 2, {"x": "y"}),
        lambda _, longer: longer("a", "b", size=3),
        lambda key, _: replace(key("a", "b"), seen=4),
        lambda _, longer: copy.deepcopy(longer("a", "b", tags={"x": "y"})),
    ],
)
def test_instances_are_alike(made: Callable[[Any, Any], Any]) -> None:
    ours, standard = made(*OURS), made(*STANDARD)
    assert repr(ours) == repr(standard).replace("_pair(dataclass)", "")
    assert asdict(ours) == asdict(standard)
    assert [each.name for each in fields(ours)] == [each.name for each in fields(standard)]
    assert type(ours).__match_args__ == type(standard).__match_args__


@pytest.mark.parametrize(
    "made",
    [
        lambda key, _: key(),
        lambda key, _: key("a"),
        lambda key, _: key("a", "b", 3, True),
        lambda key, _: key("a", "b", name="c"),
        lambda key, _: key("a", "b", other=1),
        lambda key, _: key("a", other=1),
        lambda _, longer: longer("a", "b", 1, {}, 2, 3),
        lambda key, longer: key("a", "b") < longer("a", "b"),
    ],
)
def test_the_same_is_refused(made: Callable[[Any, Any], Any]) -> None:
    for classes in (OURS, STANDARD):
        with pytest.raises(TypeError):
            made(*classes)


def test_what_is_equal() -> None:
    for key, longer in (OURS, STANDARD):
        assert key("a", "b", seen=1) == key("a", "b", seen=2)
        assert hash(key("a", "b", seen=1)) == hash(key("a", "b", seen=2))
        assert key("a", "b") != key("a", "c")
        assert key("a", "b") != longer("a", "b")
        assert longer("a", "b").tags is not longer("a", "b").tags
        with pytest.raises(TypeError, match="unhashable"):
            hash(longer("a", "b"))


def test_nothing_can_be_changed() -> None:
    for key, _ in (OURS, STANDARD):
        made = key("a", "b")
        for name in ("name", "other"):
            with pytest.raises(FrozenInstanceError, match=name):
                setattr(made, name, "c")
            with pytest.raises(FrozenInstanceError, match=name):
                delattr(made, name)


def test_a_plain_subclass_has_attributes_of_its_own() -> None:
    class Plain(OURS[0]):  # type: ignore[misc, valid-type]
        pass

    made = Plain("a", "b")
    made.other = 1
    del made.other
    with pytest.raises(FrozenInstanceError):
        made.name = "c"


def test_identity_instead_of_equality_and_the_end_of_a_constructor() -> None:
    @frozen.dataclass(frozen=True, kw_only=True, eq=False)
    class Thing:
        name: str

        def __post_init__(self) -> None:
            if not self.name:
                raise ValueError("no name")

    assert Thing(name="a") != Thing(name="a")
    assert len({Thing(name="a"), Thing(name="a")}) == 2
    with pytest.raises(ValueError, match="no name"):
        Thing(name="")


def test_what_may_change_is_the_standard_librarys() -> None:
    with pytest.raises(ValueError, match="standard"):
        frozen.dataclass(frozen=False)


def test_instances_travel() -> None:
    from clusterkit.errors import Finding

    found = Finding("what", "where", hint="cure")
    assert dataclasses.is_dataclass(found)
    assert pickle.loads(pickle.dumps(found)) == found
