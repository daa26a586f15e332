"""Fields of Google Cloud's form: regions, zones, projects, machine types, scopes, names, labels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from typing import Annotated

from pydantic import AfterValidator

from clusterkit.profile.cidr import Cidr
from clusterkit.profile.fields import Form, every, lower_case
from clusterkit.profile.problems import Problem, shown
from clusterkit.profile.tags import TagLimits


def _region_cure(text: str) -> str:
    if re.fullmatch(r"[a-z]+-[a-z]+[0-9]{1,2}-[a-z]", text):
        return f"this is a zone; its region is {text[:-2]}"
    if re.fullmatch(r"[a-z]{2}-[a-z]+-[0-9]", text):
        return "this is another cloud's; Google's have no dash before the number"
    return ""


REGION = Form(
    r"[a-z]+-[a-z]+[0-9]{1,2}", "a Google Cloud region such as europe-west1", 32, _region_cure
)
Region = Annotated[str, REGION]
"""https://cloud.google.com/compute/docs/regions-zones"""


def zone_problem(zone: str, region: str) -> str | None:
    """What is wrong with a zone's name in ``region``: ``europe-west1-b``."""
    if re.fullmatch(re.escape(region) + "-[a-z]", zone):
        return None
    return f"{shown(zone)} is not a zone of {region}, such as {region}-b"


ProjectId = Annotated[
    str,
    Form(
        r"([a-z][a-z0-9.-]*[a-z0-9]:)?[a-z][a-z0-9-]{4,28}[a-z0-9]",
        "the id of a project: 6 to 30 lower-case letters, digits and '-'",
        100,
        lower_case,
    ),
]
"""https://cloud.google.com/resource-manager/docs/creating-managing-projects; with a domain before
it in older organizations (``example.com:project``)"""

_NAME = r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?"
ResourceName = Annotated[
    str,
    Form(_NAME, "a name: lower-case letters, digits and '-', beginning with a letter", 63),
]
"""of networks, subnetworks and secondary ranges (RFC 1035; compute v1, ``Network.name``)"""
RepositoryId = Annotated[
    str,
    Form(_NAME, "a repository: lower-case letters, digits and '-', beginning with a letter", 63),
]
"""https://cloud.google.com/artifact-registry/docs/repositories/create-repos"""
User = Annotated[
    str,
    Form(r"[a-z_][a-z0-9_-]{0,31}", "a user name: lower-case letters, digits, '-' and '_'", 32),
]
"""of the guest agent's metadata ``ssh-keys``"""


def _machine_cure(text: str) -> str:
    if "." in text:
        return "this is another cloud's; a size such as {cpu: 4, memory: 16} works on every cloud"
    return lower_case(text)


MachineType = Annotated[
    str,
    Form(
        r"[a-z][a-z0-9]*-[a-z0-9]+(-[a-z0-9]+)*",
        "a machine type such as e2-standard-4",
        63,
        _machine_cure,
    ),
]
"""https://cloud.google.com/compute/docs/machine-resource"""

HYPERDISK = ("c4", "c4a", "c4d", "g4", "h4d", "m4", "n4", "n4a", "n4d", "x4", "a4", "a4x")
ULTRA = "a3-ultragpu-"
"""machine series, and the beginning of types of another, that boot from Hyperdisk only
(https://cloud.google.com/compute/docs/disks/hyperdisks, "Machine type support")"""
NO_HYPERDISK = ("a2", "c2", "c2d", "e2", "f1", "g1", "g2", "n1", "n2", "n2d", "t2a", "t2d")
"""series that take no Hyperdisk Balanced (the page above)"""


def series(machine_type: str) -> str:
    """``n4`` of ``n4-standard-2``."""
    return machine_type.partition("-")[0]


def disk_type(machine_type: str, asked: str | None) -> str:
    """The boot disk's type: what is asked for, or the one the machine's series takes."""
    return asked or ("hyperdisk-balanced" if _only_hyperdisk(machine_type) else "pd-balanced")


def _only_hyperdisk(machine_type: str) -> bool:
    return series(machine_type) in HYPERDISK or machine_type.startswith(ULTRA)


