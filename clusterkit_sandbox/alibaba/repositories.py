"""CR 2018-12-01: namespaces and repositories of an enterprise registry. Codes: ``registry.py``."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from clusterkit_sandbox.alibaba.failure import Failure, bad
from clusterkit_sandbox.alibaba.models import Namespace, Repository
from clusterkit_sandbox.alibaba.registry import (
    OKAY,
    content_key,
    milliseconds,
    require_instance,
)
from clusterkit_sandbox.alibaba.service import Call, Json, operation
from clusterkit_sandbox.alibaba.store import Store
from clusterkit_sandbox.registry.service import place

_NAME = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*")
_KINDS = ("PUBLIC", "PRIVATE")


def valid(name: str, what: str, shortest: int, longest: int) -> str:
    """A name for the registry: small letters, digits, and separators between them."""
    if not (shortest <= len(name) <= longest and _NAME.fullmatch(name)):
        raise bad("InvalidParameter", f"The {what.lower()} name {name!r} is not valid.")
    return name


def namespace_of(store: Store, instance: str, name: str, region: str = "") -> Namespace:
    """The namespace; the personal edition has no ``instance``, but a ``region``."""
    for one in store.all(Namespace):
        if (one.instance, one.name, one.region) == (instance, name, region):
            return one
    raise Failure(404, "NAMESPACE_NOT_EXIST", "namespace is not exist")


def repository_of(
    store: Store, instance: str, namespace: str, name: str, region: str = ""
) -> Repository:
    """The repository; the personal edition has no ``instance``, but a ``region``."""
    for one in store.all(Repository):
        place = (one.instance, one.region, one.namespace, one.name)
        if place == (instance, region, namespace, name):
            return one
    raise Failure(404, "REPO_NOT_EXIST", "repo is not exist")


def remove_namespace(store: Store, namespace: Namespace) -> None:
    """Delete the namespace with its repositories."""
    for one in store.all(Repository):
        home = (namespace.instance, namespace.region, namespace.name)
        if (one.instance, one.region, one.namespace) == home:
            remove_repository(store, one)
    store.remove(namespace)


def place_of(repository: Repository) -> str:
    """Under what the content of a repository is kept."""
    registry = content_key(repository.instance, repository.region)
    return place(registry, f"{repository.namespace}/{repository.name}")


def remove_repository(store: Store, repository: Repository) -> None:
    """Delete the repository with its images."""
    store.remove(repository)
    store.content.forget(place_of(repository))


@dataclass(frozen=True)
class Tag:
    """One tag of a repository, and the image that it means."""

    name: str
    digest: str
    image: str
    """the digest of the image's configuration, without its algorithm"""
    size: int
    pushed: float


def tags_of(store: Store, repository: Repository) -> list[Tag]:
    """What was pushed to the repository, by tag."""
    where, found = place_of(repository), []
    for name, (digest, pushed) in store.content.tags(where).items():
        manifest = store.content.manifest(where, digest)
        if manifest is not None:
            config = json.loads(manifest.body).get("config", {}).get("digest", digest)
            image = str(config).partition(":")[2]
            found.append(Tag(name, digest, image, manifest.size, pushed))
    return found


def _settings(call: Call) -> tuple[bool, str]:
    nested = call.get("DefaultRepoConfiguration") or {}
    kind = call.get("DefaultRepoType") or nested.get("RepoType", "PRIVATE")
    return bool(call.get("AutoCreateRepo", False)), valid_kind(kind)


def valid_kind(kind: str) -> str:
    """PUBLIC or PRIVATE."""
    if kind not in _KINDS:
        raise bad("InvalidParameter", f"{kind!r} must be PUBLIC or PRIVATE.")
    return kind


@operation("cr:CreateNamespace")
def _create_namespace(call: Call) -> object:
    instance = require_instance(call)
    name = valid(call["NamespaceName"], "NAMESPACE", 2, 120)
    auto, kind = _settings(call)
    if any(n.instance == instance.id and n.name == name for n in call.store.all(Namespace)):
        raise bad("InvalidParameter", "namespace is already exist")
    call.store.add(
        Namespace(
            id=f"crn-{call.store.new_hex(16)}",
            region="",
            name=name,
            instance=instance.id,
            auto_create=auto,
            default_type=kind,
        )
    )
    return dict(OKAY)


def _namespace(call: Call) -> Namespace:
    instance = require_instance(call)
    identifier, name = call.get("NamespaceId"), call.get("NamespaceName")
    if identifier is not None:
        found = call.store.get(Namespace, identifier)
        if found is None or found.instance != instance.id:
            raise Failure(404, "NAMESPACE_NOT_EXIST", "namespace is not exist")
        return found
    return namespace_of(call.store, instance.id, name or "")


def _namespace_fields(namespace: Namespace) -> Json:
    return {
        "InstanceId": namespace.instance,
        "NamespaceId": namespace.id,
        "NamespaceName": namespace.name,
        "NamespaceStatus": "NORMAL",
        "AutoCreateRepo": namespace.auto_create,
        "DefaultRepoType": namespace.default_type,
        "ResourceGroupId": namespace.resource_group,
    }


@operation("cr:GetNamespace")
def _get_namespace(call: Call) -> object:
    return OKAY | _namespace_fields(_namespace(call))


