"""The hosts of registries, ``NAME.azurecr.io``: who may do what, and the registry's own API.

Azure/acr, docs/AAD-OAuth.md; ``/acr/v1``: azure-rest-api-specs, containerregistry data plane,
2021-07-01. Repositories come into being by a push.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlencode

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.azure import registrytokens
from clusterkit_sandbox.azure.failure import json_answer
from clusterkit_sandbox.azure.resources import Registry
from clusterkit_sandbox.azure.store import Store
from clusterkit_sandbox.content import Content, Manifest
from clusterkit_sandbox.kit.wire import Request
from clusterkit_sandbox.registry.bearer import Scope, basic, challenge, credentials
from clusterkit_sandbox.registry.manifests import INDEXES
from clusterkit_sandbox.registry.service import CATALOG, VERSION, Asked, Refusal, place

HOSTS = ".azurecr.io"
_OPERATIONS = {"/oauth2/exchange": "Exchange", "/oauth2/token": "Token"}
_PATH = re.compile(
    r"/acr/v1/(?:_catalog|(?P<name>.+?)(?:/(?P<kind>_tags|_manifests)(?:/(?P<reference>[^/]+))?)?)"
)
_PAGE = 100
_CATALOG = Scope("registry", "catalog", ("*",))
_OPEN = {"deleteEnabled": True, "writeEnabled": True, "readEnabled": True, "listEnabled": True}


class AcrRegistry:
    """Implements ``registry.service.Service``."""

    name = "acr"
    throttled = "too many requests"
    made = False

    def __init__(self, store: Store, content: Content) -> None:
        self._store = store
        self._content = content

    def claims(self, host: str) -> bool:
        """The hosts of every registry there may be."""
        return host.endswith(HOSTS)

    def operation(self, request: Request) -> str:
        """Tokens, and the registry's own API."""
        path = request.path.rstrip("/")
        if path.startswith("/acr/v1/"):
            return "Repositories"
        return _OPERATIONS.get(path, "" if path.startswith("/v2") else "Other")

    def _registry(self, host: str) -> Registry:
        for one in self._store.all(Registry):
            if one.properties["loginServer"] == host:
                return one
        raise Refusal(404, "NAME_UNKNOWN", f"there is no registry {host}")

    def answer(self, request: Request) -> Answer:
        """Tokens, and the registry's own API."""
        with self._store.lock:
            registry = self._registry(request.host)
            match self.operation(request):
                case "Exchange":
                    return registrytokens.exchange(self._store, registry, request.form)
                case "Token":
                    return registrytokens.token(self._store, registry, request)
                case "Repositories":
                    return self._repositories(registry, request)
                case _:
                    raise Refusal(404, "UNSUPPORTED", "404 page not found")

    def admit(self, asked: Asked) -> str:
        """Whose token or credentials are for it."""
        with self._store.lock:
            registry = self._registry(asked.host)
            if asked.right == CATALOG:
                self._permit(registry, asked.request, _CATALOG)
                return f"acr{registry.id}/"
            actions = tuple(asked.scope.rpartition(":")[2].split(",")[-1:]) if asked.right else ()
            scope = Scope("repository", asked.repository, actions)
            # a token for what is shown of a repository is enough to list its tags
            more = ("metadata_read",) if asked.operation == "ListTags" else ()
            self._permit(registry, asked.request, scope, more)
            return place(f"acr{registry.id}", asked.repository)

    def _permit(
        self, registry: Registry, request: Request, scope: Scope, more: tuple[str, ...] = ()
    ) -> None:
        """``Refusal`` unless the request may do each action of the scope, or one of ``more``."""
        scheme, value = credentials(request)
        error = ""
        if scheme == "basic" and (pair := basic(request)) is not None:
            caller = registrytokens.login(self._store, registry, *pair)
            if all(
                registrytokens.allowed(self._store, registry, caller, scope, action)
                for action in scope.actions
            ):
                return
            raise Refusal(403, "DENIED", "requested access to the resource is denied")
        granted = None
        if scheme == "bearer":
            granted = registrytokens.granted(self._store, registry, value)
        if granted is not None:
            has = {
                action
                for one in granted
                if (one.kind, one.name) == (scope.kind, scope.name)
                for action in one.actions
            }
            if has >= set(scope.actions) or has & set(more):
                return
            error = "insufficient_scope"
        host = registry.properties["loginServer"]
        wanted = f"{scope.kind}:{scope.name}:{','.join(_asked(scope))}" if scope.actions else ""
        headers = challenge(f"https://{host}/oauth2/token", host, wanted, error)
        detail = [
            {"Type": scope.kind, "Name": scope.name, "Action": action} for action in scope.actions
        ]
        raise registrytokens.required(headers, detail=detail or None)

    def check(self, asked: Asked, place: str, manifest: Manifest, tag: str) -> None:
        """Tags may be moved."""

    def changed(self, asked: Asked, place: str) -> None:
        """Nothing follows."""

    # -- the registry's own API --------------------------------------------------------------------

    def _repositories(self, registry: Registry, request: Request) -> Answer:
        found = _PATH.fullmatch(unquote(request.path).rstrip("/"))
        if found is None or request.method not in ("GET", "DELETE"):
            raise Refusal(501, "UNSUPPORTED", "The sandbox does not emulate this.")
        name, kind, reference = found["name"], found["kind"], found["reference"]
        root = f"acr{registry.id}/"
        if name is None:
            self._permit(registry, request, _CATALOG)
            names = [one[len(root) : -1] for one in self._content.places(root)]
            some, headers = _page(request, names)
            return _shown({"repositories": some} if names else {}, headers=headers)
        action = "metadata_read" if request.method == "GET" else "delete"
        self._permit(registry, request, Scope("repository", name, (action,)))
        here = place(root[:-1], name)
        if not self._content.places(here):
            text = f"repository {name} is not found"
            raise Refusal(404, "NAME_UNKNOWN", text, detail={"name": name})
        if request.method == "DELETE":
            return self._delete(here, kind, reference)
        shown: dict[str, Any] = {"registry": request.host, "imageName": name}
        if kind is not None:
            found_here = self._tags(here) if kind == "_tags" else self._manifests(here)
            return _listed(request, shown, kind.strip("_"), found_here, reference)
        manifests, tags = self._content.manifests(here), self._content.tags(here)
        pushed = [one.pushed for one in manifests] + [at for _, at in tags.values()]
        shown |= {
            "createdTime": _time(min(pushed)),
            "lastUpdateTime": _time(max(pushed)),
            "manifestCount": len(manifests),
            "tagCount": len(tags),
            "changeableAttributes": {**_OPEN, "teleportEnabled": False},
        }
        return _shown(shown)

    def _delete(self, here: str, kind: str | None, reference: str | None) -> Answer:
        tags = list(self._content.tags(here))
        manifests = [one.digest for one in self._content.manifests(here)]
        if kind == "_tags" and reference:
            if not self._content.untag(here, reference):
                raise Refusal(404, "TAG_UNKNOWN", "the specified tag does not exist")
            return Answer(202, tuple(VERSION.items()), b"")
        if kind is not None:
            raise Refusal(405, "UNSUPPORTED", "The operation is unsupported.")
        self._content.forget(here)
        return _shown({"manifestsDeleted": manifests, "tagsDeleted": tags}, 202)

    def _tags(self, here: str) -> dict[str, dict[str, Any]]:
        return {
            tag: {
                "name": tag,
                "digest": digest,
                "createdTime": _time(pushed),
                "lastUpdateTime": _time(pushed),
                "signed": False,
                "changeableAttributes": _OPEN,
            }
            for tag, (digest, pushed) in self._content.tags(here).items()
        }

    def _manifests(self, here: str) -> dict[str, dict[str, Any]]:
        found = {}
        for one in self._content.manifests(here):
            tags = list(self._content.tags(here, one.digest))
            found[one.digest] = {
                "digest": one.digest,
                "imageSize": one.size,
                "createdTime": _time(one.pushed),
                "lastUpdateTime": _time(one.pushed),
                "mediaType": one.type,
                "changeableAttributes": _OPEN,
                **({"tags": tags} if tags else {}),
                **({} if one.type in INDEXES else {"configMediaType": one.artifact}),
            }
        return found


