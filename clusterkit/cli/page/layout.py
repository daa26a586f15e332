"""A graph in layers, from left to right: what comes first stands left of what needs it.

The four steps of Sugiyama, Tagawa and Toda, "Methods for Visual Understanding of Hierarchical
System Structures" (1981): layers by the longest path, a bend in every layer an edge crosses, order
by the mean of the neighbours, and places as near to the neighbours as the order allows.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
Needs = Mapping[K, AbstractSet[K]]
GAP = 14.0
"""between two boxes of a layer"""
LANE = 6.0
"""the height of a bend"""
PASSES = 12


def layers(needs: Needs[K]) -> dict[K, int]:
    """The layer of each: right of all it needs, and otherwise as near to what needs it as it can
    be.
    """
    order = list(TopologicalSorter(needs).static_order())
    layer: dict[K, int] = {}
    for each in order:
        layer[each] = max((layer[need] + 1 for need in needs.get(each, ())), default=0)
    users = _users(needs)
    for each in reversed(order):
        if users.get(each):
            layer[each] = min(layer[user] for user in users[each]) - 1
    return layer


def reduced(needs: Needs[K], keep: AbstractSet[tuple[K, K]] = frozenset()) -> dict[K, set[K]]:
    """Without the edges that a longer way says already, but for ``keep`` (user, needed)."""
    above: dict[K, set[K]] = {}
    for each in TopologicalSorter(needs).static_order():
        direct = needs.get(each, frozenset())
        above[each] = set(direct).union(*(above[need] for need in direct))
    return {
        each: {
            need
            for need in direct
            if (each, need) in keep or not any(need in above[other] for other in direct)
        }
        for each, direct in needs.items()
    }


def _users(needs: Needs[K]) -> dict[K, set[K]]:
    users: dict[K, set[K]] = {}
    for each, direct in needs.items():
        for need in direct:
            users.setdefault(need, set()).add(each)
    return users


@dataclass(eq=False)
class _Item(Generic[K]):
    """A box, or a bend of the edges of one box in a layer between."""

    key: K
    height: float
    left: set[_Item[K]] = field(default_factory=set)
    right: set[_Item[K]] = field(default_factory=set)
    top: float = 0.0

    @property
    def middle(self) -> float:
        return self.top + self.height / 2


def place(
    needs: Needs[K], layer: Mapping[K, int], heights: Mapping[K, float]
) -> tuple[dict[K, float], dict[tuple[K, K], list[float]]]:
    """The top of each box, and the height at which each edge (user, needed) crosses the layers
    between, from left to right.
    """
    columns: list[list[_Item[K]]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    boxes = {key: _Item(key, heights[key]) for key in sorted(layer, key=str)}
    for key, box in boxes.items():
        columns[layer[key]].append(box)
    bends: dict[tuple[K, int], _Item[K]] = {}
    ways: dict[tuple[K, K], list[_Item[K]]] = {}
    for user, direct in sorted(needs.items(), key=lambda pair: str(pair[0])):
        for need in sorted(direct, key=str):
            at, way = boxes[need], []
            for column in range(layer[need] + 1, layer[user]):
                if (need, column) not in bends:
                    bends[need, column] = _Item(need, LANE)
                    columns[column].append(bends[need, column])
                way.append(bends[need, column])
            ways[user, need] = way
            for after in (*way, boxes[user]):
                at.right.add(after)
                after.left.add(at)
                at = after
    _arrange(columns)
    lowest = min((item.top for column in columns for item in column), default=0.0)
    tops = {key: box.top - lowest for key, box in boxes.items()}
    return tops, {e: [bend.middle - lowest for bend in way] for e, way in ways.items()}


def _arrange(columns: Sequence[list[_Item[K]]]) -> None:
    for column in columns:
        _stack(column)
    for turn in range(PASSES):
        rightwards = turn % 2 == 0
        for column in columns if rightwards else reversed(columns):
            beside = {id(item): item.left if rightwards else item.right for item in column}
            column.sort(key=lambda item: _mean(beside[id(item)], item))
            _stack(column)
    for turn in range(PASSES):
        for column in columns if turn % 2 else reversed(columns):
            wanted = [_mean(each.left | each.right, each) - each.height / 2 for each in column]
            _settle(column, wanted)


def _mean(beside: AbstractSet[_Item[K]], item: _Item[K]) -> float:
    if beside:
        return sum(each.middle for each in beside) / len(beside)
    # what hangs on nothing goes under the rest
    return item.middle if item.left or item.right else 1e6


def _stack(column: Sequence[_Item[K]]) -> None:
    top = 0.0
    for item in column:
        item.top = top
        top += item.height + GAP
    for item in column:  # around the axis all layers share
        item.top -= top / 2


def _settle(column: Sequence[_Item[K]], wanted: Sequence[float]) -> None:
    """As near to what is wanted as the order allows: the mean of those that push each other."""
    groups: list[tuple[float, int]] = []
    offsets: list[float] = []
    offset = 0.0
    for item, want in zip(column, wanted, strict=True):
        alone = not (item.left or item.right)
        offsets.append(offset)
        mean, count = (groups[-1][0] if alone and groups else want - offset), 1
        if alone and not groups:
            mean = item.top - offset
        offset += item.height + GAP
        while groups and groups[-1][0] > mean:
            other, many = groups.pop()
            mean, count = (mean * count + other * many) / (count + many), count + many
        groups.append((mean, count))
    shifts = [mean for mean, count in groups for _ in range(count)]
    for item, shift, offset in zip(column, shifts, offsets, strict=True):
        item.top = shift + offset
