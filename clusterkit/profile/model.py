"""The profile: what a cluster shall be, the same shape on every cloud.

Models are frozen and strict, refuse unknown keys and never touch the network. A cloud's own profile
subclasses ``BaseProfile`` and narrows or adds fields. Cross-checks are written as ``problems()``,
which yields everything that is wrong below the model, each with its place, so that one run reports
all of it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, NoReturn
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema

from clusterkit.errors import ProfileError
from clusterkit.profile.fields import Form, Many, Strict, every, unique
from clusterkit.profile.labels import DnsLabel, DnsSubdomain
from clusterkit.profile.messages import findings
from clusterkit.profile.network import ANYWHERE, Endpoint, Network
from clusterkit.profile.pool import Count, Disk, Machine, Pool, Taint, repeated_names
from clusterkit.profile.problems import Problem, refuse, shown
from clusterkit.profile.ssh_key import SshKey
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
    "Pool",
    "Ready",
    "Registry",
    "Storage",
    "Strict",
    "Taint",
    "load",
    "load_identity",
]


JENKINS_X_ACCOUNT = "jx/tekton-bot"
"""the service account Jenkins X 3 runs its pipelines under"""

NAME = Form(
    r"[a-z0-9]([a-z0-9-]*[a-z0-9])?",
    "lower-case letters, digits and '-', beginning and ending with a letter or digit",
    40,
)
Name = Annotated[str, NAME]
"""a cluster's name: what all clouds' tags and labels take, short enough for names made of it"""


class Storage(Strict):
    """Persistent volumes."""

    default: Literal["ssd"] = Field(
        default="ssd", description="what the one default StorageClass makes"
    )
    keep_volumes: bool = Field(
        default=False,
        description="`destroy` leaves the volumes of PersistentVolumeClaims (they cost)",
    )


class Registry(Strict):
    """Container image repositories."""

    name: str = Field(description="first part of every repository's name")
    repositories: Annotated[Many[str], unique("repository")] = Field(
        min_length=1, description="repositories to make, each `<name>/<repository>`"
    )
    cache: bool = Field(default=True, description="a layer cache `<repository>/cache` beside each")
    keep: bool = Field(default=True, description="`destroy` leaves the images (they cost)")

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        for index, name in enumerate(self.repositories):
            if (
                self.cache
                and name.removesuffix("/cache")
                in self.repositories[:index] + (self.repositories[index + 1 :])
            ):
                yield Problem(
                    f"{shown(name)} is the name of the layer cache of another repository",
                    "choose another name, or set cache: false",
                    ("repositories", index),
                )


class Kaniko(Strict):
    """Ready for builds with kaniko."""

    namespace: DnsLabel = Field(default="kaniko", description="namespace the builds run in")
    service_account: DnsSubdomain = Field(
        default="kaniko", description="service account that may push to the registry"
    )


def _git_url(text: str) -> str:
    try:
        url = urlsplit(text)
        host, secret = url.hostname, url.username or url.password
    except ValueError:
        raise refuse("is not a URL", "https://github.com/OWNER/REPOSITORY") from None
    if secret:
        raise refuse("holds credentials, which do not belong in a profile", "take them out")
    if url.scheme != "https" or not host or not url.path.strip("/") or re.search(r"\s", text):
        raise refuse(
            f"must be the https URL of a git repository, is {shown(text)}",
            "https://github.com/OWNER/REPOSITORY",
        )
    return text


class JenkinsX(Strict):
    """Ready for Jenkins X 3."""

    git_url: Annotated[
        str,
        AfterValidator(_git_url),
        WithJsonSchema({"type": "string", "pattern": "^https://[^@\\s/]+/[^@\\s]+$"}),
    ] = Field(description="https URL of the Jenkins X cluster repository")


class Ready(Strict):
    """What the cluster shall be prepared for."""

    kaniko: Kaniko | None = Field(
        default=None, description="builds with kaniko; `{}` for the defaults"
    )
    jenkins_x: JenkinsX | None = Field(default=None, description="Jenkins X 3")

    @property
    def pushers(self) -> tuple[str, ...]:
        """The service accounts ``namespace/name`` that have to push images."""
        kaniko = self.kaniko
        builds = (f"{kaniko.namespace}/{kaniko.service_account}",) if kaniko else ()
        return builds + ((JENKINS_X_ACCOUNT,) if self.jenkins_x else ())


def _version_cure(text: str) -> str:
    match = re.match(r"v?(1\.\d{1,2})\b", text)
    return f'write "{match[1]}": the cloud chooses the patch release' if match else ""


def our_tags(tags: dict[str, str]) -> Iterator[Problem]:
    """A problem for each tag in the place of the mark everything we make carries."""
    for key in tags:
        if key.lower().startswith("clusterkit-"):
            yield Problem("tags that begin with clusterkit- are our own", place=(key,))


class BaseProfile(Strict):
    """One cluster."""

    cloud: str = Field(description="the cloud the cluster runs on")
    name: Name = Field(
        description="the cluster's name, at most 40 characters; all it owns is marked with it"
    )
    region: str = Field(min_length=1, description="the cloud's own name of the region")
    kubernetes: (
        Annotated[str, Form(r"1\.[0-9]{1,2}", 'a version such as "1.35"', 5, _version_cure)] | None
    ) = Field(
        default=None, description="minor version in quotes; left out: newest in standard support"
    )
    network: Network = Field(default_factory=Network, description="network")
    endpoint: Endpoint = Field(default_factory=Endpoint, description="address of the API")
    ssh_key: SshKey | None = Field(
        default=None,
        description="path of an OpenSSH public key for the nodes (RSA of 2048 bits or more, or "
        "Ed25519); relative to the profile's folder",
    )
    pools: Annotated[Many[Pool], every(repeated_names)] = Field(
        min_length=1, description="node pools"
    )
    storage: Storage = Field(default_factory=Storage, description="persistent volumes")
    registry: Registry | None = Field(
        default=None, description="image repositories; left out: none"
    )
    ready: Ready = Field(default_factory=Ready, description="what to prepare the cluster for")
    tags: Annotated[dict[str, str], every(our_tags)] = Field(
        default_factory=dict, description="put on everything the cloud lets us tag"
    )

    @property
    def ssh_public_key(self) -> str | None:
        """``<algorithm> <base64>`` of the key at ``ssh_key``, without a comment."""
        return self.ssh_key.text if self.ssh_key else None

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if not any(map(_takes_anything, self.pools)):
            yield Problem(
                "no pool always has a node that takes any pod, so cluster DNS could not start",
                "give one pool a count of at least 1 and no NoSchedule or NoExecute taint",
                ("pools",),
            )
        if self.ready.kaniko and not self.registry:
            yield Problem("needs a registry to push to", "add registry:", ("ready", "kaniko"))


def _takes_anything(pool: Pool) -> bool:
    return pool.minimum > 0 and all(taint.effect == "PreferNoSchedule" for taint in pool.taints)


def _guess(
    document: Document, models: Callable[[str], type[BaseProfile]], clouds: Sequence[str]
) -> str | None:
    """The cloud whose older way of saying things the document speaks, if it names none."""
    if "cloud" in document.data:
        return None
    return next((c for c in clouds if models(c).outdated.keys() & document.data.keys()), None)


class Identity(NamedTuple):
    """Which cluster a profile is about."""

    cloud: str
    name: str
    region: str


class _Named(BaseModel):
    """What ``destroy`` and ``kubeconfig`` need to know."""

    model_config = ConfigDict(strict=True, extra="ignore")

    cloud: str = Field(min_length=1, description="the cloud the cluster runs on")
    name: Name = Field(description="the cluster's name")
    region: str = Field(min_length=1, description="the cloud's own name of the region")


def load(
    path: Path, models: Callable[[str], type[BaseProfile]], clouds: Sequence[str]
) -> BaseProfile:
    """The profile in the file ``path``; touches no network.

    ``models`` gives the profile model of a cloud's name, ``clouds`` are all of them. Raises
    ``ProfileError`` with everything that is wrong, each with its line, in the order of the file.
    """
    document = read(path)
    cloud = document.data.get("cloud") or _guess(document, models, clouds)
    if not isinstance(cloud, str) or cloud not in clouds:
        _refuse_cloud(document, clouds)
    model = models(cloud)
    profile, error = None, None
    try:
        profile = model.model_validate(document.data, context={"folder": path.parent})
    except ValidationError as failed:
        error = failed
    wrong = findings(document, error, model)
    if wrong or profile is None:
        raise ProfileError(wrong)
    return profile


def _refuse_cloud(document: Document, clouds: Sequence[str]) -> NoReturn:
    """Without its cloud nothing else in a profile can be judged."""
    place = ("cloud",)
    if place not in {fault.place for fault in document.faults}:
        given = document.data.get("cloud")
        what = f"must be one of {', '.join(clouds)}, is {shown(given)}" if given else "is missing"
        near = difflib.get_close_matches(str(given), clouds, 1)
        hint = f"did you mean {near[0]}?" if near else f"cloud: {' | '.join(clouds)}"
        document.faults.append(Fault(document.line(place), place, what, hint))
    raise ProfileError(findings(document, None, BaseProfile))


def load_identity(path: Path) -> Identity:
    """Cloud, name and region from the profile in ``path``, whatever else is wrong in it.

    A profile that no longer validates must not keep its cluster from being removed. Raises
    ``ProfileError`` for a file that is not YAML, and for these three.
    """
    document = read(path)
    document.faults[:] = [
        fault
        for fault in document.faults
        if fault.place[:1] in (("cloud",), ("name",), ("region",))
    ]
    named, error = None, None
    try:
        named = _Named.model_validate(document.data)
    except ValidationError as failed:
        error = failed
    wrong = findings(document, error, _Named)
    if wrong or named is None:
        raise ProfileError(wrong)
    return Identity(named.cloud, named.name, named.region)
