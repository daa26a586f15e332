"""Access to the cluster's Kubernetes API: ACK has no bearer tokens, but short-lived client
certificates.

Without ``TemporaryDurationMinutes`` the certificate is valid for years, so it is always sent.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.cluster import owned
from clusterkit.engine.target import Target
from clusterkit.errors import Absent, CloudError
from clusterkit.kube.api import Access, Credential

MINUTES = 60
"""lifetime of a certificate, unless told otherwise"""
ALLOWED = range(15, 4321)
"""``TemporaryDurationMinutes`` of DescribeClusterUserKubeconfig"""
EARLY = timedelta(minutes=5)
REACHABLE = ("running", "updating", "upgrading", "scaling", "draining", "removing")
"""states in which the API server answers"""


@dataclass(frozen=True)
class Kubeconfig:
    """What is in the kubeconfig ACK gives."""

    server: str
    ca: str
    """PEM"""
    certificate: str = field(repr=False)
    """PEM"""
    key: str = field(repr=False)
    """PEM"""
    expires: datetime


def temporary(clients: Clients, target: Target, minutes: int = MINUTES) -> Kubeconfig:
    """Credentials for that long; ``Absent`` while there is no running cluster of ours."""
    found = [one for one in owned(clients, target.name) if one.status in REACHABLE]
    if not found:
        raise Absent(target.name)
    given = clients.cs(
        "DescribeClusterUserKubeconfig",
        "GET",
        f"/k8s/{found[0].id}/user_config",
        PrivateIpAddress=not found[0].public,
        TemporaryDurationMinutes=minutes,
    )
    return read(given["config"], str(given.get("expiration") or ""), minutes)


def read(text: str, expiration: str, minutes: int = MINUTES) -> Kubeconfig:
    """The one cluster and user of a kubeconfig; ``CloudError``, without its words, if it is not
    what ACK gives.
    """
    try:
        document: Any = yaml.safe_load(text)
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        return Kubeconfig(
            server=cluster["server"],
            ca=_pem(cluster["certificate-authority-data"]),
            certificate=_pem(user["client-certificate-data"]),
            key=_pem(user["client-key-data"]),
            expires=_time(expiration, minutes),
        )
    except (yaml.YAMLError, KeyError, IndexError, TypeError, ValueError, binascii.Error):
        raise CloudError(
            "Container Service gave a kubeconfig that is not one",
            operation="CS.DescribeClusterUserKubeconfig",
            hint="try again; this looks like a fault of the service",
        ) from None


def _pem(data: str) -> str:
    return base64.b64decode(data).decode()


def _time(text: str, minutes: int) -> datetime:
    found = datetime.fromisoformat(text) if text else datetime.now(UTC) + timedelta(minutes=minutes)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def access(clients: Clients, target: Target) -> Access:
    """How to reach the Kubernetes API, until shortly before the certificate's end."""
    config = temporary(clients, target)
    return Access(
        server=config.server,
        ca=config.ca,
        client_certificate=config.certificate,
        client_key=config.key,
        proxy=clients.wire.proxy,
        until=config.expires - EARLY,
    )


def credential(clients: Clients, target: Target, minutes: int | None = None) -> Credential:
    """A client certificate for kubectl."""
    config = temporary(clients, target, minutes or MINUTES)
    return Credential(config.expires, certificate=config.certificate, key=config.key)
