"""Checks of the way out and in: load balancers, and registries that images are pulled from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from clusterkit.kube.api import Object
from clusterkit.profile.ready import KANIKO
from clusterkit.ready.checks import Check, Result
from clusterkit.ready.probe import PAUSE, Probe, container, pause
from clusterkit.ready.subject import Subject

BALANCED = 300.0
"""seconds in which a Service gets an address; Jenkins X waits as long (jenkins-x/jx-verify,
``pkg/cmd/ingress``)"""
PULLED = 180.0
IMAGES: Mapping[str, str] = {
    "registry.k8s.io": PAUSE,
    "ghcr.io": KANIKO,
    "docker.io": "docker.io/library/hello-world:latest",
    "quay.io": "quay.io/prometheus/busybox:latest",
    "gcr.io": "gcr.io/distroless/static:latest",
}
"""where Jenkins X and what it installs come from, and a small image of each"""


def checks(subject: Subject) -> Iterator[Check]:
    """K10 and K12."""
    yield Check(
        "K10",
        "a Service of type LoadBalancer gets an address",
        "probe",
        partial(_balancer, subject),
        seen="failed to discover domain for ingress service nginx/ingress-nginx-controller",
        cure="kubectl describe service says why: subnets without room or tags, a quota, or no "
        "cloud controller",
    )
    yield Check(
        "K12",
        "nodes can pull from public registries",
        "probe",
        partial(_egress, subject),
        seen="ImagePullBackOff",
        cure="network.nat in the profile and clusterkit up; behind a firewall, mirrors of these "
        "registries",
    )


def _balancer(subject: Subject) -> Iterator[Result]:
    with Probe(subject, "k10") as probe:
        name = f"balancer-{probe.name[-6:]}"
        spec = {
            "type": "LoadBalancer",
            "selector": {"clusterkit.dev/probe": "nobody"},
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80}],
        }
        body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
        service = probe.make("services", body)

        def address() -> str | None:
            found = (subject.kube.get(service) or {}).get("status") or {}
            for each in (found.get("loadBalancer") or {}).get("ingress") or ():
                return str(each.get("hostname") or each.get("ip") or "") or None
            return None

        if where := subject.wait(address, subject.end(BALANCED)):
            yield Result("passed", f"got {where}")
        else:
            told = probe.events(name)
            why = told[-1] if told else "nothing in the cluster takes care of it"
            yield Result("failed", f"no address after five minutes: {why}", "service")
    yield from probe.left


def _images(subject: Subject) -> Mapping[str, str]:
    """Host to an image of it: what the cluster is for decides which are needed."""
    found = {"registry.k8s.io": IMAGES["registry.k8s.io"]}
    if "jenkins-x" in subject.purposes:
        found = dict(IMAGES)
    for builder in subject.builders:
        first, slash, _ = builder.image.partition("/")
        host = first if slash and ("." in first or ":" in first) else "docker.io"
        found[host] = builder.image
    return found


def _egress(subject: Subject) -> Iterator[Result]:
    images = _images(subject)
    with Probe(subject, "k12") as probe:
        pods = {
            host: probe.make("pods", _puller(f"pull-{number}-{probe.name[-6:]}", image))
            for number, (host, image) in enumerate(images.items())
        }
        end = subject.end(PULLED)
        for host, path in pods.items():
            seen: list[str] = []

            def pulled(path: str = path, seen: list[str] = seen) -> bool | None:
                state = container(subject.kube.get(path) or {}, "pause")
                waiting = state.get("waiting") or {}
                reason = str(waiting.get("reason") or "")
                if "Pull" in reason or reason == "InvalidImageName":
                    seen[:] = [f"{reason}: {waiting.get('message') or ''}"]
                    return None
                # whatever else is wrong with it comes after the image
                done = {"running", "terminated"} & state.keys()
                return True if done or reason.startswith(("Create", "RunContainer")) else None

            if subject.wait(pulled, end):
                yield Result("passed", f"{images[host]} was pulled", host)
                continue
            told = seen or probe.events(path.rpartition("/")[2])[-1:] or ["the pod got no node"]
            yield Result("failed", f"{images[host]} cannot be pulled: {told[0]}", host)
    yield from probe.left


def _puller(name: str, image: str) -> Object:
    """A pod for the sake of its image: pulled each time, even if the node has it."""
    body = pause(name, restartPolicy="Never")
    body["spec"]["containers"][0] |= {"image": image, "imagePullPolicy": "Always"}
    return body
