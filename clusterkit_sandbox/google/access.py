"""Who may do what: the policies of the account's resources, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from clusterkit_sandbox.google import account
from clusterkit_sandbox.google.accounts import Identities, ServiceAccount, default_account
from clusterkit_sandbox.google.authorization import may
from clusterkit_sandbox.google.policies import Binding, Member, Policy
from clusterkit_sandbox.google.roles import grants
from clusterkit_sandbox.google.service import Call, method
from clusterkit_sandbox.google.store import Store
from clusterkit_sandbox.google.tokens import Caller

EFFECTIVE = "google/policy/effective"
_AGENTS = {
    "artifactregistry": ("gcp-sa-artifactregistry.iam", "roles/artifactregistry.serviceAgent"),
    "compute": ("compute-system.iam", "roles/compute.serviceAgent"),
    "container": ("container-engine-robot.iam", "roles/container.serviceAgent"),
}
"""service to its agent's domain and role (vendor: "Service agents")"""


def furnish(store: Store) -> None:
    """The sandbox's own account, which owns the projects."""
    owner = account.owner()
    store.add(ServiceAccount(email=owner.email, scope=account.PROJECT, uid=owner.unique_id))
    for project in account.PROJECTS:
        bind(store, project, "roles/owner", Member(owner.member, owner.unique_id))
    for project, service in list(store.enabled):
        service_enabled(store, project, service)
    store.granted = lambda caller, permission, resource: allowed(
        store, _members(caller), permission, resource
    )
    store.principal = lambda email: _principal(store, email)


def _members(caller: Caller) -> list[Member]:
    """As what a caller may be bound."""
    if caller.principals:
        return [Member(one) for one in caller.principals]
    return [Member(caller.member, caller.unique_id)]


def _principal(store: Store, email: str) -> Caller | None:
    found = Identities(store).usable(email)
    return Caller(found.email, found.uid) if found is not None else None


def bind(store: Store, project: str, role: str, member: Member) -> None:
    """Grant a role on a project, as Google does itself."""
    policy = of(store, f"projects/{project}")
    binding = next((one for one in policy.bindings if one.key == (role, "null")), None)
    if binding is None:
        binding = Binding(role, None, [])
        policy.bindings.append(binding)
    if member.text not in [one.text for one in binding.members]:
        binding.members.append(member)
        policy.changes += 1


def _agent(project: str, service: str) -> tuple[str, str]:
    """A service's agent in a project, and its role."""
    domain, role = _AGENTS[service]
    return f"serviceAccount:service-{account.PROJECTS[project]}@{domain}.gserviceaccount.com", role


def has_agent(store: Store, project: str, service: str) -> bool:
    """Whether a service's agent has its role on a project."""
    agent, role = _agent(project, service)
    bindings = of(store, f"projects/{project}").bindings
    return any(one.role == role and agent in [m.text for m in one.members] for one in bindings)


def service_enabled(store: Store, project: str, service: str) -> None:
    """What comes with a service: its agent, and for Compute Engine the default account (vendor:
    "Service accounts", Default service accounts).
    """
    if service in _AGENTS:
        agent, role = _agent(project, service)
        bind(store, project, role, Member(agent))
    if service == "compute" and Identities(store).find(project, default_account(project)) is None:
        name = "Compute Engine default service account"
        made = ServiceAccount(email=default_account(project), scope=project, display=name)
        store.add(made)
        bind(store, project, "roles/editor", Member(f"serviceAccount:{made.email}", made.uid))


def of(store: Store, resource: str) -> Policy:
    """The policy of a resource, by the name under which it is kept."""
    return store.get(Policy, resource) or store.add(Policy(resource))


def serve(resource: str, where: Callable[[Call], str]) -> None:
    """Serve the methods for the policies of a kind of resource; ``where`` finds under what name
    that of a call is kept. The fault ``late`` lets reads show the policy before.
    """

    @method(f"{resource}.getIamPolicy")
    def get(call: Call) -> object:
        store, asked = call.store, (call.body.get("options") or {}).get("requestedPolicyVersion")
        policy = of(store, where(call))
        before, until = policy.before
        if before is not None and store.clock.now < until:
            return before
        version = int(asked or call.get("options.requestedPolicyVersion", 1))
        return policy.shown(Identities(store), version)

    @method(f"{resource}.setIamPolicy")
    def replace(call: Call) -> object:
        store, policy = call.store, of(call.store, where(call))
        late, before = call.faults.late(call.operation), policy.shown(Identities(store), 3)
        policy.replace(call.body.get("policy") or {}, Identities(store), store.clock.now)
        policy.before = (before, store.clock.now + late) if late else (None, 0)
        return policy.shown(Identities(store), 3)

    @method(f"{resource}.testIamPermissions")
    def test(call: Call) -> object:
        place, asked = where(call), call.body.get("permissions") or []
        held = [one for one in asked if may(call.store, call.caller, str(one), place)]
        return {"permissions": held} if held else {}


def _kept(store: Store, resource: str) -> str:
    """Under what the policy of a resource is kept: that of an account goes by its unique id."""
    parts = resource.split("/")
    if len(parts) < 4 or parts[2] != "serviceAccounts":
        return resource
    identities = Identities(store)
    found = identities.named(parts[3]) or identities.find(parts[1], parts[3])
    return found.policy if found is not None else resource


def allowed(store: Store, who: Sequence[Member], permission: str, resource: str) -> bool:
    """Whether who is bound as one of these has a permission on a resource, by a role there or on
    its project. Conditions are not evaluated.
    """
    before = store.clock.now - store.clock.pace.seconds(EFFECTIVE)
    kept = _kept(store, resource)
    project = "/".join(kept.split("/")[:2])
    for name in dict.fromkeys((kept, project)):
        policy = store.get(Policy, name)
        if policy is not None and policy.effective(
            who, lambda role: grants(role, permission), before
        ):
            return True
    return False
