"""Kubernetes service accounts as Azure knows them (Microsoft Entra Workload ID).

https://azure.github.io/azure-workload-identity/docs/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from clusterkit.aks import ids
from clusterkit.aks.client import Clients
from clusterkit.aks.clusterstate import ClusterState
from clusterkit.aks.iam import Identity, IdentityState
from clusterkit.engine.edit import Edit, edit
from clusterkit.engine.kind import Durations, Env, Kind, Record, Tags
from clusterkit.engine.scope import Scope
from clusterkit.errors import Propagating
from clusterkit.kube import manifest
from clusterkit.kube.api import HasKube, Object
from clusterkit.naming import CLUSTER, NAME, digest, safe

AUDIENCE = "api://AzureADTokenExchange"
CLIENT_ID = "azure.workload.identity/client-id"
TENANT_ID = "azure.workload.identity/tenant-id"
"""annotations that name the identity the pods act as, and its directory
(https://azure.github.io/azure-workload-identity/docs/topics/service-account-labels-and-annotations.html)"""


class FederatedCredentialState(Record):
    """A federated credential of an identity of ours."""

    id: str
    path: str
    name: str
    tags: Tags
    """its identity's cluster, and its own name"""
    identity: str
    """key of its identity"""
    issuer: str
    subject: str
    audiences: tuple[str, ...]
    status: str = ""


class FederatedCredential(Kind[Clients, FederatedCredentialState]):
    """That the tokens of a Kubernetes service account are good for an identity.

    It takes no tags: it is ours because it lies in an identity of ours. An identity takes one write
    at a time (``ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity``), so that
    each waits for the one before it.
    """

    kind: ClassVar[str] = "federated-credential"
    taggable: ClassVar[bool] = False
    dies_with: ClassVar[str | None] = "identity"
    takes: ClassVar[Durations] = Durations(create=10, delete=10)
    identity: Kind[Clients, IdentityState]
    cluster: Kind[Clients, ClusterState]
    account: str
    """``NAMESPACE/NAME``"""

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterator[FederatedCredentialState]:
        for identity in Identity.there(scope):
            if identity.tags.get(CLUSTER) != scope.cluster:
                continue
            path = f"{identity.path}/federatedIdentityCredentials"
            for shown in scope.client.pages(path):
                properties = shown.get("properties") or {}
                yield FederatedCredentialState(
                    id=ids.key(shown["id"]),
                    path=shown["id"],
                    name=shown["name"],
                    tags={CLUSTER: scope.cluster, NAME: shown["name"]},
                    identity=identity.id,
                    issuer=properties.get("issuer") or "",
                    subject=properties.get("subject") or "",
                    audiences=tuple(properties.get("audiences") or ()),
                )

    def _put(self, env: Env[Clients]) -> None:
        path = f"{env[self.identity].path}/federatedIdentityCredentials/{self.name}"
        properties = {
            # compared letter by letter with what is in the token, the slash at the end included
            "issuer": env[self.cluster].issuer,
            "subject": subject(self.account),
            "audiences": [AUDIENCE],
        }
        env.client.call("PUT", path, {"properties": properties})

    def create(self, env: Env[Clients]) -> None:
        if not env[self.cluster].issuer:
            raise Propagating("the cluster does not tell its OIDC issuer yet")
        self._put(env)

    def edits(self, env: Env[Clients], have: FederatedCredentialState) -> Iterator[Edit]:
        def put() -> None:
            self._put(env)

        yield from edit("issuer", have.issuer, env[self.cluster].issuer, put)
        yield from edit("subject", have.subject, subject(self.account), put)
        yield from edit("audiences", have.audiences, (AUDIENCE,), put)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: FederatedCredentialState) -> None:
        scope.client.call("DELETE", have.path)

    @classmethod
    def within(cls, have: FederatedCredentialState) -> Mapping[str, str]:
        return {"identity": have.identity}


def credential_name(account: str) -> str:
    """Of the credential of ``NAMESPACE/NAME``: 3 to 120 letters, digits, '-' and '_'."""
    return f"{safe(re.sub('[^a-z0-9]', '-', account), 100)}-{digest(account, length=6)}"


def subject(account: str) -> str:
    """Of the tokens of ``NAMESPACE/NAME``."""
    namespace, _, name = account.partition("/")
    return f"system:serviceaccount:{namespace}:{name}"


class ServiceAccount(manifest.ServiceAccount):
    """A Kubernetes service account, whose pods may act as an identity of Azure's."""

    identity: Kind[Any, IdentityState] | None = None

    def body(self, env: Env[HasKube]) -> Object:
        body = super().body(env)
        if self.identity is not None:
            who = env[self.identity]
            body["metadata"]["annotations"] = {CLIENT_ID: who.client, TENANT_ID: who.tenant}
        return body


def service_account(
    name: str,
    within: manifest.Namespace,
    identity: Kind[Any, IdentityState] | None,
    *,
    token: bool = True,
) -> ServiceAccount:
    """A service account in a namespace of ours; ``name`` without the namespace."""
    plain = manifest.service_account(name, within, token=token)
    return ServiceAccount(
        name=plain.name, after=plain.after, content=plain.content, identity=identity
    )
