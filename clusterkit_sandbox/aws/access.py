"""Access entries, pod identity associations, and the identity behind an EKS token."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

from clusterkit_sandbox.aws.account import ACCOUNT
from clusterkit_sandbox.aws.catalog import ACCESS_POLICIES
from clusterkit_sandbox.aws.records import Access, ClusterRecord, Shown
from clusterkit_sandbox.aws.refusals import Refusal, in_use, invalid, not_found
from clusterkit_sandbox.aws.service import Eks, now, operation
from clusterkit_sandbox.aws.signature import Unsigned, check_token
from clusterkit_sandbox.kube.interfaces import Identity, TokenReview

POLICY = "arn:aws:eks::aws:cluster-access-policy/"
GROUPS = {
    f"{POLICY}AmazonEKSClusterAdminPolicy": "system:masters",
    f"{POLICY}AmazonEKSAdminPolicy": "eks:admin",
    f"{POLICY}AmazonEKSEditPolicy": "eks:edit",
    f"{POLICY}AmazonEKSViewPolicy": "eks:view",
}
"""EKS evaluates access policies itself, besides RBAC; the sandbox maps them to groups"""
TYPES = (
    "STANDARD",
    "EC2_LINUX",
    "EC2_WINDOWS",
    "FARGATE_LINUX",
    "EC2",
    "HYBRID_LINUX",
    "HYPERPOD_LINUX",
)
"""https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateAccessEntry.html"""


def reviewer(eks: Eks, region: str, cluster: str) -> TokenReview:
    """The server half of aws-iam-authenticator for one cluster."""

    def review(token: str) -> Identity | None:
        try:
            key, session = check_token(token, cluster, eks.account.secrets)
        except Unsigned:
            return None
        known = eks.account.sessions.get(key)
        if known and (known.token != session or known.ends <= now()):
            return None
        arn, principal = eks.account.arn_of(key), eks.account.principal_of(key)
        extra = {"arn": (arn,), "accessKeyId": (key,), "canonicalArn": (principal,)}
        uid = f"aws-iam-authenticator:{ACCOUNT}:{principal}"
        with eks.account.lock:
            record = eks.store.get(ClusterRecord, cluster, region)
            entry = eks.store.get(Access, principal, f"{region}/{cluster}")
            if entry is None:
                if record is None or record.creator != principal:
                    return None
                # a cluster without access entries knows who made it (EKS User Guide, "Grant IAM
                # users access to Kubernetes with a ConfigMap")
                everyone = ("system:masters", "system:authenticated")
                return Identity("kubernetes-admin", everyone, uid, extra)
            groups = [*entry.shown["kubernetesGroups"]]
            groups += [GROUPS[p] for p in entry.policies if p in GROUPS]
            user = entry.shown["username"].replace("{{SessionName}}", arn.rpartition("/")[2])
        return Identity(user, (*groups, "system:authenticated"), uid, extra)

    return review


def add_entry(
    eks: Eks,
    record: ClusterRecord,
    principal: str,
    kind: str,
    policies: list[str],
    asked: dict[str, Any] | None = None,
) -> Shown:
    """Put an access entry into a cluster."""
    asked = asked or {}
    name = record.shown["name"]
    nodes = kind.startswith("EC2")
    what, _, short = principal.rpartition(":")[2].partition("/")
    shown: Shown = {
        "clusterName": name,
        "principalArn": principal,
        "kubernetesGroups": asked.get("kubernetesGroups") or (["system:nodes"] if nodes else []),
        "accessEntryArn": eks.arn(
            "access-entry", name, what, ACCOUNT, short.rpartition("/")[2], str(uuid4())
        ),
        "createdAt": now(),
        "modifiedAt": now(),
        "tags": asked.get("tags") or {},
        "username": asked.get("username")
        or ("system:node:{{EC2PrivateDNSName}}" if nodes else _username(principal)),
        "type": kind,
    }
    entry = eks.store.add(Access(shown, scope=record.key))
    for policy in policies:
        _associate(entry, policy, {"type": "cluster"})
    return shown


def _username(principal: str) -> str:
    """The name in Kubernetes of who has none given (EKS User Guide, "Create access entries")."""
    if ":role/" not in principal:
        return principal
    name = principal.rpartition("/")[2]
    return f"arn:aws:sts::{principal.split(':')[4]}:assumed-role/{name}/{{{{SessionName}}}}"


def _associate(entry: Access, policy: str, scope: dict[str, Any]) -> Shown:
    found: Shown = {
        "policyArn": policy,
        "accessScope": scope,
        "associatedAt": now(),
        "modifiedAt": now(),
    }
    entry.policies[policy] = found
    return found


def _entry(eks: Eks, asked: dict[str, Any]) -> Access:
    found = eks.store.get(Access, asked["principalArn"], eks.cluster(asked["clusterName"]).key)
    if found is None:
        raise not_found(
            "The specified principalArn could not be found. You can view your available access "
            "entries with 'list-access-entries'."
        )
    return found


def _by_api(record: ClusterRecord) -> None:
    if record.shown["accessConfig"]["authenticationMode"] == "CONFIG_MAP":
        raise Refusal(
            "InvalidRequestException",
            "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to "
            "perform this operation.",
        )


def _groups(asked: dict[str, Any]) -> None:
    if any(group.startswith("system:") for group in asked.get("kubernetesGroups") or []):
        raise invalid("The kubernetes group name must not begin with system:")


@operation
def create_access_entry(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    record = eks.active(asked["clusterName"])
    _by_api(record)
    if eks.store.get(Access, asked["principalArn"], record.key):
        raise in_use("The specified access entry resource is already in use on this cluster.")
    kind = asked.get("type") or "STANDARD"
    if kind not in TYPES:
        raise invalid(f"The type {kind} is not valid; one of {', '.join(TYPES)}")
    if kind != "STANDARD" and (asked.get("kubernetesGroups") or asked.get("username")):
        raise Refusal(
            "InvalidRequestException",
            f"Groups and a username cannot be given for an access entry of type {kind}",
        )
    _groups(asked)
    _principal(eks, asked["principalArn"])
    return {"accessEntry": add_entry(eks, record, asked["principalArn"], kind, [], asked)}


def _principal(eks: Eks, arn: str) -> None:
    if arn.startswith("arn:aws:sts::"):
        raise invalid("The principalArn must be an IAM user or role, not an assumed role")
    if not re.fullmatch(r"arn:aws:iam::\d{12}:(?:root|(?:user|role)/.+)", arn):
        raise invalid("The specified principalArn is invalid: invalid principal.")
    kind, _, name = arn.rpartition(":")[2].partition("/")
    ours = kind == "role" and f":{ACCOUNT}:" in arn
    if ours and not any(role.arn == arn for role in eks.account.iam().roles.values()):
        raise invalid(f"The specified principalArn is invalid: invalid principal {name}.")


@operation
def describe_access_entry(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    return {"accessEntry": _entry(eks, asked).shown}


@operation
def update_access_entry(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    shown = _entry(eks, asked).shown
    _groups(asked)
    shown |= {k: asked[k] for k in ("kubernetesGroups", "username") if asked.get(k) is not None}
    shown["modifiedAt"] = now()
    return {"accessEntry": shown}


@operation
def list_access_entries(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    record = eks.cluster(asked["clusterName"])
    _by_api(record)
    policy, entries = asked.get("associatedPolicyArn"), eks.store.all(Access, record.key)
    names = sorted(entry.id for entry in entries if not policy or policy in entry.policies)
    page, token = eks.page(names, asked)
    return {"accessEntries": page, "nextToken": token}


@operation
def delete_access_entry(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    eks.store.remove(_entry(eks, asked))
    return {}


@operation
def list_access_policies(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    offers = [{"name": name, "arn": POLICY + name} for name in ACCESS_POLICIES]
    page, token = eks.page(offers, asked)
    return {"accessPolicies": page, "nextToken": token}


@operation
def associate_access_policy(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    entry, policy = _entry(eks, asked), asked["policyArn"]
    if policy.removeprefix(POLICY) not in ACCESS_POLICIES:
        raise invalid("The policyArn parameter format is not valid")
    if entry.shown["type"] != "STANDARD":
        raise Refusal("InvalidRequestException", "Policies need an entry of type STANDARD")
    scope = asked["accessScope"]
    if scope.get("type") == "namespace" and not scope.get("namespaces"):
        raise invalid("namespaces must not be empty for a namespace scope")
    if scope.get("type") == "cluster" and scope.get("namespaces"):
        raise invalid("namespaces must be empty for a cluster scope")
    return {
        "clusterName": asked["clusterName"],
        "principalArn": asked["principalArn"],
        "associatedAccessPolicy": _associate(entry, policy, scope),
    }


@operation
def disassociate_access_policy(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    if _entry(eks, asked).policies.pop(asked["policyArn"], None) is None:
        raise not_found("No associated access policy found for the access entry")
    return {}


@operation
def list_associated_access_policies(eks: Eks, asked: dict[str, Any]) -> dict[str, Any]:
    page, token = eks.page(_entry(eks, asked).policies.values(), asked)
    return {
        "clusterName": asked["clusterName"],
        "principalArn": asked["principalArn"],
        "associatedAccessPolicies": page,
        "nextToken": token,
    }


# -- pod identity --------------------------------------------------------------------------------
