"""Repositories of Artifact Registry, and who may pull from and push to them.

Container Registry takes no images any more, and ``gcr.io`` is served by a repository of that name
in Artifact Registry
(https://cloud.google.com/artifact-registry/docs/transition/gcr-repositories). One repository
holds all images of a profile: ``LOCATION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from clusterkit.engine.edit import Edit, edit
from clusterkit.engine.kind import Durations, Env, Kind, Record, State, Tags
from clusterkit.engine.operation import Operation
from clusterkit.engine.scope import Scope
from clusterkit.errors import Denied, Finding, Propagating
from clusterkit.gke import policies
from clusterkit.gke.client import Clients
from clusterkit.gke.errors import DISABLED
from clusterkit.gke.operations import long_running
from clusterkit.gke.policies import EFFECT, Grant, changed, held
from clusterkit.gke.tags import USABLE
from clusterkit.naming import CLUSTER, KEEP, digest

HOST = "clusterkit-gcr-"
"""label of a cluster's repository, with a location behind it where the cluster has others"""
PUSHER = "clusterkit-push-"
"""label of a repository, with a member of its policy behind it that the profile lets push"""
READER = "roles/artifactregistry.reader"
WRITER = "roles/artifactregistry.writer"
ANYBODY = ("allUsers", "allAuthenticatedUsers")
"""members that are everybody, with a Google account or without
(https://cloud.google.com/iam/docs/principals-overview)"""
SERVICE = "artifactregistry"
_COLLECTION = "projects.locations.repositories"


class RepositoryState(Record):
    """A repository; ``id`` is its full name, ``projects/P/locations/L/repositories/R``."""

    id: str
    tags: Tags
    grants: frozenset[Grant] = frozenset()
    """those that are ours to change"""
    public: tuple[Grant, ...] = ()
    """those that everybody has"""
    status: str = ""


class Repository(Kind[Clients, RepositoryState]):
    """A repository for container images, in the cluster's region."""

    kind: ClassVar[str] = "repository"
    propagation: ClassVar[float] = USABLE
    takes: ClassVar[Durations] = Durations(create=5 + EFFECT, delete=5)
    repository: str
    """its name in Artifact Registry"""
    keep: bool = True
    readers: tuple[Kind[Any, State], ...] = ()
    """service accounts of ours"""
    writers: tuple[Kind[Any, State], ...] = ()
    members: tuple[str, ...] = ()
    """pods that are to push (``workload.py``); where the project has had a cluster they are granted
    that while GKE builds this one
    """
    place: str = ""
    """the location that Artifact Registry has it in; empty: the cluster's region"""
    places: tuple[str, ...] = ()
    """locations where the cluster has repositories besides it"""

    def own_tags(self) -> Tags:
        told = (*(HOST + each for each in self.places), *map(pusher, self.members))
        return {KEEP: str(self.keep).lower(), **dict.fromkeys(told, "true")}

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[RepositoryState]:
        return _listed(scope, scope.region)

    def _parent(self, env: Env[Clients]) -> str:
        return f"{_location(env, self.place or env.region)}/repositories"

    @classmethod
    def read(cls, scope: Scope[Clients], found: RepositoryState) -> RepositoryState:
        there = policies.repository(found.id).grants(scope.client)
        ours = frozenset(grant for grant in there if _ours(scope, grant))
        public = tuple(sorted(grant for grant in there if grant.member in ANYBODY))
        ours = policies.without_others(scope, ours) if ours else ours
        return replace(found, grants=ours, public=public)

    @classmethod
    def noted(cls, have: RepositoryState) -> Iterator[Finding]:
        _, project, _, place, _, name = have.id.split("/")
        cure = f"gcloud artifacts repositories remove-iam-policy-binding {name}"
        cure += f" --location {place} --project {project}"
        for role, member in have.public:
            whose = f"--member {member} --role {role}"
            yield Finding(
                f"{member} have {role} on {have.id}", hint=f"if that is not meant: {cure} {whose}"
            )

    def create(self, env: Env[Clients]) -> Operation[Clients]:
        words = f"images of {env.cluster}, made by clusterkit"
        body = {"format": "DOCKER", "labels": self.marks(env), "description": words}
        parent, name = self._parent(env), self.repository
        answer = _call(env.client, "create", "POST", parent, body, repositoryId=name)
        return long_running(SERVICE, answer, f"{SERVICE}.{_COLLECTION}.create")

    def edits(self, env: Env[Clients], have: RepositoryState) -> Iterator[Edit]:
        wanted = held(env, {READER: self.readers, WRITER: self.writers})
        holder = policies.repository(have.id)

        def others(grant: Grant) -> bool:
            return grant in have.grants and grant not in wanted

        def grant() -> Operation[Clients]:
            effect = EFFECT if wanted - have.grants else 0.0
            early = wanted | {Grant(WRITER, member) for member in self.members}
            try:
                return changed(env, holder, early, others, effect=effect)
            except Propagating:  # there is no pool of workloads yet
                return changed(env, holder, wanted, others, effect=effect)

        yield from edit("grants", have.grants, wanted, grant)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: RepositoryState) -> Operation[Clients]:
        answer = _call(scope.client, "delete", "DELETE", have.id)
        return long_running(SERVICE, answer, f"{SERVICE}.{_COLLECTION}.delete")

    @classmethod
    def label(cls, scope: Scope[Clients], identifier: str, labels: Tags) -> None:
        shown = _call(scope.client, "get", "GET", identifier)
        body = {"labels": {**(shown.get("labels") or {}), **labels}}
        _call(scope.client, "patch", "PATCH", identifier, body, updateMask="labels")

    def taken(self, env: Env[Clients]) -> RepositoryState:
        return _state(_call(env.client, "get", "GET", f"{self._parent(env)}/{self.repository}"))

    @classmethod
    def kept(cls, have: RepositoryState) -> str | None:
        kept = "the profile keeps the registry (registry.keep); images cost by the GB and month"
        return kept if have.tags.get(KEEP) == "true" else None


