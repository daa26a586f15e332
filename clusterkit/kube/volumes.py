"""The cloud's volumes of claims: which of them a destroy removes, and which it keeps.

A PersistentVolume says ``Delete`` or ``Retain``, and what it says goes with the cluster. So before
anything of Kubernetes is removed, each volume gets the tag ``KEEP`` wherever its other tags would
not lead to the same: a destroy that is interrupted, and one that finds no API server any more, know
by the tags alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from clusterkit.engine.kind import Leftover, Tags
from clusterkit.engine.scope import Scope
from clusterkit.errors import Absent, AlreadyDone, CloudError, ClusterkitError, Gone, Retryable
from clusterkit.kube.api import HasKube
from clusterkit.naming import KEEP, STORAGE_CLASS

KEPT = "the profile keeps volumes (storage.keep_volumes)"
RETAINED = "its PersistentVolume says Retain"
UNCLAIMED = "Kubernetes has no PersistentVolume for it"
UNKNOWN = "nothing says whether its PersistentVolume is Delete or Retain"
UNASKED: Mapping[str, str] = {}
"""instead of what the PersistentVolumes say, while nobody can ask them"""


@dataclass(frozen=True)
class VolumeState:
    """A volume that the cluster's storage driver made in the cloud."""

    id: str
    """as in ``volumeHandle`` of its PersistentVolume"""
    status: str
    about: str
    """its claim and size, for people"""
    tags: Tags
    kept: str = ""
    """why it stays"""
    keep: bool = False
    """what ``KEEP`` has to say"""


def policies(scope: Scope[HasKube]) -> Mapping[str, str]:
    """``volumeHandle`` in lower case, because some clouds' ids have no case, to what each
    PersistentVolume says is to be done with its volume.
    """
    found = (item["spec"] for item in scope.client.kube.list("/api/v1/persistentvolumes"))
    return {
        spec["csi"]["volumeHandle"].lower(): str(spec.get("persistentVolumeReclaimPolicy"))
        for spec in found
        if "csi" in spec
    }


def rows(
    kind: str,
    listed: Callable[[Scope[Any]], Iterable[VolumeState]],
    keeps: Callable[[Scope[Any]], str],
    *,
    tag: Callable[[Scope[Any], str, Tags], object],
    delete: Callable[[Scope[Any], Any], object],
    command: str,
    uses: tuple[str, ...],
    within: Callable[[VolumeState], Mapping[str, str]] = lambda _: {},
) -> tuple[Leftover[Any], Leftover[Any]]:
    """The row that removes volumes, and the row that tags them before.

    ``listed`` gives the cluster's volumes, ``keeps`` why all of them stay (empty: they do not),
    ``command`` what deletes one by hand, with ``{}`` for its id and ``{region}``, ``within`` what
    one lies in (``Leftover.within``).
    """

    def swept(scope: Scope[Any]) -> Iterable[VolumeState]:
        volumes = [*listed(scope)]
        everything = keeps(scope) if volumes else ""
        known = None if everything or not volumes else _asked(scope)
        for each in volumes:
            why = everything or _kept(each, known)
            cure = command.format(each.id, region=scope.region)
            told = f"{why}; {each.about}, costs by GB and month; {cure}"
            yield replace(each, kept=f"{told} deletes it" if why else "")

    def undecided(scope: Scope[Any]) -> Iterable[VolumeState]:
        volumes = [*listed(scope)]
        known = None if not volumes or keeps(scope) else _asked(scope)
        if known is None:
            return
        for each in volumes:
            keep = bool(_kept(each, known))
            if each.tags.get(KEEP) != "true" if keep else _kept(each, None):
                yield replace(each, keep=keep)

    def decide(scope: Scope[Any], have: VolumeState) -> None:
        try:
            tag(scope, have.id, {KEEP: str(have.keep).lower()})
        except (Retryable, Gone, AlreadyDone):
            raise
        except CloudError as error:  # no optional matter: the volume would be lost
            what = f"{have.id} cannot be tagged, so that destroy may go on: {error.what}"
            raise ClusterkitError(what, hint=error.hint) from error

    volumes = Leftover[Any](
        kind, swept, delete, keep=lambda have: have.kept or None, within=within, uses=uses
    )
    verdicts = Leftover[Any](
        f"{kind}-to-keep",
        undecided,
        decide,
        uses=(kind, "cluster"),
        optional=True,
        verbs=("tagging", "tagged"),
    )
    return volumes, verdicts


def _asked(scope: Scope[HasKube]) -> Mapping[str, str] | None:
    """What the PersistentVolumes say; None if there is no cluster any more, ``UNASKED`` if it does
    not answer.
    """
    try:
        return policies(scope)
    except Absent:
        return None
    except CloudError:
        return UNASKED


def _kept(volume: VolumeState, known: Mapping[str, str] | None) -> str:
    """Why a volume stays; empty if it goes. ``known``: what the PersistentVolumes say, None if the
    cluster is gone, so that only the tags tell. While it exists and cannot be asked, the class of a
    volume proves nothing: a PersistentVolume may have been changed to Retain since.
    """
    if known is not None and known is not UNASKED:
        policy = known.get(volume.id.lower())
        if policy is None:
            return UNCLAIMED
        return "" if policy == "Delete" else RETAINED
    if keep := volume.tags.get(KEEP):
        return "" if keep == "false" else f"its tag {KEEP} says so"
    return "" if STORAGE_CLASS in volume.tags and known is not UNASKED else UNKNOWN
