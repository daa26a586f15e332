"""Checks of what builds need: account, docker config, Pod Security, kaniko's image."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from clusterkit.errors import ClusterkitError, Denied, Gone, Rejected
from clusterkit.kube.secrets import EXPIRES, decoded, expired
from clusterkit.profile.ready import DOCKER_HUB, Kaniko
from clusterkit.ready import kaniko as objects
from clusterkit.ready.checks import UP, Check, Result
from clusterkit.ready.kaniko import ENDED, Build
from clusterkit.ready.registry import CONFIG_MAP, PushAccess, untagged
from clusterkit.ready.subject import Subject, lacks_right, message

HELPERS = frozenset({"gcr", "ecr-login", "acr-env"})
"""the credential helpers in kaniko's image (osscontainertools/kaniko, ``deploy/Dockerfile``)"""
_WORKLOADS = {
    "/api/v1/pods": ("spec",),
    "/apis/batch/v1/cronjobs": ("spec", "jobTemplate", "spec", "template", "spec"),
}
NOBODY = Result("skipped", "the profile prepares no namespace for builds")
NOWHERE = Result("skipped", "no profile says which registry the builds push to")


def checks(subject: Subject) -> Iterator[Check]:
    """K6 to K9."""
    yield Check(
        "K6",
        "the builds' service account is there, with its identity",
        "static",
        partial(_accounts, subject),
        "kaniko",
        seen='error looking up service account builds/kaniko: serviceaccount "kaniko" not found',
        cure=UP,
    )
    yield Check(
        "K7",
        "the docker config is one that kaniko can use",
        "static",
        partial(_config, subject),
        "kaniko",
        seen='error getting credentials - err: exec: "docker-credential-acr": executable file not '
        "found in $PATH",
        cure=UP,
    )
    yield Check(
        "K8",
        "the builds' namespace admits kaniko's pods",
        "dry-run",
        partial(_admission, subject),
        "kaniko",
        seen='violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false',
        cure="kubectl label namespace NAMESPACE --overwrite "
        "pod-security.kubernetes.io/enforce=baseline",
    )
    yield Check(
        "K9",
        "kaniko's images are maintained ones, with a version",
        "static",
        partial(_images, subject),
        "kaniko",
        seen="kaniko should only be run inside of a container, run with the --force flag",
        cure="ready.kaniko.image in the profile; images of pipelines where they are named",
    )


# -- K6: accounts ---------------------------------------------------------------------------------


def _accounts(subject: Subject) -> Iterator[Result]:
    if not subject.builders:
        yield NOBODY
        return
    access = subject.access()
    for builder in subject.builders:
        where = f"serviceaccount/{builder.account}"
        found = subject.get(
            f"/api/v1/namespaces/{builder.namespace}/serviceaccounts/{builder.service_account}"
        )
        if found is None:
            yield Result("failed", "it does not exist", where)
            continue
        given = found["metadata"].get("annotations") or {}
        wrong = {
            key: value
            for key, value in (access.annotations if access else {}).items()
            if given.get(key) != value
        }
        for key, value in wrong.items():
            told = f"is {given[key]}" if key in given else "is missing"
            seen = "unexpected status code 401 Unauthorized"
            yield Result("failed", f"annotation {key} {told}, must be {value}", where, seen)
        if not wrong:
            yield Result("passed", "is there", where)


# -- K7: the docker config ------------------------------------------------------------------------


def _config(subject: Subject) -> Iterator[Result]:
    access = subject.access()
    if access is None or not subject.builders:
        yield NOBODY if not subject.builders else NOWHERE
        return
    for builder in subject.builders:
        core = f"/api/v1/namespaces/{builder.namespace}"
        wrong = [*_files(subject, core, access), *_docker_config(subject, core, access)]
        yield from wrong
        if not wrong:
            yield Result("passed", f"fits {access.host}", builder.account)


def _docker_config(subject: Subject, core: str, access: PushAccess) -> Iterator[Result]:
    if access.secret:
        where = f"secret/{access.secret}"
        found = subject.get(f"{core}/secrets/{access.secret}")
        if found is None:
            yield Result("failed", "it does not exist", where, "MountVolume.SetUp failed")
            return
        annotations = found["metadata"].get("annotations") or {}
        if EXPIRES in annotations and expired(annotations):
            seen = "UNAUTHORIZED: authentication required"
            yield Result("failed", f"the password expired at {annotations[EXPIRES]}", where, seen)
        config: Any = decoded(found)
    elif access.helpers:
        where = f"configmap/{CONFIG_MAP}"
        found = subject.get(f"{core}/configmaps/{CONFIG_MAP}")
        if found is None:
            yield Result("failed", "it does not exist", where, "MountVolume.SetUp failed")
            return
        try:
            config = json.loads((found.get("data") or {}).get("config.json") or "")
        except ValueError:
            config = None
    else:
        return
    if not isinstance(config, dict) or not config:
        yield Result("failed", "holds no docker config", where)
        return
    yield from _problems(config, access, where)


