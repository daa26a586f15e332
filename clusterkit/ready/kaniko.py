"""Builds with kaniko as Kubernetes objects: a Pod, or the Job around one. Pure.

Flags and their meaning: README.md of osscontainertools/kaniko, v1.28.3. The capabilities are the
least that builds get by with that change owners (CHOWN), go through and write other users' folders
(DAC_OVERRIDE, FOWNER), run as other users (SETUID, SETGID) and install packages with file
capabilities (SETFCAP); Pod Security's ``baseline`` admits all of them.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from clusterkit.errors import Finding, UsageError
from clusterkit.profile.ready import Kaniko
from clusterkit.ready.registry import CONFIG_MAP, PushAccess, untagged

Object = dict[str, Any]

CONTAINER = "kaniko"
STDIN = "tar://stdin"
"""a gzipped tar on standard input"""
CACHE_TTL = "336h"
"""two weeks; a Go duration, in which a number without a unit is refused"""
DIGEST = "/dev/termination-log"
"""what is written there is the container's termination message"""
LIMIT = 3600
"""seconds a Job may take, and is kept after its end"""
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETFCAP", "SETGID", "SETUID")
SECURITY: Mapping[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"], "add": [*CAPABILITIES]},
    "seccompProfile": {"type": "RuntimeDefault"},
    "runAsUser": 0,
}
LABELS: Mapping[str, str] = {
    "app.kubernetes.io/name": "kaniko",
    "app.kubernetes.io/managed-by": "clusterkit",
}
ANNOTATIONS: Mapping[str, str] = {
    # a sidecar outlives the build, and what it intercepts cannot reach a metadata server
    "sidecar.istio.io/inject": "false",
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
}
BLOBS = ".blob.core.windows.net"
AZURE_KEY = "AZURE_STORAGE_ACCESS_KEY"
ENDED = "gcr.io/kaniko-project/"
"""the image's former home: v1.24.0 is the last there"""
_SCHEMES = ("dir", "tar", "gs", "s3", "git", "https")


@dataclass(frozen=True)
class Resources:
    """What a build may use. The whole image is unpacked on the node's disk, and the snapshot of a
    large file system is taken in memory.
    """

    cpu: str = "500m"
    """requested; not limited"""
    memory: str = "1Gi"
    memory_limit: str = "2Gi"
    disk: str = "4Gi"
    disk_limit: str = "10Gi"

    @property
    def body(self) -> Object:
        """As the container's ``resources``."""
        return {
            "requests": {"cpu": self.cpu, "memory": self.memory, "ephemeral-storage": self.disk},
            "limits": {"memory": self.memory_limit, "ephemeral-storage": self.disk_limit},
        }


@dataclass(frozen=True)
class Build:
    """One build."""

    context: str
    destinations: tuple[str, ...]
    dockerfile: str = "Dockerfile"
    cache: bool = True
    build_args: tuple[str, ...] = ()
    """``NAME=VALUE``"""
    image: str = ""
    """kaniko's; empty: the profile's"""
    resources: Resources = field(default_factory=Resources)
    env_from: tuple[str, ...] = ()
    """Secrets whose keys become variables: credentials for the context"""
    claim: str = ""
    """the PersistentVolumeClaim that holds a ``dir://`` or ``tar://`` context"""
    arguments: tuple[str, ...] = ()
    """more flags of kaniko's"""
    name: str = "kaniko"


def check(build: Build) -> None:
    """``UsageError`` for what kaniko would refuse or misunderstand."""
    if not build.destinations:
        raise UsageError("an image to build is missing", hint="--destination NAME:TAG")
    scheme, _, rest = build.context.partition("://")
    if not rest or scheme not in _SCHEMES:
        raise UsageError(
            f"kaniko reads no context {build.context!r}",
            where="--context",
            hint="git://HOST/OWNER/REPOSITORY#refs/heads/BRANCH, gs://, s3://, dir://, tar://, "
            "tar://stdin, or https://… of a .tar.gz",
        )
    path = urlsplit(build.context).path
    if scheme == "https" and not path.endswith((".tar.gz", ".tgz")):
        raise UsageError(
            "kaniko takes what https:// names for a .tar.gz",
            where="--context",
            hint=f"of a git repository: git://{rest}",
        )
    for argument in build.build_args:
        if not re.match(r"[A-Za-z_]\w*(=|$)", argument):
            raise UsageError(
                "must be NAME=VALUE", where=f"--build-arg {argument.partition('=')[0]}"
            )


