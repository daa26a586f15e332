"""Repositories in the account's Container Registry Personal Edition.

Its interface is the one of 2016-06-07; the package ``aliyun-python-sdk-cr`` has its paths, the
bodies are those of terraform-provider-alicloud (``service_alicloud_cr.go``,
``resource_alicloud_cr_repo.go``): a summary has at most 100 characters. Nothing takes tags: a
repository's mark is its summary. A namespace takes no mark at all, so one that is missing is made
and none is ever removed (docs/decisions.md, 32).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.errors import gone_is_fine
from clusterkit.engine.resource import Change, Ctx, Resource, one_each
from clusterkit.errors import Finding, Gone, NotOurs, Rejected
from clusterkit.kube.secrets import Login

PAGE = 100
NAMESPACES = "registry namespaces"
NOT_OPENED = (
    "open the Personal Edition in the console of Container Registry in this region, as the account "
    "or RAM user of these credentials, and set its password there, which no call does; or name an "
    "Enterprise Edition instance"
)
"""https://www.alibabacloud.com/help/en/acr/user-guide/grant-ram-user-system-policy"""
_SUMMARY = re.compile(r"clusterkit (?P<region>\S+)/(?P<cluster>\S+) (?P<keep>keep|remove)")


@dataclass(frozen=True)
class PersonalRepositoryState:
    """A repository as GetRepo shows it."""

    namespace: str
    name: str
    keep: bool
    servers: tuple[str, ...] = ()
    """the registry's host names as the cloud tells them, the one inside a VPC first"""

    @property
    def id(self) -> str:
        """What the interface knows it by."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, kw_only=True, eq=False)
class PersonalRepository(Resource[Clients, PersonalRepositoryState]):
    """A private repository; ``name`` is ``NAMESPACE/REPOSITORY``."""

    kind: ClassVar[str] = "personal-repository"
    keep: bool = True

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, PersonalRepositoryState]:
        try:
            listed = list(_listed(cx))
        except Gone:
            return {}  # where the Personal Edition was never opened there is nothing of ours
        states = (_state(cx, shown) for shown in listed)
        return one_each((state.id, state) for state in states if state is not None)

    def create(self, cx: Ctx[Clients]) -> None:
        namespace, _, name = self.name.partition("/")
        _provide(cx, namespace)
        shown = _shown(cx, self.name)
        if shown is None:
            repo = {"RepoNamespace": namespace, "RepoName": name, **_body(cx, self.keep)}
            cx.clients.personal("CreateRepo", "PUT", "/repos", {"Repo": repo})
        elif _state(cx, shown) is None:  # if it is ours, the answer to an earlier try was lost
            raise NotOurs(
                f"a repository {self.name} is there already without our mark",
                where=self.key,
                hint=f"choose another name, or --adopt {self.key}={self.name}",
            )

    def diff(self, cx: Ctx[Clients], have: PersonalRepositoryState) -> list[Change]:
        return [Change("keep", have.keep, self.keep)] if have.keep != self.keep else []

    def update(
        self, cx: Ctx[Clients], have: PersonalRepositoryState, changes: list[Change]
    ) -> None:
        body = {"Repo": _body(cx, self.keep)}
        cx.clients.personal("UpdateRepo", "POST", _path(have.id), body)

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: PersonalRepositoryState) -> None:
        gone_is_fine(cx.clients.personal, "DeleteRepo", "DELETE", _path(have.id))

    @classmethod
    def kept(cls, have: PersonalRepositoryState) -> str | None:
        if have.keep:
            return "the profile keeps the registry (registry.keep); the Personal Edition is free"
        return None

    @classmethod
    def adopt(cls, cx: Ctx[Clients], name: str, identifier: str) -> None:
        body = {"Repo": _body(cx, keep=True)}
        cx.clients.personal("UpdateRepo", "POST", _path(identifier), body)


def namespaces(clients: Clients) -> frozenset[str]:
    """The account's namespaces in the region; ``Rejected`` where the Personal Edition is not
    opened.
    """

    def read() -> frozenset[str]:
        found = clients.personal("GetNamespaceList", "GET", "/namespace")
        return frozenset(item["namespace"] for item in found.get("namespaces") or ())

    return clients.recall(NAMESPACES, read)


def check(clients: Clients) -> Iterator[Finding]:
    """Whether there is a Personal Edition to use."""
    try:
        namespaces(clients)
    except Rejected as error:
        what = f"the Personal Edition of Container Registry cannot be used here: {error}"
        yield Finding(what, "registry", NOT_OPENED)


def servers(region: str, host: str | None) -> tuple[str, ...]:
    """The host names that go with the one of the profile, the one inside a VPC first.

    ``crpi-ID[-vpc].REGION.personal.cr.aliyuncs.com`` since 2024-09-09; older accounts have
    ``registry[-vpc].REGION.aliyuncs.com``, which is what is taken without one.
    """
    first, _, rest = (host or f"registry.{region}.aliyuncs.com").partition(".")
    first = first.removesuffix("-vpc")
    return (f"{first}-vpc.{rest}", f"{first}.{rest}")


def password(clients: Clients, servers: tuple[str, ...]) -> Login:
    """What logs in for an hour."""
    found = clients.personal("GetAuthorizationToken", "GET", "/tokens")
    until = datetime.fromtimestamp(int(found["expireDate"]) / 1000, UTC)
    return Login(servers, found["tempUserName"], found["authorizationToken"], until)


def _provide(cx: Ctx[Clients], namespace: str) -> None:
    """Make the namespace if there is none of this name, with nothing made in it by a push."""
    clients = cx.clients
    if namespace in namespaces(clients):
        return
    clients.forget(NAMESPACES)
    body = {"Namespace": {"Namespace": namespace}}
    try:
        clients.personal("CreateNamespace", "PUT", "/namespace", body)
    except Rejected as error:
        if namespace in namespaces(clients):
            return  # made for another repository of ours in the meantime
        error.hint = (
            "the older registries share namespaces among all accounts, and an account has three: "
            f"name one of yours in registry.name ({', '.join(sorted(namespaces(clients))) or '-'})"
        )
        raise
    clients.forget(NAMESPACES)
    closed = {"Namespace": {"AutoCreate": False, "DefaultVisibility": "PRIVATE"}}
    clients.personal("UpdateNamespace", "POST", f"/namespace/{namespace}", closed)


def _body(cx: Ctx[Clients], keep: bool) -> dict[str, str]:
    mark = f"clusterkit {cx.clients.region}/{cx.cluster} {'keep' if keep else 'remove'}"
    return {"RepoType": "PRIVATE", "Summary": mark}


def _path(name: str) -> str:
    return f"/repos/{name}"


def _shown(cx: Ctx[Clients], name: str) -> Any:
    found = gone_is_fine(cx.clients.personal, "GetRepo", "GET", _path(name))
    return (found or {}).get("repo")


def _listed(cx: Ctx[Clients]) -> Iterator[Any]:
    """Every repository of the account in the region, to the last page."""
    number, seen = 1, 0
    while True:
        page = cx.clients.personal("GetRepoList", "GET", "/repos", Page=number, PageSize=PAGE)
        items = page.get("repos") or ()
        yield from items
        seen += len(items)
        if not items or seen >= int(page.get("total") or 0):
            return
        number += 1


def _state(cx: Ctx[Clients], shown: Any) -> PersonalRepositoryState | None:
    """What is shown of a repository; None if it is not ours."""
    mark = _SUMMARY.fullmatch(shown.get("summary") or "")
    if mark is None or (mark["region"], mark["cluster"]) != (cx.clients.region, cx.cluster):
        return None
    hosts = shown.get("repoDomainList") or {}
    return PersonalRepositoryState(
        shown["repoNamespace"],
        shown["repoName"],
        mark["keep"] == "keep",
        tuple(host for kind in ("vpc", "public") if (host := hosts.get(kind))),
    )
