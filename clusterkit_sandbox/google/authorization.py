"""Which permissions a call needs, and how each service denies one.

They follow a rule: service, resource, verb. What does not, and the sources, are in
``data/permissions.json``.

The words of a refusal are those of public logs: Compute Engine's of its page of errors
(PERMISSIONS_ERROR), the others' of issues of Terraform's provider.
"""

from __future__ import annotations

from clusterkit_sandbox.google.failure import Failure, compute, error_info, rpc
from clusterkit_sandbox.google.store import Store
from clusterkit_sandbox.google.tables import table
from clusterkit_sandbox.google.tokens import Caller

_TABLE = table("permissions")


def needed(method: str) -> tuple[str, ...]:
    """The permissions that a call of ``compute.networks.insert`` needs."""
    if method in _TABLE["others"]:
        return tuple(_TABLE["others"][method])
    if method.startswith(tuple(_TABLE["free"])) or method.endswith(".testIamPermissions"):
        return ()
    service, *parents, verb = method.split(".")
    named = f"{service}.{parents[-1]}"
    resource = _TABLE["resources"].get(named, parents[-1])
    verb = _TABLE["verbs"].get(verb, verb)
    if service == "container":
        verb = _container(verb, own=named not in _TABLE["resources"])
    return (f"{_TABLE['services'].get(service, service)}.{resource}.{verb}",)


def _container(verb: str, *, own: bool) -> str:
    """Every change of a cluster or in it, but to create or delete it, is an update."""
    if not own and verb in ("create", "delete"):
        return "update"
    known = ("create", "delete", "get", "list", "getCredentials", "getOperation")
    return verb if verb in known else "update"


def of_kubernetes(verb: str, resource: str) -> str:
    """The permission that a request to a cluster's own API needs where RBAC does not allow it:
    ``container.storageClasses.list`` (vendor: "Kubernetes Engine API permissions"). Custom
    resources are ``thirdPartyObjects``.
    """
    plural, _, part = resource.partition("/")
    known = {name.lower(): name for name in _TABLE["kubernetes"]}
    verbs = _TABLE["kubernetes_verbs"]
    verb = verbs.get(part) or verbs.get(verb, verb)
    if part in ("scale", "status"):
        verb = f"{'get' if verb == 'get' else 'update'}{part.capitalize()}"
    return f"container.{known.get(plural, 'thirdPartyObjects')}.{verb}"


def may(store: Store, caller: Caller, permission: str, resource: str) -> bool:
    """Whether a caller has a permission on a resource: ``projects/P/global/networks/N``."""
    if caller.limits is not None:
        return caller.limits.missing((permission,)) is None
    return caller.owner or store.granted(caller, permission, resource)


def check(store: Store, caller: Caller, method: str, resource: str, project: str) -> None:
    """Raise the service's refusal if the caller may not do this."""
    for permission in needed(method):
        if not may(store, caller, permission, resource):
            raise denied(method.partition(".")[0], permission, resource, project)


def denied(service: str, permission: str, resource: str, project: str) -> Failure:
    """403 of a service for a permission that is missing."""
    if service == "compute":
        return compute("forbidden", f"Required '{permission}' permission for '{resource}'")
    detail = error_info("IAM_PERMISSION_DENIED", permission=permission, resource=resource)
    details = [detail | {"domain": "iam.googleapis.com"}]  # google-github-actions/auth#340
    if service == "container":
        text = f'Required "{permission}" permission(s) for "projects/{project}".'
    elif service == "cloudresourcemanager":
        text = "The caller does not have permission"
    else:
        host = "cloudresourcemanager" if resource.count("/") == 1 else service
        text = (
            f"Permission '{permission}' denied on resource"
            f" '//{host}.googleapis.com/{resource}' (or it may not exist)."
        )
    return rpc("PERMISSION_DENIED", text, details=details)
