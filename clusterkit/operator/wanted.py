"""From a CloudCluster to the profile and the target that the library takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clusterkit.clouds import CLOUDS, model
from clusterkit.engine.plan import Plan
from clusterkit.engine.target import Target
from clusterkit.errors import Finding, Immutable, NotOurs, ProfileError
from clusterkit.naming import OWNER, digest
from clusterkit.operator import conditions
from clusterkit.operator.crd import OWN
from clusterkit.operator.names import ADOPT, CONFIRM, FINALIZER, PAUSED
from clusterkit.profile.model import BaseProfile, checked
from clusterkit.profile.yaml import Document

Body = Mapping[str, Any]
LONGEST = 63
"""characters of a CloudCluster's name, which is a label of its kubeconfig Secret
(https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/)"""
FIELDS = ("cloud", "name", "region", "account", "home")
"""of a target"""


def profile_of(body: Body) -> BaseProfile:
    """The profile of a CloudCluster; ``ProfileError`` with everything that is wrong with it.

    No path of the operator's own file system is taken from a spec: whoever may write a CloudCluster
    must not read the operator's files.
    """
    data = {key: value for key, value in body["spec"].items() if key not in OWN}
    name = body["metadata"]["name"]
    data.setdefault("name", name)
    if len(name) > LONGEST:
        what = f"metadata.name: must be at most {LONGEST} characters, has {len(name)}"
        raise ProfileError([Finding(what, "metadata", "make a CloudCluster of a shorter name")])
    try:
        return checked(Document(Path("spec"), data), None, model, CLOUDS)
    except ProfileError as error:  # an object has no lines
        found = [Finding(each.what, "spec", each.hint) for each in error.findings]
        raise ProfileError(found) from None


def owned(profile: BaseProfile, owner: str) -> BaseProfile:
    """The profile with the tag that says whose the cluster is."""
    return profile.model_copy(update={"tags": {**profile.tags, OWNER: owner}})


def owner(fleet: str, body: Body) -> str:
    """What that tag says: the same for a CloudCluster that is made again under its name, and fit
    for the labels of every cloud. ``fleet`` identifies the management cluster.
    """
    metadata = body["metadata"]
    return digest(fleet, metadata["namespace"], metadata["name"], length=16)


def recorded(target: Target) -> dict[str, str]:
    """The target as the status keeps it; an account that the credentials choose is not in it."""
    found = {field: getattr(target, field) for field in FIELDS}
    return {field: value for field, value in found.items() if value is not None}


def target_in(status: Mapping[str, Any], spec: Mapping[str, Any]) -> Target | None:
    """The target of the cluster that may have been made, with the tags that everything gets now;
    None if there is none.
    """
    kept, tags = status.get("target"), tuple(sorted((spec.get("tags") or {}).items()))
    return Target(**{field: kept.get(field) for field in FIELDS}, tags=tags) if kept else None


def check_same(before: Target | None, now: Target) -> None:
    """``Immutable`` for a spec that means another cluster than before: the API server refuses it
    where it evaluates the CRD's rules.
    """
    for field in FIELDS:
        had, want = getattr(before, field, None), getattr(now, field)
        if before is not None and had != want:
            raise Immutable(
                f"{field} cannot be changed from {had or 'none'} to {want or 'none'}",
                where=before.name,
                hint="change it back, or delete the CloudCluster and make another one",
            )


def check_owner(plan: Plan, cluster: str, body: Body, mark: str, *, known: bool) -> None:
    """``NotOurs`` if the things in the cloud are another CloudCluster's, or were made by a person
    and nobody has said that this one may have them. ``known``: this one has had a run, which may
    have made what takes no tags of the profile before anything else.
    """
    found, owners = plan.snapshot.tags(cluster), plan.snapshot.owners(cluster)
    if known:
        taggable = {each.key for each in plan.steps if getattr(each.kind, "taggable", False)}
        found = {key: tags for key, tags in found.items() if key in taggable}
    name = body["metadata"]["name"]
    if owners - {mark}:
        what = "the cluster belongs to another CloudCluster, as its tags in the cloud say"
        hint = "delete this CloudCluster, and make one with another spec.name"
        raise NotOurs(what, where=name, hint=hint)
    adopted = observes(body) or annotation(body, ADOPT) == name
    if found and not (adopted or owners):
        what = "a cluster of this name exists that no CloudCluster has made"
        raise NotOurs(what, where=name, hint=f"to take it over: {_annotate(body, ADOPT)}")


def annotation(body: Body, name: str) -> str:
    """The value, empty if it is not there."""
    return str((body["metadata"].get("annotations") or {}).get(name, ""))


def finalized(body: Body) -> bool:
    """Whether it waits for the operator when it is deleted."""
    return FINALIZER in (body["metadata"].get("finalizers") or ())


def waits(body: Body) -> tuple[str, str] | None:
    """Why a deletion waits: the condition's reason and message; None if it does not."""
    if paused(body):
        return conditions.PAUSED.reason, conditions.PAUSED.message
    if annotation(body, CONFIRM) == body["metadata"]["name"]:
        return None
    how = _annotate(body, CONFIRM)
    return "Unconfirmed", f"nothing is destroyed until it is confirmed: {how}"


def _annotate(body: Body, key: str) -> str:
    """The command with which somebody says that it is meant."""
    name, namespace = body["metadata"]["name"], body["metadata"]["namespace"]
    return f"kubectl annotate -n {namespace} cloudcluster {name} {key}={name}"


def paused(body: Body) -> bool:
    """Whether nothing may be changed for a while."""
    said = annotation(body, PAUSED)
    return bool(body["spec"].get("paused")) or said not in ("", "false")


def observes(body: Body) -> bool:
    """Whether drift is shown and never mended."""
    return str(body["spec"].get("policy")) == "Observe"


def asked(body: Body) -> tuple[object, ...]:
    """The parts of the object that a plan depends on: it is out of date when one has changed."""
    metadata = body["metadata"]
    said = (annotation(body, each) for each in (PAUSED, CONFIRM, ADOPT))
    parts = ("uid", "generation", "deletionTimestamp")
    return (*(metadata.get(each) for each in parts), *said)
