"""CR 2016-06-07: the personal registry, of which an account has one in each region.

``NAMESPACE_NOT_EXIST`` and ``REPO_NOT_EXIST`` are the codes terraform-provider-alicloud handles
(service_alicloud_cr.go), which also has the shapes of bodies and answers; the other codes are named
after those, and nobody has published them.
"""

from __future__ import annotations

import hashlib
import time

from clusterkit_sandbox.alibaba.failure import Failure, bad
from clusterkit_sandbox.alibaba.models import Namespace, Repository
from clusterkit_sandbox.alibaba.registry import USER, content_key, milliseconds
from clusterkit_sandbox.alibaba.repositories import (
    namespace_of,
    remove_namespace,
    remove_repository,
    repository_of,
    tags_of,
    valid,
    valid_kind,
)
from clusterkit_sandbox.alibaba.service import Call, Json, operation
from clusterkit_sandbox.alibaba.store import ACCOUNT

_NAMESPACES = 3
"""How many an account has (vendor: "Limits" of the personal edition)."""
_LIFE = 3600
"""Seconds that a password is good (vendor: GetAuthorizationToken)."""
_SUMMARY = 100
"""Characters of a repository's summary (vendor: CreateRepo)."""


def _answer(call: Call, data: Json | None = None) -> Json:
    return {"requestId": call.request_id} | ({} if data is None else {"data": data})


@operation("personalcr:GetAuthorizationToken")
def _token(call: Call) -> object:
    return _answer(
        call,
        {
            "tempUserName": USER,
            "authorizationToken": call.store.passwords.issue(
                (content_key("", call.region), call.key), _LIFE
            ),
            "expireDate": milliseconds(time.time() + _LIFE),
        },
    )


def _own(call: Call) -> list[Namespace]:
    return [n for n in call.here(Namespace) if not n.instance]


def _namespace(call: Call, name: str) -> Namespace:
    return namespace_of(call.store, "", name, call.region)


def _repository(call: Call) -> Repository:
    path = call.path
    return repository_of(call.store, "", path["RepoNamespace"], path["RepoName"], call.region)


@operation("personalcr:CreateNamespace")
def _create_namespace(call: Call) -> object:
    name = valid(call["Namespace"]["Namespace"], "NAMESPACE", 2, 120)
    if any(n.name == name for n in _own(call)):
        raise Failure(409, "InvalidParameter", "namespace is already exist")
    if len(_own(call)) >= _NAMESPACES:
        raise bad("QuotaExceeded", f"An account has {_NAMESPACES} namespaces.")
    number = call.store.new_number()
    call.store.add(
        Namespace(
            id=number,
            region=call.region,
            name=name,
            instance="",
            auto_create=True,
            default_type="PRIVATE",
        )
    )
    return _answer(call, {"namespaceId": int(number)})


def _fields(namespace: Namespace) -> Json:
    return {
        "namespace": namespace.name,
        "namespaceStatus": "NORMAL",
        "authorizeType": "ADMIN",
    }


@operation("personalcr:GetNamespace")
def _get_namespace(call: Call) -> object:
    found = _namespace(call, call.path["Namespace"])
    more = {"autoCreate": found.auto_create, "defaultVisibility": found.default_type}
    return _answer(call, {"namespace": _fields(found) | more})


@operation("personalcr:GetNamespaceList")
def _list_namespaces(call: Call) -> object:
    found = [n for n in _own(call) if call.get("Status") in (None, "NORMAL")]
    return _answer(call, {"namespaces": [_fields(n) for n in found]})


@operation("personalcr:UpdateNamespace")
def _update_namespace(call: Call) -> object:
    found = _namespace(call, call.path["Namespace"])
    sent = call["Namespace"]
    found.default_type = valid_kind(sent.get("DefaultVisibility") or found.default_type)
    found.auto_create = bool(sent.get("AutoCreate", found.auto_create))
    return _answer(call)


@operation("personalcr:DeleteNamespace")
def _delete_namespace(call: Call) -> object:
    remove_namespace(call.store, _namespace(call, call.path["Namespace"]))
    return _answer(call)


def _summary(text: str) -> str:
    if not 1 <= len(text) <= _SUMMARY:
        raise bad("InvalidParameter", f"Summary must have 1 to {_SUMMARY} characters.")
    return text


