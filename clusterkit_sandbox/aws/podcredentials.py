"""What EKS gives the pods of a cluster, and what answers on their machines.

- The webhook (aws/amazon-eks-pod-identity-webhook, README.md and pkg/handler): variables and a
  token, for EKS Pod Identity if the ServiceAccount is associated, else for the role that its
  annotation names.
- The agent on 169.254.170.23 (EKS User Guide, "How EKS Pod Identity works").
- The instance metadata service, version 2 (EC2 User Guide, "Use IMDS"): the answer with the session
  token does not reach a pod past a hop limit of 1, which is that of AL2023's node groups unless a
  launch template says otherwise (EKS User Guide, al2023.adoc).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.aws import sessions
from clusterkit_sandbox.aws.account import Session
from clusterkit_sandbox.aws.records import Association, ClusterRecord, Group
from clusterkit_sandbox.aws.refusals import Refusal
from clusterkit_sandbox.aws.service import Eks
from clusterkit_sandbox.kube.interfaces import Injected, RunningPod

_PREFIX = "eks.amazonaws.com"
_AGENT = "169.254.170.23"
_METADATA = "169.254.169.254"
_WEB_TOKEN = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"
_POD_TOKEN = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token"
_ROLES = "/latest/meta-data/iam/security-credentials/"


class PodCredentials:
    """Those of one cluster's pods."""

    def __init__(self, eks: Eks, region: str, cluster: str) -> None:
        self._eks = eks
        self._region = region
        self._cluster = cluster
        self._tokens: set[str] = set()

    def _record(self) -> ClusterRecord | None:
        return self._eks.store.get(ClusterRecord, self._cluster, self._region)

    def injected(self, pod: RunningPod) -> Injected | None:
        """What the webhook adds."""
        record = self._record()
        if record is None:
            return None
        who = pod.namespace, pod.account
        region = {"AWS_REGION": self._region, "AWS_DEFAULT_REGION": self._region}
        if any(
            (one.shown["namespace"], one.shown["serviceAccount"]) == who
            for one in self._eks.store.all(Association, record.key)
        ):
            variables = {
                "AWS_STS_REGIONAL_ENDPOINTS": "regional",
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{_AGENT}/v1/credentials",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": _POD_TOKEN,
            }
            return Injected(region | variables, {_POD_TOKEN: sessions.PODS})
        role = pod.annotations.get(f"{_PREFIX}/role-arn")
        if not role:
            return None
        regional = pod.annotations.get(f"{_PREFIX}/sts-regional-endpoints", "true") == "true"
        variables = {
            "AWS_STS_REGIONAL_ENDPOINTS": "regional" if regional else "legacy",
            "AWS_ROLE_ARN": role,
            "AWS_WEB_IDENTITY_TOKEN_FILE": _WEB_TOKEN,
        }
        audience = pod.annotations.get(f"{_PREFIX}/audience", sessions.AUDIENCE)
        return Injected(region | variables, {_WEB_TOKEN: audience})

    def nearby(
        self, pod: RunningPod, method: str, url: str, headers: Mapping[str, str]
    ) -> Answer | None:
        """The agent's answer, or that of the metadata service."""
        parts = urlsplit(url)
        given = {name.lower(): value for name, value in headers.items()}
        if parts.hostname == _AGENT and parts.path == "/v1/credentials":
            return self._agent(given.get("authorization", ""))
        if parts.hostname == _METADATA:
            return self._metadata(pod, method, parts.path, given)
        return None

    def _agent(self, token: str) -> Answer | None:
        record = self._record()
        if record is None:
            return None
        try:
            with self._eks.account.lock:
                found = sessions.of_pod(self._eks, record, token)
        except Refusal as refusal:
            text = f"(request): {refusal.code}: {refusal.message}"
            return Answer(400, (("Content-Type", "text/plain"),), text.encode())
        return None if found is None else _json(found[0], "AccountId")

    def _metadata(
        self, pod: RunningPod, method: str, path: str, headers: Mapping[str, str]
    ) -> Answer | None:
        instance = pod.machine.rpartition("/")[2]
        with self._eks.account.lock:
            group = next(
                (one for one in self._eks.store.all(Group) if instance in one.instances), None
            )
            limit = 1 if group is None else self._hop_limit(group)
        if group is None or limit == 0:
            return None
        if (method, path) == ("PUT", "/latest/api/token"):
            if limit < 2 and not pod.host_network:
                return None  # the answer is dropped on its way to the pod
            token = secrets.token_urlsafe(40)
            self._tokens.add(token)
            return Answer(200, (), token.encode())
        if headers.get("x-aws-ec2-metadata-token") not in self._tokens:
            return Answer(401, (), b"")
        role = str(group.shown["nodeRole"]).rpartition("/")[2]
        if path == _ROLES:
            return Answer(200, (), role.encode())
        if path != f"{_ROLES}{role}":
            return Answer(404, (), b"")
        with self._eks.account.lock:
            made = sessions.of_role(self._eks, group.shown["nodeRole"], instance)
        return None if made is None else _json(made, "Code", "Success")

    def _hop_limit(self, group: Group) -> int:
        """Of the group's machines; 0 if the service is off."""
        template = group.shown.get("launchTemplate")
        options: Mapping[str, Any] = {}
        if template:
            ec2 = self._eks.account.ec2(self._region)
            found = ec2.launch_templates.get(template["id"])
            number = int(template["version"])
            data: Mapping[str, Any] = (
                next((v.data for v in found.versions if v.number == number), {}) if found else {}
            )
            options = data.get("MetadataOptions") or {}
        if options.get("HttpEndpoint") == "disabled":
            return 0
        usual = 1 if str(group.shown.get("amiType", "")).startswith("AL2023") else 2
        return int(options.get("HttpPutResponseHopLimit") or usual)


def _json(session: Session, more: str, value: str = "") -> Answer:
    body = {
        "AccessKeyId": session.key,
        "SecretAccessKey": session.secret,
        "Token": session.token,
        "Expiration": sessions.shown(session.ends),
        more: value or session.arn.split(":")[4],
    }
    return Answer(200, (("Content-Type", "application/json"),), json.dumps(body).encode())
