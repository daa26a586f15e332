"""IAM policies: who has which role on a project, a repository or a service account.

A policy is shared with everybody, and written as a whole: read, amend, write with the ``etag`` that
was read, which the service compares. Version 3 is asked for, because a policy with conditions is
shown without them in an older one, and would lose them
(https://cloud.google.com/iam/docs/policies#specifying-version-get). Bindings with a condition are
never ours, and stay as they are.

Reads may show an older policy for a while (openshift/installer#2790), so a change counts as made
when ``READS`` reads in a row show it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, NamedTuple

from clusterkit.engine.kind import Env, Kind, State
from clusterkit.engine.operation import Done, Outcome, Running
from clusterkit.engine.scope import Scope
from clusterkit.errors import Denied, Gone, Propagating
from clusterkit.gke.client import Clients
from clusterkit.gke.identities import EVERY, accounts_host
from clusterkit.naming import CLUSTER, read_mark

Policy = Mapping[str, Any]
Drop = Callable[["Grant"], bool]
VERSION = 3
MOST_OF_NAME = 13
"""characters of the cluster's name in an account's id: of 30 (``accountId`` of iam v1), ``ck-``,
``-nodes-`` and the end take the others"""
END = 6
"""hex digits at the end of an account's id"""
MARK = "clusterkit "
"""how the description begins of an account that a cluster has marked"""
EFFECT = 120.0
"""seconds until a grant has its effect (facts/durations.tsv, "policy change effective")"""
PUSHERS = ("push", "agent")
"""accounts that builds push as: of all, or of each namespace with a key of its own"""
OWN = f"({'|'.join(('nodes', *PUSHERS))})"
JENKINS_X = tuple(each.name for each in EVERY)
"""what the ids of the accounts that Jenkins X expects end with, after the cluster's name"""
READS = 3
"""terraform-provider-google waits for as many (``resource_google_service_account.go``)"""


class Grant(NamedTuple):
    """A role and who has it."""

    role: str
    member: str
    """``serviceAccount:EMAIL``, ``principal://…``"""


class Holder(NamedTuple):
    """What has a policy."""

    service: str
    collection: str
    """as in the ids of the API's methods: ``projects.serviceAccounts``"""
    path: str

    def policy(self, client: Clients) -> Policy:
        """The policy as it is shown now."""
        operation, path = f"{self.collection}.getIamPolicy", f"{self.path}:getIamPolicy"
        version = {"options.requestedPolicyVersion": VERSION}
        if self.service == "storage":
            asked = {"optionsRequestedPolicyVersion": VERSION}
            return client.call(self.service, operation, "GET", f"{self.path}/iam", **asked)
        if self.service == "cloudresourcemanager":
            options = {"options": {"requestedPolicyVersion": VERSION}}
            return client.call(self.service, operation, "POST", path, options)
        method = "GET" if self.service == "artifactregistry" else "POST"
        return client.call(self.service, operation, method, path, **version)

    def grants(self, client: Clients) -> frozenset[Grant]:
        """Who has which role without a condition."""
        return grants(self.policy(client))

    def change(
        self,
        client: Clients,
        add: Collection[Grant] = (),
        drop: Drop = lambda _: False,
    ) -> bool:
        """Add and drop grants in one write; whether one was needed. ``Busy`` if somebody else wrote
        in between: then all of it is to be done again.
        """
        have = self.policy(client)
        want = amended(have, add, drop)
        if grants(want) == grants(have):
            return False
        operation, path = f"{self.collection}.setIamPolicy", f"{self.path}:setIamPolicy"
        if self.service == "storage":
            client.call(self.service, operation, "PUT", f"{self.path}/iam", want)
        else:
            client.call(self.service, operation, "POST", path, {"policy": want})
        return True


def workload_pool(project: str) -> str:
    """The pool of the service accounts of all clusters in the project."""
    return f"{project}.svc.id.goog"


def account_id(scope: Scope[Any], name: str) -> str:
    """What the ids of all accounts of this name of the cluster begin with; an end of its own for
    each life follows.
    """
    return f"ck-{scope.cluster[:MOST_OF_NAME].rstrip('-')}-{name}-"


def is_account(scope: Scope[Clients], member: str, name: str = "") -> bool:
    """Whether a member of a policy, or an email address, may be an account of this name of the
    cluster, any if left out; of one that was deleted too.
    """
    by_chance = f"{account_id(scope, name or OWN)}[0-9a-f]{{{END}}}"
    exact = f"{re.escape(scope.cluster)}-({name or '|'.join(JENKINS_X)})"
    names = f"({by_chance}|{exact})"
    if name:
        names = exact if name in JENKINS_X else by_chance
    host = re.escape(f"@{accounts_host(scope.client.project)}")
    pattern = rf"(deleted:)?(serviceAccount:)?{names}{host}(\?uid=\d+)?"
    return re.fullmatch(pattern, member) is not None


