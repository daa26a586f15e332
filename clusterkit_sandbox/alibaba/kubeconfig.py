"""CS 2015-12-15: the kubeconfig of a cluster, with a client certificate for who asks."""

from __future__ import annotations

import base64
import time

import yaml

from clusterkit_sandbox.alibaba.failure import bad
from clusterkit_sandbox.alibaba.models import API_PORT
from clusterkit_sandbox.alibaba.service import Call, find_cluster, iso, operation, uid_of

_LONG = 3 * 365 * 24 * 3600
"""Seconds a certificate lives if no duration is given (vendor: three years)."""


@operation("cs:DescribeClusterUserKubeconfig")
def _describe(call: Call) -> object:
    cluster = find_cluster(call)
    if cluster.state == "deleting" or not call.clusters.serves(cluster):
        raise bad("InvalidStatus.Forbidden", f"The state of the cluster is {cluster.state}.")
    private = bool(call.get("PrivateIpAddress", False))
    if not private and not cluster.public:
        # the code is not documented
        raise bad("InvalidParameter", "The cluster has no public endpoint.")
    minutes = call.get("TemporaryDurationMinutes")
    if minutes is not None and not 15 <= minutes <= 4320:
        raise bad("InvalidParameter", "TemporaryDurationMinutes must be 15 to 4320.")
    seconds = _LONG if minutes is None else minutes * 60
    authority, certificate, key = call.clusters.certificate(cluster, uid_of(call), seconds)
    address = cluster.private_address if private else cluster.public_address
    name, context = "kubernetes-admin", f"kubernetes-admin-{cluster.id}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "kubernetes",
                "cluster": {
                    "server": f"https://{address}:{API_PORT}",
                    "certificate-authority-data": _base64(authority),
                },
            }
        ],
        "contexts": [{"name": context, "context": {"cluster": "kubernetes", "user": name}}],
        "current-context": context,
        "preferences": {},
        "users": [
            {
                "name": name,
                "user": {
                    "client-certificate-data": _base64(certificate),
                    "client-key-data": _base64(key),
                },
            }
        ],
    }
    return {
        "config": yaml.safe_dump(config, sort_keys=False),
        "expiration": iso(time.time() + seconds),
    }


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
