"""What ``clusterkit verify`` asks of Google Cloud beyond the cluster's own API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

from clusterkit.engine.scope import Scope
from clusterkit.errors import ClusterkitError, Gone
from clusterkit.gke import activation, policies, storage
from clusterkit.gke.client import Clients
from clusterkit.gke.cluster import ClusterState, owned
from clusterkit.gke.iam import IamServiceAccount, holders
from clusterkit.gke.identities import (
    PIPELINES,
    READERS,
    WRITERS,
    Identity,
    address,
    identities,
)
from clusterkit.gke.policies import PUSHERS, Grant, email_of
from clusterkit.gke.pools import SCOPES
from clusterkit.gke.profile import GkeProfile
from clusterkit.gke.registry import HOSTS, WRITER
from clusterkit.gke.workload import USER, principal, user
from clusterkit.naming import CLUSTER, NAME
from clusterkit.ready.checks import UP, Check, Purpose, Result
from clusterkit.ready.jenkinsx import STORAGE

REPAIR = "clusterkit repair registry-auth"
PUSHING = frozenset({WRITER, "roles/artifactregistry.repoAdmin", "roles/artifactregistry.admin"})
"""roles with ``artifactregistry.repositories.uploadArtifacts``
(https://cloud.google.com/artifact-registry/docs/access-control)"""
METADATA = "GKE_METADATA"
NO_TOKEN = "Permission 'iam.serviceAccounts.getAccessToken' denied on resource"
NO_PUSH = 'DENIED: Permission "artifactregistry.repositories.uploadArtifacts" denied on resource'
UNKNOWN = 'name unknown: Repository "NAME" not found'
ASKED: Mapping[int, tuple[Purpose, str, str, str]] = {
    1: ("kaniko", "the repository of Artifact Registry takes images", UNKNOWN, UP),
    2: ("kaniko", "whoever builds may push to it", NO_PUSH, REPAIR),
    3: (
        "kaniko",
        "no policy names a deleted account of the cluster's",
        "DENIED: Token exchange failed for project",
        REPAIR,
    ),
    4: ("kaniko", "pods get tokens of their own", NO_TOKEN, REPAIR),
    5: (
        "kaniko",
        "nodes that push for their pods have the scope for it",
        "Request had insufficient authentication scopes",
        f"leave out pools.scopes and run {UP}, which makes a new pool",
    ),
    6: (
        "any",
        "the APIs are enabled",
        "API has not been used in project PROJECT before or it is disabled",
        f"{UP} --activate",
    ),
    7: ("kaniko", "hosts of Container Registry have a repository", UNKNOWN, UP),
    8: ("jenkins-x", "Jenkins X has its accounts and buckets", NO_TOKEN, UP),
}
"""what each asks: for what, what is expected, what users see otherwise, and the cure"""


def checks(profile: GkeProfile, clients: Clients) -> Sequence[Check]:
    """``Cloud.checks``."""
    return [*_Checks(profile, clients)]


class _Checks:
    """The checks of one profile."""

    def __init__(self, profile: GkeProfile, clients: Clients) -> None:
        self.profile, self.clients = profile, clients
        self.scope = Scope(clients, profile.name, profile.region)

    def __iter__(self) -> Iterator[Check]:
        registry, jenkins_x = self.profile.registry, self.profile.ready.jenkins_x
        runs: dict[int, Callable[[], Iterable[Result]]] = {6: self.apis}
        if registry:
            runs |= {1: self.repositories, 2: self.pushers, 3: self.stale, 5: self.scopes}
            runs |= {4: self.workloads, 7: self.hosts}
        if jenkins_x:
            runs |= {4: self.workloads, 8: self.jenkins_x}
        for number, run in sorted(runs.items()):
            purpose, title, seen, cure = ASKED[number]
            yield Check(f"G{number}", title, "static", run, purpose, seen, cure)

    @property
    def project(self) -> str:
        return self.profile.project or self.clients.project

    @cached_property
    def number(self) -> str:
        """The project's."""
        path = f"projects/{self.project}"
        shown = self.clients.call("cloudresourcemanager", "projects.get", "GET", path)
        return str(shown["projectNumber"])

    @cached_property
    def accounts(self) -> Mapping[str, str]:
        """What the cluster's accounts are for, to their addresses."""
        found = IamServiceAccount.list(self.scope)
        return {
            have.tags[NAME]: have.id
            for have in found
            if (have.tags or {}).get(CLUSTER) == self.scope.cluster
        }

    @cached_property
    def names(self) -> Sequence[str]:
        """The full names of the profile's repositories, the cluster's own first."""
        registry = self.profile.registry
        assert registry is not None
        own = self._name(self.profile.region, registry.name)
        return own, *(self._name(HOSTS[host], host) for host in registry.hosts)

    def _name(self, place: str, repository: str) -> str:
        return f"projects/{self.project}/locations/{place}/repositories/{repository}"

    def _cluster(self) -> ClusterState:
        for have in owned(self.clients, self.profile.name):
            return have
        raise ClusterkitError("there is no such cluster", where=self.profile.name, hint=UP)

    def _repository(self, name: str) -> Mapping[str, Any] | None:
        operation = "projects.locations.repositories.get"
        with suppress(Gone):
            return self.clients.call("artifactregistry", operation, "GET", name)
        return None

    # -- the registry -----------------------------------------------------------------------------

    def repositories(self) -> Iterator[Result]:
        """G1."""
        yield from self._missing(self.names[0])

    def hosts(self) -> Iterator[Result]:
        """G7. ``gcr.io`` is served by a repository of that name."""
        if not self.names[1:]:
            yield Result("skipped", "registry.hosts names none")
        for name in self.names[1:]:
            yield from self._missing(name)

    def _missing(self, name: str) -> Iterator[Result]:
        shown, last = self._repository(name), name.rpartition("/")[2]
        if shown is None:
            what = f"there is no repository {last} in {name.split('/')[3]}"
            yield Result("failed", what, name)
        elif shown.get("format") != "DOCKER":
            what = f"{last} takes no container images: its format is {shown.get('format')}"
            cure = f"choose another registry.name, or delete it, and run {UP}"
            yield Result("failed", what, name, cure=cure)

    def pushers(self) -> Iterator[Result]:
        """G2."""
        everywhere = self._who_pushes(policies.project(self.clients).grants(self.clients))
        for name in self.names:
            if self._repository(name) is None:
                continue  # another check tells
            there = policies.repository(name).grants(self.clients)
            may = everywhere | self._who_pushes(there)
            for who, member in self._pushers():
                if member in may:
                    continue
                what = f"{who} may not push to {name.rpartition('/')[2]}"
                yield Result("failed", what, name)

    def _who_pushes(self, there: Iterable[Grant]) -> set[str]:
        return {each.member for each in there if each.role in PUSHING}

    def _pushers(self) -> Iterator[tuple[str, str]]:
        """Who has to be able to push, in words and as a member of policies."""
        registry = self.profile.registry
        assert registry is not None
        ready, as_account = self.profile.ready, registry.identity == "account"
        own: tuple[str, ...] = ()
        if registry.push == "node":
            own = ("nodes",)
        elif registry.push == "secret":
            own = PUSHERS[: len(ready.builders)]
        elif as_account and self.profile.pushers:
            own = PUSHERS[:1]
        for name in (*own, *((PIPELINES.name,) if ready.jenkins_x else ())):
            email = self.accounts.get(name)
            yield email or f"the missing account {name}", f"serviceAccount:{email}"
        for each in () if own else self.profile.pushers:
            yield each, principal(self.project, self.number, each)

    def stale(self) -> Iterator[Result]:
        """G3. Bindings are kept by an account's number: those of a deleted one give the new one of
        the same name nothing.
        """
        emails = {*self.accounts.values()}
        longest = next((each for each in emails if policies.of_jenkins_x(self.scope, each)), "")
        for holder in holders(self.scope, longest):
            found = (g for g in holder.grants(self.clients) if g.member.startswith("deleted:"))
            ours = [g for g in found if policies.is_account(self.scope, g.member)]
            for grant in policies.without_others(self.scope, ours) if ours else ():
                email, uid = email_of(grant.member), grant.member.rpartition("=")[2]
                what = f"{grant.role} is bound to an account that was deleted (uid {uid})"
                if email in emails:
                    what += f", whose name {email} another has now, which gets nothing from it"
                yield Result("failed", what, holder.path)

    # -- who pods are -----------------------------------------------------------------------------

    def workloads(self) -> Iterator[Result]:
        """G4."""
        if self.profile.registry and self.profile.registry.push == "node":
            yield Result("skipped", "pods push as their node")
            return
        cluster = self._cluster()
        if not cluster.identity:
            what = "Workload Identity Federation is off, so that pods act as their node"
            cure = f"gcloud container clusters update {cluster.path.rpartition('/')[2]} "
            cure += f"--location={cluster.location} --workload-pool={self.project}.svc.id.goog"
            yield Result("failed", what, f"cluster/{self.profile.name}", cure=cure)
        for pool in () if cluster.autopilot else cluster.pools:
            mode = (pool["config"].get("workloadMetadataConfig") or {}).get("mode")
            if mode != METADATA:
                what = f"pods of the node pool act as their node: its metadata mode is {mode}"
                cure = f"gcloud container node-pools update {pool['name']} --cluster="
                cure += f"{self.profile.name} --location={cluster.location} "
                cure += f"--workload-metadata={METADATA}"
                yield Result("failed", what, f"node-pool/{pool['name']}", cure=cure)
        for name, users in self._users():
            if email := self.accounts.get(name):
                path = f"projects/{self.project}/serviceAccounts/{email}"
                holder = policies.Holder("iam", "projects.serviceAccounts", path)
                there = holder.grants(self.clients)
                for each in users:
                    if Grant(USER, user(self.project, each)) not in there:
                        what = f"the service account {each} may not act as {email}"
                        yield Result("failed", what, path)

    def _users(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        registry = self.profile.registry
        if registry and registry.identity == "account" and self.profile.pushers:
            yield PUSHERS[0], self.profile.pushers
        for identity in identities(self.profile):
            yield identity.name, identity.users

    def scopes(self) -> Iterator[Result]:
        """G5. A scope limits what a node's account may do, and a pool keeps the scopes it has."""
        if self.profile.registry and self.profile.registry.push != "node":
            yield Result("skipped", "pods do not push as their node")
            return
        for pool in self._cluster().pools:
            if not {*SCOPES} & {*pool["config"].get("oauthScopes", ())}:
                what = "the node pool lacks the scope cloud-platform, which cannot be added"
                yield Result("failed", what, f"node-pool/{pool['name']}")

    def apis(self) -> Iterator[Result]:
        """G6."""
        for found in activation.check(self.profile, self.clients):
            yield Result("failed", found.what, f"project/{self.project}", cure=found.hint)

    # -- Jenkins X --------------------------------------------------------------------------------

    def jenkins_x(self) -> Iterator[Result]:
        """G8."""
        wanted, there = self.profile.ready.jenkins_x, {*self.accounts.values()}
        assert wanted is not None
        for identity in identities(self.profile):
            email = self._address(identity)
            if email not in there:
                what = f"there is no service account {email} of the cluster's"
                yield Result("failed", what, email)
        if not wanted.storage:
            return
        found = {have.tags.get(NAME): have for have in storage.owned(self.scope)}
        for name in STORAGE:
            if have := found.get(name):
                yield from self._access(have.id)
            else:
                yield Result("failed", f"there is no bucket for {name}", f"bucket/{name}")

    def _access(self, bucket: str) -> Iterator[Result]:
        there = policies.bucket(bucket).grants(self.clients)
        for role, group in ((storage.WRITER, WRITERS), (storage.READER, READERS)):
            for email in map(self._address, group):
                if Grant(role, f"serviceAccount:{email}") not in there:
                    what = f"{email} lacks {role} on the bucket"
                    seen = f"{email} does not have storage.objects.get access to {bucket}"
                    yield Result("failed", what, f"bucket/{bucket}", seen)

    def _address(self, identity: Identity) -> str:
        return address(self.profile.name, self.project, identity)
