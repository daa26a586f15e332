"""Access from a kubeconfig that a cloud issues, with a client certificate in it."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Any

import yaml

from clusterkit.errors import CloudError
from clusterkit.kube.api import Access


def access(text: str, operation: str, *, proxy: str | None, until: datetime) -> Access:
    """The one cluster and user of a kubeconfig, good until then.

    ``CloudError`` without its words, which may be secret, if it is not such a kubeconfig.
    """
    try:
        document: Any = yaml.safe_load(text)
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        return Access(
            server=cluster["server"],
            ca=_pem(cluster["certificate-authority-data"]),
            client_certificate=_pem(user["client-certificate-data"]),
            client_key=_pem(user["client-key-data"]),
            proxy=proxy,
            until=until,
        )
    except (yaml.YAMLError, KeyError, IndexError, TypeError, ValueError, binascii.Error):
        raise CloudError(
            "the cloud issued a kubeconfig without a cluster, or without a client certificate",
            operation=operation,
            hint="try again; this looks like a fault of the service",
        ) from None


def _pem(data: str) -> str:
    return base64.b64decode(data).decode()
