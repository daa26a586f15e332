"""What is polled of long-running operations (``running.py``)."""

from __future__ import annotations

from clusterkit_sandbox.azure import model
from clusterkit_sandbox.azure.failure import Failure, refusal
from clusterkit_sandbox.azure.running import ArmOperation, retry_after
from clusterkit_sandbox.azure.service import Call, Reply, operation


def _found(call: Call) -> ArmOperation:
    found = call.store.operations.get(str(call["operationId"]))
    unseen = found is not None and found.polls < call.store.conditions.unseen_polls
    if found is not None:
        found.polls += 1
    if found is None or found.subscription != call.subscription or unseen:
        raise refusal("NotFound#operation", operation_id=call["operationId"])
    return found


@operation("OperationStatuses_Get")
def _status(call: Call) -> object:
    found = _found(call)
    headers = retry_after(call.store.clock.pace) if found.state == "running" else {}
    document = found.document()
    odd = call.store.conditions.odd_status
    if odd and found.state == "running" and call.asked.service == "containerservice":
        document["status"] = odd
    return Reply(200, document, headers)


@operation("OperationResults_Get", "OperationResults_GetOfGroup")
def _result(call: Call) -> object:
    found = _found(call)
    if found.state == "running":
        url = f"https://{model.MANAGER}{call.path}?api-version={call.version}"
        return Reply(202, None, {"Location": url, **retry_after(call.store.clock.pace)})
    if found.error is not None:
        raise Failure(*found.error)
    if found.ended is not None:
        return Reply(200, found.ended())
    return Reply(200 if not found.location else 204)
