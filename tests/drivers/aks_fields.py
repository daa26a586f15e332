"""Two values of every field of an AKS profile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.drivers.aks import Account
from tests.drivers.aks_cases import JENKINS_X, MINIMAL_CASE, REGION, network, zone
from tests.drivers.fields import OWN, Fields, Turn
from tests.drivers.world import Edits, World

KEY = {"ssh_key": "me.pub"}
OTHER = "00000000-0000-0000-0000-000000000009"
Prepare = Callable[[World], tuple[Edits, Edits]]


def _existing() -> Iterator[Turn]:
    def prepared(make: Callable[[str, str], tuple[Edits, Edits]]) -> Prepare:
        def prepare(world: World) -> tuple[Edits, Edits]:
            account = Account(world)
            return make(network(account), network(account, "others", "10.10"))

        return prepare

    def at(vpc: str, subnet: str) -> Edits:
        return {"network.existing": {"vpc": vpc, "subnet": subnet}}

    def turn(field: str, make: Callable[[str, str], tuple[Edits, Edits]], *refused: str) -> Turn:
        name = f"network.existing{field}"
        return Turn(MINIMAL_CASE, name, {}, {}, prepare=prepared(make), refused=refused)

    yield turn("", lambda vpc, _: ({}, at(vpc, "theirs-a")), "theirs-a")
    yield turn("", lambda vpc, _: (at(vpc, "theirs-a"), {}), "theirs", "change the profile back")
    yield turn(
        ".vpc",
        lambda vpc, other: (at(vpc, "theirs-a"), at(other, "others-a")),
        "theirs-a",
        "others-a",
    )
    yield turn(
        ".subnet",
        lambda vpc, _: (at(vpc, "theirs-a"), at(vpc, "theirs-b")),
        "theirs-a",
        "theirs-b",
    )


def _principals(world: World) -> tuple[str, str]:
    """Object ids of two identities of somebody else's."""
    account = Account(world)
    group = f"{account.path}/resourceGroups/people"
    account("PUT", group, {"location": account.region})
    kind = "Microsoft.ManagedIdentity/userAssignedIdentities"
    body = {"location": account.region}
    made = [account("PUT", f"{group}/providers/{kind}/{name}", body) for name in ("ann", "bob")]
    first, second = (each["properties"]["principalId"] for each in made)
    return first, second


def _group(world: World) -> tuple[Edits, Edits]:
    """A resource group of somebody else's."""
    account = Account(world)
    account("PUT", f"{account.path}/resourceGroups/theirs", {"location": account.region})
    return {}, {"resource_group": "theirs"}


def _admins() -> Iterator[Turn]:
    def turn(field: str, make: Callable[[str, str], tuple[Edits, Edits]], **more: Any) -> Turn:
        def prepare(world: World) -> tuple[Edits, Edits]:
            return make(*_principals(world))

        return Turn(MINIMAL_CASE, f"entra{field}", {}, {}, prepare=prepare, **more)

    def of(*admins: str, **more: Any) -> Edits:
        return {"entra": {"admins": [*admins], **more}}

    yield turn("", lambda a, _: ({}, of(a)), back=("entra", "does not take it away"))
    yield turn(".admins", lambda a, b: (of(a), of(a, b)))
    yield turn(".local_accounts", lambda a, _: (of(a), of(a, local_accounts=True)))


def _domain(world: World) -> tuple[Edits, Edits]:
    """A domain whose zone Azure hosts."""
    zone(world)
    wanted = {key: value for key, value in JENKINS_X.items() if key != "domain"}
    registry = {"registry": OWN}
    return (
        {**registry, "ready.jenkins_x": wanted},
        {**registry, "ready.jenkins_x": JENKINS_X},
    )


FIELDS = Fields(MINIMAL_CASE, {"cpu": 4, "memory": 16, "arch": "amd64"})
POOL = MINIMAL_CASE.profile["pools"][0]


def _second(field: str, here: Any, there: Any) -> Turn:
    """Of a field of a pool beside the system pool."""

    def with_one(value: Any) -> Edits:
        return {"pools": [POOL, {**POOL, "name": "more", field: value}]}

    return Turn(MINIMAL_CASE, f"pools.{field}", with_one(here), with_one(there))


TURNS = (
    # the only pool is a system pool, which takes no spot capacity
    *(turn for turn in FIELDS.shared() if turn.field != "pools.spot"),
    _second("spot", False, True),
    _second("mode", "user", "system"),
    Turn(
        MINIMAL_CASE,
        "pools.mode",
        {"pools": [{**POOL, "mode": "system"}, {**POOL, "name": "more", "mode": "user"}]},
        {"pools": [{**POOL, "mode": "user"}, {**POOL, "name": "more", "mode": "system"}]},
    ),
    *_existing(),
    *_admins(),
    FIELDS.turn("cloud", "aks", "azure", invalid=("aks", "azure")),
    FIELDS.turn("subscription", None, OTHER, refused=(OTHER,)),
    Turn(MINIMAL_CASE, "resource_group", {}, {}, prepare=_group, refused=("theirs",)),
    FIELDS.turn("region", REGION, "northeurope", refused=(REGION, "northeurope")),
    FIELDS.turn("tier", "free", "standard", quick=True),
    Turn(
        MINIMAL_CASE,
        "support",
        {"tier": "premium", "support": "standard"},
        {"tier": "premium", "support": "long-term"},
    ),
    FIELDS.turn(
        "network.pods", "10.244.0.0/16", "10.245.0.0/16", refused=("10.244.0.0", "10.245.0.0")
    ),
    FIELDS.turn(
        "network.services", "10.240.0.0/16", "10.250.0.0/16", refused=("10.240.0.0", "10.250.0.0")
    ),
    FIELDS.turn("endpoint.public", True, False, refused=("private: no -> yes",)),
    FIELDS.turn("endpoint.private", True, False),
    Turn(
        MINIMAL_CASE,
        "ssh_user",
        {**KEY, "ssh_user": "me"},
        {**KEY, "ssh_user": "you"},
        refused=("me", "you"),
    ),
    FIELDS.pool("machine", "Standard_D4s_v5", "Standard_D4as_v5"),
    FIELDS.pool("machine", "Standard_D4s_v5", {"cpu": 4, "memory": 16}),
    FIELDS.machine("cpu", 4, 8),
    FIELDS.machine("memory", 16, 32),
    FIELDS.machine("arch", "amd64", "arm64"),
    FIELDS.pool("os", "azurelinux", "ubuntu"),
    Turn(
        MINIMAL_CASE,
        "registry.acr",
        {"registry": {**OWN, "acr": "clusterkitone"}},
        {"registry": {**OWN, "acr": "clusterkittwo"}},
    ),
    FIELDS.registry("sku", "basic", "standard"),
    Turn(
        MINIMAL_CASE,
        "registry.abac",
        {"registry": {**OWN, "push": ["a/b"], "abac": False}},
        {"registry": {**OWN, "push": ["a/b"], "abac": True}},
    ),
    FIELDS.registry("push", ["a/b"], "node"),
    Turn(MINIMAL_CASE, "ready.jenkins_x.domain", {}, {}, prepare=_domain),
)
