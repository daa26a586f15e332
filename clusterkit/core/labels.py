"""Kubernetes' rules for the keys and values of labels, taints, and for names of namespaces and
accounts.

Source:
https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
and ``IsQualifiedName``, ``IsValidLabelValue`` of k8s.io/apimachinery/pkg/util/validation.
"""

from __future__ import annotations

import re
from typing import Annotated

from clusterkit.core.forms import Form
from clusterkit.core.refusal import shown

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_PREFIX = re.compile(
    r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*", re.ASCII
)

DnsLabel = Annotated[
    str,
    Form(
        r"[a-z0-9]([a-z0-9-]*[a-z0-9])?",
        "lower-case letters, digits and '-', beginning and ending with a letter or digit",
        63,
    ),
]
"""a namespace's name (RFC 1123 label)"""

DnsSubdomain = Annotated[
    str,
    Form(
        r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*",
        "lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit",
        253,
    ),
]
"""a service account's name (RFC 1123 subdomain)"""


def key_problem(key: str) -> str | None:
    """What is wrong with the key of a label or taint: ``[prefix/]name``, name up to 63, prefix up
    to 253."""
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > 253 or not _PREFIX.fullmatch(prefix)):
        return f"key {shown(key)}: the part before '/' must be a DNS name, at most 253 characters"
    if len(name) > 63 or not _NAME.fullmatch(name):
        return (
            f"key {shown(key)}: the name must be at most 63 letters, digits, '-', '_' and '.', "
            "beginning and ending with a letter or digit"
        )
    return None


def value_problem(value: str) -> str | None:
    """What is wrong with the value of a label or taint: up to 63 characters, may be empty."""
    if value and (len(value) > 63 or not _NAME.fullmatch(value)):
        return (
            f"value {shown(value)} must be at most 63 letters, digits, '-', '_' and '.', "
            "beginning and ending with a letter or digit"
        )
    return None
