"""Create, update, apply and delete, as the registry of an API server does them.

Order of a write: decode, defaults, admission, validation, storage (Kubernetes documentation,
"Kubernetes API Concepts"). Clients and the sandbox's own controllers take the same way.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from clusterkit_sandbox.kube import admission, defaults, podsecurity, rules
from clusterkit_sandbox.kube.apply import applied
from clusterkit_sandbox.kube.decoding import Decoder, typed
from clusterkit_sandbox.kube.deletion import delete
from clusterkit_sandbox.kube.kinds import GroupPlural, Object, Resource, clone
from clusterkit_sandbox.kube.ownership import SYSTEM_FIELDS, now, updated
from clusterkit_sandbox.kube.refusals import (
    Refusal,
    already_exists,
    bad_request,
    conflict,
    invalid,
    modified,
)
from clusterkit_sandbox.kube.state import ClusterState
from clusterkit_sandbox.kube.validation import metadata_causes, schema_causes
from clusterkit_sandbox.kube.versions import stored
from clusterkit_sandbox.kube.write_options import WriteOptions, counted, may_go, wish, without_times

MANAGER = "kube-controller-manager"
_NAME_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # apimachinery's pkg/util/rand: no vowels, no words
_GENERATED = 58  # ... names.SimpleNameGenerator leaves room for five letters


class Writer:
    """The writes of one cluster."""

    def __init__(self, state: ClusterState) -> None:
        self._state = state

    def create(
        self, resource: Resource, namespace: str, body: Object, options: WriteOptions
    ) -> Object:
        """Store a new object; ``body`` is not changed. ``Refusal`` if it may not be."""
        new = self._decode(resource, typed(body, resource), options)
        resource, new = self._stored(resource, new)
        self._prepare(resource, namespace, new)
        defaults.fill(resource, new)
        # what admission adds belongs to nobody
        managed = updated(resource, new, None, None, options.manager)
        self._complete(resource, new, None)
        options.warnings += podsecurity.warnings(self._state, resource.key, new)
        name = new["metadata"]["name"]
        if self._state.get(resource.key, new["metadata"].get("namespace", ""), name):
            raise already_exists(resource, name)
        return self._commit(resource, new, managed, options)

    def update(
        self, resource: Resource, namespace: str, name: str, body: Object, options: WriteOptions
    ) -> Object:
        """Replace an object, or its status; the answer is the old one if nothing changes."""
        old = self._state.need(resource, namespace, name)
        return self._update(resource, old, self._decode(resource, body, options), options)

    def _update(
        self, resource: Resource, old: Object, new: Object, options: WriteOptions
    ) -> Object:
        given = new["metadata"].get("managedFields")
        resource, new = self._stored(resource, new)
        self._match(resource, new, old)
        new = self._part(resource, new, old, options.subresource)
        if not options.subresource:
            defaults.fill(resource, new)
        managed = updated(resource, new, old, given, options.manager, options.subresource)
        self._complete(resource, new, old, options.subresource)
        return self._replace(resource, new, old, managed, options)

    def apply(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        body: Any,
        options: WriteOptions,
        *,
        force: bool,
    ) -> tuple[Object, bool]:
        """Server-side apply; whether the object is new. ``Refusal`` 409 for conflicts."""
        wanted = typed(body, resource)
        if wanted["metadata"].get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        if wanted["metadata"].setdefault("name", name) != name:
            raise self._wrong_name(wanted, name)
        if resource.namespaced:
            wanted["metadata"].setdefault("namespace", namespace)
        wanted = self._typed_patch(resource, wanted, namespace, name)
        resource, wanted = self._stored(resource, wanted)
        old = self._state.get(resource.key, namespace if resource.namespaced else "", name)
        if old is None and options.subresource:
            self._state.need(resource, namespace, name)
        merged = applied(
            resource, old, wanted, options.manager, force=force, subresource=options.subresource
        )
        new = merged.object
        if old is None:
            self._prepare(resource, namespace, new)
            defaults.fill(resource, new)
            self._complete(resource, new, None)
            options.warnings += podsecurity.warnings(self._state, resource.key, new)
            return self._commit(resource, new, merged.managed, options), True
        if "resourceVersion" not in wanted["metadata"]:
            new["metadata"].pop("resourceVersion", None)
        self._match(resource, new, old)
        new = self._part(resource, new, old, options.subresource)
        if not options.subresource:
            defaults.fill(resource, new)
        self._complete(resource, new, old, options.subresource)
        return self._replace(resource, new, old, merged.managed, options), False

    def make(self, key: GroupPlural, namespace: str, body: Object, manager: str) -> Object:
        """Create an object as a controller does."""
        resource = self._state.catalogue.current(key)
        return self.create(resource, namespace, body, WriteOptions(manager))

    def drop(self, key: GroupPlural, found: Object) -> None:
        """Delete an object as a controller does; again changes nothing."""
        delete(self._state, self._state.catalogue.current(key), found)

    def edit(
        self,
        key: GroupPlural,
        found: Object,
        change: Callable[[Object], None],
        manager: str,
        subresource: str = "",
    ) -> Object | None:
        """Change the latest version of an object in place; None if it is gone."""
        latest = self._state.current(key, found)
        if latest is None:
            return None
        new = clone(latest)
        change(new)
        resource = self._state.catalogue.current(key)
        options = WriteOptions(manager, subresource=subresource)
        # what is stored has been decoded
        kept = {name: value for name, value in new.items() if latest.get(name) == value}
        fresh = {name: value for name, value in new.items() if name not in kept}
        new = kept | self._decode(resource, fresh, options)
        return self._update(resource, latest, new, options)

    def set_status(self, key: GroupPlural, found: Object, manager: str, **fields: Any) -> None:
        """Set fields of an object's status; None removes one."""

        def change(new: Object) -> None:
            status = {**(new.get("status") or {}), **fields}
            new["status"] = {name: value for name, value in status.items() if value is not None}

        self.edit(key, found, change, manager, "status")

    def remove_finalizer(self, key: GroupPlural, found: Object, finalizer: str) -> None:
        """Remove one finalizer; a deleted object goes with its last one."""

        def change(new: Object) -> None:
            kept = [item for item in new["metadata"].get("finalizers") or () if item != finalizer]
            new["metadata"]["finalizers"] = kept

        self.edit(key, found, change, MANAGER)

    def _stored(self, resource: Resource, found: Object) -> tuple[Resource, Object]:
        return stored(resource, self._state.catalogue.current(resource.key), found)

    def _decode(self, resource: Resource, body: Object, options: WriteOptions) -> Object:
        decoder = Decoder(resource)
        found = decoder.decode(body)
        if options.validation == "Strict":
            decoder.refuse_problems()
        elif options.validation == "Warn":
            options.warnings += decoder.problems
        return found

    def _typed_patch(self, resource: Resource, wanted: Object, namespace: str, name: str) -> Object:
        decoder = Decoder(resource)
        found = decoder.decode(wanted)
        if decoder.problems:
            # apply knows no other validation: what has no schema cannot be owned
            wrong = ", ".join(
                f".{problem.split(chr(34))[1]}: field not declared in schema"
                for problem in decoder.problems
            )
            place = f"{namespace}/{name}" if resource.namespaced else f"/{name}"
            raise Refusal(
                500,
                "InternalError",
                f"failed to create typed patch object ({place}; {resource.group_version},"
                f" Kind={resource.kind}): {wrong}",
            )
        return found

    def _prepare(self, resource: Resource, namespace: str, new: Object) -> None:
        metadata = new["metadata"]
        if resource.namespaced:
            if metadata.setdefault("namespace", namespace) != namespace:
                raise bad_request(
                    "the namespace of the provided object does not match the namespace sent on the"
                    " request"
                )
            admission.check_namespace(self._state, resource, new)
        else:
            metadata.pop("namespace", None)
        if not metadata.get("name") and metadata.get("generateName"):
            tail = "".join(secrets.choice(_NAME_LETTERS) for _ in range(5))
            metadata["name"] = metadata["generateName"][:_GENERATED] + tail
        for name in (
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "selfLink",
            "managedFields",
        ):
            metadata.pop(name, None)
        metadata.pop("resourceVersion", None)
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = now()
        metadata.pop("generation", None)
        if counted(resource):
            metadata["generation"] = 1
        if resource.has_status and resource.key != ("", "nodes"):
            # a node comes with the status its kubelet found
            new.pop("status", None)

    def _match(self, resource: Resource, new: Object, old: Object) -> None:
        metadata, before = new["metadata"], old["metadata"]
        name = before["name"]
        if metadata.get("name", name) != name:
            raise self._wrong_name(new, name)
        if metadata.get("namespace", before.get("namespace")) != before.get("namespace"):
            raise bad_request(
                "the namespace of the provided object does not match the namespace sent on the"
                " request"
            )
        version = metadata.get("resourceVersion")
        if version and version != before["resourceVersion"]:
            raise modified(resource, name)
        if metadata.get("uid") and metadata["uid"] != before["uid"]:
            why = (
                f"Precondition failed: UID in precondition: {metadata['uid']}, UID in object meta:"
                f" {before['uid']}"
            )
            raise conflict(resource, name, why)

    @staticmethod
    def _wrong_name(new: Object, name: str) -> Refusal:
        return bad_request(
            f"the name of the object ({new['metadata'].get('name')}) does not match the name on the"
            f" URL ({name})"
        )

    def _part(self, resource: Resource, new: Object, old: Object, subresource: str) -> Object:
        if subresource == "status":
            found = {**clone(old), "status": new.get("status") or {}}
            if resource.is_namespace and new["metadata"].get("finalizers") is not None:
                found["metadata"]["finalizers"] = new["metadata"]["finalizers"]
            return found
        if subresource == "finalize":
            return {**clone(old), "spec": new.get("spec") or {}}
        if resource.has_status:
            new.pop("status", None)
            if "status" in old:
                new["status"] = clone(old["status"])
        for name in SYSTEM_FIELDS:
            new["metadata"].pop(name, None)
            if name in old["metadata"]:
                new["metadata"][name] = old["metadata"][name]
        return new

    def _complete(
        self, resource: Resource, new: Object, old: Object | None, subresource: str = ""
    ) -> None:
        if not subresource:
            if old is None and not new["metadata"].get("name"):
                raise invalid(resource, "", metadata_causes(resource, new))
            admission.admit(self._state, resource, new, old)
        if subresource == "status" and not resource.custom:
            return
        found = metadata_causes(resource, new) + rules.causes(resource, new, old)
        told = {cause.field for cause in found}
        found += [cause for cause in schema_causes(resource, new, old) if cause.field not in told]
        if found:
            raise invalid(resource, new["metadata"].get("name", ""), found)

    def _commit(
        self, resource: Resource, new: Object, managed: Sequence[Object], options: WriteOptions
    ) -> Object:
        new["metadata"]["managedFields"] = list(managed)
        if options.dry_run:
            new["metadata"].pop("resourceVersion", None)
            return new
        return self._state.store.put(resource.key, new)

    def _replace(
        self,
        resource: Resource,
        new: Object,
        old: Object,
        managed: list[Object],
        options: WriteOptions,
    ) -> Object:
        new["metadata"]["managedFields"] = managed
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        if not new["metadata"].get("finalizers"):
            new["metadata"].pop("finalizers", None)
        if without_times(new) == without_times(old):
            return old
        if counted(resource) and options.subresource != "status" and wish(new) != wish(old):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        if options.dry_run:
            return new
        if may_go(new):
            return self._state.store.remove(resource.key, new)
        return self._state.store.put(resource.key, new)