def of_jenkins_x(scope: Scope[Clients], email: str) -> bool:
    """Whether an address is one that Jenkins X makes from the cluster's name."""
    return any(is_account(scope, email, name) for name in JENKINS_X)


def email_of(member: str) -> str:
    """The address of a service account, living or deleted, as a member of policies."""
    return member.removeprefix("deleted:").removeprefix("serviceAccount:").partition("?")[0]


def without_others(scope: Scope[Clients], found: Collection[Grant]) -> frozenset[Grant]:
    """The grants but for those of accounts that other clusters or people have: ids hold a part of
    the cluster's name only, and no region, and anybody may have made one of Jenkins X's.
    """
    where = f"projects/{scope.client.project}/serviceAccounts"
    ours: set[str] = set()
    marked: set[str] = set()
    for each in scope.client.pages("iam", "projects.serviceAccounts.list", where, "accounts"):
        words = str(each.get("description") or "")
        mine = read_mark(words, scope.region)[0].get(CLUSTER) == scope.cluster
        if words.startswith(MARK):
            (ours if mine else marked).add(str(each["email"]))

    def is_theirs(email: str) -> bool:
        return email in marked or (of_jenkins_x(scope, email) and email not in ours)

    return frozenset(each for each in found if not is_theirs(email_of(each.member)))


def held(env: Env[Clients], roles: Mapping[str, Iterable[Kind[Any, State]]]) -> frozenset[Grant]:
    """What service accounts of ours are to have, by role."""
    return frozenset(
        Grant(role, f"serviceAccount:{email}")
        for role, accounts in roles.items()
        for email in env.ids(accounts)
    )


def project(client: Clients) -> Holder:
    """The project's policy."""
    return Holder("cloudresourcemanager", "projects", f"projects/{client.project}")


def repository(path: str) -> Holder:
    """The policy of a repository of Artifact Registry."""
    return Holder("artifactregistry", "projects.locations.repositories", path)


def bucket(name: str) -> Holder:
    """The policy of a bucket of Cloud Storage."""
    return Holder("storage", "buckets", f"b/{name}")


def grants(policy: Policy) -> frozenset[Grant]:
    """Who has which role without a condition."""
    return frozenset(
        Grant(binding["role"], member)
        for binding in policy.get("bindings") or ()
        if not binding.get("condition")
        for member in binding.get("members") or ()
    )


def amended(policy: Policy, add: Collection[Grant], drop: Drop) -> Policy:
    """A policy with some grants more and others less; all else as it was."""
    want = {each for each in grants(policy) if not drop(each)} | {*add}
    conditional = [each for each in policy.get("bindings") or () if each.get("condition")]
    bindings = [
        {"role": role, "members": sorted(each.member for each in want if each.role == role)}
        for role in sorted({each.role for each in want})
    ]
    return {**policy, "bindings": [*bindings, *conditional], "version": VERSION}


@dataclass
class Confirmed:
    """A wait until ``READS`` reads in a row agree that something holds, and has its effect."""

    what: str
    """``the account ck-demo-nodes-1a2b3c@…``"""
    holds: Callable[[Clients], bool]
    effective: float = 0.0
    """when, on the monotonic clock"""
    seen: int = 0

    def poll(self, scope: Scope[Clients]) -> Outcome:
        """How far it is. What is young may be answered 404 or 403 (``facts/gcp.tsv``)."""
        try:
            holds = self.holds(scope.client)
        except (Denied, Gone, Propagating):
            holds = False
        self.seen = self.seen + 1 if holds else 0
        if self.seen < READS:
            return Running(f"waiting until IAM shows {self.what}")
        late = monotonic() >= self.effective
        return Done() if late else Running(f"waiting until {self.what} take effect")


def changed(
    env: Env[Clients],
    holder: Holder,
    add: Collection[Grant],
    drop: Drop,
    *,
    effect: float = EFFECT,
) -> Confirmed:
    """Add and drop grants, and wait until those who have them can use them, in ``effect`` seconds
    of the real cloud.
    """
    holder.change(env.client, add, drop)
    effective = monotonic() + effect * env.scale

    def holds(client: Clients) -> bool:
        there = holder.grants(client)
        return there.issuperset(add) and not any(map(drop, there))

    return Confirmed("the roles", holds, effective)
