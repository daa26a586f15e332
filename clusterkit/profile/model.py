"""The profile: the desired state of a cluster, in the same shape on every cloud.

Models are frozen and strict, refuse unknown keys and never touch the network. A cloud's profile
subclasses ``BaseProfile`` and narrows or adds fields. Cross-checks are written as ``problems()``,
which yields everything that is wrong within the model, each with its place, so that one run reports
all of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple, NoReturn

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
)

from clusterkit.errors import Finding, ProfileError, UsageError
from clusterkit.profile.fields import Form, Many, Strict, choice, every, unique
from clusterkit.profile.identity import Name
from clusterkit.profile.labels import ServiceAccount
from clusterkit.profile.messages import findings
from clusterkit.profile.network import ANYWHERE, Endpoint, Network
from clusterkit.profile.pool import Count, Disk, Machine, Pool, Taint, repeated_names
from clusterkit.profile.problems import Problem, shown
from clusterkit.profile.ready import JENKINS_X_ACCOUNT, JenkinsX, Kaniko, OtherRegistry, Ready
from clusterkit.profile.ssh_key import SshKey
from clusterkit.profile.tags import own_tags
from clusterkit.profile.yaml import Document, Fault, read

__all__ = [
    "ANYWHERE",
    "BaseProfile",
    "Count",
    "Disk",
    "Endpoint",
    "JenkinsX",
    "Kaniko",
    "Machine",
    "Network",
    "OtherRegistry",
    "Pool",
    "Push",
    "Ready",
    "Registry",
    "Storage",
    "Strict",
    "Taint",
    "load",
    "load_identity",
]


Push = Annotated[
    Annotated[Literal["node", "secret"], Tag("<way>")]
    | Annotated[Many[ServiceAccount], unique("service account"), Tag("<accounts>")],
    choice(
        "must be a list of service accounts such as [builds/kaniko], or node, or secret",
        way=str,
        accounts=(list, tuple),
    ),
]
"""who may push to a registry"""


class Storage(Strict):
    """Persistent volumes."""

    default: Literal["ssd"] = Field(
        default="ssd", description="kind of volume of the default StorageClass"
    )
    keep_volumes: bool = Field(
        default=False,
        description="`destroy` keeps the volumes of PersistentVolumeClaims, which still cost money",
    )


class Registry(Strict):
    """Container image repositories."""

    cache_suffix: ClassVar[str] = "/cache"
    """what the name of a layer cache ends with"""

    name: str = Field(description="first part of every repository's name")
    repositories: Annotated[Many[str], unique("repository")] = Field(
        min_length=1, description="repositories to create, each `<name>/<repository>`"
    )
    cache: bool = Field(
        default=True, description="also create a layer cache `<repository>/cache` for each"
    )
    keep: bool = Field(
        default=True, description="`destroy` keeps the images, which still cost storage"
    )
    push: Push = Field(
        default=(),
        description="who may push, in addition to what `ready` sets up: service accounts "
        "`namespace/name`; or `node` for every pod on every node; or `secret` for whoever mounts "
        "the Secret that `ready.kaniko` gets",
    )

    @property
    def full_names(self) -> Iterator[tuple[str, bool]]:
        """The name of each repository to create, and whether it is a layer cache."""
        for repository in self.repositories:
            yield f"{self.name}/{repository}", False
            if self.cache:
                yield f"{self.name}/{repository}{self.cache_suffix}", True

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        for index, name in enumerate(self.repositories):
            if (
                self.cache
                and name.removesuffix(self.cache_suffix)
                in self.repositories[:index] + (self.repositories[index + 1 :])
            ):
                yield Problem(
                    f"{shown(name)} is the name of the layer cache of another repository",
                    "choose another name, or set cache: false",
                    ("repositories", index),
                )


def _version_cure(text: str) -> str:
    match = re.match(r"v?(1\.\d{1,2})\b", text)
    return f'write "{match[1]}": the cloud chooses the patch release' if match else ""


Version = Annotated[str, Form(r"1\.[0-9]{1,2}", 'a version such as "1.35"', 5, _version_cure)]
"""of Kubernetes, without its patch"""


class BaseProfile(Strict):
    """One cluster."""

    immutable: ClassVar[tuple[str, ...]] = ("network.services",)
    """dotted paths of fields that no cloud changes in place once the cluster exists"""

    cloud: str = Field(description="the cloud the cluster runs on")
    name: Name = Field(
        description="name of the cluster, at most 40 characters; everything it owns is tagged "
        "with it"
    )
    region: str = Field(min_length=1, description="the cloud's name of the region")
    kubernetes: Version | None = Field(
        default=None, description="minor version in quotes; default: the newest in standard support"
    )
    network: Network = Field(default_factory=Network, description="network")
    endpoint: Endpoint = Field(default_factory=Endpoint, description="API endpoint")
    ssh_key: SshKey | None = Field(
        default=None,
        description="path of an OpenSSH public key for the nodes (RSA of 2048 bits or more, or "
        "Ed25519); relative to the profile's folder",
    )
    pools: Annotated[Many[Pool], every(repeated_names)] = Field(
        min_length=1, description="node pools"
    )
    storage: Storage = Field(default_factory=Storage, description="persistent volumes")
    registry: Registry | None = Field(default=None, description="image repositories; default: none")
    ready: Ready = Field(default_factory=Ready, description="what to prepare the cluster for")
    tags: Annotated[dict[str, str], every(own_tags)] = Field(
        default_factory=dict, description="added to everything that can be tagged"
    )
    deletion_protection: bool = Field(
        default=False, description="`destroy` refuses until `up` has set this to false"
    )

    def zone_problem(self, zone: str) -> str | None:
        """What is wrong with the name of a zone in the profile's region."""

    def warnings(self) -> Iterator[Finding]:
        """What is valid, but may not be what the user wants."""
        if self.endpoint.public and ANYWHERE in self.endpoint.allowed:
            what = "the API endpoint is open to the internet (0.0.0.0/0)"
            hint = "list the ranges that may connect in endpoint.allowed"
            yield Finding(what, "endpoint.allowed", hint)
        if not self.endpoint.public:
            what = "the Kubernetes API can only be reached from inside the network"
            hint = (
                "run up there, or up leaves out what it makes in Kubernetes, the default storage "
                "class among it"
            )
            yield Finding(what, "endpoint.public", hint)

    @property
    def account(self) -> str | None:
        """The account to use where the credentials reach several; None: the credentials' own."""
        return None

    @property
    def home(self) -> str | None:
        """``Target.home``; None on clouds without such places."""
        return None

    @property
    def push_accounts(self) -> tuple[str, ...]:
        """Service accounts ``namespace/name`` that may push to the registry, sorted, each once.

        Those of ``registry.push`` and those ``ready`` implies; none with ``push: node`` or
        ``push: secret``, or without a registry.
        """
        if self.registry is None or self.registry.push in ("node", "secret"):
            return ()
        return tuple(sorted({*self.registry.push, *self.ready.pushers}))

    @property
    def build_accounts(self) -> tuple[str, ...]:
        """The service accounts ``namespace/name`` that ``up`` makes, sorted: the builders, whether
        they push as themselves or not. Jenkins X makes its own.
        """
        builders = {each.account for each in self.ready.builders}
        own = {JENKINS_X_ACCOUNT} if self.ready.jenkins_x else set()
        return tuple(sorted({*self.push_accounts, *builders} - own))

    @property
    def login_for(self) -> str | None:
        """The registry that a login given to ``up`` is for, as users know it; None: for none."""
        kaniko = self.ready.kaniko
        return kaniko.registry.key if kaniko and kaniko.registry else None

    @property
    def ssh_public_key(self) -> str | None:
        """``<algorithm> <base64>`` of the key at ``ssh_key``, without a comment."""
        return self.ssh_key.text if self.ssh_key else None

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if not any(map(_takes_anything, self.pools)):
            yield Problem(
                "at least one pool needs count ≥ 1 and no NoSchedule/NoExecute taint, or CoreDNS "
                "cannot be scheduled",
                "increase the count of a pool without such taints, or add one",
                ("pools",),
            )
        if not self.registry and not (self.ready.kaniko and self.ready.kaniko.registry):
            what = "needs a registry to push to"
            hint = "add registry: to the profile, or ready.kaniko.registry"
            for purpose in ("kaniko", "jenkins_x", "jenkins"):
                if getattr(self.ready, purpose) is not None:
                    yield Problem(what, hint, ("ready", purpose))
        zones = self.network.zones
        for index, zone in enumerate(zones if isinstance(zones, tuple) else ()):
            if wrong := self.zone_problem(zone):
                yield Problem(wrong, place=("network", "zones", index))


