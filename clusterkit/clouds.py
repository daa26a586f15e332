"""The only list of clouds. Each cloud is a package that mypy checks against ``Cloud``; none is
imported before it is needed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, assert_never, get_args

from clusterkit.errors import ClusterkitError, UsageError, lacks

if TYPE_CHECKING:
    from clusterkit.engine.cloud_lock import CloudLock
    from clusterkit.engine.kind import AnyKind, Kind
    from clusterkit.engine.target import CloudConnection, Target
    from clusterkit.kube.api import Access, Credential
    from clusterkit.profile.fields import Form
    from clusterkit.profile.model import BaseProfile
    from clusterkit.profile.portability import Table
    from clusterkit.ready.checks import Check
    from clusterkit.ready.jenkinsx import Platform
    from clusterkit.ready.registry import PushAccess
    from clusterkit.ready.repair import Repair

CloudName = Literal["alibaba", "eks", "gke", "aks"]
CLOUDS: tuple[CloudName, ...] = get_args(CloudName)
KNOWN_AS: Mapping[str, CloudName] = {
    **dict.fromkeys(("aws", "amazon", "ec2"), "eks"),
    **dict.fromkeys(("google", "gcp", "gcloud"), "gke"),
    **dict.fromkeys(("azure", "az", "azurerm"), "aks"),
    **dict.fromkeys(("ack", "aliyun", "alicloud", "alibabacloud"), "alibaba"),
}
"""other words for a cloud, in lower case"""
ACCOUNT_FIELDS: Mapping[str, str] = {"aks": "subscription", "gke": "project"}
"""the profile's field that chooses among the accounts which the credentials reach, by cloud"""
HOME_FIELDS: Mapping[str, str] = {"aks": "resource_group", "alibaba": "resource_group"}
"""the profile's field that names a place in the account (``Target.home``), by cloud"""
SDKS: Mapping[CloudName, tuple[str, ...]] = {
    "alibaba": ("aliyunsdkcore", "aliyunsdkcs", "alibabacloud_credentials"),
    "eks": ("botocore",),
    "gke": ("google.auth", "google.cloud.container_v1"),
    "aks": ("azure.identity", "azure.mgmt.containerservice"),
}
"""Python packages without which a driver makes no call, by cloud"""
LIMITED = "CLUSTERKIT_SANDBOX_LIMITED"
"""set by ``clusterkit sandbox env --allow``: the credentials in the environment are the user's"""


@dataclass(frozen=True)
class Examples:
    """Words of one cloud for help texts and hints, so that the command line itself names none."""

    cloud: CloudName
    region: str
    fault: str
    """a fault rule of the sandbox"""
    tools: str
    """the vendor's command line and what else works against the sandbox"""
    native_auth: str
    """what ``--auth`` may name besides clusterkit"""
    minutes: str
    """which clouds let one choose how long a credential lives, and the range"""

    @property
    def profile(self) -> str:
        """The path of a shipped profile."""
        return f"profiles/{self.cloud}-minimal.yaml"

    @property
    def builds(self) -> str:
        """The path of one whose cluster builds images, with Jenkins X and Jenkins."""
        return f"profiles/{self.cloud}-jenkins-x.yaml"


EXAMPLES = Examples(
    cloud="eks",
    region="eu-west-1",
    fault="terminal:eks:CreateNodegroup@1",
    tools="aws, gcloud, az, aliyun, terraform",
    native_auth="aws on eks, gcloud on gke, kubelogin on aks",
    minutes="15 to 4320 on alibaba, default 60",
)

L = TypeVar("L")
"""The cloud's clients."""


