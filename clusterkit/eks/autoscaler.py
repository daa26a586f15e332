"""The cluster autoscaler, which EKS does not run by itself: ours, while a pool has a range.

It finds node groups by the tags that EKS puts on their Auto Scaling groups (EKS User Guide,
"Simplify node lifecycle with managed node groups"), respects their limits, and learns from
DescribeNodegroup what the nodes of an empty one would be (kubernetes/autoscaler,
cluster-autoscaler/cloudprovider/aws: ``managed_nodegroup_cache.go``). Its role is its own, by EKS
Pod Identity, which its SDK knows since 1.48.7 (kubernetes/autoscaler#6379).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from clusterkit.eks.addons import PodIdentity
from clusterkit.eks.iam import Role
from clusterkit.engine.kind import Kind
from clusterkit.engine.versions import minor
from clusterkit.kube.deployment import Deployment
from clusterkit.kube.manifest import ServiceAccount
from clusterkit.kube.rbac import Rule, cluster_role, namespaced_role

NAME = "cluster-autoscaler"
NAMESPACE = "kube-system"
ACCOUNT = f"{NAMESPACE}/{NAME}"
REPOSITORY = "registry.k8s.io/autoscaling/cluster-autoscaler"
RELEASES = {31: 5, 32: 7, 33: 5, 34: 4, 35: 1, 36: 1}
"""the newest known patch of each minor release: one is made for one minor version of Kubernetes
(https://github.com/kubernetes/autoscaler/releases; kubernetes/kops,
pkg/model/components/clusterautoscaler.go)"""
NOBODY = 65534
READ = ["get", "list", "watch"]


def autoscaler(
    cluster: Kind[Any, Any],
    version: str,
    nodegroups: str,
    region: str,
    tags: tuple[tuple[str, str], ...],
    after: tuple[Kind[Any, Any], ...],
) -> Iterator[Kind[Any, Any]]:
    """All that it consists of; ``nodegroups`` is the ARN of the cluster's node groups, ``after``
    what its pod needs to run.
    """
    name = cluster.name
    own = ((NAME, policy(name, nodegroups)),)
    role = Role(name=NAME, service="pods.eks.amazonaws.com", inline=own, tags=tags)
    identity = PodIdentity(name=NAME, account=ACCOUNT, role=role, cluster=cluster, tags=tags)
    content = {"apiVersion": "v1", "kind": "ServiceAccount"}
    account = ServiceAccount(name=ACCOUNT, cluster=cluster, content=content)
    rights = (
        *cluster_role(NAME, RULES, ACCOUNT, cluster),
        *namespaced_role(NAME, OWN_RULES, ACCOUNT, cluster),
    )
    yield from (identity, account, *rights)
    # a pod gets its role's address only if the association was there before it
    # (https://docs.aws.amazon.com/eks/latest/userguide/pod-id-association.html)
    needed: tuple[Kind[Any, Any], ...] = (identity, account, *rights, *after)
    yield Deployment(
        name=ACCOUNT, cluster=cluster, content=_deployment(name, version, region), after=needed
    )


def image(version: str) -> str:
    """Of the release for a version of Kubernetes, or of the nearest one known."""
    _, wanted = minor(version)
    known = min(RELEASES, key=lambda each: abs(each - wanted))
    return f"{REPOSITORY}:v1.{known}.{RELEASES[known]}"


def policy(cluster: str, nodegroups: str) -> str:
    """Least it needs with auto-discovery, of all features but those of other kinds of groups
    (kubernetes/autoscaler, cluster-autoscaler/cloudprovider/aws/README.md, "IAM Policy"); it
    changes the groups of this cluster only.
    """
    looks = [
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeAutoScalingInstances",
        "autoscaling:DescribeLaunchConfigurations",
        "autoscaling:DescribeScalingActivities",
        "autoscaling:DescribeTags",
        "ec2:DescribeImages",
        "ec2:DescribeInstanceTypes",
        "ec2:DescribeLaunchTemplateVersions",
        "ec2:GetInstanceTypesFromInstanceRequirements",
    ]
    changes = ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"]
    ours = {f"aws:ResourceTag/k8s.io/cluster-autoscaler/{cluster}": "owned"}
    statements = [
        {"Effect": "Allow", "Action": looks, "Resource": "*"},
        {"Effect": "Allow", "Action": ["eks:DescribeNodegroup"], "Resource": nodegroups},
        {
            "Effect": "Allow",
            "Action": changes,
            "Resource": "*",
            "Condition": {"StringEquals": ours},
        },
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _rule(group: str, resources: str, verbs: list[str], names: str = "") -> Rule:
    rule: Rule = {"apiGroups": [group], "resources": resources.split(), "verbs": verbs}
    return {**rule, "resourceNames": names.split()} if names else rule


_VOLUMES = "storageclasses csinodes csidrivers csistoragecapacities volumeattachments"
RULES = (
    _rule("", "events endpoints", ["create", "patch"]),
    _rule("", "pods/eviction", ["create"]),
    _rule("", "pods/status", ["update"]),
    _rule("", "endpoints", ["get", "update"], NAME),
    _rule("", "nodes", [*READ, "update"]),
    _rule("", "namespaces pods services replicationcontrollers", READ),
    _rule("", "persistentvolumeclaims persistentvolumes", READ),
    _rule("apps", "statefulsets replicasets daemonsets", READ),
    _rule("batch", "jobs", [*READ, "patch"]),
    _rule("policy", "poddisruptionbudgets", ["list", "watch"]),
    _rule("storage.k8s.io", _VOLUMES, READ),
    _rule("resource.k8s.io", "deviceclasses resourceslices resourceclaims", READ),
    _rule("coordination.k8s.io", "leases", ["create"]),
    _rule("coordination.k8s.io", "leases", ["get", "update"], NAME),
)
"""what it asks of Kubernetes (kubernetes/autoscaler, cluster-autoscaler/cloudprovider/aws/examples/
cluster-autoscaler-autodiscover.yaml)"""
OWN_RULES = (
    _rule("", "configmaps", ["create", "list", "watch"]),
    _rule(
        "",
        "configmaps",
        ["delete", "get", "update", "watch"],
        f"{NAME}-status {NAME}-priority-expander",
    ),
)
"""in its own namespace (the same file)"""


def _deployment(cluster: str, version: str, region: str) -> dict[str, Any]:
    """One pod; scan interval, delays and thresholds are its own defaults."""
    found_by = ",".join(f"k8s.io/{NAME}/{key}" for key in ("enabled", cluster))
    command = [
        "./cluster-autoscaler",
        "--cloud-provider=aws",
        "--expander=least-waste",
        # builds leave files in emptyDir, which would keep their idle nodes for ever
        "--skip-nodes-with-local-storage=false",
        f"--node-group-auto-discovery=asg:tag={found_by}",
    ]
    container = {
        "name": NAME,
        "image": image(version),
        "command": command,
        "env": [{"name": "AWS_REGION", "value": region}],
        "resources": {
            "requests": {"cpu": "100m", "memory": "600Mi"},
            "limits": {"memory": "600Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    spec = {
        "serviceAccountName": NAME,
        "priorityClassName": "system-cluster-critical",
        "tolerations": [{"key": "CriticalAddonsOnly", "operator": "Exists"}],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": NOBODY,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }
    labels = {"app.kubernetes.io/name": NAME}
    # it must not remove the node it runs on
    kept = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels, "annotations": kept}, "spec": spec},
        },
    }
