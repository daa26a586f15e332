"""What a structural schema of the profiles of all clouds cannot say, as CEL rules for an API server
(https://kubernetes.io/docs/reference/using-api/cel/): which cloud has which field, and what cannot
be changed.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from clusterkit.profile.structural import Schema

Roots = Mapping[str, Schema]
"""by cloud"""
Paths = Mapping[str, Collection[str]]
"""by cloud"""
Rule = dict[str, str]
_INSTEAD = "delete the CloudCluster and make another one"


def rules(roots: Roots, immutable: Paths) -> list[Rule]:
    """The rules of an object that holds one of the profiles. ``immutable``: what drivers refuse to
    change (``network.cidr``).
    """
    return [*_owners(roots), *_fixed(roots, immutable)]


def _owners(roots: Roots) -> Iterator[Rule]:
    """A rule for each field that some clouds lack."""
    every = dict.fromkeys(key for root in roots.values() for key in root["properties"])
    for key in every:
        have = [cloud for cloud, root in roots.items() if key in root["properties"]]
        if len(have) < len(roots):
            what = f"only {' and '.join(have)} {'has' if len(have) == 1 else 'have'} {key}"
            yield {"rule": f"!has(self.{key}) || self.cloud in {_list(have)}", "message": what}


def _fixed(roots: Roots, immutable: Paths) -> Iterator[Rule]:
    """A rule for each field that cannot be changed, as drivers refuse it."""
    for key in ("cloud", "region"):
        message = f"{key} cannot be changed: {_INSTEAD}"
        yield {"rule": f"self.{key} == oldSelf.{key}", "message": message}
    yield _same("name", list(roots), "", len(roots))
    for path in dict.fromkeys(path for cloud in roots for path in immutable[cloud]):
        have = [cloud for cloud in roots if path in immutable[cloud]]
        for default in {_default(roots[cloud], path): None for cloud in have}:
            those = [cloud for cloud in have if _default(roots[cloud], path) == default]
            yield _same(path, those, default, len(roots))


def _same(path: str, clouds: Sequence[str], default: Any, of: int) -> Rule:
    rule = " == ".join(_value(root, path, default) for root in ("self", "oldSelf"))
    if len(clouds) < of:
        rule = f"!(self.cloud in {_list(clouds)}) || {rule}"
    return {"rule": rule, "message": f"{path} cannot be changed: {_INSTEAD}"}


def _value(root: str, path: str, default: Any) -> str:
    parts = path.split(".")
    there = (f"has({'.'.join((root, *parts[: end + 1]))})" for end in range(len(parts)))
    return f"({' && '.join(there)} ? {root}.{path} : {_literal(default)})"


def _default(root: Schema, path: str) -> Any:
    part = root
    for key in path.split("."):
        part = part["properties"][key]
    return part.get("default", "")


def _literal(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else f"'{value}'"


def _list(words: Sequence[str]) -> str:
    return f"[{', '.join(map(_literal, words))}]"