@operation("cr:ListNamespace")
def _list_namespaces(call: Call) -> object:
    instance = require_instance(call)
    found = [
        n
        for n in call.store.all(Namespace)
        if n.instance == instance.id and call.get("NamespaceName") in (None, n.name)
    ]
    figures, some = call.page(found, default=30, most=100, number="PageNo")
    figures["TotalCount"] = str(figures["TotalCount"])  # text: as published
    return OKAY | figures | {"Namespaces": [_namespace_fields(n) for n in some]}


@operation("cr:UpdateNamespace")
def _update_namespace(call: Call) -> object:
    namespace = _namespace(call)
    namespace.auto_create, namespace.default_type = _settings(call)
    return dict(OKAY)


@operation("cr:DeleteNamespace")
def _delete_namespace(call: Call) -> object:
    remove_namespace(call.store, _namespace(call))
    return dict(OKAY)


@operation("cr:CreateRepository")
def _create_repository(call: Call) -> object:
    instance = require_instance(call)
    namespace = namespace_of(call.store, instance.id, call["RepoNamespaceName"])
    name = valid(call["RepoName"], "REPO", 2, 64)
    for one in call.store.all(Repository):
        if (one.instance, one.namespace, one.name) == (instance.id, namespace.name, name):
            raise bad("InvalidParameter", "repo is already exist")
    repository = Repository(
        id=f"crr-{call.store.new_hex(16)}",
        region="",
        name=name,
        instance=instance.id,
        namespace=namespace.name,
        kind=valid_kind(call["RepoType"]),
        summary=call["Summary"],
        detail=call.get("Detail", ""),
        immutable=bool(call.get("TagImmutability", False)),
    )
    return OKAY | {"RepoId": call.store.add(repository).id}


def _repository(call: Call) -> Repository:
    instance = require_instance(call)
    identifier = call.get("RepoId")
    if identifier is not None:
        found = call.store.get(Repository, identifier)
        if found is None or found.instance != instance.id:
            raise Failure(404, "REPO_NOT_EXIST", "repo is not exist")
        return found
    return repository_of(
        call.store, instance.id, call.get("RepoNamespaceName", ""), call.get("RepoName", "")
    )


def _repository_fields(repository: Repository) -> Json:
    return {
        "InstanceId": repository.instance,
        "RepoId": repository.id,
        "RepoName": repository.name,
        "RepoNamespaceName": repository.namespace,
        "RepoStatus": "NORMAL",
        "RepoType": repository.kind,
        "RepoBuildType": "MANUAL",
        "Summary": repository.summary,
        "TagImmutability": repository.immutable,
        "ResourceGroupId": repository.resource_group,
        "CreateTime": milliseconds(repository.created),
        "ModifiedTime": milliseconds(repository.created),
    }


@operation("cr:GetRepository")
def _get_repository(call: Call) -> object:
    repository = _repository(call)
    return OKAY | _repository_fields(repository) | {"Detail": repository.detail}


@operation("cr:ListRepository")
def _list_repositories(call: Call) -> object:
    instance = require_instance(call)
    found = [
        r
        for r in call.store.all(Repository)
        if r.instance == instance.id
        and call.get("RepoNamespaceName") in (None, r.namespace)
        and call.get("RepoName") in (None, r.name)
    ]
    figures: Json
    if call.get("MaxResults") or call.get("NextToken"):
        token, some = call.slice(found)
        figures = {"NextToken": token, "TotalCount": str(len(found))}
    else:
        figures, some = call.page(found, default=30, most=100, number="PageNo")
        figures["TotalCount"] = str(figures["TotalCount"])
    return OKAY | figures | {"Repositories": [_repository_fields(r) for r in some]}


@operation("cr:UpdateRepository")
def _update_repository(call: Call) -> object:
    repository = _repository(call)
    repository.kind, repository.summary = valid_kind(call["RepoType"]), call["Summary"]
    repository.detail = call.get("Detail", repository.detail)
    repository.immutable = bool(call.get("TagImmutability", repository.immutable))
    return dict(OKAY)


@operation("cr:DeleteRepository")
def _delete_repository(call: Call) -> object:
    remove_repository(call.store, _repository(call))
    return dict(OKAY)


@operation("cr:ListRepoTag")
def _list_tags(call: Call) -> object:
    found = tags_of(call.store, _repository(call))
    figures, some = call.page(found, default=30, most=100, number="PageNo")
    figures["TotalCount"] = str(figures["TotalCount"])  # text: as published
    images = [
        {
            "Tag": one.name,
            "Digest": one.digest,
            "ImageId": one.image,
            # text: as published
            "ImageCreate": str(milliseconds(one.pushed)),
            "ImageUpdate": str(milliseconds(one.pushed)),
            "ImageSize": one.size,
            "Status": "NORMAL",
        }
        for one in some
    ]
    return OKAY | figures | {"Images": images}


@operation("cr:DeleteRepoTag")
def _delete_tag(call: Call) -> object:
    repository, tag = _repository(call), str(call["Tag"])
    where = place_of(repository)
    found = call.store.content.tags(where).get(tag)
    if found is None:
        raise Failure(404, "REPO_NOT_EXIST", "tag is not exist")
    call.store.content.untag(where, tag)
    if not call.store.content.tags(where, found[0]):
        call.store.content.delete(where, found[0])
    return dict(OKAY)
