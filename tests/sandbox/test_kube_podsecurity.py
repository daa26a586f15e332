"""What a namespace's labels let pods be, in the server's words."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.sandbox import Sandbox
from tests.sandbox.builds import IMAGE, NAMESPACE, Alone, Builder
from tests.sandbox.workloads import until

NEEDED = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETFCAP", "SETGID", "SETUID"]
GOLDEN = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"], "add": NEEDED},
    "seccompProfile": {"type": "RuntimeDefault"},
    "runAsUser": 0,
}


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[Builder]:
    made: list[Alone] = []

    def make(context: Any) -> Alone:
        made.append(Alone(context))
        return made[0]

    with Sandbox(directory=tmp_path, pace=Pace(math.inf), emulators=[make]):
        yield Builder.alone(made[0], tmp_path)


def label(builder: Builder, **modes: str) -> None:
    labels = {f"pod-security.kubernetes.io/{mode}": level for mode, level in modes.items()}
    builder.core.patch_namespace(NAMESPACE, {"metadata": {"labels": labels}})


def pod(**context: Any) -> dict[str, Any]:
    container = {"name": "kaniko", "image": IMAGE, "securityContext": context}
    spec = {"restartPolicy": "Never", "containers": [container]}
    return {"metadata": {"name": "kaniko"}, "spec": spec}


def refused(builder: Builder, body: dict[str, Any]) -> str:
    with pytest.raises(ApiException) as error:
        builder.core.create_namespaced_pod(NAMESPACE, body, dry_run="All")
    assert error.value.status == 403
    return str(json.loads(str(error.value.body))["message"])


def test_what_the_seeds_pod_violates(builder: Builder) -> None:
    label(builder, enforce="restricted")
    assert refused(builder, pod()) == (
        'pods "kaniko" is forbidden: violates PodSecurity "restricted:latest":'
        ' allowPrivilegeEscalation != false (container "kaniko" must set'
        " securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container"
        ' "kaniko" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod'
        ' or container "kaniko" must set securityContext.runAsNonRoot=true), seccompProfile (pod or'
        ' container "kaniko" must set securityContext.seccompProfile.type to "RuntimeDefault" or'
        ' "Localhost")'
    )


def test_kaniko_is_baseline_and_not_restricted(builder: Builder) -> None:
    label(builder, enforce="baseline")
    made = builder.core.create_namespaced_pod(NAMESPACE, pod(**GOLDEN), dry_run="All")
    assert made.metadata.name == "kaniko"
    assert not builder.core.list_namespaced_pod(NAMESPACE).items
    label(builder, enforce="restricted")
    names = ", ".join(f'"{name}"' for name in NEEDED)
    assert refused(builder, pod(**GOLDEN)) == (
        'pods "kaniko" is forbidden: violates PodSecurity "restricted:latest": unrestricted'
        f' capabilities (container "kaniko" must not include {names} in'
        " securityContext.capabilities.add), runAsNonRoot != true (pod or container"
        ' "kaniko" must set securityContext.runAsNonRoot=true), runAsUser=0 (container "kaniko"'
        " must not set runAsUser=0)"
    )


def test_what_baseline_refuses(builder: Builder) -> None:
    label(builder, enforce="baseline")
    body = pod(privileged=True, capabilities={"add": ["SYS_ADMIN", "CHOWN"]})
    body["spec"] |= {"hostPID": True, "volumes": [{"name": "v", "hostPath": {"path": "/"}}]}
    assert refused(builder, body) == (
        'pods "kaniko" is forbidden: violates PodSecurity "baseline:latest": non-default'
        ' capabilities (container "kaniko" must not include "SYS_ADMIN" in'
        " securityContext.capabilities.add), host namespaces (hostPID=true), hostPath volumes"
        ' (volume "v"), privileged (container "kaniko" must not set'
        " securityContext.privileged=true)"
    )


def test_a_job_whose_pod_is_refused_says_so(builder: Builder) -> None:
    label(builder, enforce="restricted", warn="baseline")
    spec = {"template": {"spec": pod()["spec"]}}
    body = {"metadata": {"name": "build"}, "spec": spec}
    _, _, headers = builder.batch.create_namespaced_job_with_http_info(NAMESPACE, body)
    assert "Warning" not in headers

    def told() -> list[str]:
        found = builder.core.list_namespaced_event(NAMESPACE).items
        return [one.message for one in found if one.reason == "FailedCreate"]

    until(told, "the event")
    assert 'violates PodSecurity "restricted:latest": allowPrivilegeEscalation' in told()[0]
    assert told()[0].startswith("Error creating: pods ")


def test_a_warning(builder: Builder) -> None:
    label(builder, warn="restricted")
    body = {"metadata": {"name": "build"}, "spec": {"template": {"spec": pod()["spec"]}}}
    _, status, headers = builder.batch.create_namespaced_job_with_http_info(
        NAMESPACE, body, dry_run="All"
    )
    assert status == 201
    assert headers["Warning"].startswith(
        '299 - "would violate PodSecurity \\"restricted:latest\\": allowPrivilegeEscalation'
    )
