"""Garbage collection: objects are deleted with their owner (Kubernetes documentation, "Garbage
Collection", "Owners and Dependents"), and the objects of a custom kind with its definition.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from clusterkit_sandbox.kube.admission import CRD_CLEANUP
from clusterkit_sandbox.kube.controllers.runtime import Ref, Runtime, ref_of
from clusterkit_sandbox.kube.deletion import FOREGROUND, ORPHAN
from clusterkit_sandbox.kube.kinds import Object
from clusterkit_sandbox.kube.state import CRDS
from clusterkit_sandbox.kube.store import Change
from clusterkit_sandbox.kube.writes import MANAGER


class GarbageCollector:
    """Deletes objects whose owners are gone."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._dependents: dict[str, dict[Ref, None]] = {}

    def concerns(self, change: Change) -> Iterable[Ref]:
        """Dependents of what was deleted, and owners that wait for their dependents."""
        ref = ref_of(change.key, change.object)
        metadata = change.object["metadata"]
        for uid in _owners(change.previous):
            self._dependents.get(uid, {}).pop(ref, None)
        if change.type == "DELETED":
            yield from self._dependents.pop(metadata["uid"], {})
            yield from self._owner_refs(change.object)
            definition = f"{change.key[1]}.{change.key[0]}"
            if self._runtime.state.get(CRDS, "", definition):
                yield CRDS, "", definition
            return
        for uid in _owners(change.object):
            if ref not in self._dependents.setdefault(uid, {}):
                self._dependents[uid][ref] = None
                yield ref
        if metadata.get("deletionTimestamp"):
            yield ref

    def reconcile(self, ref: Ref) -> float | None:
        """Reconcile one owner or dependent."""
        state = self._runtime.state
        if not state.catalogue.serves(ref[0]):
            return None
        found = state.get(*ref)
        if found is None:
            return None
        if found["metadata"].get("deletionTimestamp"):
            self._finalize(ref, found)
            return None
        references = found["metadata"].get("ownerReferences") or []
        living = [item for item in references if self._lives(item, ref[1])]
        if not references or len(living) == len(references):
            return None
        if not living:
            self._runtime.writer.drop(ref[0], found)
            return None
        self._set_owners(ref, found, living)
        return None

    def _finalize(self, ref: Ref, found: Object) -> None:
        finalizers = found["metadata"].get("finalizers") or ()
        writer = self._runtime.writer
        if ORPHAN in finalizers:
            uid = found["metadata"]["uid"]
            for other, item in list(self._items(uid)):
                references = item["metadata"].get("ownerReferences") or []
                self._set_owners(other, item, [r for r in references if r["uid"] != uid])
            writer.remove_finalizer(ref[0], found, ORPHAN)
        elif FOREGROUND in finalizers:
            waiting = False
            for other, item in list(self._items(found["metadata"]["uid"])):
                writer.drop(other[0], item)
                waiting = waiting or self._runtime.state.get(*other) is not None
            if not waiting:
                writer.remove_finalizer(ref[0], found, FOREGROUND)
        elif ref[0] == CRDS and CRD_CLEANUP in finalizers:
            self._empty_definition(found)

    def _empty_definition(self, found: Object) -> None:
        state = self._runtime.state
        key = (found["spec"]["group"], found["spec"]["names"]["plural"])
        if state.catalogue.serves(key):
            for item in state.store.list(key):
                self._runtime.writer.drop(key, item)
        if not state.store.count(key):
            self._runtime.writer.remove_finalizer(CRDS, found, CRD_CLEANUP)

    def _items(self, uid: str) -> Iterator[tuple[Ref, Object]]:
        for ref in self._dependents.get(uid, {}):
            found = self._runtime.state.get(*ref)
            if found is not None:
                yield ref, found

    def _owner_refs(self, found: Object) -> Iterator[Ref]:
        namespace = found["metadata"].get("namespace", "")
        for item in found["metadata"].get("ownerReferences") or ():
            resource = self._runtime.state.catalogue.by_kind(item["apiVersion"], item["kind"])
            if resource is not None:
                yield resource.key, namespace if resource.namespaced else "", item["name"]

    def _lives(self, reference: Object, namespace: str) -> bool:
        catalogue = self._runtime.state.catalogue
        resource = catalogue.by_kind(reference["apiVersion"], reference["kind"])
        if resource is None:
            return False
        where = namespace if resource.namespaced else ""
        owner = self._runtime.state.get(resource.key, where, reference["name"])
        return owner is not None and owner["metadata"]["uid"] == reference["uid"]

    def _set_owners(self, ref: Ref, found: Object, owners: list[Object]) -> None:
        def change(new: Object) -> None:
            new["metadata"]["ownerReferences"] = owners
            if not owners:
                del new["metadata"]["ownerReferences"]

        self._runtime.writer.edit(ref[0], found, change, MANAGER)


def _owners(found: Object | None) -> list[str]:
    references = found["metadata"].get("ownerReferences") or () if found else ()
    return [item["uid"] for item in references]
