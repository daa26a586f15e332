"""What differs between registries for a pod that pushes to them.

Each driver fills a ``PushAccess`` from its own state; what a pod, a service account and a docker
config look like follows from it, the same on every cloud.

kaniko's image holds three credential helpers, for ECR, Azure's registries and Google's. They are
named host by host (``credHelpers``): one named for all (``credsStore``) is also asked for the base
image's registry, and ends the build where it does not know that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from clusterkit.engine.kind import Env, Kind
from clusterkit.kube.manifest import ConfigMap, Namespace, namespace
from clusterkit.kube.secrets import DockerConfig, Login
from clusterkit.profile.ready import Kaniko, OtherRegistry, Ready

CONFIG_MAP = "docker-config"
REGCRED = "regcred"
"""the Secret with a docker config"""
BASELINE: Mapping[str, str] = {
    "pod-security.kubernetes.io/enforce": "baseline",
    "pod-security.kubernetes.io/enforce-version": "latest",
    "pod-security.kubernetes.io/warn": "baseline",
}
"""kaniko needs root and five capabilities, all of which ``baseline`` admits and ``restricted``
refuses (https://kubernetes.io/docs/concepts/security/pod-security-standards/)"""
BESIDE = "-cache"
"""where a registry has no repositories inside repositories, a cache lies beside its image"""


@dataclass(frozen=True)
class SecretFile:
    """A key of a Secret as a file of its own folder."""

    secret: str
    key: str
    folder: str
    name: str


@dataclass(frozen=True)
class PushAccess:
    """How pods push to one registry."""

    host: str
    """as in the names of images"""
    prefix: str = ""
    """path of every image of the cluster in it"""
    cache: str | None = None
    """what is added to an image's name for its layer cache; None: kaniko's own ``/cache``"""
    repositories: frozenset[str] | None = None
    """the only repositories, caches among them, as paths without the host; None: a push makes
    them
    """
    helpers: Mapping[str, str] = field(default_factory=dict)
    """host to credential helper"""
    secret: str = ""
    """the Secret that holds the docker config; empty: no password is needed"""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """of the service account"""
    pod_labels: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    files: tuple[SecretFile, ...] = ()
    servers: tuple[str, ...] = ()
    """the registries that ``login`` is for"""
    login: Callable[[], Login] | None = field(default=None, compare=False, repr=False)
    """fetches a fresh password, where passwords expire"""

    @property
    def configured(self) -> bool:
        """Whether there is a docker config to mount."""
        return bool(self.secret or self.helpers)

    def image(self, name: str) -> str:
        """An image's whole name; a name without a registry is one of the cluster's."""
        first, slash, _ = name.partition("/")
        # distribution/reference, ``splitDockerDomain``
        if slash and ("." in first or ":" in first or first == "localhost"):
            return name
        return "/".join(filter(None, (self.host, self.prefix, name)))

    def cache_of(self, image: str) -> str | None:
        """The cache's repository of an image, where kaniko would not find the right one itself."""
        repository = untagged(image)
        # elsewhere there may be no repositories inside repositories (Docker Hub)
        ours = repository.startswith(f"{self.host}/")
        suffix = self.cache if ours else BESIDE
        return None if suffix is None else repository + suffix

    def missing(self, image: str, *, cache: bool) -> tuple[str, ...]:
        """The repositories for an image that are not there, and that no push makes."""
        repository = untagged(image)
        if self.repositories is None or not repository.startswith(f"{self.host}/"):
            return ()
        wanted = (repository, self.cache_of(image) or f"{repository}/cache")
        paths = (each.removeprefix(f"{self.host}/") for each in wanted[: 2 if cache else 1])
        return tuple(path for path in paths if path not in self.repositories)


def untagged(image: str) -> str:
    """An image's name without its tag and digest."""
    name = image.partition("@")[0]
    before, slash, last = name.rpartition("/")
    return before + slash + last.partition(":")[0]


def with_other(access: PushAccess | None, other: OtherRegistry | None) -> PushAccess:
    """Pushing to the user's own registry, with what the cloud's needs kept for pulls."""
    if other is None:
        if access is None:
            raise ValueError("no registry to push to")
        return access
    own: dict[str, Any] = {
        "host": other.host,
        "prefix": other.prefix,
        "cache": BESIDE,
        "repositories": None,
        "secret": REGCRED,
    }
    return replace(access or PushAccess(other.host), **own)


# -- what `up` makes ------------------------------------------------------------------------------


Way = Literal["helper", "secret"]
"""how a docker config logs in to the cloud's registry"""
Finds = Callable[[Env[Any]], PushAccess]
"""called once what the access needs exists; ``Absent`` before"""


class RegistryLogin(DockerConfig):
    """A docker config with the passwords that pushing needs, the cloud's and the user's."""

    kind: ClassVar[str] = "registry-login"
    access: Finds

    def wanted(self, env: Env[Any]) -> tuple[str, ...]:
        return self.access(env).servers

    def login(self, env: Env[Any]) -> Login | None:
        login = self.access(env).login
        return None if login is None else login()

    def helpers(self, env: Env[Any]) -> Mapping[str, str]:
        return self.access(env).helpers


def build_namespace(
    ready: Ready,
    name: str,
    cluster: Kind[Any, Any],
    labels: Mapping[str, str] | None = None,
) -> Namespace:
    """A namespace for builds; those of kaniko with the Pod Security level they need."""
    baseline = BASELINE if any(each.namespace == name for each in ready.builders) else {}
    return namespace(name, cluster, {**(labels or {}), **baseline})


def docker_config(
    kaniko: Kaniko,
    within: Namespace,
    access: Finds | None,
    *needs: Kind[Any, Any],
    way: Way = "helper",
) -> Iterator[Kind[Any, Any]]:
    """What pods mount at ``/kaniko/.docker``, if anything.

    ``access`` is that of the cloud's registry, if there is one that a docker config has to name.
    """
    other, after = kaniko.registry, (within, *needs)
    if other is None and access is None:
        return

    def whole(env: Env[Any]) -> PushAccess:
        return with_other(access(env) if access else None, other)

    def helpers(env: Env[Any]) -> Mapping[str, str]:
        config = {"credHelpers": dict(whole(env).helpers)}
        return {"config.json": json.dumps(config, indent=2) + "\n"}

    if other is None and way == "helper":
        yield ConfigMap(name=f"{within.name}/{CONFIG_MAP}", data=helpers, after=after)
    else:
        given = other.key if other else ""
        name = f"{within.name}/{REGCRED}"
        yield RegistryLogin(name=name, access=whole, given=given, after=after)