@operation("personalcr:CreateRepo")
def _create_repository(call: Call) -> object:
    sent = call["Repo"]
    namespace = _namespace(call, sent["RepoNamespace"])
    name = valid(sent["RepoName"], "REPO", 2, 64)
    for one in call.here(Repository):
        if (one.instance, one.namespace, one.name) == ("", namespace.name, name):
            raise Failure(409, "InvalidParameter", "repo is already exist")
    number = call.store.new_number()
    call.store.add(
        Repository(
            id=number,
            region=call.region,
            name=name,
            instance="",
            namespace=namespace.name,
            kind=valid_kind(sent["RepoType"]),
            summary=_summary(sent["Summary"]),
            detail=sent.get("Detail", ""),
        )
    )
    return _answer(call, {"repoId": int(number)})


def own_id(region: str) -> str:
    """The account's own name in each region (vendor: personal edition, since September 2024)."""
    return "crpi-" + hashlib.sha256(f"{ACCOUNT}/{region}".encode()).hexdigest()[:16]


def _domains(region: str) -> Json:
    own = own_id(region)
    inside = f"{own}-vpc.{region}.personal.cr.aliyuncs.com"
    return {
        "public": f"{own}.{region}.personal.cr.aliyuncs.com",
        "internal": inside,
        "vpc": inside,
    }


def _repository_fields(repository: Repository) -> Json:
    return {
        "repoId": int(repository.id),
        "regionId": repository.region,
        "repoNamespace": repository.namespace,
        "repoName": repository.name,
        "repoType": repository.kind,
        "repoStatus": "NORMAL",
        "repoBuildType": "MANUAL",
        "repoAuthorizeType": "ADMIN",
        "repoDomainList": _domains(repository.region),
        "gmtCreate": milliseconds(repository.created),
        "gmtModified": milliseconds(repository.created),
        "summary": repository.summary,
    }


@operation("personalcr:GetRepo")
def _get_repository(call: Call) -> object:
    found = _repository(call)
    return _answer(call, {"repo": _repository_fields(found) | {"detail": found.detail}})


def _some(call: Call, found: list[Repository]) -> object:
    figures, some = call.page(
        found, default=30, most=100, number="Page", size="PageSize", total="total"
    )
    return _answer(
        call,
        {
            "page": figures["Page"],
            "pageSize": figures["PageSize"],
            "total": figures["total"],
            "repos": [_repository_fields(r) for r in some],
        },
    )


@operation("personalcr:GetRepoList")
def _list_all(call: Call) -> object:
    return _some(call, [r for r in call.here(Repository) if not r.instance])


@operation("personalcr:GetRepoListByNamespace")
def _list_repositories(call: Call) -> object:
    namespace = _namespace(call, call.path["RepoNamespace"])
    mine = [r for r in call.here(Repository) if not r.instance and r.namespace == namespace.name]
    return _some(call, mine)


@operation("personalcr:UpdateRepo")
def _update_repository(call: Call) -> object:
    found, sent = _repository(call), call["Repo"]
    kind, summary = sent.get("RepoType", found.kind), sent.get("Summary", found.summary)
    found.kind, found.summary = valid_kind(kind), _summary(summary)
    found.detail = sent.get("Detail", found.detail)
    return _answer(call)


@operation("personalcr:DeleteRepo")
def _delete_repository(call: Call) -> object:
    remove_repository(call.store, _repository(call))
    return _answer(call)


@operation("personalcr:GetRepoTags")
def _tags(call: Call) -> object:
    found = tags_of(call.store, _repository(call))
    figures, some = call.page(
        found, default=30, most=100, number="Page", size="PageSize", total="total"
    )
    tags = [
        {
            "tag": one.name,
            "digest": one.digest,
            "imageId": one.image,
            "imageCreate": milliseconds(one.pushed),
            "imageUpdate": milliseconds(one.pushed),
            "imageSize": one.size,
            "status": "NORMAL",
        }
        for one in some
    ]
    page = {"page": figures["Page"], "pageSize": figures["PageSize"], "total": figures["total"]}
    return _answer(call, {**page, "tags": tags})
