"""The flags of the cluster autoscaler, as far as the sandbox's minds them.

kubernetes/autoscaler, cluster-autoscaler/FAQ.md, "What are the parameters to CA?".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from clusterkit_sandbox.kube.interfaces import ScalingRules

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}


def flags(arguments: Iterable[str]) -> dict[str, list[str]]:
    """The values of each flag, in order: ``--name=value``, ``--name value`` or ``--name``."""
    found: dict[str, list[str]] = {}
    name = ""
    for argument in arguments:
        if argument.startswith("-"):
            name, given, value = argument.lstrip("-").partition("=")
            found.setdefault(name, []).append(value if given else "true")
            name = "" if given else name
        elif name:
            found[name][-1], name = argument, ""
    return found


def rules(given: dict[str, list[str]]) -> ScalingRules:
    """What flags with the names of the rules say; ``RuntimeError`` for what is no value of one."""
    values: dict[str, Any] = {}
    for one in fields(ScalingRules):
        names = (one.name.replace("_", "-"), f"{one.name.replace('_', '-')}-sec")
        text = next((given[name][-1] for name in names if name in given), None)
        if text is None:
            continue
        if isinstance(one.default, bool):
            values[one.name] = text.lower() in ("true", "1", "t")
        else:
            values[one.name] = seconds(text)
    return ScalingRules(**values)


def seconds(text: str) -> float:
    """A duration of Go's, or a number: ``10m``, ``1h30m``, ``0.5``."""
    try:
        return float(text)
    except ValueError:
        parts = re.findall(r"([0-9.]+)(ms|s|m|h)", text)
        if "".join(map("".join, parts)) != text.replace(" ", "") or not parts:
            raise RuntimeError(f"time: invalid duration {text!r}") from None
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
