"""Jenkins X 3: what it reads from the cluster and expects of the cloud.

Each driver fills a ``Platform`` from its own state. Jenkins X derives the names of its identities
from the cluster's name and project, so these must match letter by letter
(https://github.com/jenkins-x/jx3-versions, ``charts/*/*/values.yaml.gotmpl``).
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar
from urllib.parse import urlsplit

from clusterkit.engine.edit import Edit, edit
from clusterkit.engine.kind import Env, Kind
from clusterkit.engine.scope import Scope
from clusterkit.errors import Finding
from clusterkit.kube.api import HasKube, Object
from clusterkit.kube.manifest import ConfigMap, Manifest, ManifestState, selector
from clusterkit.kube.secrets import EXPIRES, Login, expired, given_login, no_login
from clusterkit.profile.ready import JenkinsX, Ready
from clusterkit.ready import yaml
from clusterkit.ready.registry import Finds, PushAccess

REQUIREMENTS = "default/terraform-jx-requirements"
"""the ConfigMap that the boot job merges into the cluster repository's jx-requirements.yml
(jenkins-x/jx-gitops ``pkg/cmd/requirement/merge/merge.go``)"""
KEY = "jx-requirements.yml"
NAMESPACE = "jx"
REGISTRY_AUTH = "container-registry-auth"
OPERATOR = "jx-git-operator"
"""the operator's chart and its namespace"""
RELEASE = "jxgo"
"""as ``jx admin operator`` calls it
(jenkins-x-plugins/jx-admin ``pkg/cmd/operator/operator.go``)"""
REPOSITORY = "https://jenkins-x-charts.github.io/repo"
VERSION = "0.2.4"
LOGS = "logs"
STORAGE = (LOGS, "reports", "repository")
"""what it stores, as ``spec.storage`` of jx-requirements.yml names it: a bucket, or a container,
for each (jenkins-x/jx-api v4.8.6, ``pkg/apis/core/v4beta1/requirements.go``)"""
TEMPLATES = "jx3-gitops-repositories"
"""who owns the template repositories"""


@dataclass(frozen=True)
class Platform:
    """The cluster and what the cloud has for it, as Jenkins X names them."""

    provider: str
    """``eks``, ``gke``, ``aks``, ``alibaba``"""
    cluster: str
    registry: str
    """host of the images' names, with what comes before the organization"""
    organization: str = ""
    """``dockerRegistryOrg``"""
    region: str = ""
    zone: str = ""
    project: str = ""
    """the account, or the project"""
    secret_storage: str = "local"
    """``local``, ``vault``, ``gsm``, ``azurekeyvault``, ``secretsManager``, ``systemManager``"""
    storage: Mapping[str, str] = field(default_factory=dict)
    """what of ``STORAGE``, to a URL"""
    cluster_extra: Mapping[str, Any] = field(default_factory=dict)
    """more of ``spec.cluster``: ``azure``, ``gke``"""
    boot_annotations: Mapping[str, str] = field(default_factory=dict)
    """of the service account of the boot job"""
    boot_env: Mapping[str, str] = field(default_factory=dict)
    """variables of the boot job, none of them a secret"""
    external_dns: bool = True
    """with ``ready.jenkins_x.domain``: Jenkins X can write into its zone"""


Describes = Callable[[Env[Any]], Platform]
"""called once what has to be named exists; ``Absent`` before"""


def secret_storage(ready: Ready, cloud: str | None) -> str:
    """Where Jenkins X keeps its secrets, in its own words; ``cloud`` is its word for the cloud's
    service, None where it knows none.
    """
    wanted = ready.jenkins_x.secrets if ready.jenkins_x else None
    return (cloud or "local") if wanted in (None, "cloud") else str(wanted)


def with_other(platform: Platform, ready: Ready) -> Platform:
    """With the registry of the user's own that builds push to, if they do."""
    other = ready.kaniko.registry if ready.kaniko else None
    if other is None:
        return platform
    return replace(platform, registry=other.host, organization=other.prefix)


