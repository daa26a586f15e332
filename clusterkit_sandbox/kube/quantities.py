"""Resource quantities: ``500m``, ``2Gi``, ``1e3`` (k8s.io/apimachinery ``pkg/api/resource``)."""

from __future__ import annotations

import re
from fractions import Fraction

_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -3, "u": -2, "m": -1, "": 0, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
_QUANTITY = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))([A-Za-z]*|[eE][+-]?[0-9]+)")
GIB = 1024**3


def parse(text: str | int | float) -> Fraction:
    """The exact number a quantity stands for; ``ValueError`` if it is none."""
    found = _QUANTITY.fullmatch(str(text))
    if not found:
        raise ValueError(f"{text!r} is no quantity")
    number, suffix = Fraction(found[1]), found[2]
    if suffix in _BINARY:
        return number * Fraction(1024) ** _BINARY[suffix]
    if suffix in _DECIMAL:
        return number * Fraction(1000) ** _DECIMAL[suffix]
    if re.fullmatch(r"[eE][+-]?[0-9]+", suffix):
        return number * Fraction(10) ** int(suffix[1:])
    raise ValueError(f"{text!r} is no quantity")


def gibibytes(text: str | int | float) -> int:
    """A size as whole GiB, rounded up, at least 1: what volumes are made in."""
    return max(1, -int(-parse(text) // GIB))


def canonical(value: str | int | float | Fraction) -> str:
    """A quantity as the API server writes one that was computed: whole, else in thousandths."""
    amount = value if isinstance(value, Fraction) else parse(value)
    if amount.denominator == 1:
        return str(amount.numerator)
    return f"{-int(-amount * 1000 // 1)}m"
