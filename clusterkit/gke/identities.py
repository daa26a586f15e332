"""The service accounts of Google's that those of Jenkins X act as.

Jenkins X's charts name them by the cluster and the project, so the names must be these
(https://github.com/jenkins-x/jx3-versions, ``charts/*/*/values.yaml.gotmpl``). Who acts as which,
and what for, is as in its own Terraform module
(https://github.com/jenkins-x/terraform-google-jx, ``modules/cluster/serviceaccount.tf``,
``modules/gsm/main.tf``, ``modules/dns/main.tf``), with less: where the module gives
``storage.admin`` and ``viewer`` of the project, these have a role on the cluster's own buckets.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from clusterkit.gke.profile import GkeProfile
from clusterkit.ready.jenkinsx import secret_storage

SECRETS = "gsm"
"""Secret Manager, in Jenkins X's words"""


class Identity(NamedTuple):
    """An account, and the Kubernetes service accounts ``NAMESPACE/NAME`` that act as it."""

    name: str
    """the end of its id, after the cluster's name"""
    users: tuple[str, ...]
    roles: tuple[str, ...] = ()
    """in the project"""


PIPELINES = Identity("tekton", ("jx/tekton-bot",))
"""pushes images, and writes to the buckets"""
BUILDS = Identity("bc", ("jx/bucketrepo-bucketrepo", "jx/jenkins-x-controllerbuild"))
"""writes logs and artifacts"""
VIEWER = Identity("jxui", ("jx/jx-pipelines-visualizer",))
"""reads logs"""
BOOT = Identity("boot", ("jx-git-operator/jx-boot-job",), ("roles/secretmanager.admin",))
SECRET_READER = Identity(
    "sm", ("secret-infra/kubernetes-external-secrets",), ("roles/secretmanager.secretAccessor",)
)
DNS = Identity("dn", ("cert-manager/cert-manager", "jx/external-dns"), ("roles/dns.admin",))


EVERY = (PIPELINES, BUILDS, VIEWER, BOOT, SECRET_READER, DNS)
ACCOUNTS = "iam.gserviceaccount.com"
WRITERS, READERS = (PIPELINES, BUILDS), (VIEWER,)
"""who has a role on the buckets"""


def address(cluster: str, project: str, identity: Identity) -> str:
    """The address of an account, as Jenkins X makes it."""
    return f"{cluster}-{identity.name}@{accounts_host(project)}"


def accounts_host(project: str) -> str:
    """What follows the ``@`` in the address of an account; a project of a domain is
    ``example.com:name``, and its accounts are ``@name.example.com.iam.…``
    (https://cloud.google.com/iam/docs/service-account-types#user-managed).
    """
    domain, _, name = project.rpartition(":")
    return ".".join(filter(None, (name, domain, ACCOUNTS)))


def identities(profile: GkeProfile) -> Iterator[Identity]:
    """Those that the profile's Jenkins X needs."""
    wanted = profile.ready.jenkins_x
    if wanted is None:
        return
    yield from (PIPELINES, BUILDS, VIEWER)
    if secret_storage(profile.ready, SECRETS) == SECRETS:
        yield from (BOOT, SECRET_READER)
    if wanted.domain:
        yield DNS