class Cloud(Protocol[L]):
    """What a driver's package offers."""

    @property
    def Profile(self) -> type[Any]:
        """The profile's model."""

    @property
    def KINDS(self) -> tuple[AnyKind, ...]:
        """Every kind, in creation order; deletion is the reverse."""

    @property
    def LOCK(self) -> CloudLock[Any]:
        """What is a cluster's lock between machines."""

    @property
    def MINUTES(self) -> range | None:
        """The lifetimes a Kubernetes credential may have, in minutes; None where the cloud sets it
        itself.
        """

    @property
    def REPAIR(self) -> Repair:
        """What ``repair registry-auth`` sets right."""

    def connect(self, target: Target, wire: CloudConnection) -> L:
        """The clients; no network."""

    def account(self, clients: L) -> str:
        """The account of the credentials; ``CredentialsError`` with what to do."""

    def activate(self, profile: Any, clients: L) -> Sequence[str]:
        """Enable the services and create the service roles that the account lacks for this profile;
        returns what was done. Only for ``up --activate``.
        """

    def preflight(self, profile: Any, clients: L) -> Any:
        """Everything the graph needs to know of the cloud; ``PreflightError`` with all findings."""

    def graph(self, profile: Any, facts: Any) -> Sequence[Kind[Any, Any]]:
        """Profile to resources; pure."""

    def access(self, clients: L, target: Target) -> Access:
        """How to reach the Kubernetes API; ``Absent`` while there is no running cluster."""

    def credential(self, clients: L, target: Target, minutes: int | None) -> Credential:
        """A short-lived credential for the cluster's API; ``minutes`` within ``MINUTES``, None for
        the driver's own choice.
        """

    def push_access(self, profile: Any, clients: L, account: str | None) -> PushAccess | None:
        """How pods push to the registry of the profile; None if it has none. ``account`` is known
        from elsewhere, or None; the cloud is asked only for what neither tells. ``Absent`` while
        the registry does not exist.
        """

    def platform(self, profile: Any, clients: L, account: str | None) -> Platform:
        """What Jenkins X is told of the cluster of a profile with ``ready.jenkins_x``, as it names
        things. ``account`` as above. ``Absent`` while something that has to be named does not
        exist.
        """

    def checks(self, profile: Any, clients: L) -> Sequence[Check]:
        """What ``verify`` asks of the cloud for this profile; no call before a check is run."""

    def administrator(self, clients: L, target: Target) -> Access:
        """The access of the cluster's own administrator, by a certificate that outlives all tokens;
        ``ClusterkitError`` where there is none.
        """

    def exec_native(self, target: Target) -> Mapping[str, Any]:
        """The kubeconfig ``exec`` stanza that uses the vendor's own tool; ``ClusterkitError`` where
        there is none.
        """


def load(name: str) -> Cloud[Any]:
    """The driver of this cloud; ``ClusterkitError`` if its SDK is not installed."""
    known = _known(name)
    if lacking := [package for package in SDKS[known] if not _installed(package)]:
        raise lacks(f"the {name} driver", lacking[0], name)
    return _driver(known)


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # of the package it lies in
        return False


def _driver(name: CloudName) -> Cloud[Any]:
    match name:
        case "alibaba":
            from clusterkit import alibaba

            return alibaba
        case "eks":
            from clusterkit import eks

            return eks
        case "gke":
            from clusterkit import gke

            return gke
        case "aks":
            from clusterkit import aks

            return aks
        case _:
            assert_never(name)


def model(name: str) -> type[BaseProfile]:
    """The profile model of this cloud, without its SDK."""
    match _known(name):
        case "alibaba":
            from clusterkit.alibaba.profile import AlibabaProfile

            return AlibabaProfile
        case "eks":
            from clusterkit.eks.profile import EksProfile

            return EksProfile
        case "gke":
            from clusterkit.gke.profile import GkeProfile

            return GkeProfile
        case "aks":
            from clusterkit.aks.profile import AksProfile

            return AksProfile
        case unknown:
            assert_never(unknown)


def becomes(name: str) -> Table:
    """What each field of the profile becomes on this cloud."""
    match _known(name):
        case "alibaba":
            from clusterkit.alibaba.becomes import BECOMES as ALIBABA

            return ALIBABA
        case "eks":
            from clusterkit.eks.becomes import BECOMES as EKS

            return EKS
        case "gke":
            from clusterkit.gke.becomes import BECOMES as GKE

            return GKE
        case "aks":
            from clusterkit.aks.becomes import BECOMES as AKS

            return AKS
        case unknown:
            assert_never(unknown)


def template(name: str, cluster: str, region: str | None) -> str:
    """A commented profile for this cloud that validates, in its most used region unless one is
    named; ``ProfileError`` for a name or region that cannot be.
    """
    from clusterkit.profile.template import fill

    match _known(name):
        case "alibaba":
            return fill("clusterkit.alibaba", cluster, region or "ap-southeast-1", regions(name))
        case "eks":
            return fill("clusterkit.eks", cluster, region or "eu-west-1", regions(name))
        case "gke":
            return fill("clusterkit.gke", cluster, region or "europe-west1", regions(name))
        case "aks":
            return fill("clusterkit.aks", cluster, region or "westeurope", regions(name))
        case unknown:
            assert_never(unknown)


