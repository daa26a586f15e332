"""Why something failed: what Container Service tells in its events, and nowhere else."""

from __future__ import annotations

from typing import Any

from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.errors import redacted
from clusterkit.engine.resource import Ctx
from clusterkit.errors import CloudError

MOST = 3
"""reasons shown"""


def reason(cx: Ctx[Clients], cluster: str, subject: str = "") -> str:
    """The last errors of a cluster, or of the pool whose id is ``subject``; empty if none is known.

    An attempt: what cannot be asked must not hide that something failed.
    """
    try:
        page: Any = cx.clients.cs(
            "DescribeClusterEvents",
            "GET",
            f"/clusters/{cluster}/events",
            page_number=1,
            page_size=50,
        )
    except CloudError:
        return ""
    told: dict[str, None] = {}
    for event in (page or {}).get("events") or ():
        data = event.get("data") or {}
        wrong = str(data.get("level") or "").lower() in ("error", "err", "warning")
        if wrong and (not subject or subject in str(event.get("subject") or "")):
            told[f"{data.get('reason')}: {redacted(str(data.get('message') or ''))}"] = None
    return "; ".join(list(told)[:MOST])
