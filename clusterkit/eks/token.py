"""The bearer token of EKS: a presigned STS call that names the cluster.

Format: https://github.com/kubernetes-sigs/aws-iam-authenticator, "API Authorization from Outside a
Cluster". No network call is made.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

from clusterkit.eks.client import Clients
from clusterkit.eks.errors import call

PREFIX = "k8s-aws-v1."
CLUSTER_HEADER = "x-k8s-aws-id"
URL_LIFE = 60
"""seconds the URL itself is valid for STS"""
LIFE = timedelta(minutes=14)
"""the authenticator takes a token for 15 minutes; one less for clocks that differ"""


def bearer(clients: Clients) -> tuple[str, datetime]:
    """A token for the clients' cluster, and when it expires (UTC)."""
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