def _problems(config: Mapping[str, Any], access: PushAccess, where: str) -> Iterator[Result]:
    """What is wrong with a docker config."""
    auths, helpers = config.get("auths") or {}, config.get("credHelpers") or {}
    if store := config.get("credsStore"):
        what = f"credsStore {store} is asked for every registry"
        cure = f'"credHelpers": {{"{access.host}": …}} in its place; {UP}'
        known = store in HELPERS
        yield Result("warned" if known else "failed", what, where, cure=cure)
    for host, helper in helpers.items():
        if helper not in HELPERS:
            seen = f'exec: "docker-credential-{helper}": executable file not found in $PATH'
            yield Result("failed", f"kaniko has no helper {helper} for {host}", where, seen)
        elif (wanted := access.helpers.get(host, helper)) != helper:
            seen = "unexpected status code 401 Unauthorized"
            yield Result("failed", f"{helper} is not a helper for {host}: {wanted} is", where, seen)
    needed = DOCKER_HUB if access.host == "docker.io" else access.host
    if needed not in {*auths, *helpers}:
        seen = "unexpected status code 401 Unauthorized"
        yield Result("failed", f"names no login for {needed}", where, seen)
    for host, entry in auths.items():
        if why := _unusable(entry):
            seen = "unexpected status code 401 Unauthorized"
            yield Result("failed", f"the login for {host} {why}", where, seen)


def _unusable(entry: Any) -> str:
    """What is wrong with one entry of ``auths``; empty for nothing."""
    if not isinstance(entry, dict):
        return "is not an object"
    if entry.get("identitytoken") or (entry.get("username") and entry.get("password")):
        return ""
    text = str(entry.get("auth") or "")
    if not text:
        return "is empty"
    try:
        pair = base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "is not base64 in one line"
    if pair.endswith(("\n", "\r")):
        return "ends with a newline: encode it with printf %s, not with echo"
    user, colon, password = pair.partition(":")
    return "" if colon and user and password else "is not USER:PASSWORD in base64"


def _files(subject: Subject, core: str, access: PushAccess) -> Iterator[Result]:
    """Secrets that are mounted as files: keys of accounts."""
    for each in access.files:
        found = subject.get(f"{core}/secrets/{each.secret}")
        where = f"secret/{each.secret}"
        if found is None:
            yield Result("failed", "it does not exist", where, "MountVolume.SetUp failed")
            continue
        try:
            data = (found.get("data") or {})[each.key]
            whole = json.loads(base64.b64decode(data)).get("private_key")
        except (KeyError, ValueError, AttributeError):
            whole = None
        if not whole:
            seen = "could not find default credentials"
            yield Result("failed", f"its key {each.key} holds no key of an account", where, seen)


# -- K8: Pod Security -----------------------------------------------------------------------------


def _admission(subject: Subject) -> Iterator[Result]:
    if not subject.builders:
        yield NOBODY
    access = subject.access()
    for builder in subject.builders:
        name = f"clusterkit-verify-k8-{secrets.token_hex(3)}"
        image = (access or PushAccess("registry.example")).image("verify:1")
        build = Build(objects.STDIN, (image,), name=name)
        body = objects.pod(build, builder, access or PushAccess("registry.example"))
        where = f"namespace/{builder.namespace}"
        path = f"/api/v1/namespaces/{builder.namespace}/pods/{name}"
        try:
            subject.apply(path, body, dry_run=True)
        except Gone as error:
            yield Result("failed", message(error), where, message(error), UP)
        except (Denied, Rejected) as error:
            if isinstance(error, Denied) and lacks_right(error):
                raise
            yield Result("failed", message(error), where, message(error), _cure(error, builder))
        else:
            yield Result("passed", "a pod of kaniko's is admitted", where)


def _cure(error: ClusterkitError, builder: Kaniko) -> str:
    if "PodSecurity" in error.what:
        return (
            f"{UP}, or: kubectl label namespace {builder.namespace} --overwrite "
            "pod-security.kubernetes.io/enforce=baseline"
        )
    if "serviceaccount" in error.what.lower():
        return UP
    return "let the policy that refuses it except the namespace of the builds"


# -- K9: images -----------------------------------------------------------------------------------


def _images(subject: Subject) -> Iterator[Result]:
    found: dict[str, str] = {}
    for builder in subject.builders:
        found.setdefault(builder.image, "ready.kaniko.image")
    for path, steps in _WORKLOADS.items():
        for item in subject.list(path):
            spec: Any = item
            for step in steps:
                spec = (spec or {}).get(step)
            for container in (spec or {}).get("containers") or ():
                image = str(container.get("image") or "")
                if image.startswith(ENDED) or untagged(image).endswith("/kaniko"):
                    metadata = item["metadata"]
                    kind = path.rpartition("/")[2][:-1]
                    where = f"{kind}/{metadata['namespace']}/{metadata['name']}"
                    found.setdefault(image, where)
    for image, where in found.items():
        tag = image.rpartition("/")[2].partition(":")[2]
        if image.startswith(ENDED):
            what = f"{image} is no longer maintained: v1.24.0 is the last there"
            yield Result("warned", what, where)
        elif "@" not in image and tag.partition("-")[0] in ("", "latest", "debug"):
            seen = "a build that worked fails, and nothing was changed"
            yield Result("warned", f"{image} is another kaniko tomorrow", where, seen)
        else:
            yield Result("passed", image, where)