def disk_problem(machine_type: str, disk: str | None) -> Problem | None:
    """What is wrong with a boot disk's type for a machine type."""
    family = series(machine_type)
    if disk is None:
        return None
    if _only_hyperdisk(machine_type) and not disk.startswith("hyperdisk"):
        what = f"{family} machines boot from hyperdisk-balanced only, not from {disk}"
        return Problem(what, "remove it")
    if family in NO_HYPERDISK and disk.startswith("hyperdisk"):
        return Problem(f"{family} machines cannot boot from {disk}", "remove it")
    return None


AUTH = "https://www.googleapis.com/auth/"
_SHORT = """
bigquery cloud-platform cloud-source-repos=source.full_control datastore monitoring pubsub taskqueue
cloud-source-repos-ro=source.read_only compute-ro=compute.readonly compute-rw=compute
logging-write=logging.write monitoring-read=monitoring.read monitoring-write=monitoring.write
service-control=servicecontrol service-management=service.management.readonly
sql-admin=sqlservice.admin storage-full=devstorage.full_control storage-ro=devstorage.read_only
storage-rw=devstorage.read_write trace=trace.append userinfo-email=userinfo.email
"""
SCOPES: Mapping[str, str] = {
    name: scope or name for name, _, scope in (pair.partition("=") for pair in _SHORT.split())
}
"""gcloud's short names (``gcloud container clusters create --scopes``)"""

SCOPE = Form(
    "|".join((re.escape(AUTH) + r"[a-z0-9._/-]+", *SCOPES)),
    f"an access scope such as storage-full, or {AUTH}devstorage.full_control",
    128,
)
Scope = Annotated[str, SCOPE]


def scope_url(scope: str) -> str:
    """``storage-full`` as the API takes it."""
    return scope if scope.startswith(AUTH) else AUTH + SCOPES[scope]


_REFUSED = (
    *map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4")),
    *map(IPv4Network, ("199.36.153.4/30", "199.36.153.8/30")),
)
"""https://cloud.google.com/vpc/docs/subnets, "Prohibited IPv4 subnet ranges\""""


def subnet_range(shortest: int, longest: int) -> AfterValidator:
    """An annotation for a primary or secondary range of a subnetwork, between two prefixes."""

    def problems(cidr: IPv4Network | None) -> Iterator[Problem]:
        if cidr is None:
            return
        if not shortest <= cidr.prefixlen <= longest:
            yield Problem(f"must be between /{shortest} and /{longest}, is {cidr}")
        if any(cidr.overlaps(block) for block in _REFUSED):
            what = f"{cidr} is reserved and cannot be used"
            yield Problem(what, "use a range within 10.0.0.0/8, for example")

    return every(problems)


SubnetRange = Annotated[Cidr, subnet_range(8, 28)]


_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}", re.ASCII)
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}", re.ASCII)


def _tags(tags: dict[str, str]) -> Iterator[Problem]:
    for key, value in tags.items():
        if not _LABEL_KEY.fullmatch(key):
            what = "the key must begin with a letter and have lower-case letters, digits, '-', '_'"
            yield Problem(what, lower_case(key), (key,))
        if not _LABEL_VALUE.fullmatch(value):
            what = f"the value {shown(value)} may have lower-case letters, digits, '-' and '_' only"
            yield Problem(what, lower_case(value), (key,))


Tags = Annotated[dict[str, str], every(TagLimits(40, 63, 63, ("goog",))), every(_tags)]
"""They are labels on Google Cloud: at most 64 of a resource, of which clusterkit and GKE need some
(https://cloud.google.com/resource-manager/docs/labels-overview)"""

_POOL = "pools: [{{name: default, {}}}]"

OUTDATED: Mapping[str, str] = {
    "zone": "network: {zones: [europe-west1-b]}, or their number; the region is region:",
    "project_id": "project: my-project",
    "num_nodes": _POOL.format("count: 3"),
    "enable_autoscaling": _POOL.format("count: {min: 1, max: 5}"),
    "machine_type": _POOL.format("machine: e2-standard-4"),
    "disk_size": _POOL.format("disk: {size: 100}"),
    "preemptible": _POOL.format("spot: true"),
    "scopes": _POOL.format("scopes: [storage-full]"),
    "cluster_version": 'kubernetes: "1.34"',
    "release_channel": "channel: regular",
    "enable_autopilot": "mode: autopilot",
    "enable_private_nodes": "remove it: nodes are always private; network: {nat: true}",
    "subnetwork": "network: {existing: {vpc: …, subnetwork: …, pods: …, services: …}}",
}
"""The flags of ``gcloud container clusters create``, and what to write in a profile. People copy
them from articles."""
