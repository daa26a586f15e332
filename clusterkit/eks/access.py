"""How Kubernetes is reached: with a presigned call to STS as the token."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from clusterkit.eks.client import Clients
from clusterkit.eks.errors import call
from clusterkit.engine.target import Target
from clusterkit.errors import Absent, Gone
from clusterkit.kube.api import Access, Credential
from clusterkit.kube.kubeconfig import exec_stanza
from clusterkit.naming import CLUSTER

PREFIX = "k8s-aws-v1."
CLUSTER_HEADER = "x-k8s-aws-id"
URL_LIFE = 60
"""seconds the URL itself is valid for STS"""
RIGHTS = "who may use the cluster is in the profile: admins, with the ARN of the user or role"
LIFE = timedelta(minutes=14)
"""the authenticator takes a token for 15 minutes; one less for clocks that differ"""


def access(clients: Clients, target: Target) -> Access:
    """How to reach the cluster's Kubernetes API; ``Absent`` while none of ours is active."""
    try:
        shown = clients.eks.describe_cluster(name=target.name)["cluster"]
    except Gone:
        raise Absent(target.name) from None
    ours = shown.get("tags", {}).get(CLUSTER) == target.name
    if not ours or not shown.get("endpoint") or shown["status"] in ("CREATING", "DELETING"):
        raise Absent(target.name)
    return Access(
        server=shown["endpoint"],
        ca=base64.b64decode(shown["certificateAuthority"]["data"]).decode(),
        token=lambda: bearer(clients)[0],
        proxy=clients.wire.proxy,
        rights=RIGHTS,
    )


def credential(clients: Clients, _: Target, __: int | None) -> Credential:
    """A bearer token for the cluster."""
    token, expires = bearer(clients)
    return Credential(expires, token=token)


def exec_native(target: Target) -> Mapping[str, Any]:
    """The ``exec`` stanza ``aws eks update-kubeconfig`` writes."""
    words = ["--region", target.region, "eks", "get-token", "--cluster-name", target.name]
    environ = {"AWS_PROFILE": target.cloud_profile} if target.cloud_profile else {}
    return exec_stanza("aws", [*words, "--output", "json"], environ)


def bearer(clients: Clients) -> tuple[str, datetime]:
    """A token for the clients' cluster, a presigned STS call that names it, and when it expires
    (UTC). No network call is made.

    Format: https://github.com/kubernetes-sigs/aws-iam-authenticator, "API Authorization from
    Outside a Cluster".
    """
    sts = clients.sts
    events = sts.meta.events
    # an id registers once, whatever the event: so one for each
    for event, handler in (
        ("provide-client-params.sts.GetCallerIdentity", _take_cluster),
        ("before-sign.sts.GetCallerIdentity", _name_cluster),
    ):
        events.register(event, handler, unique_id=f"clusterkit-{event}")
    made = datetime.now(UTC)
    url: str = call(
        sts.generate_presigned_url,
        "get_caller_identity",
        Params={CLUSTER_HEADER: clients.target.name},
        ExpiresIn=URL_LIFE,
        HttpMethod="GET",
    )
    encoded = base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
    return PREFIX + encoded, made + LIFE


def _take_cluster(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    if CLUSTER_HEADER in params:
        context[CLUSTER_HEADER] = params.pop(CLUSTER_HEADER)


def _name_cluster(request: Any, **_: Any) -> None:
    if CLUSTER_HEADER in request.context:
        request.headers[CLUSTER_HEADER] = request.context[CLUSTER_HEADER]
