"""Amounts as Kubernetes writes them: ``500m``, ``1Gi``, ``2e3``."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([numkKMGTPE]i?)?")
_SUFFIXES = {
    "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60,
}  # fmt: skip
"""k8s.io/apimachinery, ``pkg/api/resource/suffix.go``"""
GIB = 2.0**30


def amount(text: object) -> float:
    """The number; 0 for what is none, as of a field that is not there."""
    found = _NUMBER.fullmatch(str(text or "").strip())
    if not found:
        return 0.0
    return float(found[1]) * _SUFFIXES.get(found[2] or "", 1.0)
