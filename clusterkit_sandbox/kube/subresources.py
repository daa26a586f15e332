"""Subresources: scale, eviction, binding, token."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from clusterkit_sandbox.kube import budgets
from clusterkit_sandbox.kube.accounts import ISSUER, TokenIssuer
from clusterkit_sandbox.kube.decoding import parse
from clusterkit_sandbox.kube.deletion import delete
from clusterkit_sandbox.kube.kinds import PODS, Object, Resource, clone
from clusterkit_sandbox.kube.ownership import now
from clusterkit_sandbox.kube.refusals import (
    Cause,
    bad_request,
    conflict,
    invalid_request,
    modified,
    no_such_path,
)
from clusterkit_sandbox.kube.request_info import Call
from clusterkit_sandbox.kube.selectors import dig
from clusterkit_sandbox.kube.state import ClusterState
from clusterkit_sandbox.kube.writes import Writer

_SHORTEST = 600
"""seconds a token lives at least (authentication, ``ValidateTokenRequest``)"""
_SUCCESS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def scale(resource: Resource, found: Object) -> Object:
    """An object as ``autoscaling/v1`` Scale."""
    metadata = found["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    wanted, actual = _scale_paths(resource)
    selector = dig(found, "spec.selector.matchLabels") or {}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: metadata[name] for name in kept if name in metadata},
        "spec": {"replicas": dig(found, wanted) or 0},
        "status": {
            "replicas": dig(found, actual) or 0,
            "selector": ",".join(f"{key}={value}" for key, value in sorted(selector.items())),
        },
    }


def rescaled(resource: Resource, found: Object, wanted: Any) -> Object:
    """The object with the replicas of this Scale; ``Refusal`` 400 or 409."""
    replicas = dig(wanted, "spec.replicas")
    if isinstance(replicas, bool) or not isinstance(replicas, int) or replicas < 0:
        raise bad_request("Scale: spec.replicas must be a number of 0 or more")
    version = dig(wanted, "metadata.resourceVersion")
    if version and version != found["metadata"]["resourceVersion"]:
        name = found["metadata"]["name"]
        raise modified(resource, name)
    new = clone(found)
    *steps, last = _scale_paths(resource)[0].split(".")
    node = new
    for step in steps:
        node = node.setdefault(step, {})
    node[last] = replicas
    return new  # type: ignore[no-any-return]


def _scale_paths(resource: Resource) -> tuple[str, str]:
    scale = dig(resource.declared, "subresources.scale") or {}
    return (
        scale.get("specReplicasPath", ".spec.replicas").lstrip("."),
        scale.get("statusReplicasPath", ".status.replicas").lstrip("."),
    )


class Subresources:
    """Those of one cluster that are no writes of the object itself."""

    def __init__(self, state: ClusterState, writer: Writer, issuer: TokenIssuer) -> None:
        self._state = state
        self._writer = writer
        self._issuer = issuer

    async def post(self, call: Call) -> tuple[Object, int]:
        """``eviction``, ``binding`` and ``token``"""
        raw = await call.request.read()
        body = parse(raw, call.request.headers.get("Content-Type", ""))
        if not isinstance(body, dict):
            raise bad_request("the object provided is unrecognized (must be of type Object)")
        match call.subresource:
            case "eviction":
                return self._evict(call, body), 201
            case "binding":
                return self._bind(call, body), 201
            case "token":
                return self._token(call, body), 201
            case _:
                raise no_such_path()

    def _evict(self, call: Call, body: Object) -> Object:
        pod = self._state.need(call.resource, call.namespace, call.name)
        budgets.check(self._state, pod)
        delete(self._state, call.resource, pod, body.get("deleteOptions"), dry_run=call.dry_run)
        return _SUCCESS

    def _bind(self, call: Call, body: Object) -> Object:
        pod = self._state.need(call.resource, call.namespace, call.name)
        node = dig(body, "target.name")
        if not node:
            raise bad_request("Binding: target.name is required")
        if dig(pod, "spec.nodeName"):
            taken = f'pod {call.name} is already assigned to node "{pod["spec"]["nodeName"]}"'
            raise conflict(call.resource, call.name, taken)
        if not call.dry_run:
            bind(self._writer, pod, node)
        return _SUCCESS

    def _token(self, call: Call, body: Object) -> Object:
        account = self._state.need(call.resource, call.namespace, call.name)
        spec = body.get("spec") or {}
        seconds = spec.get("expirationSeconds") or 3600
        if seconds < _SHORTEST:
            cause = Cause.invalid(
                "spec.expirationSeconds",
                seconds,
                "may not specify a duration less than 10 minutes",
            )
            raise invalid_request("TokenRequest.authentication.k8s.io", cause)
        audiences = spec.get("audiences") or [ISSUER]
        bound = spec.get("boundObjectRef")
        token, expires = self._issuer.issue(account, audiences, seconds, bound)
        when = datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        wanted = {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": bound}
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {
                "name": call.name,
                "namespace": call.namespace,
                "creationTimestamp": now(),
            },
            "spec": wanted,
            "status": {"token": token, "expirationTimestamp": when},
        }


def bind(writer: Writer, pod: Object, node: str) -> None:
    """Assign a pod to a node, with the condition that says so."""

    def assign(new: Object) -> None:
        new["spec"]["nodeName"] = node

    writer.edit(PODS, pod, assign, "kube-scheduler")
    condition = {"type": "PodScheduled", "status": "True", "lastTransitionTime": now()}
    writer.set_status(PODS, pod, "kube-scheduler", conditions=[condition])