def _asked(scope: Scope) -> tuple[str, ...]:
    """Who pushes is told to ask for both."""
    return ("pull", "push") if scope.actions == ("push",) else scope.actions


def _listed(
    request: Request,
    shown: dict[str, Any],
    kind: str,
    found: Mapping[str, Any],
    reference: str | None,
) -> Answer:
    """One of the tags or manifests of a repository, or a page of them."""
    one = kind.removesuffix("s")
    if reference is not None and reference not in found:
        text = f"the specified {one} does not exist"
        raise Refusal(404, f"{one.upper()}_UNKNOWN", text)
    if reference is not None:
        return _shown({**shown, one: found[reference]})
    names = list(found)
    if order := dict(request.query).get("orderby"):
        times = {name: str(found[name]["lastUpdateTime"]) for name in names}
        names.sort(key=lambda name: times[name], reverse=order == "timedesc")
    some, headers = _page(request, names)
    return _shown({**shown, kind: [found[name] for name in some]}, headers=headers)


def _page(request: Request, names: list[str]) -> tuple[list[str], dict[str, str]]:
    """One page, and the header that links to the next one."""
    query = dict(request.query)
    start = names.index(query["last"]) + 1 if query.get("last") in names else 0
    size = int(query["n"]) if query.get("n", "").isdigit() else _PAGE
    some = names[start : start + size]
    if start + size >= len(names) or not some:
        return some, {}
    more = urlencode({**query, "last": some[-1], "n": size})
    return some, {"Link": f'<{request.path}?{more}>; rel="next"'}


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def _shown(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    return json_answer(status, body, {**VERSION, **(headers or {})})
