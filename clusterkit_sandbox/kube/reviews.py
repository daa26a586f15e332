"""Questions about users and permissions that are asked by creating an object.

``SelfSubjectReview``, ``TokenReview``, ``(Self|Local)SubjectAccessReview``,
``SelfSubjectRulesReview``: Kubernetes API reference, authentication.k8s.io and
authorization.k8s.io.
"""

from __future__ import annotations

from clusterkit_sandbox.kube.accounts import ISSUER
from clusterkit_sandbox.kube.authentication import Authenticator
from clusterkit_sandbox.kube.decoding import parse_object
from clusterkit_sandbox.kube.interfaces import Identity
from clusterkit_sandbox.kube.kinds import Object
from clusterkit_sandbox.kube.rbac import Attributes, Authorizer
from clusterkit_sandbox.kube.refusals import bad_request
from clusterkit_sandbox.kube.request_info import Call

GROUPS = ("authentication.k8s.io", "authorization.k8s.io")


class Reviewer:
    """Answers reviews of one cluster."""

    def __init__(self, authenticator: Authenticator, authorizer: Authorizer) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer

    async def review(self, call: Call) -> Object:
        """The object back, with its status."""
        raw = await call.request.read()
        kind = call.request.headers.get("Content-Type", "")
        body = parse_object(raw, kind, call.resource)
        spec = body.get("spec") or {}
        match call.resource.kind:
            case "SelfSubjectReview":
                status: Object = {"userInfo": _info(call.user)}
            case "TokenReview":
                status = await self._token(spec)
            case "SelfSubjectRulesReview":
                status = self._rules(call.user, spec.get("namespace", ""))
            case "SelfSubjectAccessReview":
                status = self._access(call.user, spec)
            case _:
                if not spec.get("user") and not spec.get("groups"):
                    raise bad_request("at least one of user or group must be specified")
                user = Identity(spec.get("user", ""), tuple(spec.get("groups") or ()))
                status = self._access(user, spec)
        return {
            "kind": call.resource.kind,
            "apiVersion": call.resource.group_version,
            "metadata": {"creationTimestamp": None},
            "spec": spec,
            "status": status,
        }

    def _access(self, user: Identity, spec: Object) -> Object:
        resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        if bool(resource) == bool(path):
            raise bad_request(
                "exactly one of nonResourceAttributes or resourceAttributes must be specified"
            )
        if resource:
            name = resource.get("resource", "")
            if resource.get("subresource"):
                name += f"/{resource['subresource']}"
            wanted = Attributes(
                resource.get("verb", ""),
                resource.get("group", ""),
                name,
                resource.get("namespace", ""),
                resource.get("name", ""),
            )
        else:
            wanted = Attributes((path or {}).get("verb", ""), path=(path or {}).get("path", "/"))
        reason = self._authorizer.allowed(user, wanted)
        return {"allowed": True, "reason": reason} if reason else {"allowed": False}

    def _rules(self, user: Identity, namespace: str) -> Object:
        resources: list[Object] = []
        paths: list[Object] = []
        for rule in self._authorizer.rules(user, namespace):
            if rule.get("nonResourceURLs"):
                paths.append(_fields(rule, "verbs", "nonResourceURLs"))
            else:
                fields = ("verbs", "apiGroups", "resources", "resourceNames")
                resources.append(_fields(rule, *fields))
        return {"resourceRules": resources, "nonResourceRules": paths, "incomplete": False}

    async def _token(self, spec: Object) -> Object:
        asked: list[str] = spec.get("audiences") or []
        for audience in asked or [ISSUER]:
            found = await self._authenticator.token(spec.get("token", ""), audience)
            if found is not None:
                status: Object = {"authenticated": True, "user": _info(found)}
                return status | ({"audiences": [audience]} if asked else {})
        return {"user": {}, "error": "[invalid bearer token, unknown]"}


def _info(user: Identity) -> Object:
    found: Object = {"username": user.username, "groups": list(user.groups)}
    if user.uid:
        found["uid"] = user.uid
    if user.extra:
        found["extra"] = {name: list(values) for name, values in user.extra.items()}
    return found


def _fields(rule: Object, *names: str) -> Object:
    return {name: rule[name] for name in names if rule.get(name)}