def regions(name: str) -> Form:
    """What the names of this cloud's regions look like."""
    match _known(name):
        case "alibaba":
            from clusterkit.alibaba.fields import REGION as ALIBABA

            return ALIBABA
        case "eks":
            from clusterkit.eks.fields import REGION as EKS

            return EKS
        case "gke":
            from clusterkit.gke.fields import REGION as GKE

            return GKE
        case "aks":
            from clusterkit.aks.fields import REGION as AKS

            return AKS
        case unknown:
            assert_never(unknown)


def check_target(target: Target) -> None:
    """``ProfileError`` unless name and region are as a profile's must be: a name is a filter of
    tags, where ``*`` matches other clusters, and a region is part of the host requests go to.
    """
    from clusterkit.profile.identity import check

    check(target.name, target.region, regions(target.cloud))


def check_minutes(name: str, allowed: range | None, minutes: int | None) -> None:
    """``UsageError`` unless a cloud with these ``Cloud.MINUTES`` issues credentials that live so
    long; None is the driver's own choice.
    """
    if minutes is None or (allowed is not None and minutes in allowed):
        return
    if allowed is None:
        what = f"{name} sets the lifetime of credentials itself"
        raise UsageError(what, where="--minutes", hint="leave it out")
    what = f"must be {allowed[0]} to {allowed[-1]} on {name}, is {minutes}"
    raise UsageError(what, where="--minutes")


def _known(name: str) -> CloudName:
    for cloud in CLOUDS:
        if cloud == name:
            return cloud
    import difflib

    word = name.strip().lower()
    near = [KNOWN_AS[word]] if word in KNOWN_AS else difflib.get_close_matches(word, CLOUDS, 1)
    hint = f"did you mean {near[0]}?" if near else f"one of: {', '.join(CLOUDS)}"
    raise UsageError(f"unknown cloud {name!r}", hint=hint)


def sandbox_connection(directory: Path | None = None) -> CloudConnection:
    """How to reach the sandbox on this machine; starts it with its defaults if it is not running.

    ``directory`` is where it keeps its state; left out, ``$CLUSTERKIT_SANDBOX_DIR`` or the user's
    state directory. After ``clusterkit sandbox env --allow`` it is as that user.
    """
    from clusterkit.engine.target import CloudConnection

    daemon = load_sandbox()
    with sandbox_errors():
        info = daemon.ensure(directory=directory)
        environ: Mapping[str, str] = daemon.environment(info)
    if os.environ.get(LIMITED):  # or it would be the administrator whom no policy holds
        environ = {name: os.environ.get(name, value) for name, value in environ.items()}
    # at pace max nothing is waited for, and the factor is infinite
    scale = 1.0 / info.pace.factor
    return CloudConnection(info.proxy, info.ca_file, environ, scale)


def sandbox_directory() -> Path:
    """Where the sandbox of this process keeps its state; starts it if it is not running."""
    daemon = load_sandbox()
    with sandbox_errors():
        directory: Path = daemon.ensure().directory
    return directory


@contextmanager
def sandbox_management(directory: Path) -> Iterator[Path]:
    """A Kubernetes API of the sandbox's that belongs to no cloud, for as long as the context lasts;
    yields the kubeconfig of its administrator. ``directory`` is private to it.
    """
    daemon = load_sandbox()
    with sandbox_errors(), daemon.management(directory) as made:
        yield made.kubeconfig


@contextmanager
def sandbox_errors() -> Iterator[None]:
    """Raise the sandbox's own errors as ``ClusterkitError`` with their hints."""
    daemon = load_sandbox()
    try:
        yield
    except daemon.SandboxError as error:
        raise ClusterkitError(str(error), where="sandbox", hint=error.hint) from error
    except ValueError as error:
        raise ClusterkitError(str(error), where="sandbox") from error


def load_sandbox() -> ModuleType:
    """``clusterkit_sandbox.daemon``; ``ClusterkitError`` if the sandbox extra is not installed."""
    try:
        from clusterkit_sandbox import daemon
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("clusterkit"):
            raise
        raise lacks("the sandbox", error.name or "", "sandbox") from error
    return daemon
