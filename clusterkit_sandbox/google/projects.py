"""Resource Manager v1 and v3: the projects, and what the caller may do in them.

Words: facts/gcp.tsv. Callers are not told whether other people's projects exist.
"""

from __future__ import annotations

from clusterkit_sandbox.google.access import serve
from clusterkit_sandbox.google.account import PROJECTS, project_id
from clusterkit_sandbox.google.failure import Json, rpc
from clusterkit_sandbox.google.service import Call, method, rfc3339


def _shown(project: str, version: str) -> Json:
    made = rfc3339(0)
    if version == "v1":
        return {
            "projectId": project,
            "projectNumber": PROJECTS[project],
            "name": project,
            "lifecycleState": "ACTIVE",
            "createTime": made,
        }
    return {
        "name": f"projects/{PROJECTS[project]}",
        "projectId": project,
        "displayName": project,
        "state": "ACTIVE",
        "createTime": made,
    }


@method("cloudresourcemanager.projects.get")
def _get(call: Call) -> object:
    return _shown(call.project, call.version)


@method("cloudresourcemanager.projects.list", "cloudresourcemanager.projects.search")
def _list(call: Call) -> object:
    """Every project; the filters and queries of the vendor are not emulated."""
    some, after = call.page([_shown(project, call.version) for project in PROJECTS])
    return {"projects": list(some), **({"nextPageToken": after} if after else {})}


def _named(call: Call) -> str:
    """A project that does not exist and one of somebody else's are refused alike (hashicorp/
    terraform-provider-google, resource_google_project.go:328).
    """
    found = project_id(str(call["resource"]).removeprefix("projects/"))
    if found is None:
        raise rpc("PERMISSION_DENIED", "The caller does not have permission")
    return f"projects/{found}"


serve("cloudresourcemanager.projects", _named)
