"""The resource providers that a subscription must have registered; registered with consent
(``up --activate``), and never taken back: others may use them.

https://learn.microsoft.com/azure/azure-resource-manager/management/resource-providers-and-types
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clusterkit.aks.client import Clients
from clusterkit.aks.profile import AksProfile
from clusterkit.engine.retry import Retry
from clusterkit.errors import Busy, Finding

ALWAYS = ("Compute", "ContainerService", "ManagedIdentity", "Network")
PATIENCE = 600.0
"""seconds; the portal says that it takes a few minutes"""
GOES_ON = "Registering"
"""a provider may be used in a region before all of them are done (the page above)"""


def wanted(profile: AksProfile) -> tuple[str, ...]:
    """The providers this cluster needs."""
    names = [*ALWAYS]
    if profile.registry:
        names.append("ContainerRegistry")
    if profile.keeps_files:
        names.append("Storage")
    if profile.keeps_secrets:
        names.append("KeyVault")
    return tuple(f"Microsoft.{name}" for name in names)


def states(profile: AksProfile, clients: Clients) -> dict[str, str]:
    """How far the registration of each of them is."""
    found = {name: clients.call("GET", _path(clients, name)) for name in wanted(profile)}
    return {name: str(shown.get("registrationState") or "") for name, shown in found.items()}


def check(profile: AksProfile, clients: Clients) -> Iterator[Finding]:
    """What is not registered."""
    there = states(profile, clients)
    if names := [name for name, state in there.items() if state not in ("Registered", GOES_ON)]:
        what = f"the subscription has not registered {', '.join(names)}"
        one = f"az provider register --namespace {names[0]}"
        yield Finding(what, "subscription", f"clusterkit up --activate, or {one} for each")


def activate(profile: AksProfile, clients: Clients) -> Sequence[str]:
    """Register what is missing, and wait for it; says what was done."""
    there = states(profile, clients)
    names = [name for name, state in there.items() if state != "Registered"]
    if not names:
        return ()
    for name in names:
        if there[name] != GOES_ON:
            clients.call("POST", f"{_path(clients, name)}/register")

    def ended() -> None:
        now = states(profile, clients)
        if left := [name for name in names if now[name] != "Registered"]:
            raise Busy(f"{', '.join(left)} are being registered", operation="register")

    Retry(clients.wire.scale, clients.wire.waiting, patience=PATIENCE)(ended)
    return [f"registered {', '.join(names)} in subscription {clients.subscription}"]


def _path(clients: Clients, name: str) -> str:
    return f"{clients.path}/providers/{name}"
