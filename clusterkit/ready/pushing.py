"""The check that builds may push: asked by kaniko itself, in pods as builds are."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from clusterkit.kube.api import Object
from clusterkit.profile.ready import Kaniko
from clusterkit.ready import kaniko as objects
from clusterkit.ready.builds import NOBODY, NOWHERE
from clusterkit.ready.checks import UP, Check, Result
from clusterkit.ready.failures import explain
from clusterkit.ready.kaniko import CONTAINER, Build, Resources
from clusterkit.ready.probe import Probe, container
from clusterkit.ready.registry import PushAccess
from clusterkit.ready.subject import Subject

PUSHED = 600.0
"""seconds in which a pod has tried to push: a node may have to be bought first"""
SMALL = Resources("50m", "128Mi", "512Mi", "256Mi", "1Gi")
"""for a build of nothing"""


def checks(subject: Subject) -> Iterator[Check]:
    """K11."""
    yield Check(
        "K11",
        "the builds' pods may push, images and caches",
        "probe",
        partial(_pushes, subject),
        "kaniko",
        seen="error checking push permissions: checking push permission for",
        cure=UP,
    )


def _repositories(subject: Subject, access: PushAccess) -> list[str]:
    """What builds push to: images and their caches."""
    registry = subject.profile.registry if subject.profile else None
    builder = subject.builders[0]
    named = registry.repositories if registry and builder.registry is None else ()
    cached = registry is None or registry.cache
    found: list[str] = []
    if not named and access.repositories is None:  # a push makes it, and none is made
        named = ("clusterkit-verify",)
    for name in named:
        image = access.image(name)
        cache = access.cache_of(image) or f"{image}/cache"
        found += [image, cache] if cached else [image]
    return list(dict.fromkeys(found))


def _pushes(subject: Subject) -> Iterator[Result]:
    access = subject.access()
    if access is None or not subject.builders:
        yield NOBODY if not subject.builders else NOWHERE
        return
    if not _repositories(subject, access):
        yield Result("skipped", "the registry has no repositories to push to", access.host)
        return
    for builder in subject.builders:
        with Probe(subject, "k11", within=builder.namespace) as probe:
            yield from _tried(subject, probe, builder, access)
        yield from probe.left


def _tried(subject: Subject, probe: Probe, builder: Kaniko, access: PushAccess) -> Iterator[Result]:
    context = f"{probe.name}-context"
    data = {"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"}
    probe.make(
        "configmaps",
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": context}, "data": data},
    )
    pods = {
        repository: probe.make("pods", _pusher(f"{probe.name}-{number}", repository, context,
                                               builder, access))
        for number, repository in enumerate(_repositories(subject, access))
    }  # fmt: skip
    end = subject.end(PUSHED)
    for repository, path in pods.items():
        last: list[Object] = []

        def over(path: str = path, last: list[Object] = last) -> Object | None:
            last[:] = [subject.kube.get(path) or {}]
            return dict(container(last[0], CONTAINER).get("terminated") or {}) or None

        ended = subject.wait(over, end)
        if ended is None:
            waiting = container(last[0] if last else {}, CONTAINER).get("waiting") or {}
            told = probe.events(path.rpartition("/")[2])[-1:]
            why = waiting.get("message") or (told[0] if told else "it got no node")
            yield Result("failed", f"the pod did not run: {why}", repository)
        elif ended.get("exitCode") == 0:
            yield Result("passed", "takes an upload", repository)
        else:
            yield _refused(repository, ended)


def _refused(repository: str, ended: Object) -> Result:
    """Why kaniko could not push, in its own words and in ours."""
    lines = str(ended.get("message") or "").splitlines()
    code, reason = int(ended.get("exitCode") or 1), str(ended.get("reason") or "")
    found = explain(lines, reason, code)
    said = lines[-1].strip() if lines else f"exit code {code}"
    if found is None:
        return Result("failed", said, repository, said)
    return Result("failed", found.what, repository, found.where, found.hint)


def _pusher(
    name: str, repository: str, context: str, builder: Kaniko, access: PushAccess
) -> Object:
    """A pod in which kaniko asks whether it may push, and pushes nothing.

    With ``--no-push`` it asks that of the cache's repository (kaniko, ``pkg/executor/push.go``,
    ``CheckPushPermissions``); what is copied into an empty image is not cached.
    """
    build = Build(
        "dir:///workspace",
        (f"{repository}:clusterkit-verify",),
        resources=SMALL,
        arguments=("--no-push", f"--cache-repo={repository}"),
        name=name,
    )
    body = objects.pod(build, builder, access)
    spec = body["spec"]
    spec["activeDeadlineSeconds"] = int(PUSHED)
    volume = {"name": "context", "configMap": {"name": context}}
    spec["volumes"] = [*spec["volumes"], volume]
    container = spec["containers"][0]
    mount = {"name": "context", "mountPath": "/workspace", "readOnly": True}
    container["volumeMounts"] = [*container["volumeMounts"], mount]
    return body