def _takes_anything(pool: Pool) -> bool:
    return pool.minimum > 0 and all(taint.effect == "PreferNoSchedule" for taint in pool.taints)


def _guess(
    document: Document, models: Callable[[str], type[BaseProfile]], clouds: Sequence[str]
) -> str | None:
    """The cloud whose outdated keys the document has, if it names no cloud."""
    if "cloud" in document.data:
        return None
    return next((c for c in clouds if models(c).outdated.keys() & document.data.keys()), None)


class Identity(NamedTuple):
    """Which cluster a profile is about."""

    cloud: str
    name: str
    region: str
    account: str | None = None
    """the one to use where the credentials reach several; None: the credentials' own"""
    home: str | None = None
    """``Target.home``"""


def _of_the_cloud(region: str, info: ValidationInfo) -> str:
    form: Form = (info.context or {})["regions"](info.data.get("cloud", ""))
    return form.check(region)


class _Named(BaseModel):
    """What ``destroy`` and ``kubeconfig`` need to know."""

    model_config = ConfigDict(strict=True, extra="ignore")

    cloud: str = Field(min_length=1, description="the cloud the cluster runs on")
    name: Name = Field(description="the cluster's name")
    region: Annotated[str, AfterValidator(_of_the_cloud)] = Field(
        min_length=1, description="the cloud's name of the region"
    )


