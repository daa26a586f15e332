"""CS 2015-12-15: remove and reconfigure the nodes of a pool.

Vendor: RemoveNodePoolNodes ("the desired number of nodes is adjusted", nodes stay unschedulable
while they are removed) and ModifyNodePoolNodeConfig, whose settings DescribeClusterNodePoolDetail
shows as ``node_config``, all but those of containerd.
"""

from __future__ import annotations

from clusterkit_sandbox.alibaba.failure import bad
from clusterkit_sandbox.alibaba.models import Instance
from clusterkit_sandbox.alibaba.nodepools import begun, find_pool, require_active
from clusterkit_sandbox.alibaba.nodes import node_name
from clusterkit_sandbox.alibaba.service import Call, operation

_PARALLEL = (1, 10)
"""Nodes that may be changed at once (vendor: rolling_policy.max_parallelism)."""
_SETTINGS = {"kubelet_config": "kubelet_configuration", "os_config": "node_os_config"}


@operation("cs:RemoveNodePoolNodes")
def _remove(call: Call) -> object:
    cluster, pool = find_pool(call)
    require_active(cluster, pool)
    machines = [i for i in call.store.all(Instance) if i.pool == pool.id]
    known = {i.id: i for i in machines} | {node_name(i): i for i in machines}
    wanted = [*(call.get("instance_ids") or []), *(call.get("nodes") or [])]
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        # the code is not documented
        raise bad("InvalidParameter", f"Not machines of the node pool: {', '.join(unknown)}.")
    found = list({known[name].id: known[name] for name in wanted}.values())
    task = call.store.tasks.start("nodepool_remove_nodes", cluster, pool.id)
    call.clusters.pools.remove(
        pool,
        found,
        task,
        drain=bool(call.get("drain_node", False)),
        release=bool(call.get("release_node", False)),
        at_once=bool(call.get("concurrency", False)),
    )
    return {"request_id": call.request_id, "task_id": task.id}


@operation("cs:ModifyNodePoolNodeConfig")
def _configure(call: Call) -> object:
    cluster, pool = find_pool(call)
    require_active(cluster, pool)
    given = {name: call.get(name) for name in (*_SETTINGS, "containerd_config") if call.get(name)}
    if not given:
        raise bad("InvalidParameter", "Give kubelet_config, containerd_config or os_config.")
    parallel = (call.get("rolling_policy") or {}).get("max_parallelism", _PARALLEL[1])
    if not _PARALLEL[0] <= parallel <= _PARALLEL[1]:
        raise bad("InvalidParameter", "rolling_policy.max_parallelism must be 1 to 10.")
    names = {node_name(i) for i in call.store.all(Instance) if i.pool == pool.id}
    if set(call.get("node_names") or []) - names:
        raise bad("InvalidParameter", "node_names must be nodes of the node pool.")
    task = call.store.tasks.start("nodepool_update_node_config", cluster, pool.id)

    def changed() -> None:
        settings = dict(pool.body.get("node_config") or {})
        for name, shown in _SETTINGS.items():
            settings[shown] = {**(settings.get(shown) or {}), **given.get(name, {})}
        pool.body["node_config"] = {name: value for name, value in settings.items() if value}

    call.clusters.pools.change(pool, task, "nodepool/config", changed)
    return begun(call, pool, task)
