"""CS 2015-12-15: what an account needs before its first cluster, and its quotas.

``ORDER.OPEND`` for a service that is open already, ``RISK.RISK_CONTROL_REJECTION`` without a
balance and ``ErrorNotEnabled`` before activation are as operators and the Terraform provider have
met them; the codes for roles that are not granted are on the vendor's page "FAQ about authorization
management", spelt so.
"""

from __future__ import annotations

from clusterkit_sandbox.alibaba.catalogue import (
    NEEDED_ROLES,
    REGIONS,
    RUNTIME,
    VERSIONS,
    KubernetesVersion,
    upgrade_of,
)
from clusterkit_sandbox.alibaba.failure import bad
from clusterkit_sandbox.alibaba.models import Role
from clusterkit_sandbox.alibaba.service import Call, Json, operation


@operation("cs:OpenAckService")
def _open(call: Call) -> object:
    if call.get("type") not in ("propayasgo", "edgepayasgo"):
        raise bad("InvalidParameter", "type must be propayasgo or edgepayasgo.")
    if call.store.activated:
        raise bad("ORDER.OPEND", "The service has been opened already.")
    if not call.store.conditions.solvent:
        raise bad(
            "RISK.RISK_CONTROL_REJECTION",
            "The order was rejected by risk control: check real-name verification and balance.",
        )
    call.store.activated = True
    return {"order_id": call.store.new_number(), "request_id": call.request_id}


def granted(call: Call, role: str) -> bool:
    """Whether a service role exists and has its policy."""
    found = call.store.get(Role, role)
    return found is not None and ("System", f"{role}Policy") in found.policies


def require_account(call: Call) -> None:
    """Refuse to create a cluster in an account that is not ready."""
    if not call.store.activated:
        raise bad(
            "ErrorNotEnabled",
            "please enable cskpro container service before creating cluster",
        )
    lacking = [role for role in NEEDED_ROLES if not granted(call, role)]
    if lacking:
        own = "AliyunCSManagedKubernetesRole" in lacking
        raise bad(
            "ErrManagedKuberneteRoleNotAttach" if own else "ErrManagedAddonRoleNotAttach",
            f"please complete the cluster addon's service ramrole authorization:"
            f" {', '.join(lacking)}",
        )


@operation("cs:CheckServiceRole")
def _check_roles(call: Call) -> object:
    return {
        "roles": [
            {
                "name": role["name"],
                "granted": granted(call, role["name"]),
                "message": "" if granted(call, role["name"]) else "The role is not granted.",
            }
            for role in call["roles"]
        ]
    }


def _version(version: KubernetesVersion, upgrades: bool) -> Json:
    found: Json = {
        "version": version.name,
        "creatable": version.creatable,
        "release_date": version.released,
        "expiration_date": version.expires,
        "runtimes": [{"name": "containerd", "version": RUNTIME}],
        "images": [
            {
                "image_id": "aliyun_3_x64_20G_alibase_20260915.vhd",
                "image_name": "Alibaba Cloud Linux 3",
                "image_type": "AliyunLinux3",
                "image_category": "system",
                "os_type": "Linux",
                "os_version": "3",
                "platform": "AliyunLinux",
                "architecture": "x86_64",
            }
        ],
        "capabilities": {},
        "meta_data": {},
    }
    return found | ({"upgradable_versions": [upgrade_of(version.name)]} if upgrades else {})


@operation("cs:DescribeKubernetesVersionMetadata")
def _versions(call: Call) -> object:
    if call["Region"] not in REGIONS:
        raise bad("MissingRegion", f"There is no region {call['Region']}.")
    if call["ClusterType"] not in ("ManagedKubernetes", "Kubernetes"):
        raise bad("InvalidParameter", "ClusterType must be ManagedKubernetes or Kubernetes.")
    one = call.get("KubernetesVersion")
    if one is not None:
        upgrades = bool(call.get("QueryUpgradableVersion", False))
        return [_version(v, upgrades) for v in VERSIONS if v.name == one]
    every = call.get("Mode", "creatable") == "supported"
    return [_version(v, False) for v in VERSIONS if v.creatable or every]


@operation("cs:DescribeUserQuota")
def _quota(call: Call) -> object:
    quota = call.store.conditions.quotas
    return {
        "cluster_quota": quota["cluster"],
        "node_quota": quota["node"],
        "cluster_nodepool_quota": quota["nodepool"],
        "ask_cluster_quota": 20,  # vendor: DescribeUserQuota
    }
