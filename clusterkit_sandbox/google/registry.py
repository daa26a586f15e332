"""The hosts of Artifact Registry, ``LOCATION-docker.pkg.dev``, and those of Container Registry,
which it serves.

Vendor: "Configure authentication to Artifact Registry for Docker" (users of Basic credentials),
"Artifact Registry audit logging" (the permission of each method), "Transition to gcr.io" (which
repository a host of Container Registry means, ``createOnPush``). Challenge and words:
facts/gcp.tsv.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.content import Content, Manifest
from clusterkit_sandbox.google import account
from clusterkit_sandbox.google.authorization import may
from clusterkit_sandbox.google.repositories import Repository, new
from clusterkit_sandbox.google.store import Store
from clusterkit_sandbox.google.tokens import Caller
from clusterkit_sandbox.kit.wire import Request
from clusterkit_sandbox.registry.bearer import (
    Granted,
    basic,
    challenge,
    credentials,
    scopes,
    token_answer,
)
from clusterkit_sandbox.registry.service import DELETE, PULL, PUSH, Asked, Refusal, place

_LOCATED = re.compile(r"(?P<location>[a-z0-9-]+)-docker\.pkg\.dev")
_LEGACY: Mapping[str, str] = {
    "gcr.io": "us", "us.gcr.io": "us", "eu.gcr.io": "europe", "asia.gcr.io": "asia",
}  # fmt: skip
"""Host of Container Registry to the location of the repository of that name."""
_PERMISSIONS: Mapping[str, str] = {
    PULL: "artifactregistry.repositories.downloadArtifacts",
    PUSH: "artifactregistry.repositories.uploadArtifacts",
    DELETE: "artifactregistry.repositories.deleteArtifacts",
}
_CREATE = "artifactregistry.repositories.createOnPush"
_LIFE = 43200
"""Seconds that a token of the token service is good (``expires_in``, recorded)."""
_ANYBODY = Caller("", "", principals=("allUsers",))


class GoogleRegistry:
    """Implements ``registry.service.Service``."""

    name = "pkg"
    throttled = "Quota exceeded for quota metric 'Requests per project per region'."
    made = False

    def __init__(self, store: Store, content: Content) -> None:
        self._store = store
        self._content = content
        self._tokens = Granted[Caller](60)

    def claims(self, host: str) -> bool:
        """The hosts of every location, and those of Container Registry."""
        return host in _LEGACY or _LOCATED.fullmatch(host) is not None

    def operation(self, request: Request) -> str:
        """``Token`` for the token service, which is on each host."""
        return "Token" if request.path == "/v2/token" else ""

    def clear(self) -> None:
        """Forget every token."""
        self._tokens.clear()

    # -- who ---------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Answer:
        """A token, if who asks may do all that it is for; anybody may ask."""
        scheme, _ = credentials(request)
        caller = self._caller(request) if scheme else _ANYBODY
        if caller is None:
            raise _invalid()
        for scope in scopes(request):
            for action in scope.actions if scope.kind == "repository" else ():
                if action in _PERMISSIONS:
                    self._permit(caller, _PERMISSIONS[action], request.host, scope.name)
        return token_answer(self._tokens.issue(caller, _LIFE), _LIFE)

    def _caller(self, request: Request) -> Caller | None:
        """Whose credentials these are; None for no good ones."""
        scheme, value = credentials(request)
        if scheme == "bearer":
            return self._tokens.read(value) or self._store.tokens.caller(value)
        user, secret = basic(request) or ("", "")
        match user:
            # the second is what go-containerregistry sends (pkg/v1/google/auth.go)
            case "oauth2accesstoken" | "_token":
                return self._store.tokens.caller(secret)
            case "_json_key_base64":
                try:
                    secret = base64.b64decode(secret, validate=True).decode()
                except (binascii.Error, UnicodeDecodeError):
                    return None
                return self._store.tokens.holder(secret)
            case "_json_key":
                return self._store.tokens.holder(secret)
            case _:
                return None

    # -- what --------------------------------------------------------------------------------------

    def admit(self, asked: Asked) -> str:
        """Who has the permission on a repository that is there."""
        parts = asked.repository.split("/") if asked.repository else []
        if parts and len(parts) < 2:
            text = f"invalid number of path components: {len(parts)}"
            raise Refusal(400, "NAME_INVALID", text)
        scheme, _ = credentials(asked.request)
        if not scheme:
            realm = f"https://{asked.host}/v2/token"
            service = asked.host if asked.repository else ""
            text = f"not authenticated: No {'valid ' if service else ''}credential was supplied."
            scope = asked.scope.replace(":delete", ":pull,push")
            raise Refusal(401, "UNAUTHORIZED", text, headers=challenge(realm, service, scope))
        caller = self._caller(asked.request)
        if caller is None:
            raise _invalid()
        if asked.right not in _PERMISSIONS:
            return ""
        resource = self._permit(caller, _PERMISSIONS[asked.right], asked.host, asked.repository)
        image = "/".join(parts[1 if asked.host in _LEGACY else 2 :])
        if not image:
            text = (
                "Missing image name. Pushes should be of the form docker push"
                " HOST-NAME/PROJECT-ID/REPOSITORY/IMAGE"
            )
            raise Refusal(400, "NAME_INVALID", text)
        self._repository(caller, asked, resource)
        return place(f"pkg/{resource}", image)

    def _permit(self, caller: Caller, permission: str, host: str, name: str) -> str:
        """The repository's resource name, if the caller has the permission on it."""
        parts = name.split("/")
        if host in _LEGACY:
            location, identifier = _LEGACY[host], host
        else:
            location, identifier = host.removesuffix("-docker.pkg.dev"), (*parts, "")[1]
        resource = f"projects/{parts[0]}/locations/{location}/repositories/{identifier}"
        with self._store.lock:
            known = parts[0] in account.PROJECTS
            if known and may(self._store, caller, permission, resource):
                return resource
        text = f'Permission "{permission}" denied on resource'
        if caller is _ANYBODY:
            text = (
                "Unauthenticated request. Unauthenticated requests do not have permission"
                f' "{permission}" on resource'
            )
        raise Refusal(403, "DENIED", f'{text} "{resource}" (or it may not exist)')

    def _repository(self, caller: Caller, asked: Asked, resource: str) -> Repository:
        identifier = resource.rpartition("/")[2]
        with self._store.lock:
            found = self._store.get(Repository, resource)
            if found is not None and not found.going and found.shown["format"] == "DOCKER":
                return found
            if found is None and asked.right == PUSH and asked.host in _LEGACY:
                if not may(self._store, caller, _CREATE, resource):
                    text = (
                        f"{identifier} repo does not exist. Creating on push requires the"
                        f" {_CREATE} permission"
                    )
                    raise Refusal(403, "DENIED", text)
                return self._store.add(new(resource, {"format": "DOCKER"}))
        raise Refusal(404, "NAME_UNKNOWN", f'Repository "{identifier}" not found')

    def check(self, asked: Asked, place: str, manifest: Manifest, tag: str) -> None:
        """Refuse to move a tag that is immutable (vendor: ``dockerConfig.immutableTags``)."""
        resource = "/".join(place.split("/")[1:7])
        with self._store.lock:
            found = self._store.get(Repository, resource)
            settings = found.shown.get("dockerConfig") if found is not None else None
        before = self._content.tags(place).get(tag)
        moves = before is not None and before[0] != manifest.digest
        if moves and (settings or {}).get("immutableTags"):
            text = f"cannot update tag {tag}. The repository has enabled tag immutability"
            raise Refusal(400, "MANIFEST_INVALID", text)

    def changed(self, asked: Asked, place: str) -> None:
        """Nothing follows: the API lists what is here."""


def _invalid() -> Refusal:
    return Refusal(401, "UNAUTHORIZED", "No valid credential was supplied.")