def notes(build: Build, kaniko: Kaniko, access: PushAccess) -> Iterator[Finding]:
    """What is valid and will probably not do what is meant."""
    for number, name in enumerate(build.destinations):
        image = access.image(name)
        last = image.rpartition("/")[2]
        if ":" not in last and "@" not in last:
            yield Finding(f"{image} has no tag and becomes :latest", "--destination", "add a tag")
        cache = access.cache_of(image) or f"{untagged(image)}/cache"
        for path in access.missing(image, cache=build.cache and not number):
            if cache.endswith(f"/{path}"):
                what = f"the registry has no repository {path}: kaniko builds without a cache"
                yield Finding(
                    what, "--cache", "add the image to registry.repositories and run clusterkit up"
                )
            else:
                what = f"the registry has no repository {path}, and a push does not make it"
                yield Finding(
                    what, "--destination", "add it to registry.repositories and run clusterkit up"
                )
    image = build.image or kaniko.image
    if image.startswith(ENDED):
        what = f"{image} is no longer maintained: the last version there is v1.24.0"
        yield Finding(what, "--image", f"{kaniko.image}")
    if image.rpartition("/")[2].partition(":")[2] in ("", "latest") and "@" not in image:
        yield Finding(f"{image} is another kaniko tomorrow", "--image", "name a version")
    if BLOBS in build.context and not build.env_from:
        what = f"kaniko reads Azure's blobs with {AZURE_KEY} only"
        yield Finding(what, "--context", "name a Secret with that key: --env-from SECRET")
    if _folder(build.context) and not build.claim:
        what = f"nothing is mounted at {_folder(build.context)}"
        yield Finding(what, "--context", "name the claim that holds it: --claim NAME")


def arguments(build: Build, access: PushAccess) -> list[str]:
    """kaniko's flags."""
    images = [access.image(name) for name in build.destinations]
    found = [f"--context={build.context}", f"--dockerfile={build.dockerfile}"]
    found += [f"--destination={image}" for image in images]
    if build.cache:
        found += ["--cache=true", f"--cache-ttl={CACHE_TTL}"]
        if cache := access.cache_of(images[0]):
            found.append(f"--cache-repo={cache}")
    found += [f"--build-arg={argument}" for argument in build.build_args]
    found += [
        "--snapshot-mode=redo",
        # a compressed cache is held in memory
        "--compressed-caching=false",
        "--push-retry=3",
        "--image-download-retry=3",
        f"--digest-file={DIGEST}",
        "--log-format=text",
    ]
    return [*found, *build.arguments]


def pod(build: Build, kaniko: Kaniko, access: PushAccess) -> Object:
    """The Pod."""
    mounts, volumes = _volumes(build, access)
    container: Object = {
        "name": CONTAINER,
        "image": build.image or kaniko.image,
        "imagePullPolicy": "IfNotPresent",
        "args": arguments(build, access),
        "env": [{"name": name, "value": value} for name, value in access.env.items()],
        "securityContext": dict(SECURITY),
        "resources": build.resources.body,
        # without a digest the last lines of the log are the message
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
    }
    if build.env_from:
        container["envFrom"] = [{"secretRef": {"name": name}} for name in build.env_from]
    if build.context == STDIN:
        container |= {"stdin": True, "stdinOnce": True}
    metadata = {
        "name": build.name,
        "namespace": kaniko.namespace,
        "labels": {**LABELS, **access.pod_labels},
        "annotations": dict(ANNOTATIONS),
    }
    spec = {
        "restartPolicy": "Never",
        "serviceAccountName": kaniko.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "containers": [container],
        "volumes": volumes,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def job(build: Build, kaniko: Kaniko, access: PushAccess) -> Object:
    """The Job: one try, an hour, and an hour to look at it."""
    whole = pod(build, kaniko, access)
    metadata = {key: whole["metadata"][key] for key in ("labels", "annotations")}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": build.name,
            "namespace": kaniko.namespace,
            "labels": dict(LABELS),
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": LIMIT,
            "ttlSecondsAfterFinished": LIMIT,
            "template": {"metadata": metadata, "spec": whole["spec"]},
        },
    }


def _volumes(build: Build, access: PushAccess) -> tuple[list[Object], list[Object]]:
    mounts: list[Object] = []
    volumes: list[Object] = []

    def mount(name: str, folder: str, source: Object) -> None:
        mounts.append({"name": name, "mountPath": folder, "readOnly": True})
        volumes.append({"name": name, **source})

    if access.secret:
        items = [{"key": ".dockerconfigjson", "path": "config.json"}]
        source = {"secret": {"secretName": access.secret, "items": items}}
        mount("docker-config", "/kaniko/.docker", source)
    elif access.configured:
        mount("docker-config", "/kaniko/.docker", {"configMap": {"name": CONFIG_MAP}})
    for each in access.files:
        items = [{"key": each.key, "path": each.name}]
        source = {"secret": {"secretName": each.secret, "items": items}}
        mount(each.secret, each.folder, source)
    if build.claim and (folder := _folder(build.context)):
        claim = {"claimName": build.claim, "readOnly": True}
        mount("context", folder, {"persistentVolumeClaim": claim})
    return mounts, volumes


def _folder(context: str) -> str:
    """The folder in the pod that a context lies in; empty for one that is fetched."""
    scheme, _, path = context.partition("://")
    if context == STDIN:
        return ""
    return path if scheme == "dir" else posixpath.dirname(path) if scheme == "tar" else ""
