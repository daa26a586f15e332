"""Rules for the tags of a profile, with the limits each cloud sets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from clusterkit.profile.problems import Problem


def own_tags(tags: dict[str, str]) -> Iterator[Problem]:
    """A problem for each tag with the prefix of clusterkit's own tags."""
    for key in tags:
        if key.lower().startswith("clusterkit-"):
            yield Problem("the prefix clusterkit- is reserved for clusterkit", place=(key,))


@dataclass(frozen=True)
class TagLimits:
    """What a cloud accepts; call it with the tags for the problems with them."""

    most: int
    """tags a profile may set"""
    key: int
    """characters of a key"""
    value: int
    """characters of a value"""
    reserved: tuple[str, ...]
    """prefixes the cloud reserves, in lower case"""

    def __call__(self, tags: dict[str, str]) -> Iterator[Problem]:
        yield from own_tags(tags)
        if len(tags) > self.most:
            yield Problem(f"has {len(tags)} tags, at most {self.most} are allowed")
        for key, value in tags.items():
            if not 1 <= len(key) <= self.key:
                what = f"the key must have 1 to {self.key} characters, has {len(key)}"
                yield Problem(what, place=(key,))
            if len(value) > self.value:
                what = f"the value must have at most {self.value} characters, has {len(value)}"
                yield Problem(what, place=(key,))
            for prefix in self.reserved:
                if key.lower().startswith(prefix):
                    what = f"the prefix {prefix} is reserved by the cloud"
                    yield Problem(what, "choose another key", (key,))
