"""CR 2016-06-07: the personal registry. Codes: ``registry.py``."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping

from clusterkit.sandbox.alibaba.failure import Failure, bad
from clusterkit.sandbox.alibaba.registry import milliseconds
from clusterkit.sandbox.alibaba.repositories import (
    namespace_of,
    remove_namespace,
    repository_of,
    valid,
)
from clusterkit.sandbox.alibaba.service import Call, Handler, Json
from clusterkit.sandbox.alibaba.things import Namespace, Repository

_NAMESPACES = 3
"""How many an account has (vendor: "Limits" of the personal edition)."""


def _answer(call: Call, data: Json | None = None) -> Json:
    return {"requestId": call.request_id} | ({} if data is None else {"data": data})


def _token(call: Call) -> object:
    return _answer(
        call,
        {
            "tempUserName": "cr_temp_user",
            "authorizationToken": secrets.token_urlsafe(48),
            "expireDate": milliseconds(time.time() + 3600),
        },
    )


def _own(call: Call) -> list[Namespace]:
    return [n for n in call.store.all(Namespace) if not n.instance]


def _create_namespace(call: Call) -> object:
    name = valid(call["Namespace"]["Namespace"], "NAMESPACE", 2, 120)
    if any(n.name == name for n in _own(call)):
        raise Failure(409, "NAMESPACE_ALREADY_EXIST", "namespace is already exist")
    if len(_own(call)) >= _NAMESPACES:
        raise bad("NAMESPACE_QUOTA_EXCEED", f"An account has {_NAMESPACES} namespaces.")
    number = call.store.new_number()
    call.store.add(
        Namespace(
            id=number, region="", name=name, instance="", auto_create=True, default_type="PRIVATE"
        )
    )
    return _answer(call, {"namespaceId": int(number)})


def _fields(namespace: Namespace) -> Json:
    return {
        "namespace": namespace.name,
        "namespaceStatus": "NORMAL",
        "authorizeType": "ADMIN",
    }


def _get_namespace(call: Call) -> object:
    found = namespace_of(call.store, "", call.path["Namespace"])
    more = {"autoCreate": found.auto_create, "defaultVisibility": found.default_type}
    return _answer(call, {"namespace": _fields(found) | more})


def _list_namespaces(call: Call) -> object:
    return _answer(call, {"namespaces": [_fields(n) for n in _own(call)]})


def _update_namespace(call: Call) -> object:
    found = namespace_of(call.store, "", call.path["Namespace"])
    sent = call["Namespace"]
    found.auto_create = bool(sent.get("AutoCreate", found.auto_create))
    found.default_type = sent.get("DefaultVisibility", found.default_type)
    return _answer(call)


def _delete_namespace(call: Call) -> object:
    remove_namespace(call.store, namespace_of(call.store, "", call.path["Namespace"]))
    return _answer(call)


def _create_repository(call: Call) -> object:
    sent = call["Repo"]
    namespace = namespace_of(call.store, "", sent["RepoNamespace"])
    name = valid(sent["RepoName"], "REPO", 2, 64)
    for one in call.store.all(Repository):
        if (one.instance, one.namespace, one.name) == ("", namespace.name, name):
            raise Failure(409, "REPO_ALREADY_EXIST", "repo is already exist")
    number = call.store.new_number()
    call.store.add(
        Repository(
            id=number,
            region="",
            name=name,
            instance="",
            namespace=namespace.name,
            kind=sent["RepoType"],
            summary=sent["Summary"],
            detail=sent.get("Detail", ""),
        )
    )
    return _answer(call, {"repoId": int(number)})


def _repository_fields(repository: Repository) -> Json:
    return {
        "repoId": int(repository.id),
        "repoNamespace": repository.namespace,
        "repoName": repository.name,
        "repoType": repository.kind,
        "repoStatus": "NORMAL",
        "summary": repository.summary,
    }


def _get_repository(call: Call) -> object:
    found = repository_of(call.store, "", call.path["RepoNamespace"], call.path["RepoName"])
    return _answer(call, {"repo": _repository_fields(found)})


def _list_repositories(call: Call) -> object:
    namespace = namespace_of(call.store, "", call.path["RepoNamespace"])
    found = [
        r for r in call.store.all(Repository) if not r.instance and r.namespace == namespace.name
    ]
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


def _delete_repository(call: Call) -> object:
    call.store.remove(
        repository_of(call.store, "", call.path["RepoNamespace"], call.path["RepoName"])
    )
    return _answer(call)


OPERATIONS: Mapping[str, Handler] = {
    "personalcr:CreateNamespace": _create_namespace,
    "personalcr:CreateRepo": _create_repository,
    "personalcr:DeleteNamespace": _delete_namespace,
    "personalcr:DeleteRepo": _delete_repository,
    "personalcr:GetAuthorizationToken": _token,
    "personalcr:GetNamespace": _get_namespace,
    "personalcr:GetNamespaceList": _list_namespaces,
    "personalcr:GetRepo": _get_repository,
    "personalcr:GetRepoListByNamespace": _list_repositories,
    "personalcr:UpdateNamespace": _update_namespace,
}