def requirements(platform: Platform, wanted: JenkinsX) -> dict[str, Any]:
    """``jx-requirements.yml`` (jenkins-x/jx-api v4.8.6,
    ``pkg/apis/core/v4beta1/requirements.go``).

    It is merged over the repository's own, where nothing empty or false replaces anything
    (``mergo.WithOverride``), so that only what is known is in it.
    """
    cluster = {
        "provider": platform.provider,
        "clusterName": platform.cluster,
        "project": platform.project,
        "region": platform.region,
        "zone": platform.zone,
        "registry": platform.registry,
        "dockerRegistryOrg": platform.organization,
        **platform.cluster_extra,
    }
    spec: dict[str, Any] = {
        "terraform": True,
        "cluster": {key: value for key, value in cluster.items() if value},
        "secretStorage": platform.secret_storage,
    }
    if wanted.domain:
        # or the address of the load balancer would replace it (jx-verify ``pkg/cmd/ingress``)
        ingress: dict[str, Any] = {"domain": wanted.domain, "ignoreLoadBalancer": True}
        ingress["externalDNS"] = platform.external_dns
        if wanted.tls_email:
            ingress["tls"] = {"enabled": True, "email": wanted.tls_email, "production": True}
        spec["ingress"] = ingress
    if platform.storage:
        spec["storage"] = [{"name": name, "url": url} for name, url in platform.storage.items()]
    return {"apiVersion": "core.jenkins-x.io/v4beta1", "kind": "Requirements", "spec": spec}


def operator_values(platform: Platform, wanted: JenkinsX) -> dict[str, Any]:
    """The values of the operator's chart without its secrets, ``username`` and ``password``
    (jenkins-x/jx-git-operator v0.2.4, ``charts/jx-git-operator``).
    """
    account: dict[str, Any] = {"enabled": True}
    if platform.boot_annotations:
        account["annotations"] = dict(platform.boot_annotations)
    found: dict[str, Any] = {
        "url": wanted.git_url,
        "bootServiceAccount": account,
        # the boot job applies what the repository has, and the operator would do so too
        "env": {"NO_RESOURCE_APPLY": "true"},
    }
    if platform.boot_env:
        found["jxBootJobEnvVarSecrets"] = dict(platform.boot_env)
    return found


def notes(wanted: JenkinsX) -> Iterator[Finding]:
    """What will probably not do what is meant."""
    owner = urlsplit(wanted.git_url).path.strip("/").partition("/")[0]
    if owner == TEMPLATES:
        what = "is a template, and Jenkins X writes to its repository"
        hint = f"make a repository of your own from it: {wanted.git_url}/generate"
        yield Finding(what, "ready.jenkins_x.git_url", hint)
    if "-terraform-" in wanted.git_url:
        what = "looks like a repository for Terraform; Jenkins X boots from the other one, which "
        what += "has a helmfile.yaml"
        yield Finding(what, "ready.jenkins_x.git_url", "name the cluster repository")