def load(
    path: Path, models: Callable[[str], type[BaseProfile]], clouds: Sequence[str]
) -> BaseProfile:
    """The profile in the file ``path``; touches no network.

    ``models`` gives the profile model of a cloud's name, ``clouds`` are all of them. Raises
    ``ProfileError`` with everything that is wrong, each with its line, in the order of the file.
    """
    return checked(read(path), path.parent, models, clouds)


def checked(
    document: Document,
    folder: Path | None,
    models: Callable[[str], type[BaseProfile]],
    clouds: Sequence[str],
) -> BaseProfile:
    """The profile that a document holds; ``ProfileError`` as ``load``. ``folder``: where the files
    lie that it names; None: it must name none.
    """
    cloud = document.data.get("cloud") or _guess(document, models, clouds)
    if not isinstance(cloud, str) or cloud not in clouds:
        _refuse_cloud(document, models, clouds)
    model = models(cloud)
    profile, error = None, None
    try:
        profile = model.model_validate(document.data, context={"folder": folder})
    except ValidationError as failed:
        error = failed
    others = {name: models(name) for name in clouds if name != cloud} if error else {}
    wrong = findings(document, error, model, others)
    if wrong or profile is None:
        raise ProfileError(wrong)
    return profile


def _refuse_cloud(
    document: Document, models: Callable[[str], type[BaseProfile]], clouds: Sequence[str]
) -> NoReturn:
    """Report a missing or unknown cloud; without it no other field can be checked."""
    place = ("cloud",)
    if place not in {fault.place for fault in document.faults}:
        given = document.data.get("cloud")
        what = f"must be one of {', '.join(clouds)}, is {shown(given)}" if given else "is missing"
        hint = f"cloud: {' | '.join(clouds)}"
        if isinstance(given, str):
            try:
                models(given)
            except UsageError as error:  # it may know whose cloud that is
                hint = error.hint
        document.faults.append(Fault(document.line(place), place, what, hint))
    raise ProfileError(findings(document, None, BaseProfile))


def load_identity(
    path: Path,
    regions: Callable[[str], Form],
    accounts: Mapping[str, str],
    homes: Mapping[str, str] | None = None,
) -> Identity:
    """Cloud, name, region and account from the profile in ``path``; other fields may be invalid.

    ``regions`` gives the form of a cloud's regions, ``accounts`` the field that names the account
    on the clouds that have one, ``homes`` the one that names a place in it. A profile that no
    longer validates must not prevent ``destroy``. Raises ``ProfileError`` for a file that is
    not YAML, and for these three.
    """
    document = read(path)
    document.faults[:] = [
        fault
        for fault in document.faults
        if fault.place[:1] in (("cloud",), ("name",), ("region",))
    ]
    named, error = None, None
    try:
        named = _Named.model_validate(document.data, context={"regions": regions})
    except ValidationError as failed:
        error = failed
    wrong = findings(document, error, _Named)
    if wrong or named is None:
        raise ProfileError(wrong)
    account = str(document.data.get(accounts.get(named.cloud, "")) or "")
    field = (homes or {}).get(named.cloud)
    home = None if field is None else str(document.data.get(field) or "")
    return Identity(named.cloud, named.name, named.region, account or None, home)
