"""Names of images (google/go-containerregistry, pkg/name)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from clusterkit_sandbox.kaniko.failure import Failure

HUB = "index.docker.io"
_TAG = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_REPOSITORY = re.compile(r"[a-z0-9_./-]{2,255}")


@dataclass(frozen=True)
class Reference:
    """An image with a tag."""

    registry: str
    repository: str
    tag: str

    @property
    def context(self) -> str:
        """Without the tag."""
        return f"{self.registry}/{self.repository}"

    @property
    def host(self) -> str:
        """Who serves it."""
        return self.registry

    def __str__(self) -> str:
        return f"{self.context}:{self.tag}"


def read(text: str) -> Reference:
    """Read a destination; ``Failure`` in go-containerregistry's words."""
    base, tag = text, "latest"
    head, colon, tail = text.rpartition(":")
    if colon and "/" not in tail:
        base, tag = head, tail
        if not _TAG.fullmatch(tag):
            raise Failure(
                f"getting tag for destination: tag can only contain the characters"
                f" `abcdefghijklmnopqrstuvwxyz0123456789_-.ABCDEFGHIJKLMNOPQRSTUVWXYZ`: {tag}"
            )
    first, slash, rest = base.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        registry, repository = first, rest
    else:
        registry, repository = HUB, base
    if registry in ("docker.io", HUB):
        registry = HUB
        if "/" not in repository:
            repository = f"library/{repository}"
    if not _REPOSITORY.fullmatch(repository):
        raise Failure(
            "getting tag for destination: repository can only contain the characters"
            f" `abcdefghijklmnopqrstuvwxyz0123456789_-./`: {repository}"
        )
    return Reference(registry, repository, tag)
