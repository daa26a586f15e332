"""What Azure's refusals say, wherever the cause stands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clusterkit.aks import ids
from clusterkit.aks.errors import ERRORS, read, refusal
from clusterkit.engine.rest import Answer
from clusterkit.errors import (
    Busy,
    CloudError,
    Denied,
    Exists,
    Gone,
    InUse,
    OutOfStock,
    Protected,
    QuotaExceeded,
    Rejected,
)
from tests.facts.rows import CLASSES
from tests.facts.rows import read as facts

CLUSTER = "Microsoft.ContainerService/managedClusters PUT"
PLAYED = [each for each in facts("azure") if each.playable == "yes"]


def answer(status: int, body: Any, operation: str = CLUSTER) -> Answer:
    data = b"" if body is None else json.dumps(body).encode()
    return Answer(status, data, {"x-ms-request-id": "r"}, operation)


@pytest.mark.parametrize("fact", PLAYED, ids=lambda fact: f"{fact.where}-{fact.code}")
def test_facts(fact: Any) -> None:
    body = {"error": {"code": fact.code, "message": fact.message or "refused"}}
    error = refusal(answer(fact.status or 400, body, fact.operation))
    assert type(error) is CLASSES[fact.kind], fact.where


def test_aks_has_no_envelope() -> None:
    words = 'UnmarshalEntity encountered error: json: unknown field "sshAccess"'
    body = {"code": "UnmarshalError", "details": None, "message": words, "subcode": ""}
    assert read(answer(400, body)) == ("UnmarshalError", words)


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        (
            {"code": "DeploymentFailed", "details": [{"code": "SkuNotAvailable", "message": "m"}]},
            "SkuNotAvailable",
            OutOfStock,
        ),
        (
            {
                "code": "RequestDisallowedByPolicy",
                "message": "Resource 'x' was disallowed by policy. Policy identifiers: '[]'.",
                "additionalInfo": [{"type": "PolicyViolation", "info": {}}],
            },
            "RequestDisallowedByPolicy",
            Denied,
        ),
        (
            {"code": "ScopeLocked", "message": "The scope 'x' cannot perform delete operation"},
            "ScopeLocked",
            Protected,
        ),
        (
            {"code": "BadRequest", "subcode": "SubnetIsFull", "message": "m"},
            "SubnetIsFull",
            QuotaExceeded,
        ),
        (
            {
                "code": "CreateVMSSAgentPoolFailed",
                "message": "Category: ClientError; SubCode: AllocationFailed; Dependency: x",
            },
            "AllocationFailed",
            OutOfStock,
        ),
        ({"code": "Strange", "message": "m"}, "Strange", Rejected),
        (
            {"code": "OperationNotAllowed", "message": "exceeding approved standardDSv5 Cores"},
            "OperationNotAllowed",
            QuotaExceeded,
        ),
        (
            {"code": "OperationNotAllowed", "message": "There has to be at least one agent pool."},
            "OperationNotAllowed",
            Rejected,
        ),
    ],
)
def test_the_most_particular_code_decides(
    error: dict[str, Any], code: str, kind: type[CloudError]
) -> None:
    found = refusal(answer(400, {"error": error}))
    assert type(found) is kind
    assert isinstance(found, CloudError)
    assert (found.code, found.request_id) == (code, "r")


@pytest.mark.parametrize(
    ("status", "kind"), [(403, Denied), (404, Gone), (409, Busy), (412, Busy), (418, Rejected)]
)
def test_answers_without_a_body(status: int, kind: type[CloudError]) -> None:
    assert type(refusal(answer(status, None))) is kind


def test_a_condition_that_did_not_hold() -> None:
    scale_set = "Microsoft.Compute/virtualMachineScaleSets PUT"
    body = {"error": {"code": "Whatever", "message": "m"}}
    assert type(refusal(answer(412, body, scale_set))) is Exists
    assert type(refusal(answer(412, body))) is Busy


def test_an_answer_of_something_on_the_way() -> None:
    found = refusal(Answer(502, b"<html>", {}, CLUSTER))
    assert "not the vendor's" in str(found)


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("Canceled", "", Busy),
        ("InUseSubnetCannotBeDeleted", "", InUse),
        ("Failed", 'RoleAssignmentReconciler: Code="AuthorizationFailed" Message="m"', Denied),
        ("VMExtensionProvisioningError", "vmssCSE exit status=50", Rejected),
    ],
)
def test_operations_that_failed(code: str, message: str, kind: type[CloudError]) -> None:
    assert type(ERRORS.failed(code, message, CLUSTER)) is kind


def test_what_needs_a_cure_has_one() -> None:
    for row in ERRORS.rows:
        if row.error in (Denied, QuotaExceeded):
            code = row.codes.split()[0].replace("*", "X")
            assert ERRORS.classify(code, 400, row.message or "m", "x PUT").hint


GROUP = "/subscriptions/S/resourceGroups/G"


@pytest.mark.parametrize(
    ("method", "path", "operation", "changes"),
    [
        ("GET", "/subscriptions/S", "Microsoft.Resources/subscriptions GET", False),
        ("GET", "/subscriptions/S/resourcegroups", "Microsoft.Resources/resourceGroups GET", False),
        ("PUT", GROUP, "Microsoft.Resources/resourceGroups PUT", True),
        ("GET", f"{GROUP}/resources", "Microsoft.Resources/resources GET", False),
        (
            "GET",
            "/subscriptions/S/providers/Microsoft.N",
            "Microsoft.Resources/providers GET",
            False,
        ),
        (
            "POST",
            "/subscriptions/S/providers/Microsoft.N/register",
            "Microsoft.Resources/providers/register POST",
            True,
        ),
        (
            "DELETE",
            f"{GROUP}/providers/Microsoft.Network/virtualNetworks/V/subnets/N?api-version=1",
            "Microsoft.Network/virtualNetworks/subnets DELETE",
            True,
        ),
        (
            "POST",
            f"{GROUP}/providers/Microsoft.C/managedClusters/C/listClusterUserCredential",
            "Microsoft.C/managedClusters/listClusterUserCredential POST",
            False,
        ),
        (
            "PATCH",
            f"{GROUP}/providers/Microsoft.N/v/V/providers/Microsoft.Resources/tags/default",
            "Microsoft.Resources/tags PATCH",
            True,
        ),
    ],
)
def test_what_a_call_is_called(method: str, path: str, operation: str, changes: bool) -> None:
    assert ids.operation(method, path) == operation
    assert ids.changes(method, path) is changes


def test_parts_of_ids() -> None:
    identifier = f"{GROUP}/providers/Microsoft.Compute/disks/D"
    assert ids.part(identifier.lower(), "resourceGroups") == "g"
    assert ids.part(identifier, "virtualNetworks") == ""
    assert ids.group_of(identifier) == GROUP.lower()
    assert ids.key(None) == ids.part("", "x") == ids.last("") == ""
    assert ids.relative("https://management.azure.com/a/b?c=d") == "/a/b?c=d"