class GcrRepository(Repository):
    """The repository behind a host of the former Container Registry, one of each in a project.

    Locations are listed one by one. The labels of the cluster's own repository, which goes last,
    tell where there are any; destroy looks everywhere.
    """

    kind: ClassVar[str] = "gcr-repository"
    uses: ClassVar[tuple[str, ...]] = ("repository",)

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[RepositoryState]:
        for place in sorted({*HOSTS.values()}):
            if scope.destroying or any(HOST + place in have.tags for have in owned(scope)):
                yield from _listed(scope, place)


HOSTS: Mapping[str, str] = {
    "gcr.io": "us",
    "us.gcr.io": "us",
    "eu.gcr.io": "europe",
    "asia.gcr.io": "asia",
}
"""a host of Container Registry's to the location of the repository of that name
(https://cloud.google.com/artifact-registry/docs/transition/gcr-repositories)"""


def pusher(member: str) -> str:
    """The label that tells that a member of the pool got its role from the profile: a policy has no
    room for that, and other people may let their pods push to the same repository.
    """
    return PUSHER + digest(member)


def owned(scope: Scope[Clients]) -> list[RepositoryState]:
    """The cluster's repositories in its region."""
    found = _listed(scope, scope.region)
    return [have for have in found if have.tags.get(CLUSTER) == scope.cluster]


def _location(scope: Scope[Clients], place: str) -> str:
    return f"projects/{scope.client.project}/locations/{place}"


def _listed(scope: Scope[Clients], place: str) -> list[RepositoryState]:
    path, operation = f"{_location(scope, place)}/repositories", f"{_COLLECTION}.list"
    try:
        found = [*scope.client.pages(SERVICE, operation, path, "repositories")]
    except Denied as error:
        if error.code in DISABLED:  # the API, so there is none
            return []
        raise
    return [_state(shown) for shown in found]


def _call(
    client: Clients, verb: str, method: str, path: str, body: Any = None, **query: str
) -> Any:
    return client.call(SERVICE, f"{_COLLECTION}.{verb}", method, path, body, **query)


def _state(shown: Any) -> RepositoryState:
    return RepositoryState(id=str(shown["name"]), tags=shown.get("labels") or {})


def _ours(scope: Scope[Clients], grant: Grant) -> bool:
    """Whether a grant on a repository of ours may be of this cluster's accounts, dead ones too."""
    return policies.is_account(scope, grant.member) and grant.role in (READER, WRITER)
