"""CS 2015-12-15: tasks and events as they are shown."""

from __future__ import annotations

from collections.abc import Sequence

from clusterkit_sandbox.alibaba.failure import Failure
from clusterkit_sandbox.alibaba.models import Event, Task
from clusterkit_sandbox.alibaba.service import Call, Json, beijing, find_cluster, operation

_STATES = {"running": "running", "done": "success", "failed": "fail"}


def _summary(task: Task) -> Json:
    return {
        "task_id": task.id,
        "task_type": task.kind,
        "state": _STATES[task.state],
        "created": beijing(task.begun),
        "updated": beijing(task.updated),
        "error": dict(zip(("code", "message"), task.error, strict=True)) if task.error else None,
    }


@operation("cs:DescribeTaskInfo")
def _describe(call: Call) -> object:
    task = call.store.tasks.get(call.path["task_id"])
    if task is None:
        # the code is not documented
        raise Failure(404, "InvalidParameter", "The task is not found.")
    events = [e for e in call.store.all(Event) if e.task == task.id]
    return _summary(task) | {
        "cluster_id": task.parent,
        "target": {"id": task.target, "type": "cluster" if task.target[0] == "c" else "nodepool"},
        "current_stage": task.kind if task.state == "running" else "",
        "stages": [
            {
                "state": _STATES[task.state],
                "message": task.error[1] if task.error else "",
                "start_time": beijing(task.begun),
                "end_time": "" if task.state == "running" else beijing(task.updated),
            }
        ],
        "events": [
            {
                "action": task.kind,
                "level": e.level,
                "reason": e.reason,
                "message": e.message,
                "source": task.target,
                "timestamp": str(int(e.created * 1000)),
            }
            for e in events
        ],
        "task_result": [],
    }


def _paged(call: Call, items: Sequence[Task] | Sequence[Event]) -> tuple[Json, Sequence[object]]:
    """Newest first, by number or by token as the call asks."""
    newest = list(reversed(items))
    if call.get("next_token") is not None or call.get("max_results") is not None:
        token, some = call.slice(newest, token="next_token", size="max_results", most=50)
        return {"next_token": token}, some
    figures, some = call.page(
        newest, number="page_number", size="page_size", total="total_count", most=100
    )
    return {"page_info": figures, "next_token": ""}, some


@operation("cs:DescribeClusterTasks")
def _list(call: Call) -> object:
    cluster = find_cluster(call)
    found = call.store.tasks.of(cluster.id)
    figures, some = _paged(call, found)
    return figures | {"tasks": [_summary(t) for t in some if isinstance(t, Task)]}


def _event(event: Event) -> Json:
    return {
        "event_id": event.id,
        "type": event.kind,
        "source": "cluster",
        "subject": event.subject,
        "cluster_id": event.cluster,
        "time": beijing(event.created),
        "data": {"level": event.level, "reason": event.reason, "message": event.message},
    }


@operation("cs:DescribeClusterEvents")
def _events_of_cluster(call: Call) -> object:
    cluster = find_cluster(call)
    found = [
        e
        for e in call.store.all(Event)
        if e.cluster == cluster.id and call.get("task_id") in (None, e.task)
    ]
    figures, some = _paged(call, found)
    return figures | {"events": [_event(e) for e in some if isinstance(e, Event)]}


@operation("cs:DescribeEvents")
def _events(call: Call) -> object:
    found = [
        e
        for e in call.store.all(Event)
        if call.get("cluster_id") in (None, e.cluster) and call.get("type") in (None, e.kind)
    ]
    figures, some = _paged(call, found)
    return figures | {"events": [_event(e) for e in some if isinstance(e, Event)]}


@operation("cs:DescribeClusterLogs")
def _logs(call: Call) -> object:
    cluster = find_cluster(call)
    return [
        {
            "ID": number,
            "cluster_id": cluster.id,
            "cluster_log": f"{cluster.id} | {event.reason}: {event.message}",
            "created": beijing(event.created),
            "updated": beijing(event.created),
        }
        for number, event in enumerate(call.store.all(Event), 1)
        if event.cluster == cluster.id
    ]
