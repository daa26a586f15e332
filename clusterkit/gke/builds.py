"""How pods push to Artifact Registry: as themselves, as their node, or with an account's key.

kaniko asks the metadata server for a token and needs no docker config for Google's registries
(google/go-containerregistry, ``pkg/v1/google/keychain.go``).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from clusterkit.engine.edit import Edit
from clusterkit.engine.kind import Env, Kind, State
from clusterkit.engine.scope import Scope
from clusterkit.gke.client import Clients
from clusterkit.gke.profile import GkeProfile, GkeRegistry
from clusterkit.kube.api import HasKube, Object
from clusterkit.kube.manifest import Manifest, ManifestState, selector
from clusterkit.ready.registry import PushAccess, SecretFile

SECRET = "kaniko-secret"
"""name of the Secret with a key, and of its only entry; Jenkins X called both so"""
KEY = SecretFile(SECRET, SECRET, "/kaniko-secret", "secret.json")
ANNOTATION = "clusterkit.dev/key"
"""the key's name in IAM: ``projects/P/serviceAccounts/EMAIL/keys/ID``"""
_KEYS = "projects.serviceAccounts.keys"


def access_of(registry: GkeRegistry, region: str, project: str) -> PushAccess:
    """How pods push."""
    by_key = registry.push == "secret"
    return PushAccess(
        host=f"{region}-docker.pkg.dev",
        # a project of a domain is ``example.com:name``
        prefix=f"{project.replace(':', '/')}/{registry.name}",
        env={"GOOGLE_APPLICATION_CREDENTIALS": f"{KEY.folder}/{KEY.name}"} if by_key else {},
        files=(KEY,) if by_key else (),
    )


def push_access(profile: GkeProfile, clients: Clients, account: str | None) -> PushAccess | None:
    """``Cloud.push_access``: nothing is asked for."""
    if profile.registry is None:
        return None
    project = profile.project or account or clients.project
    return access_of(profile.registry, profile.region, project)


class KeySecret(Manifest):
    """A key of a service account of Google's, for pods that cannot push as themselves.

    The account has this one key: others are deleted whenever a new one is made, so that none is
    left from a run that died.
    """

    kind: ClassVar[str] = "key-secret"
    group: ClassVar[str] = "/api/v1"
    plural: ClassVar[str] = "secrets"
    namespaced: ClassVar[bool] = True
    account: Kind[Any, State]

    @classmethod
    def list(cls, scope: Scope[HasKube]) -> Iterable[ManifestState]:
        found = scope.client.kube.list(f"{cls.group}/{cls.plural}", selector(scope.cluster))
        return [cls.state(item) for item in found if item["metadata"]["name"] == SECRET]

    @classmethod
    def state(cls, item: Object) -> ManifestState:
        return super().state({key: value for key, value in item.items() if key != "data"})

    def body(self, env: Env[Any]) -> Object:
        """With a new key, base64 of JSON as IAM gives it and as a Secret holds it."""
        client, account = env.client, _path(env, env[self.account].id)
        for old in _keys(client, account):
            client.call("iam", f"{_KEYS}.delete", "DELETE", old)
        made = client.call("iam", f"{_KEYS}.create", "POST", f"{account}/keys", {})
        whole = super().body(env)
        whole["metadata"]["annotations"] = {ANNOTATION: made["name"]}
        key = base64.b64encode(base64.b64decode(made["privateKeyData"])).decode()
        return {
            **whole,
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "data": {SECRET: key},
        }

    def edits(self, env: Env[Any], have: ManifestState) -> Iterator[Edit]:
        annotations = have.body["metadata"].get("annotations") or {}
        if annotations.get(ANNOTATION) not in _keys(env.client, _path(env, env[self.account].id)):
            yield Edit("key", "not the account's", "a new one", lambda: self._apply(env))


def _path(scope: Scope[Clients], email: str) -> str:
    return f"projects/{scope.client.project}/serviceAccounts/{email}"


def _keys(client: Clients, account: str) -> list[str]:
    """The keys that users have made of an account, by name."""
    path, kind = f"{account}/keys", "USER_MANAGED"
    found = client.call("iam", f"{_KEYS}.list", "GET", path, keyTypes=kind).get("keys") or ()
    return [str(key["name"]) for key in found if key.get("keyType", kind) == kind]
