"""One run of the executor (kaniko, cmd/executor/cmd/root.go and pkg/executor/push.go).

Instead of the image that a Dockerfile would make, it pushes one whose only layer is the context.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import posixpath
import re
import tarfile
import time
from collections.abc import Callable

from clusterkit_sandbox.kaniko import context, keychain
from clusterkit_sandbox.kaniko.container import Container
from clusterkit_sandbox.kaniko.failure import Failure, UsageFailure
from clusterkit_sandbox.kaniko.flags import Flags, parse
from clusterkit_sandbox.kaniko.log import Log
from clusterkit_sandbox.kaniko.reference import Reference, read
from clusterkit_sandbox.kaniko.remote import Remote, digest_of

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
_OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_USAGE = "Usage:\n  executor [flags]\n  executor [command]\n"
_INSTRUCTION = re.compile(r"^[ \t]*([A-Za-z]+)[ \t]", re.MULTILINE)
NOTE = (
    "This is the clusterkit sandbox: no Dockerfile was executed."
    " The image has one layer, which holds the build context"
)
"""What every run says, so that nobody takes its image for a build."""


def run(container: Container, write: Callable[[str], None], version: str = "v1.28.3") -> int:
    """Run to the end, writing lines of output; the exit code."""
    log = Log(write)
    try:
        flags = parse(container.arguments)
        log.form = flags.text("log-format", "color")
        log.level = flags.text("verbosity", "info")
        log.stamped = flags.on("log-timestamp")
        for warning in flags.warnings:
            log.caution(warning)
        folder = context.resolve(container, flags)
        _dockerfile(container, flags, folder)
    except UsageFailure as failure:
        log.plain(f"Error: {failure}\n{_USAGE}")
        return 1
    try:
        _build(container, flags, folder, log, version)
    except Failure as failure:
        log.plain(str(failure))
        return 1
    return 0


def _dockerfile(container: Container, flags: Flags, folder: str) -> str:
    """Its text; empty for one of another host."""
    wanted = flags.text("dockerfile", "Dockerfile")
    if wanted.startswith(("https://", "http://")):
        return ""
    for path in (posixpath.join("/", wanted), posixpath.join(folder, wanted)):
        text = container.files.get(posixpath.normpath(path))
        if text is not None:
            return text.decode(errors="replace")
    raise UsageFailure(
        "error resolving dockerfile path: please provide a valid path to a Dockerfile within"
        " the build context with --dockerfile"
    )


def _cacheable(container: Container, flags: Flags, folder: str) -> bool:
    """Whether the Dockerfile makes a layer that is cached: RUN and WORKDIR do unless
    ``--cache-run-layers`` is off, COPY and ADD if ``--cache-copy-layers`` is on
    (pkg/commands/commands.go, GetCommand).
    """
    text = _dockerfile(container, flags, folder).replace("\\\n", " ")
    if not text:
        return True
    found = {word.upper() for word in _INSTRUCTION.findall(text)}
    running = flags.text("cache-run-layers", "true") != "false"
    copying = flags.on("cache-copy-layers")
    return bool((running and found & {"RUN", "WORKDIR"}) or (copying and found & {"COPY", "ADD"}))


def _build(container: Container, flags: Flags, folder: str, log: Log, version: str) -> None:
    helpers = flags.helpers

    def remote(image: Reference, doing: str) -> Remote:
        log.tell(f"credential providers by priority: [{keychain.sources(container, helpers)}]")
        try:
            login = keychain.resolve(container, image.host, helpers)
        except Failure as failure:
            raise Failure(f"{doing}: {failure}") from None
        return Remote(container, image, login, version)

    try:
        _may_push(flags, remote)
    except Failure as failure:
        log.caution(
            "make sure you entered the correct tag name, that you are authenticated correctly, and"
            " try again."
        )
        if "DOCKER_AUTH_CONFIG" in container.environment:
            log.caution(
                "note that your DOCKER_AUTH_CONFIG env variable can shadow credentials from"
                " configfile"
            )
        raise Failure(f"error checking push permissions: {failure}") from None
    log.caution(NOTE)
    layer, plain = _layer(container, folder)
    if flags.on("cache") and not flags.on("no-push-cache") and _cacheable(container, flags, folder):
        _cache(flags, layer, plain, remote, log)
    try:
        _push(container, flags, layer, plain, remote, log)
    except Failure as failure:
        raise Failure(f"error pushing image: {failure}") from None


_Remote = Callable[[Reference, str], Remote]
_PUSHING = "resolving pushAuth"


def _may_push(flags: Flags, remote: _Remote) -> None:
    """Whether every destination takes an upload; the cache is not asked (CheckPushPermissions)."""
    targets = flags.destinations
    if flags.on("skip-push-permission-check"):
        return
    if flags.on("no-push"):
        cached = flags.text("cache-repo")
        targets = [cached] if cached and not flags.on("no-push-cache") else []
    asked: set[str] = set()
    for target in targets:
        image = read(target)
        if image.context in asked:
            continue
        asked.add(image.context)
        start = f'checking push permission for "{image}": '
        client = remote(image, f"{start}resolving authorization for {image.registry} failed")
        try:
            client.connect()
        except Failure as failure:
            raise Failure(
                f"{start}creating push check transport for {image.registry} failed: {failure}"
            ) from None
        try:
            client.check()
        except Failure as failure:
            raise Failure(f"{start}{failure}") from None


def _layer(container: Container, folder: str) -> tuple[bytes, str]:
    """The context as a layer, and the digest of what it is uncompressed."""
    out = io.BytesIO()
    now = int(time.time())
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, data in container.under(folder):
            info = tarfile.TarInfo(path)
            info.size, info.mtime, info.mode = len(data), now, 0o644
            tar.addfile(info, io.BytesIO(data))
    plain = out.getvalue()
    return gzip.compress(plain, mtime=0), digest_of(plain)


def _cache(flags: Flags, layer: bytes, plain: str, remote: _Remote, log: Log) -> None:
    """Keep the layer in the cache; a failure is only a warning (pkg/executor/build.go)."""
    base = flags.text("cache-repo")
    if not base:
        base = f"{read(flags.destinations[0]).context}/cache"
    key = hashlib.sha256(plain.encode()).hexdigest()
    try:
        image = read(f"{base}:{key}")
        log.tell(f"Checking for cached layer {image}...")
        client = remote(image, _PUSHING)
        try:
            client.connect()
            known = client.has(image.tag)
        except Failure as failure:
            log.tell(f"Error while retrieving image from cache: {image} {failure}")
            known = False
        if known:
            log.tell("Using caching version of the context")
            return
        log.tell("No cached layer found for the context")
        log.tell(f"Pushing layer {image} to cache now")
        log.tell(f"Pushing image to {image}")
        try:
            digest = _upload(client, image, layer, plain, _MANIFEST)
        except Failure as failure:
            raise Failure(f"failed to push to destination {image}: {failure}") from None
        log.tell(f"Pushed {image.context}@{digest}")
    except Failure as failure:
        log.caution(f"Error uploading layer to cache: {failure}")


def _push(
    container: Container, flags: Flags, layer: bytes, plain: str, remote: _Remote, log: Log
) -> None:
    kind = _OCI_MANIFEST if flags.text("image-format") == "oci" else _MANIFEST
    config = _config(plain)
    digest = digest_of(_manifest(config, layer, kind))
    images = [read(text) for text in flags.destinations]
    _write(container, flags, "digest-file", digest)
    tags = {
        "image-name-with-digest-file": [f"{one.context}@{digest}\n" for one in images],
        "image-name-tag-with-digest-file": [f"{one}@{digest}\n" for one in images],
    }
    for name, lines in tags.items():
        _write(container, flags, name, "".join(lines))
    if flags.on("no-push"):
        log.tell("Skipping push to container registry due to --no-push flag")
        return
    for image in images:
        client = remote(image, _PUSHING)
        log.tell(f"Pushing image to {image}")
        tries = 1 + max(0, int(flags.text("push-retry", "0")))
        for left in reversed(range(tries)):
            try:
                client.connect()
                pushed = _upload(client, image, layer, plain, kind)
            except Failure as failure:
                if not left:
                    raise Failure(f"failed to push to destination {image}: {failure}") from None
                log.caution(f"Retrying operation after 1s due to {failure}")
            else:
                log.tell(f"Pushed {image.context}@{pushed}")
                break


def _write(container: Container, flags: Flags, name: str, text: str) -> None:
    path = flags.text(name)
    if path:
        container.files[posixpath.normpath(posixpath.join("/", path))] = text.encode()


def _upload(client: Remote, image: Reference, layer: bytes, plain: str, kind: str) -> str:
    """Push layer, configuration and manifest; the digest, which the registry gives."""
    config = _config(plain)
    client.blob(layer)
    client.blob(config)
    return client.manifest(image.tag, _manifest(config, layer, kind), kind)


def _config(plain: str) -> bytes:
    return json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"dev.clusterkit.sandbox": NOTE}},
            "rootfs": {"type": "layers", "diff_ids": [plain]},
            "history": [{"author": "kaniko", "comment": NOTE}],
        },
        separators=(",", ":"),
    ).encode()


def _manifest(config: bytes, layer: bytes, kind: str) -> bytes:
    oci = kind == _OCI_MANIFEST
    parts = ((config, _OCI_CONFIG if oci else _CONFIG), (layer, _OCI_LAYER if oci else _LAYER))
    entries = [
        {"mediaType": media, "size": len(data), "digest": digest_of(data)} for data, media in parts
    ]
    body = {"schemaVersion": 2, "mediaType": kind, "config": entries[0], "layers": entries[1:]}
    return json.dumps(body, separators=(",", ":")).encode()
