"""What an account has: found by kind, scope and id, and not deleted under what needs it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from clusterkit_sandbox.kit.store import Store, fingerprint


@dataclass
class Network:
    id: str
    scope: str = ""

    def needs(self) -> Iterable[str]:
        return ()


@dataclass
class Subnet:
    id: str
    network: str
    more: list[str] = field(default_factory=list)
    scope: str = ""

    def needs(self) -> Iterable[str]:
        return (self.network, *self.more)


def test_ids_are_unique_in_their_scope() -> None:
    store = Store()
    here, there = store.add(Network("n", "eu")), store.add(Network("n", "us"))
    assert store.get(Network, "n", "eu") is here
    assert store.get(Network, "n", "us") is there
    assert store.get(Network, "n") is None
    with pytest.raises(KeyError, match="there is a Network n already"):
        store.add(Network("n", "eu"))
    assert list(store.all(Network, "us")) == [there]
    store.remove(here)
    assert list(store.all(Network)) == [there]
    assert store.counts() == {"Network": 1}


def test_a_scope_that_is_gone_takes_what_is_in_it() -> None:
    store = Store()
    store.add(Network("n", "eu"))
    store.add(Subnet("s", "n", scope="eu/n"))
    other = store.add(Subnet("s", "n", scope="eu/m"))
    store.empty("eu/n")
    assert list(store.all(Subnet)) == [other]
    assert store.counts() == {"Network": 1, "Subnet": 1}


def test_who_uses_an_object_is_found_in_the_order_of_kinds() -> None:
    store = Store()
    store.add(Network("n"))
    first, second = store.add(Subnet("a", "n")), store.add(Subnet("b", "other", ["n"]))
    store.add(Subnet("c", "other"))
    assert store.users("n", Subnet) == [first, second]
    assert not store.users("a", Network, Subnet)


def test_a_late_object_is_hidden_from_reads_only() -> None:
    store = Store()
    with store.call(reading=False):
        made = store.add(Network("n"))
        store.hide_added(Network, 60)
    with store.call(reading=True):
        assert store.get(Network, "n") is None
        assert not list(store.all(Network))
    with store.call(reading=False):
        assert store.get(Network, "n") is made
    with store.call(reading=False):
        store.hide_added(Network, 60)  # nothing was added by this call
        store.add(Subnet("s", "n"))
    with store.call(reading=True):
        assert store.get(Subnet, "s") is not None


def test_only_what_is_gone_is_trimmed() -> None:
    store = Store()
    for number in range(30):
        store.add(Subnet(str(number), "gone" if number % 2 else "here"))
    store.trim(Subnet, 20, lambda one: one.network == "gone")
    assert sum(one.network == "here" for one in store.all(Subnet)) == 15
    assert len(list(store.all(Subnet))) == 20


def test_a_fingerprint_tells_values_apart_and_not_the_order_of_their_keys() -> None:
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": "1"})
