"""Two values of every field of a GKE profile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tests.drivers.fields import OWN, Fields, Turn
from tests.drivers.gke import Account
from tests.drivers.gke_cases import EXISTING, MINIMAL, MINIMAL_CASE, REGION, ZONES, network
from tests.drivers.world import Edits, World, edited

HOST = "clusterkit-host"
"""the sandbox's second project"""
ARM = {"network.zones": [ZONES[0]]}
SPREAD = {"location": "regional", "pools.0.count": 6}
KEY = {"ssh_key": "me.pub"}
PUSH = {**OWN, "push": ["a/b"]}
Prepare = Callable[[World], tuple[Edits, Edits]]


def _existing() -> Iterator[Turn]:
    def at(**edits: Any) -> Edits:
        return {"network.existing": {**EXISTING, **edits}}

    def prepared(here: Edits, there: Edits) -> Prepare:
        def prepare(world: World) -> tuple[Edits, Edits]:
            network(Account(world), "theirs")
            network(Account(world), "others", "10.10")
            return here, there

        return prepare

    def turn(field: str, here: Edits, there: Edits, *refused: str) -> Turn:
        at = f"network.existing{field}"
        return Turn(MINIMAL_CASE, at, {}, {}, prepare=prepared(here, there), refused=refused)

    others = at(vpc="others", subnetwork="others-a")
    yield turn("", {}, at(), "theirs")
    yield turn("", at(), {}, "theirs", "change the profile back")
    yield turn(".vpc", at(), others, "theirs", "others")
    yield turn(".subnetwork", at(), at(subnetwork="theirs-b"), "theirs-a", "theirs-b")
    yield turn(".pods", at(), at(pods="more"), "pods", "more")
    yield turn(".services", at(), at(services="more"), "services", "more")
    yield turn(".project", at(), at(project=HOST), HOST)


FIELDS = Fields(MINIMAL_CASE, {"cpu": 4, "memory": 16, "arch": "amd64"})
TURNS = (
    # a fixed pool has as many nodes in each zone
    *(turn for turn in FIELDS.shared() if turn.field != "network.zones"),
    Turn(
        MINIMAL_CASE,
        "network.zones",
        {"network.zones": 2, **SPREAD},
        {"network.zones": 3, **SPREAD},
    ),
    FIELDS.turn("network.zones", 1, 2),
    *_existing(),
    FIELDS.turn("cloud", "gke", "azure", invalid=("gke", "azure")),
    FIELDS.turn("project", None, HOST, refused=("clusterkit-sandbox", HOST)),
    FIELDS.turn("region", REGION, "europe-west4", refused=(REGION, "europe-west4")),
    Turn(
        MINIMAL_CASE,
        "mode",
        {"mode": "standard"},
        {"mode": "autopilot", "pools": None},
        refused=("autopilot: no -> yes",),
    ),
    FIELDS.turn("location", None, "regional", refused=(f"{ZONES[0]} -> {REGION}",)),
    FIELDS.turn("channel", "regular", "rapid"),
    FIELDS.turn(
        "network.pods", "172.20.0.0/14", "172.28.0.0/14", refused=("172.20.0.0", "172.28.0.0")
    ),
    FIELDS.turn(
        "network.services", "172.24.0.0/20", "172.31.0.0/20", refused=("172.24.0.0", "172.31.0.0")
    ),
    FIELDS.turn("endpoint.public", True, False),
    FIELDS.turn(
        "endpoint.private", True, False, invalid=("endpoint.private", "cannot be false on GKE")
    ),
    FIELDS.turn("endpoint.dns", False, True, quick=True),
    Turn(MINIMAL_CASE, "ssh_user", {**KEY, "ssh_user": "me"}, {**KEY, "ssh_user": "you"}),
    Turn(MINIMAL_CASE, "ssh_from", KEY, {**KEY, "ssh_from": "iap"}),
    Turn(
        MINIMAL_CASE,
        "ssh_from",
        {**KEY, "ssh_from": "iap"},
        {**KEY, "ssh_from": ["8.8.8.0/24", "9.9.9.0/24"]},
    ),
    FIELDS.pool("machine", "e2-standard-4", "n2-standard-4"),
    FIELDS.pool("machine", "e2-standard-4", {"cpu": 4, "memory": 16}),
    FIELDS.machine("cpu", 4, 8),
    FIELDS.machine("memory", 16, 32),
    Turn(
        replace(MINIMAL_CASE, profile=edited(MINIMAL, ARM)),
        "pools.machine.arch",
        FIELDS.sized("arch", "amd64"),
        FIELDS.sized("arch", "arm64"),
    ),
    FIELDS.pool("disk.type", "pd-balanced", "pd-ssd"),
    FIELDS.pool("scopes", ["cloud-platform"], ["cloud-platform", "storage-full"]),
    FIELDS.registry("hosts", [], ["gcr.io", "asia.gcr.io"]),
    Turn(
        MINIMAL_CASE,
        "registry.identity",
        {"registry": {**PUSH, "identity": "principal"}},
        {"registry": {**PUSH, "identity": "account"}},
    ),
    FIELDS.registry("push", ["a/b"], "node"),
)
