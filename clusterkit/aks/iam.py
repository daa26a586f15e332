"""Identities of the cluster's own, and what they may do.

A role assignment is a role, an identity and a scope; none of the three can be changed. Its name is
made of them, so that another life of an identity gets another one, and a second try finds the first
(Azure/AKS-Construction#50). It takes no tags: its description is our mark, whatever scope it is at.
An assignment outlives its identity, so all of them are looked for by that mark.

Rights take effect late: assignments are made before the cluster that needs them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar
from uuid import NAMESPACE_URL, uuid5

from clusterkit.aks import ids, locks
from clusterkit.aks.client import Clients
from clusterkit.aks.tags import ArmState, Resource
from clusterkit.engine.dates import utc
from clusterkit.engine.edit import Edit
from clusterkit.engine.kind import Durations, Env, Kind, Record, Tags
from clusterkit.engine.occupant import Occupant
from clusterkit.engine.operation import Operation
from clusterkit.engine.scope import Scope
from clusterkit.naming import CLUSTER, NAME, mark, read_mark

CONTROL_PLANE = "control-plane"
KUBELET = "kubelet"
PUSH = "push"
ROLES: Mapping[str, str] = {
    "AcrPull": "7f951dda-4ed3-4680-a7ca-43fe172d538d",
    "AcrPush": "8311e382-0749-4cb8-b61a-304f252e45ec",
    "Azure Kubernetes Service RBAC Cluster Admin": "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b",
    "Container Registry Repository Reader": "b93aa761-3e63-49ed-ac28-beffa264f7ac",
    "Container Registry Repository Writer": "2a1e307c-b015-4ebd-883e-5b7698a07328",
    "DNS Zone Contributor": "befefa01-2a29-4197-83a8-272ff33ce314",
    "Key Vault Secrets Officer": "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
    "Managed Identity Operator": "f1a07417-d97a-45cb-824c-7a7467783830",
    "Network Contributor": "4d97b98b-1d4f-4787-a291-c67834d212e7",
    "Reader": "acdd72a7-3385-48ef-bd42-f606fba81ae7",
    "Storage Blob Data Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "Virtual Machine Contributor": "9980e02c-c2be-4d73-94e8-173b1dc7cf3c",
}
"""built-in roles, the same everywhere
(https://learn.microsoft.com/azure/role-based-access-control/built-in-roles)"""
ROLE_NAMES = {identifier: name for name, identifier in ROLES.items()}
EFFECTIVE = 600.0
"""seconds until a new role assignment has an effect (facts/durations.tsv, "role effective on data
plane")"""
KEEP_VOLUMES = "clusterkit-keep-volumes"
"""tag of the control plane's identity, which goes after the cluster"""


class IdentityState(ArmState):
    """A user-assigned managed identity."""

    principal: str
    """its object id in the directory"""
    client: str
    """its application id"""
    tenant: str
    """the directory's id"""


class Identity(Resource[IdentityState]):
    """Who the control plane, the kubelets or the builds are."""

    kind: ClassVar[str] = "identity"
    type: ClassVar[str] = "Microsoft.ManagedIdentity/userAssignedIdentities"
    takes: ClassVar[Durations] = Durations(create=5, delete=5)
    keep: bool | None = None
    """whether destroy leaves the volumes of claims; the control plane's tells"""

    def own_tags(self) -> Tags:
        return {} if self.keep is None else {KEEP_VOLUMES: str(self.keep).lower()}

    @classmethod
    def state(cls, shown: Mapping[str, Any]) -> IdentityState:
        properties = shown.get("properties") or {}
        return IdentityState(
            **cls.shown(shown),
            principal=properties.get("principalId") or "",
            client=properties.get("clientId") or "",
            tenant=properties.get("tenantId") or "",
        )

    def create(self, env: Env[Clients]) -> Operation[Clients] | None:
        return self.put(env)


def keeps_volumes(scope: Scope[Clients]) -> bool | None:
    """Whether destroy leaves the disks of claims; None if nothing of ours says so."""
    for have in Identity.there(scope):
        if have.tags.get(CLUSTER) == scope.cluster and KEEP_VOLUMES in have.tags:
            return bool(have.tags[KEEP_VOLUMES] == "true")
    return None


def kubelet_of(scope: Scope[Clients]) -> str:
    """The client id of the kubelets' identity; empty if it does not exist."""
    tags = {CLUSTER: scope.cluster, NAME: KUBELET}
    named = (have for have in Identity.there(scope) if tags.items() <= have.tags.items())
    return next((have.client for have in named), "")


class RoleAssignmentState(Record):
    """A role assignment."""

    id: str
    """in lower case"""
    path: str
    tags: Tags
    """what its description stands for"""
    role: str
    """the role's id, without the scope before it"""
    principal: str
    scope: str
    """in lower case"""
    made: datetime | None
    """when (UTC)"""
    status: str = ""


class RoleAssignment(Kind[Clients, RoleAssignmentState]):
    """A role of an identity of ours, or of an administrator, on something."""

    kind: ClassVar[str] = "role-assignment"
    taggable: ClassVar[bool] = False
    propagation: ClassVar[float] = EFFECTIVE
    takes: ClassVar[Durations] = Durations(create=25, delete=5)
    uses: ClassVar[tuple[str, ...]] = (
        "registry",
        "storage-account",
        "key-vault",
        "identity",
        "virtual-network",
        "resource-group",
    )
    role: str
    """a name of ``ROLES``"""
    on: Kind[Clients, Any]
    subnet: bool = False
    """on the subnet of the network, not on all of it"""
    identity: Kind[Clients, IdentityState] | None = None
    principal: str = ""
    """object id of somebody who is no identity of ours"""

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[RoleAssignmentState]:
        return (have for have in assignments(scope) if have.tags.get(CLUSTER) == scope.cluster)

    def _wanted(self, env: Env[Clients]) -> tuple[str, str]:
        """Scope and principal."""
        on = env[self.on]
        scope = on.subnet if self.subnet else on.path
        return scope, env[self.identity].principal if self.identity else self.principal

    def _path(self, env: Env[Clients]) -> str:
        scope, principal = self._wanted(env)
        parts = (ids.key(scope), principal.lower(), ROLES[self.role])
        name = uuid5(NAMESPACE_URL, "|".join(("clusterkit", *parts)))
        return f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}"

    def create(self, env: Env[Clients]) -> None:
        _, principal = self._wanted(env)
        properties = {
            "roleDefinitionId": _definition(env, ROLES[self.role]),
            "principalId": principal,
            "description": mark(env.region, env.cluster, self.name),
        }
        if self.identity:  # or the directory is asked, which may not know it yet
            properties["principalType"] = "ServicePrincipal"
        env.client.call("PUT", self._path(env), {"properties": properties})

    def edits(self, env: Env[Clients], have: RoleAssignmentState) -> Iterator[Edit]:
        scope, principal = self._wanted(env)
        there = (have.role, have.principal, have.scope)
        wanted = (ROLES[self.role], principal.lower(), ids.key(scope))
        if there != wanted:
            names = ROLE_NAMES.get(have.role, have.role)
            yield Edit("role", f"{names} of {have.principal}", self._said(principal), replace=True)

    def _said(self, principal: str) -> str:
        return f"{self.role} of {principal}"

    def taken(self, env: Env[Clients]) -> RoleAssignmentState | None:
        """The assignment of this role to this principal at this scope, under whatever name."""
        scope, principal = self._wanted(env)
        wanted = (ROLES[self.role], principal.lower(), ids.key(scope))
        for have in assignments(env):
            if (have.role, have.principal, have.scope) == wanted:
                return have
        return None

    @classmethod
    def label(cls, scope: Scope[Clients], identifier: str, labels: Tags) -> None:
        """Write the mark; all else is as it was, which is allowed."""
        shown = scope.client.call("GET", identifier)
        kept = ("roleDefinitionId", "principalId", "principalType")
        properties = {name: shown["properties"].get(name) for name in kept}
        properties["description"] = mark(scope.region, scope.cluster, labels[NAME])
        scope.client.call("PUT", identifier, {"properties": properties})

    @classmethod
    def occupants(cls, scope: Scope[Clients], have: RoleAssignmentState) -> Iterator[Occupant]:
        return locks.on(scope, have.id)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: RoleAssignmentState) -> None:
        scope.client.call("DELETE", have.path)


def assignments(scope: Scope[Clients]) -> Iterator[RoleAssignmentState]:
    """Every assignment in the subscription and below it, ours or not."""
    path = f"{scope.client.path}/providers/Microsoft.Authorization/roleAssignments"
    for shown in scope.client.pages(path):
        yield _state(scope, shown)


def _definition(scope: Scope[Clients], role: str) -> str:
    return f"{scope.client.path}/providers/Microsoft.Authorization/roleDefinitions/{role}"


def _state(scope: Scope[Clients], shown: Mapping[str, Any]) -> RoleAssignmentState:
    properties = shown["properties"]
    tags, _ = read_mark(properties.get("description"), scope.region)
    return RoleAssignmentState(
        id=ids.key(shown["id"]),
        path=shown["id"],
        tags=tags,
        role=ids.last(properties["roleDefinitionId"]).lower(),
        principal=str(properties["principalId"]).lower(),
        scope=ids.key(properties.get("scope")),
        made=utc(properties.get("createdOn")),
    )
