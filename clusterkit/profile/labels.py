"""Kubernetes' rules for labels, taints, and the names of namespaces and service accounts.

Source:
https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
and ``IsQualifiedName``, ``IsValidLabelValue`` of k8s.io/apimachinery/pkg/util/validation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

from clusterkit.profile.fields import Form, every
from clusterkit.profile.problems import Problem, shown

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_PREFIX = re.compile(
    r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*", re.ASCII
)

_WORDS = "at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit"

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


ServiceAccount = Annotated[
    str,
    Form(
        r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?/[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?",
        "a service account as namespace/name",
        317,
    ),
]


def _key_problems(key: str) -> Iterator[Problem]:
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > 253 or not _PREFIX.fullmatch(prefix)):
        yield Problem("the part before '/' must be a DNS name, at most 253 characters")
    if len(name) > 63 or not _NAME.fullmatch(name):
        yield Problem(f"{shown(name)} must be {_WORDS}")


def _value_problems(value: str) -> Iterator[Problem]:
    if value and (len(value) > 63 or not _NAME.fullmatch(value)):
        yield Problem(f"the value {shown(value)} must be empty or {_WORDS}")


def _label_problems(labels: dict[str, str]) -> Iterator[Problem]:
    for key, value in labels.items():
        for problem in (*_key_problems(key), *_value_problems(value)):
            yield replace(problem, place=(key,))


TaintKey = Annotated[str, every(_key_problems)]
"""``name`` or ``prefix/name``"""
TaintValue = Annotated[str, every(_value_problems)]
"""may be empty"""
Labels = Annotated[dict[str, str], every(_label_problems)]
"""keys like ``TaintKey``, values like ``TaintValue``"""
