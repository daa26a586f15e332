"""An Azure Container Registry, in which a push creates repositories.

With permissions by repository (``AbacRepositoryPermissions``) the roles AcrPull and AcrPush have no
effect, and others take their place
(https://learn.microsoft.com/azure/container-registry/container-registry-rbac-abac-repository-permissions).
The login server may have a hash in its name, so it is read, never made up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

from clusterkit.aks.client import Clients
from clusterkit.aks.names import availability, made_up
from clusterkit.aks.tags import ArmState, Resource
from clusterkit.engine.edit import Edit, edit
from clusterkit.engine.kind import Durations, Env, Tags
from clusterkit.engine.operation import Operation
from clusterkit.engine.scope import Scope
from clusterkit.errors import Absent, Finding
from clusterkit.naming import CLUSTER, KEEP

LEGACY, ABAC = "LegacyRegistryPermissions", "AbacRepositoryPermissions"
PULL = {LEGACY: "AcrPull", ABAC: "Container Registry Repository Reader"}
PUSH = {LEGACY: "AcrPush", ABAC: "Container Registry Repository Writer"}
LONGEST = 42
"""characters of a name made up; a registry's has at most 50"""
TYPE = "Microsoft.ContainerRegistry/registries"


def registry_name(subscription: str, region: str, cluster: str) -> str:
    """A name that nobody else in Azure has."""
    return made_up(cluster, subscription, region, longest=LONGEST)


class RegistryState(ArmState):
    """A registry."""

    server: str
    """``NAME.azurecr.io``, or with a hash in it"""
    sku: str
    mode: str
    """``LEGACY`` or ``ABAC``"""
    arm_tokens: bool
    """whether it takes tokens of Resource Manager's, as credential helpers have them"""
    admin: bool
    anonymous: bool = False
    """whether everybody may pull from it"""
    closed: bool = False
    """whether only some networks reach it"""


class Registry(Resource[RegistryState]):
    """A registry; ``name`` is the one that is unique in Azure."""

    kind: ClassVar[str] = "registry"
    type: ClassVar[str] = TYPE
    takes: ClassVar[Durations] = Durations(create=30, delete=10)
    sku: str
    """``Basic``, ``Standard``, ``Premium``"""
    mode: str
    keep: bool = True

    def own_tags(self) -> Tags:
        return {KEEP: str(self.keep).lower()}

    @classmethod
    def state(cls, shown: Mapping[str, Any]) -> RegistryState:
        properties = shown.get("properties") or {}
        policy = (properties.get("policies") or {}).get("azureADAuthenticationAsArmPolicy") or {}
        return RegistryState(
            **cls.shown(shown),
            server=properties.get("loginServer") or "",
            sku=(shown.get("sku") or {}).get("name") or "",
            mode=properties.get("roleAssignmentMode") or LEGACY,
            arm_tokens=policy.get("status", "enabled") == "enabled",
            admin=bool(properties.get("adminUserEnabled")),
            anonymous=bool(properties.get("anonymousPullEnabled")),
            closed=properties.get("publicNetworkAccess") == "Disabled"
            or (properties.get("networkRuleSet") or {}).get("defaultAction") == "Deny",
        )

    def called(self, scope: Scope[Any]) -> str:
        return self.name

    def _properties(self) -> dict[str, Any]:
        enabled = {"azureADAuthenticationAsArmPolicy": {"status": "enabled"}}
        return {"adminUserEnabled": False, "roleAssignmentMode": self.mode, "policies": enabled}

    def create(self, env: Env[Clients]) -> Operation[Clients] | None:
        return self.put(env, sku={"name": self.sku}, properties=self._properties())

    def edits(self, env: Env[Clients], have: RegistryState) -> Iterator[Edit]:
        def change() -> Operation[Clients] | None:
            body = {"sku": {"name": self.sku}, "properties": self._properties()}
            return env.client.begin("PATCH", have.path, body)

        yield from super().edits(env, have)
        yield from edit("sku", have.sku, self.sku, change)
        yield from edit("permissions", have.mode, self.mode, change)
        yield from edit("tokens of Resource Manager", have.arm_tokens, True, change)
        yield from edit("admin user", have.admin, False, change)
        # the tier that does not know it refuses it
        body = {"properties": {"anonymousPullEnabled": False}}
        hide = partial(env.client.begin, "PATCH", have.path, body)
        yield from edit("pulls without a login", have.anonymous, False, hide)

    @classmethod
    def noted(cls, have: RegistryState) -> Iterator[Finding]:
        if have.closed:
            what = f"{have.name} lets some networks in only: nodes and builds may not reach it"
            hint = (
                f"if that is not meant: az acr update --name {have.name} --public-network-enabled "
            )
            yield Finding(what, hint=hint + "true --default-action Allow")

    @classmethod
    def kept(cls, have: RegistryState) -> str | None:
        why = "the profile keeps the registry (registry.keep); it costs by the day"
        return why if have.tags.get(KEEP) == "true" else None


def server_of(scope: Scope[Clients]) -> str:
    """The login server of the cluster's registry; ``Absent`` while there is none."""
    for have in Registry.there(scope):
        if have.tags.get(CLUSTER) == scope.cluster and have.server:
            return str(have.server)
    raise Absent("registry")


def available(clients: Clients, name: str) -> str | None:
    """Why a new registry cannot have this name; None if it can."""
    return availability(clients, TYPE, name)
