"""Service accounts of the cluster's own: what its nodes and its builds are in the project.

An account that is deleted and created again under its name is another one: bindings are kept by the
account's number, and those of the old one look right and give nothing
(https://cloud.google.com/iam/docs/service-accounts-delete-undelete). So every life of an account
has a name of its own with a random end, and the account is found by the mark in its description.
Before it is deleted its bindings are removed everywhere and reads confirm that; what an account
deleted by others left in the project's policy (``deleted:serviceAccount:…``) ``up`` sweeps.

Jenkins X makes the names of its accounts from the cluster's. What somebody left of an account of
such a name is removed before it is created again, while every binding of the name is a dead one's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from clusterkit.engine.edit import Edit, edit
from clusterkit.engine.kind import Durations, Env, Kind, Leftover, Record, Tags
from clusterkit.engine.operation import Operation
from clusterkit.engine.scope import Scope
from clusterkit.errors import Busy
from clusterkit.gke import policies, registry, storage
from clusterkit.gke.client import Clients
from clusterkit.gke.identities import accounts_host
from clusterkit.gke.policies import Confirmed, Grant, Holder, account_id, changed, is_account
from clusterkit.gke.tags import USABLE
from clusterkit.naming import CLUSTER, NAME, digest, mark, read_mark

NODE_ROLE = "roles/container.defaultNodeServiceAccount"
"""the least a node needs: https://cloud.google.com/kubernetes-engine/docs/how-to/service-accounts"""


class ServiceAccountState(Record):
    """A service account with its part of the project's policy."""

    id: str
    """its email address"""
    tags: Tags
    """what its description stands for"""
    roles: frozenset[str] = frozenset()
    """in the project, without a condition"""
    keep: bool = False
    """whether destroy leaves the volumes of claims"""
    left: frozenset[Grant] = frozenset()
    """what deleted accounts of this name still have in the project's policy"""
    status: str = ""


class IamServiceAccount(Kind[Clients, ServiceAccountState]):
    """What something of the cluster's may do in the project; ``name`` has at most five letters,
    unless it is ``exact``.
    """

    kind: ClassVar[str] = "iam-service-account"
    taggable: ClassVar[bool] = False
    propagation: ClassVar[float] = USABLE
    takes: ClassVar[Durations] = Durations(create=10)
    roles: tuple[str, ...] = ()
    """in the project"""
    exact: bool = False
    """its id is ``CLUSTER-NAME``, which others know"""
    keep: bool | None = None
    """whether destroy leaves the volumes of claims; the nodes' account, which goes last, tells"""

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[ServiceAccountState]:
        return [_state(scope, shown) for shown in _listed(scope)]

    @classmethod
    def read(cls, scope: Scope[Clients], found: ServiceAccountState) -> ServiceAccountState:
        client, member = scope.client, f"serviceAccount:{found.id}"
        there = policies.project(client).grants(client)
        name = found.tags.get(NAME, "")
        dead = (each for each in there if each.member.startswith("deleted:"))
        return replace(
            found,
            roles=frozenset(role for role, who in there if who == member),
            left=frozenset(each for each in dead if is_account(scope, each.member, name)),
        )

    def create(self, env: Env[Clients]) -> Operation[Clients]:
        identifier = f"{env.cluster}-{self.name}"
        if self.exact:
            _unbind(env, f"{identifier}@{accounts_host(env.client.project)}")
        else:
            end = digest(env.token(self), length=policies.END)
            identifier = account_id(env, self.name) + end
        words = mark(env.region, env.cluster, self.name, self.keep)
        account = {"description": words, "displayName": f"{self.name} of {env.cluster}"}
        body = {"accountId": identifier, "serviceAccount": account}
        path = f"projects/{env.client.project}/serviceAccounts"
        made = env.client.call("iam", "projects.serviceAccounts.create", "POST", path, body)
        email = str(made["email"])
        get = partial(env.client.call, "iam", "projects.serviceAccounts.get", "GET")
        return Confirmed(f"the account {email}", lambda _: bool(get(f"{path}/{email}")))

    def taken(self, env: Env[Clients]) -> ServiceAccountState | None:
        """One of its name without a mark: this cluster's, as far as anybody can tell. Of an exact
        name there is only one.
        """
        every = (_state(env, shown) for shown in _listed(env)) if self.exact else _unmarked(env)
        return next((have for have in every if is_account(env, have.id, self.name)), None)

    def edits(self, env: Env[Clients], have: ServiceAccountState) -> Iterator[Edit]:
        roles, member = frozenset(self.roles), f"serviceAccount:{have.id}"
        wanted = frozenset(Grant(role, member) for role in roles)

        def unwanted(grant: Grant) -> bool:
            return grant in have.left or (grant.member == member and grant not in wanted)

        def grant() -> Operation[Clients]:
            # GKE takes longer to make a node, or a cluster for pods, than they to have an effect
            return changed(env, policies.project(env.client), wanted, unwanted, effect=0.0)

        def tell() -> None:
            words = mark(env.region, env.cluster, self.name, self.keep)
            _describe(env.client, have.id, words)

        yield from edit("keep volumes", have.keep, bool(self.keep), tell)
        yield from edit("roles", have.roles, roles, grant)
        if have.left:
            yield Edit("bindings of deleted accounts", len(have.left), 0, grant)

    @classmethod
    def delete(cls, scope: Scope[Clients], have: ServiceAccountState) -> None:
        """Its bindings first, and only when no read shows one any more the account."""
        _unbind(scope, have.id)
        client = scope.client
        path = f"projects/{client.project}/serviceAccounts/{have.id}"
        client.call("iam", "projects.serviceAccounts.delete", "DELETE", path)

    @classmethod
    def label(cls, scope: Scope[Clients], identifier: str, labels: Tags) -> None:
        _describe(scope.client, identifier, mark(scope.region, scope.cluster, labels[NAME]))


