"""Service Usage v1: which services a project has enabled.

A service that was enabled is refused for some time yet (facts: accessNotConfigured). Texts: the
refusals of a second change and of a service that others need are quoted in
hashicorp/terraform-provider-google, error_retry_predicates.go:311 and
resource_google_project_service.go.
"""

from __future__ import annotations

import re

from clusterkit_sandbox.google import access
from clusterkit_sandbox.google.failure import Json, bad_request, rpc
from clusterkit_sandbox.google.longrunning import LongRunning, begin, running
from clusterkit_sandbox.google.service import Call, method

_MOST = 20
"""services of one batchEnable (the API's ``BatchEnableServicesRequest``)"""
_NEEDS = {"container": ("compute",)}
"""what comes with a service, and cannot go before it (vendor: "Enable and disable services")"""
_KNOWN = (
    "artifactregistry", "bigquery", "bigquerystorage", "cloudapis", "cloudbuild",
    "cloudresourcemanager", "cloudtrace", "compute", "container", "containerregistry",
    "containerscanning", "datastore", "dns", "gkehub", "iam", "iamcredentials", "logging",
    "monitoring", "networkconnectivity", "oslogin", "pubsub", "secretmanager", "servicemanagement",
    "serviceusage", "sqladmin", "storage", "storage-api", "storage-component", "sts",
)  # fmt: skip
"""those that a list without a filter shows: an excerpt"""
_NAME = re.compile(r"projects/[^/]+/services/(?P<service>[a-z0-9.-]+)")
_HOST = ".googleapis.com"
_TYPE = "type.googleapis.com/google.api.serviceusage.v1."
_METADATA = {"@type": "type.googleapis.com/google.protobuf.Empty", "value": {}}


def _service(text: str) -> str:
    """``container`` of ``container.googleapis.com``."""
    if not text.endswith(_HOST):
        raise rpc("PERMISSION_DENIED", f"Not found or permission denied for service(s): {text}.")
    return text.removesuffix(_HOST)


def _named(call: Call) -> str:
    found = _NAME.fullmatch(str(call["name"]))
    if found is None:
        raise bad_request([("name", f"Invalid service name: {call['name']}.")])
    return _service(found["service"])


def _shown(call: Call, service: str) -> Json:
    on = (call.project, service) in call.store.enabled
    return {
        "name": f"projects/{call.number}/services/{service}{_HOST}",
        "config": {"name": f"{service}{_HOST}"},
        "parent": f"projects/{call.number}",
        "state": "ENABLED" if on else "DISABLED",
    }


@method("serviceusage.services.get")
def _get(call: Call) -> object:
    return _shown(call, _named(call))


@method("serviceusage.services.batchGet")
def _batch_get(call: Call) -> object:
    names = [_NAME.fullmatch(str(one)) for one in call.get("names") or ()]
    return {"services": [_shown(call, _service(f["service"])) for f in names if f]}


@method("serviceusage.services.list")
def _list(call: Call) -> object:
    wanted = str(call.get("filter", "")).replace(" ", "").partition("state:")[2]
    if wanted not in ("", "ENABLED", "DISABLED"):
        raise bad_request([("filter", f"Invalid filter: {call.get('filter')}.")])
    on = {service for project, service in call.store.enabled if project == call.project}
    found = [_shown(call, one) for one in sorted({*_KNOWN, *on})]
    found = [one for one in found if wanted in ("", one["state"])]
    some, after = call.page(found, default=50, most=200)
    listed: Json = {"services": list(some)} if some else {}
    return listed | ({"nextPageToken": after} if after else {})


@method("serviceusage.services.enable", "serviceusage.services.batchEnable")
def _enable(call: Call) -> object:
    store, project, alone = call.store, call.project, call.operation.endswith(".enable")
    asked = [] if alone else [str(one) for one in call.body.get("serviceIds") or ()]
    if not alone and not 1 <= len(asked) <= _MOST:
        raise bad_request([("service_ids", f"1 to {_MOST} services can be enabled at once.")])
    services = [_named(call)] if alone else [_service(one) for one in asked]
    wanted = [need for one in services for need in (*_NEEDS.get(one, ()), one)]

    def answer() -> Json:
        shown = [_shown(call, one) for one in services]
        if alone:
            return {"@type": f"{_TYPE}EnableServiceResponse", "service": shown[0]}
        return {"@type": f"{_TYPE}BatchEnableServicesResponse", "services": shown}

    if all((project, one) in store.enabled for one in services):
        return {"name": "operations/noop.DONE_OPERATION", "done": True, "response": answer()}
    late = call.faults.late(call.operation)

    def enabled() -> Json:
        for one in wanted:
            if (project, one) not in store.enabled:
                usable = store.clock.due("google/service/usable") + late
                store.enabled[project, one] = usable
                access.service_enabled(store, project, one)
        return answer()

    return begin(store, _operation(call), "google/service/enable", enabled,
                 terminal=call.terminal())  # fmt: skip


def _operation(call: Call) -> LongRunning:
    parent = f"services of {call.project}"
    if running(call.store, parent):
        raise rpc(
            "FAILED_PRECONDITION",
            "Another activation or deactivation is in progress for the following service(s) and"
            f" container: projects/{call.number}. Please wait and retry.",
        )
    name = f"operations/acat.p2-{call.number}-{call.store.new_uuid()}"
    return LongRunning(id=name, parent=parent, metadata=dict(_METADATA))


@method("serviceusage.services.disable")
def _disable(call: Call) -> object:
    service, store, project = _named(call), call.store, call.project
    users = [one for one, needs in _NEEDS.items()
             if service in needs and (project, one) in store.enabled]  # fmt: skip
    if users and not call.body.get("disableDependentServices"):
        raise rpc(
            "FAILED_PRECONDITION",
            f"The service {service}{_HOST} is depended on by the following active service(s):"
            f" {','.join(one + _HOST for one in users)}; Please specify"
            " disable_dependent_services=true if you want to proceed with disabling all services.",
        )

    def disabled() -> Json:
        for one in (*users, service):
            store.enabled.pop((project, one), None)
        return {"@type": f"{_TYPE}DisableServiceResponse", "service": _shown(call, service)}

    return begin(store, _operation(call), "google/service/enable", disabled)
