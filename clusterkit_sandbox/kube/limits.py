"""LimitRanges and ResourceQuotas (Kubernetes documentation, "Limit Ranges", "Resource Quotas";
``plugin/pkg/admission/limitranger``, ``plugin/pkg/admission/resourcequota``).

Of limits those of containers, of quotas counts of objects and what pods ask for.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from clusterkit_sandbox.kube.kinds import PODS, GroupPlural, Object, Resource
from clusterkit_sandbox.kube.quantities import canonical, parse
from clusterkit_sandbox.kube.refusals import forbidden
from clusterkit_sandbox.kube.selectors import dig
from clusterkit_sandbox.kube.state import ClusterState

_RANGES: GroupPlural = ("", "limitranges")
QUOTAS: GroupPlural = ("", "resourcequotas")
_OVER = ("Succeeded", "Failed")


def limit(state: ClusterState, resource: Resource, pod: Object) -> None:
    """Fill the defaults of a namespace's limits in, and hold a pod to them."""
    for found in state.store.list(_RANGES, pod["metadata"]["namespace"]):
        for item in found["spec"].get("limits") or ():
            if item["type"] == "Container":
                for container in pod["spec"].get("containers") or ():
                    _limit(resource, pod, container, item)


def _limit(resource: Resource, pod: Object, container: Object, item: Object) -> None:
    resources = container.setdefault("resources", {})
    for part, given in (("requests", "defaultRequest"), ("limits", "default")):
        for name, value in (item.get(given) or {}).items():
            resources.setdefault(part, {}).setdefault(name, value)
    for name, most in (item.get("max") or {}).items():
        has = (resources.get("limits") or {}).get(name)
        if has is None:
            why = f"maximum {name} usage per Container is {most}.  No limit is specified"
        elif parse(has) > parse(most):
            why = f"maximum {name} usage per Container is {most}, but limit is {canonical(has)}"
        else:
            continue
        raise forbidden(resource, pod["metadata"].get("name"), why)


def check_quota(state: ClusterState, resource: Resource, new: Object) -> None:
    """``Refusal`` 403 for a new object that a quota has no room for."""
    namespace = new["metadata"].get("namespace", "")
    for found in state.store.list(QUOTAS, namespace) if namespace else ():
        hard, used = dig(found, "spec.hard") or {}, usage(state, found)
        asked = _asked(resource.key, new)
        over = [
            name
            for name in sorted(asked.keys() & hard.keys())
            if parse(used[name]) + asked[name] > parse(hard[name])
        ]
        if over:
            shown = (
                ("requested", {name: canonical(asked[name]) for name in over}),
                ("used", used),
                ("limited", hard),
            )
            told = ", ".join(
                f"{word}: {','.join(f'{name}={values[name]}' for name in over)}"
                for word, values in shown
            )
            why = f"exceeded quota: {found['metadata']['name']}, {told}"
            raise forbidden(resource, new["metadata"].get("name"), why)


def usage(state: ClusterState, quota: Object) -> dict[str, str]:
    """What of a quota is used."""
    namespace = quota["metadata"]["namespace"]
    totals: dict[str, Fraction] = dict.fromkeys(dig(quota, "spec.hard") or {}, Fraction())
    for key, found in state.in_namespace(namespace):
        if key != PODS or dig(found, "status.phase") not in _OVER:
            for name, amount in _asked(key, found).items():
                if name in totals:
                    totals[name] += amount
    return {name: canonical(amount) for name, amount in totals.items()}


def _asked(key: GroupPlural, found: Object) -> Mapping[str, Fraction]:
    group, plural = key
    asked = {f"count/{plural}{'.' if group else ''}{group}": Fraction(1)}
    if not group:
        asked[plural] = Fraction(1)
    if key == ("", "persistentvolumeclaims"):
        asked["requests.storage"] = parse(dig(found, "spec.resources.requests.storage") or 0)
    for container in found["spec"].get("containers") or () if key == PODS else ():
        for part, prefixes in (("requests", ("requests.", "")), ("limits", ("limits.",))):
            for name, value in (dig(container, f"resources.{part}") or {}).items():
                for prefix in prefixes:
                    before = asked.get(prefix + name, Fraction())
                    asked[prefix + name] = before + parse(value)
    return asked
