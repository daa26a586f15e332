"""Names that are unique in all of Azure, and whether one is free."""

from __future__ import annotations

import re

from clusterkit.aks.client import Clients
from clusterkit.aks.group import home_name
from clusterkit.engine.scope import Scope
from clusterkit.naming import digest

LONGEST = 24
"""characters of the name of a storage account or a key vault, in lower-case letters and digits
(https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules)"""
HASH = 12


def made_up(cluster: str, *where: str, longest: int = LONGEST) -> str:
    """A name that nobody else in Azure has; ``where`` tells the cluster from others of its name."""
    plain = re.sub(r"[^a-z0-9]", "", cluster)[: longest - HASH]
    return f"{plain}{digest(*where, cluster, length=HASH)}"


def in_group(scope: Scope[Clients], longest: int = LONGEST) -> str:
    """A name that nobody else in Azure has, for what comes back with the same name: another one in
    another resource group.
    """
    where = scope.client.subscription, home_name(scope).lower(), scope.region
    return made_up(scope.cluster, *where, longest=longest)


def availability(clients: Clients, kind: str, name: str) -> str | None:
    """Why nothing new of this type can have this name; None if it can."""
    path = f"{clients.path}/providers/{kind.partition('/')[0]}/checkNameAvailability"
    answer = clients.call("POST", path, {"name": name, "type": kind})
    return None if answer.get("nameAvailable") else str(answer.get("message") or "it is taken")
