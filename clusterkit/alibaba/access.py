"""How Kubernetes is reached: with short-lived client certificates, the only thing ACK gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.cluster import REACHABLE, owned
from clusterkit.alibaba.errors import RBAC
from clusterkit.engine.dates import utc
from clusterkit.engine.target import Target
from clusterkit.errors import Absent, ClusterkitError
from clusterkit.kube import issued
from clusterkit.kube.api import Access, Credential

LIFETIME = 60
"""minutes a certificate is valid, unless told otherwise"""
EARLY = timedelta(minutes=5)


def access(clients: Clients, target: Target, minutes: int = LIFETIME) -> Access:
    """How to reach the cluster's Kubernetes API, which knows no bearer tokens but short-lived
    client certificates; until shortly before the certificate's end. ``Absent`` while there is no
    running cluster of ours.

    Without ``TemporaryDurationMinutes`` it is valid for years, so that is always sent.
    """
    found = [one for one in owned(clients, target.name) if one.status in REACHABLE]
    if not found:
        raise Absent(target.name)
    operation, path = "DescribeClusterUserKubeconfig", f"/k8s/{found[0].id}/user_config"
    query = {"PrivateIpAddress": not found[0].public, "TemporaryDurationMinutes": minutes}
    given = clients.cs(operation, "GET", path, **query)
    end = datetime.now(UTC) + timedelta(minutes=minutes)
    until = (utc(given.get("expiration")) or end) - EARLY
    whose, proxy = f"CS.{operation}", clients.wire.proxy
    return replace(issued.access(given["config"], whose, proxy=proxy, until=until), rights=RBAC)


def credential(clients: Clients, target: Target, minutes: int | None = None) -> Credential:
    """A client certificate for kubectl, good for an hour unless told otherwise."""
    found = access(clients, target, minutes or LIFETIME)
    end = (found.until or datetime.now(UTC)) + EARLY
    pair = (found.client_certificate or "", found.client_key or "")
    return Credential(end, certificate=pair[0], key=pair[1])


def exec_native(target: Target) -> Mapping[str, Any]:
    """ACK's own tool for kubectl, ack-ram-authenticator, has to be set up in the cluster first."""
    what = "Alibaba Cloud's own tools give kubectl no credentials by themselves"
    hint = "leave --auth out: clusterkit gets a client certificate for an hour each time"
    raise ClusterkitError(what, where=target.name, hint=hint)
