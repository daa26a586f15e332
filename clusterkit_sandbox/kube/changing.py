"""Create, update, patch and delete as requests ask for them."""

from __future__ import annotations

from typing import Any

from clusterkit_sandbox.kube import subresources
from clusterkit_sandbox.kube.decoding import parse, parse_object, typed
from clusterkit_sandbox.kube.deletion import delete
from clusterkit_sandbox.kube.kinds import Object, clone
from clusterkit_sandbox.kube.patches import json_patch, merge_patch, strategic_merge_patch
from clusterkit_sandbox.kube.reading import Reader
from clusterkit_sandbox.kube.refusals import (
    PATCH_TYPES,
    STRATEGIC_PATCH_TYPES,
    Cause,
    bad_request,
    invalid_request,
    unsupported_media,
)
from clusterkit_sandbox.kube.request_info import Call
from clusterkit_sandbox.kube.state import ClusterState
from clusterkit_sandbox.kube.versions import shown
from clusterkit_sandbox.kube.write_options import WriteOptions
from clusterkit_sandbox.kube.writes import Writer

Outcome = tuple[Object, int, WriteOptions]
"""body, HTTP status, and the options with its warnings"""

_RETURNED = {"pods", "services", "persistentvolumeclaims", "persistentvolumes", "serviceaccounts"}
_APPLY = "application/apply-patch+yaml"


class Changer:
    """The writes of one cluster, as they come over the wire."""

    def __init__(self, state: ClusterState, writer: Writer, reader: Reader) -> None:
        self._state = state
        self._writer = writer
        self._reader = reader

    async def create(self, call: Call) -> Outcome:
        """POST"""
        body = parse_object(await call.request.read(), _content_type(call), call.resource)
        options = call.write_options
        if call.resource.key == ("certificates.k8s.io", "certificatesigningrequests"):
            spec = body.setdefault("spec", {})
            spec |= {"username": call.user.username, "groups": list(call.user.groups)}
        found = self._writer.create(call.resource, call.namespace, body, options)
        return call.shape.one(call.resource, found), 201, options

    async def update(self, call: Call) -> Outcome:
        """PUT"""
        options = call.write_options
        raw = await call.request.read()
        if call.subresource == "scale":
            scale = parse(raw, _content_type(call))
            return self._scaled(call, scale, options), 200, options
        body = parse_object(raw, _content_type(call), call.resource)
        return self._updated(call, body, options), 200, options

    async def patch(self, call: Call) -> Outcome:
        """PATCH, of all four types"""
        options = call.write_options
        kind = _content_type(call)
        body = parse(await call.request.read(), kind)
        if kind == _APPLY:
            return self._applied(call, body, options)
        current = self._reader.get(call)
        if call.subresource == "scale":
            patched = self._patched(call, subresources.scale(call.resource, current), kind, body)
            return self._scaled(call, patched, options), 200, options
        base = clone(shown(call.resource, current))
        # a patch that does not mention the version is meant for the present one
        base["metadata"].pop("resourceVersion", None)
        if _mentions_version(body):
            base["metadata"]["resourceVersion"] = current["metadata"]["resourceVersion"]
        patched = typed(self._patched(call, base, kind, body), call.resource)
        return self._updated(call, patched, options), 200, options

    async def delete(self, call: Call) -> Outcome:
        """DELETE of one object or of a collection"""
        options = await self._delete_options(call)
        dry_run = call.dry_run or "All" in (options.get("dryRun") or ())
        written = WriteOptions("", dry_run)
        resource = call.resource
        if not call.name:
            match = self._reader.selection(call)
            found = [
                item for item in self._state.store.list(resource.key, call.namespace) if match(item)
            ]
            last = [
                delete(self._state, resource, item, options, dry_run=dry_run)[0] for item in found
            ]
            metadata = {"resourceVersion": str(self._state.store.revision)}
            return call.shape.many(resource, last, metadata), 200, written
        found_one = self._reader.get(call)
        left, gone = delete(self._state, resource, found_one, options, dry_run=dry_run)
        if not gone or resource.plural in _RETURNED:
            return call.shape.one(resource, left), 200, written
        details = {"name": call.name} | ({"group": resource.group} if resource.group else {})
        details |= {"kind": resource.plural, "uid": left["metadata"]["uid"]}
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        return status | {"details": details}, 200, written

    def _updated(self, call: Call, body: Object, options: WriteOptions) -> Object:
        if call.subresource == "approval":
            options.subresource = "status"
        found = self._writer.update(call.resource, call.namespace, call.name, body, options)
        return call.shape.one(call.resource, found)

    def _applied(self, call: Call, body: Any, options: WriteOptions) -> Outcome:
        if not call.query("fieldManager"):
            cause = Cause.required("fieldManager", "is required for apply patch")
            raise invalid_request("PatchOptions.meta.k8s.io", cause)
        if not isinstance(body, dict):
            raise bad_request("error decoding YAML: an apply patch is an object")
        found, new = self._writer.apply(
            call.resource,
            call.namespace,
            call.name,
            body,
            options,
            force=call.query("force") == "true",
        )
        return call.shape.one(call.resource, found), 201 if new else 200, options

    def _scaled(self, call: Call, scale: Any, options: WriteOptions) -> Object:
        current = self._reader.get(call)
        new = subresources.rescaled(call.resource, current, scale)
        plain = WriteOptions(options.manager, options.dry_run, options.validation, "")
        found = self._writer.update(call.resource, call.namespace, call.name, new, plain)
        return subresources.scale(call.resource, found)

    @staticmethod
    def _patched(call: Call, current: Object, kind: str, body: Any) -> Any:
        match kind:
            case "application/json-patch+json":
                return json_patch(current, body)
            case "application/merge-patch+json":
                return merge_patch(current, body)
            case "application/strategic-merge-patch+json" if not call.resource.custom:
                return strategic_merge_patch(current, body, call.resource.schema)
        raise unsupported_media(PATCH_TYPES if call.resource.custom else STRATEGIC_PATCH_TYPES)

    @staticmethod
    async def _delete_options(call: Call) -> Object:
        raw = await call.request.read()
        options = parse(raw, _content_type(call)) if raw else {}
        if not isinstance(options, dict):
            raise bad_request("the body of a delete is no DeleteOptions object")
        if text := call.query("gracePeriodSeconds"):
            if not text.isdigit():
                raise bad_request(f"gracePeriodSeconds {text!r} is no number of seconds")
            options.setdefault("gracePeriodSeconds", int(text))
        if policy := call.query("propagationPolicy"):
            options.setdefault("propagationPolicy", policy)
        return options


def _content_type(call: Call) -> str:
    return call.request.headers.get("Content-Type", "").split(";")[0].strip().lower()


def _mentions_version(body: Any) -> bool:
    if isinstance(body, dict):
        return bool((body.get("metadata") or {}).get("resourceVersion"))
    if not isinstance(body, list):
        return False
    paths = [item.get("path") for item in body if isinstance(item, dict)]
    return "/metadata/resourceVersion" in paths