class RegistryAuth(Manifest):
    """The login of pipelines to a registry that knows no identity of pods, as Jenkins X merges it
    into their docker config (jenkins-x/jx3-versions,
    ``charts/jxgh/jxboot-helmfile-resources/secret-schema.yaml``).

    It is the user's, if one was ever given (``CloudConnection.registry_login``), else the cloud's,
    which expires and is renewed by each ``up``. The namespace is made if it is missing, but is
    Jenkins X's: it carries no mark of ours, and so is never removed.
    """

    kind: ClassVar[str] = "registry-auth"
    group: ClassVar[str] = "/api/v1"
    plural: ClassVar[str] = "secrets"
    namespaced: ClassVar[bool] = True
    access: Finds
    """of the registry, with its ``login`` if the cloud has one to give"""
    server: str = ""
    """as in docker's configuration; empty: the registry's host"""

    @classmethod
    def list(cls, scope: Scope[HasKube]) -> Iterable[ManifestState]:
        path = f"{cls.group}/namespaces/{NAMESPACE}/{cls.plural}"
        found = scope.client.kube.list(path, selector(scope.cluster))
        ours = (item for item in found if item["metadata"]["name"] == REGISTRY_AUTH)
        return [cls.state(item) for item in ours]

    @classmethod
    def state(cls, item: Object) -> ManifestState:
        return super().state({key: value for key, value in item.items() if key != "data"})

    def taken(self, env: Env[Any]) -> ManifestState | None:
        if self._fresh(env) is None and self.access(env).login is None:
            raise no_login(self._server(env), self.key)
        return super().taken(env)

    def create(self, env: Env[HasKube]) -> None:
        path = f"/api/v1/namespaces/{NAMESPACE}"
        if env.client.kube.get(path) is None:
            metadata = {"name": NAMESPACE}
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
            env.client.kube.apply(path, body)
        super().create(env)

    def body(self, env: Env[Any]) -> Object:
        login, whole = self._login(env), super().body(env)
        data = {"url": self._server(env), "username": login.user, "password": login.password}
        if login.expires:
            until = login.expires.isoformat(timespec="seconds")
            whole["metadata"]["annotations"] = {EXPIRES: until}
        coded = {key: b64encode(value.encode()).decode() for key, value in data.items()}
        return {"apiVersion": "v1", "kind": "Secret", **whole, "type": "Opaque", "data": coded}

    def edits(self, env: Env[Any], have: ManifestState) -> Iterator[Edit]:
        there, fresh = self._there(env), self._fresh(env)

        def renew() -> None:
            self._apply(env)

        annotations = have.body["metadata"].get("annotations") or {}
        if fresh and (fresh.user, fresh.password) != (there.get("username"), there.get("password")):
            yield Edit("login", "another", "as given", renew)
        elif fresh is None and EXPIRES in annotations and expired(annotations):
            yield Edit("password", "expired", "renewed", renew)
        else:
            yield from edit("url", there.get("url"), self._server(env), renew)

    def _server(self, env: Env[Any]) -> str:
        return self.server or self.access(env).host

    def _fresh(self, env: Env[Any]) -> Login | None:
        """The login that the user gives to this run."""
        given = given_login(env)
        return Login((self._server(env),), given.user, given.password) if given else None

    def _login(self, env: Env[Any]) -> Login:
        """The user's, given now or before, or the cloud's."""
        if fresh := self._fresh(env):
            return fresh
        there, server = self._there(env), self._server(env)
        if there.get("password") and there.get("url") == server and EXPIRES not in there:
            return Login((server,), there.get("username", ""), there["password"])
        login = self.access(env).login
        if login is None:
            raise no_login(server, self.key)
        return login()

    def _there(self, env: Env[Any]) -> Mapping[str, str]:
        """What the Secret holds, decoded, with the end of its password."""
        found = env.client.kube.get(self.path(self.name)) or {}
        annotations = (found.get("metadata") or {}).get("annotations") or {}
        ends = {EXPIRES: annotations[EXPIRES]} if EXPIRES in annotations else {}
        data = found.get("data") or {}
        return {**{key: b64decode(value).decode() for key, value in data.items()}, **ends}


def prepared(
    ready: Ready,
    cluster: Kind[Any, Any],
    describes: Describes,
    *needs: Kind[Any, Any],
    access: Finds | None = None,
) -> Iterator[Kind[Any, Any]]:
    """What ``up`` makes in Kubernetes for Jenkins X. ``needs`` are what ``describes`` names;
    ``access`` is that of the cloud's registry if it knows no identity of pods.
    """
    wanted, other = ready.jenkins_x, ready.kaniko.registry if ready.kaniko else None
    if wanted is None:
        return

    def data(env: Env[Any]) -> Mapping[str, str]:
        return {KEY: yaml.dump(requirements(with_other(describes(env), ready), wanted))}

    yield ConfigMap(name=REQUIREMENTS, cluster=cluster, data=data, after=needs)
    name = f"{NAMESPACE}/{REGISTRY_AUTH}"
    if other is not None:
        user = PushAccess(other.host)
        yield RegistryAuth(name=name, cluster=cluster, access=lambda _: user, server=other.key)
    elif access is not None:
        yield RegistryAuth(name=name, cluster=cluster, access=access, after=needs)
