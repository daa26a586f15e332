"""The autoscaling configuration of a cluster, without which ACK's pools do not scale.

Container Service takes it (CreateAutoscalingConfig), installs the component, and shows it nowhere:
no operation of CS 2015-12-15 reads it back, and terraform-provider-alicloud reads nothing either
(resource_alicloud_cs_autoscaling_config.go). So a tag on the cluster says what was configured. It
cannot be taken away, and does nothing and costs nothing while no pool scales.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.tags import tag_cluster
from clusterkit.engine.operation import Done, Operation, Outcome
from clusterkit.engine.scope import Scope
from clusterkit.naming import digest

TAG = "clusterkit-autoscaling"
SETTINGS: Mapping[str, Any] = {
    "scaler_type": "goatscaler",
    "cool_down_duration": "10m",
    "unneeded_duration": "10m",
    "utilization_threshold": "0.5",
    "gpu_utilization_threshold": "0.5",
    "scan_interval": "30s",
    "scale_down_enabled": True,
    "expander": "least-waste",
    "skip_nodes_with_system_pods": True,
    # builds leave files in emptyDir, which would keep their idle nodes for ever
    "skip_nodes_with_local_storage": False,
    "scale_up_from_zero": True,
}
"""the vendor's component for clusters since 1.24, with the values of its other client
(terraform-provider-alicloud, website/docs/r/cs_autoscaling_config.html.markdown)"""
CONFIGURED = f"{SETTINGS['scaler_type']}-{digest(dict(SETTINGS))}"
"""the tag's value"""


@dataclass(frozen=True)
class Configuring:
    """The component being installed; the tag is written when that has worked."""

    task: Operation[Clients] | None
    cluster: str
    """id"""

    def poll(self, scope: Scope[Clients]) -> Outcome:
        """How far it is."""
        outcome = self.task.poll(scope) if self.task else Done()
        if isinstance(outcome, Done):
            tag_cluster(scope, self.cluster, {TAG: CONFIGURED})
        return outcome
