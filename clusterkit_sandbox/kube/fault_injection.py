"""Injects faults in front of a cluster's API, embedded or real."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from clusterkit_sandbox.faults import Faults, Rule
from clusterkit_sandbox.kube.operations import operation
from clusterkit_sandbox.kube.refusals import Refusal

_CODES = {
    "BadRequest": 400, "Unauthorized": 401, "Forbidden": 403, "NotFound": 404,
    "MethodNotAllowed": 405, "NotAcceptable": 406, "AlreadyExists": 409, "Conflict": 409,
    "Gone": 410, "Expired": 410, "RequestEntityTooLarge": 413, "UnsupportedMediaType": 415,
    "Invalid": 422, "TooManyRequests": 429, "InternalError": 500, "ServiceUnavailable": 503,
    "Timeout": 504, "ServerTimeout": 500,
}  # fmt: skip
"""HTTP status by reason (k8s.io/apimachinery, ``pkg/apis/meta/v1/types.go``, ``StatusReason``)"""


def fault_injection(faults: Faults) -> Middleware:
    """A middleware that makes calls go wrong as ``faults`` says."""

    @web.middleware
    async def inject(request: web.Request, handler: Handler) -> web.StreamResponse:
        rule = faults.draw(operation(request.method, request.path, request.query))
        if rule is None:
            return await handler(request)
        if rule.kind in ("throttle", "error", "denied", "refuse"):
            return _refusal(rule)
        if rule.kind == "slow":
            await asyncio.sleep(rule.seconds)
        response = await handler(request)
        if rule.kind == "lost" and request.transport is not None:
            request.transport.abort()
        return response

    return inject


def _refusal(rule: Rule) -> web.Response:
    if rule.kind == "throttle":
        # k8s.io/apiserver, pkg/server/filters/maxinflight.go, tooManyRequests: no Status body
        text = "Too many requests, please try again later.\n"
        return web.Response(status=429, text=text, headers={"Retry-After": "1"})
    if rule.kind == "error":
        code, reason = 500, "InternalError"
        message = "Internal error occurred: etcdserver: request timed out"
    elif rule.kind == "denied":
        code, reason, message = 403, "Forbidden", "forbidden: a fault of the sandbox"
    else:
        reason, message = rule.code, rule.text
        code = rule.status or _CODES.get(reason, 400)
    return web.json_response(Refusal(code, reason, message, {}).status(), status=code)
