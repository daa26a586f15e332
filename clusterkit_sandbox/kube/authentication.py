"""Authenticates requests: client certificate, bearer token, anonymous, and impersonation.

Kubernetes documentation, "Authenticating" (X.509 client certificates, service account tokens,
webhook token authentication, anonymous requests, user impersonation).
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from aiohttp import web

from clusterkit_sandbox.kube.accounts import ISSUER, TokenIssuer, service_account
from clusterkit_sandbox.kube.interfaces import Identity, TokenReview
from clusterkit_sandbox.kube.rbac import Attributes, Authorizer
from clusterkit_sandbox.kube.refusals import Refusal, unauthorized

AUTHENTICATED = "system:authenticated"
ANONYMOUS = Identity("system:anonymous", ("system:unauthenticated",))
_ACCOUNT = "system:serviceaccount:"


class Authenticator:
    """Authenticates the users of one cluster."""

    def __init__(self, issuer: TokenIssuer, review: TokenReview, authorizer: Authorizer) -> None:
        self._issuer = issuer
        self._review = review
        self._authorizer = authorizer

    async def identify(self, request: web.BaseRequest) -> Identity:
        """The user, after impersonation; ``Refusal`` 401 or 403."""
        user = await self._own(request)
        return self._impersonated(request, user)

    async def token(self, token: str, audience: str = ISSUER) -> Identity | None:
        """The identity of a bearer token for this audience."""
        found = self._issuer.verify(token, audience)
        if audience != ISSUER:
            return None if found is None else _authenticated(found)
        if found is None:
            # the cloud's own check may look things up: not on the event loop
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(None, self._review, token)
        return None if found is None else _authenticated(found)

    async def _own(self, request: web.BaseRequest) -> Identity:
        own = certified(request)
        if own is not None:
            return _authenticated(own)
        header = request.headers.get("Authorization", "")
        if not header:
            return ANONYMOUS
        kind, _, token = header.partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise unauthorized()
        found = await self.token(token.strip())
        if found is None:
            raise unauthorized()
        return found

    def _impersonated(self, request: web.BaseRequest, user: Identity) -> Identity:
        name = request.headers.get("Impersonate-User", "")
        groups = request.headers.getall("Impersonate-Group", [])
        uid = request.headers.get("Impersonate-Uid", "")
        prefix = "impersonate-extra-"
        extra: dict[str, tuple[str, ...]] = {}
        for header, value in request.headers.items():
            if header.lower().startswith(prefix):
                key = header.lower()[len(prefix) :]
                extra[key] = (*extra.get(key, ()), value)
        if not name:
            if groups or uid or extra:
                raise Refusal(
                    400,
                    "BadRequest",
                    "requested [] without impersonating a user name",
                )
            return user
        if name.startswith(_ACCOUNT) and name.count(":") == 3:
            _, _, namespace, account = name.split(":")
            self._check(user, "", "serviceaccounts", account, namespace)
            target = service_account(namespace, account, uid)
        else:
            self._check(user, "", "users", name)
            target = Identity(name, (), uid)
        for group in groups:
            self._check(user, "", "groups", group)
        if uid:
            self._check(user, "authentication.k8s.io", "uids", uid)
        for key, values in extra.items():
            for value in values:
                self._check(user, "authentication.k8s.io", f"userextras/{key}", value)
        known = tuple(groups) or target.groups
        if name == ANONYMOUS.username:
            return Identity(name, known or ANONYMOUS.groups, uid, extra)
        return _authenticated(Identity(name, known, target.uid, extra))

    def _check(
        self, user: Identity, group: str, resource: str, name: str, namespace: str = ""
    ) -> None:
        wanted = Attributes("impersonate", group, resource, namespace, name)
        if self._authorizer.allowed(user, wanted):
            return
        where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
        full = f"{resource}.{group}" if group else resource
        details = {"name": name, "kind": resource} | ({"group": group} if group else {})
        raise Refusal(
            403,
            "Forbidden",
            f'{full} "{name}" is forbidden: User "{user.username}" cannot impersonate resource'
            f' "{resource}" in API group "{group}" {where}',
            details,
        )


def certified(request: web.BaseRequest) -> Identity | None:
    """Whom a client certificate names."""
    certificate = (request.get_extra_info("peercert") or {}) if request.transport else {}
    if not certificate:
        return None
    fields = [pair for name in certificate["subject"] for pair in name]
    groups = tuple(value for name, value in fields if name == "organizationName")
    return Identity(next((value for name, value in fields if name == "commonName"), ""), groups)


def _authenticated(user: Identity) -> Identity:
    if AUTHENTICATED in user.groups:
        return user
    return replace(user, groups=(*dict.fromkeys(user.groups), AUTHENTICATED))
