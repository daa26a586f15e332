"""Manifests: what a registry takes, and what it answers to whom.

OCI image specification 1.1 (manifest.md, image-index.md); distribution, docs/spec/manifest-v2-2.md.
"""

from __future__ import annotations

from typing import Any

from clusterkit_sandbox.content import Content, Manifest, digest_of
from clusterkit_sandbox.kit.wire import parsed
from clusterkit_sandbox.registry.service import Refusal

OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
IMAGES, INDEXES = (OCI_IMAGE, DOCKER_IMAGE), (OCI_INDEX, DOCKER_INDEX)
LARGEST = 4 << 20
"""Bytes of a manifest that a registry takes at least (distribution specification, "Pushing
Manifests").
"""


def read(content: Content, place: str, kind: str, text: bytes) -> Manifest:
    """The manifest with this text and Content-Type; ``Refusal`` if it is none, or if a part of it
    is not in the repository.
    """
    kind = kind.partition(";")[0].strip()
    try:
        found: Any = parsed(text)
        kind = kind or found["mediaType"]
        meant = found.get("mediaType", kind)
        parts = [found["config"], *found["layers"]] if kind in IMAGES else []
        images = found["manifests"] if kind in INDEXES else []
        sizes = [int(one["size"]) for one in (*parts, *images)]
        blobs = [str(one["digest"]) for one in parts if not one.get("urls")]
        children = [str(one["digest"]) for one in images]
        subject = str((found.get("subject") or {}).get("digest", ""))
        artifact = str(found.get("artifactType") or "")
        if not artifact and kind in IMAGES:
            artifact = str(found["config"].get("mediaType", ""))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _invalid(f"{type(error).__name__}: {error}") from None
    if kind not in (*IMAGES, *INDEXES) or meant != kind or found.get("schemaVersion") != 2:
        raise _invalid(f"unrecognized manifest content type {kind}")
    missing = [one for one in blobs if content.size(place, one) is None]
    missing += [one for one in children if content.manifest(place, one) is None]
    if missing:
        detail = [{"digest": one} for one in missing]
        raise Refusal(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", detail=detail)
    return Manifest(digest_of(text), kind, text, subject, artifact, sum(sizes) + len(text))


def check_accepted(manifest: Manifest, accepted: str) -> None:
    """Refuse a client that does not take the type, as distribution does (registry/handlers/
    manifests.go): types older than OCI's are always answered.
    """
    wild = not accepted or "*/*" in accepted or "application/*" in accepted
    if manifest.type in (OCI_IMAGE, OCI_INDEX) and not wild and manifest.type not in accepted:
        what = "OCI manifest" if manifest.type == OCI_IMAGE else "OCI index"
        text = f"{what} found, but accept header does not support {what}s"
        raise Refusal(404, "MANIFEST_UNKNOWN", text)


def _invalid(detail: str) -> Refusal:
    return Refusal(400, "MANIFEST_INVALID", "manifest invalid", detail=detail)