def _describe(client: Clients, email: str, description: str) -> None:
    body = {"serviceAccount": {"description": description}, "updateMask": "description"}
    path = f"projects/{client.project}/serviceAccounts/{email}"
    client.call("iam", "projects.serviceAccounts.patch", "PATCH", path, body)


def _listed(scope: Scope[Clients]) -> Iterator[Any]:
    path = f"projects/{scope.client.project}/serviceAccounts"
    return scope.client.pages("iam", "projects.serviceAccounts.list", path, "accounts")


def _state(scope: Scope[Clients], shown: Any) -> ServiceAccountState:
    tags, keep = read_mark(shown.get("description"), scope.region)
    return ServiceAccountState(id=str(shown["email"]), tags=tags, keep=keep)


def _unmarked(scope: Scope[Clients]) -> Iterator[ServiceAccountState]:
    """Accounts with a name of this cluster's and the mark of none, of this region or another. A
    name that Jenkins X makes is anybody's, unless the cluster has others of them.
    """
    every = [*_listed(scope)]
    named = {str(each["email"]) for each in every if is_account(scope, str(each["email"]))}
    marked = {str(each["email"]) for each in every if _is_marked(each)}
    exact = {email for email in named if policies.of_jenkins_x(scope, email)}
    if not any(_state(scope, each).tags for each in every if each["email"] in exact):
        named -= exact
    yield from (_state(scope, each) for each in every if each["email"] in named - marked)


def _is_marked(shown: Any) -> bool:
    return str(shown.get("description") or "").startswith(policies.MARK)


def _why(have: ServiceAccountState) -> str:
    what = "this service account has a name of this cluster's, but not its mark"
    return f"{what}; gcloud iam service-accounts delete {have.id} deletes it"


Unmarked = Leftover[Clients](
    "unmarked-accounts", _unmarked, lambda *_: None, keep=_why, optional=True
)
"""Accounts that are named and left, because nothing else tells of them when the cluster is gone."""


def holders(scope: Scope[Clients], email: str) -> Iterator[Holder]:
    """The policies that may name an account of the cluster: the project's, and those of its
    repositories and buckets, which ``destroy`` may keep.
    """
    yield policies.project(scope.client)
    for repository in (*registry.owned(scope), *registry.GcrRepository.list(scope)):
        if (repository.tags or {}).get(CLUSTER) == scope.cluster:
            yield policies.repository(repository.id)
    for bucket in storage.owned(scope) if policies.of_jenkins_x(scope, email) else ():
        yield policies.bucket(bucket.id)


def _unbind(scope: Scope[Clients], email: str) -> None:
    """Take all roles from an account that is to go or to come, and from those of its name that are
    no more; ``Busy`` until no read shows one.
    """
    client, where = scope.client, [*holders(scope, email)]

    def its(grant: Grant) -> bool:
        return policies.email_of(grant.member) == email

    removed = [holder.change(client, drop=its) for holder in where]
    again = (holder.grants(client) for holder in where for _ in range(policies.READS - 1))
    if any(removed) or any(its(grant) for there in again for grant in there):
        raise Busy(f"IAM still shows roles of {email}, which have been taken from it")
