"""The real kubectl, in every version there is here, against the sandbox's Kubernetes."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clusterkit_sandbox.kube import kube_server
from clusterkit_sandbox.pace import Pace
from tests.sandbox.kubes import GP3, HOST, TOKENS, Cloud, kubeconfig, node

pytestmark = pytest.mark.client
OLDER, NEWEST = ("1.29", "1.30", "1.31", "1.32"), "1.33"
Run = Callable[..., str]

APP = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: main, image: "nginx:1", ports: [{containerPort: 80}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 8Gi}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: build}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: busybox, volumeMounts: [{name: d, mountPath: /d}]}]
      volumes: [{name: d, persistentVolumeClaim: {claimName: data}}]
"""


def binary(version: str) -> str | None:
    """kubectl of this version: beside the one on the path, as gcloud ships them, or that one."""
    found = shutil.which("kubectl")
    if found is None:
        return None
    folders = [Path(found).resolve().parent, *Path("/usr/lib").glob("google-cloud-sdk/bin")]
    for folder in folders:
        candidate = folder / f"kubectl.{version}"
        if candidate.exists():
            return str(candidate)
    told = subprocess.run([found, "version", "--client"], capture_output=True, text=True)  # noqa: PLW1510
    return found if f"v{version}." in told.stdout else None


@pytest.fixture(params=[*(pytest.param(v, marks=pytest.mark.deep) for v in OLDER), NEWEST])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Run]:
    """Runs kubectl of one version against a fresh cluster and returns what it prints."""
    program = binary(request.param)
    if program is None:
        pytest.skip(f"kubectl {request.param} is not installed")
    server = kube_server("embedded", Pace(math.inf), tmp_path)
    cluster = server.open(
        "c", hosts=[HOST], version=request.param, review=TOKENS.get, hooks=Cloud(), objects=[GP3]
    )
    cluster.set_nodes([node(1), node(2)])
    kubeconfig(cluster, tmp_path, "nobody")
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "KUBECONFIG": str(kubeconfig(cluster, tmp_path)),
    }

    def call(command: str, *, text: str = "", code: int = 0, token: str = "admin") -> str:
        words = command.split()
        done = subprocess.run(
            [program, *words],
            env=env | {"KUBECONFIG": str(tmp_path / f"kubeconfig-{token}")},
            cwd=tmp_path,
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    yield call
    server.close()


def test_a_day_with_kubectl(run: Run) -> None:
    assert "Server Version: v1." in run("version")
    assert "deployments" in run("api-resources")
    assert "apps/v1" in run("api-versions")
    assert "replicas" in run("explain deployment.spec")
    # typed commands, which send protobuf
    for words in (
        "create namespace ns",
        "create serviceaccount bot",
        "create secret generic pw --from-literal=a=b",
        "create configmap settings --from-literal=x=y",
        "create role reader --verb=get,list --resource=pods",
        "create rolebinding reader --role=reader --serviceaccount=default:bot",
        "create clusterrolebinding more --clusterrole=view --group=developers",
        "create quota q --hard=pods=10",
        "create job once --image=busybox",
        "create deployment typed --image=nginx:1 --replicas=1",
        "create priorityclass high --value=10",
    ):
        assert "created" in run(words), words
    assert len(run("create token bot").strip().split(".")) == 3
    assert "AlreadyExists" in run("create namespace ns", code=1)
    # applied, changed, compared
    applied = run("apply -f -", text=APP)
    for line in ("deployment.apps/web", "service/web", "persistentvolumeclaim/data", "job.batch"):
        assert line in applied
    assert applied.count(" created") == 4
    assert "deployment.apps/web unchanged" in run("apply -f -", text=APP)
    assert "serverside-applied" in run("apply --server-side --force-conflicts -f -", text=APP)
    changed = APP.replace("replicas: 2", "replicas: 3")
    assert "+  replicas: 3" in run("diff -f -", text=changed, code=1)
    assert "configured" in run("apply -f -", text=changed)
    run("rollout status deployment/web --timeout=30s")
    run("scale deployment web --replicas=1")
    run("set image deployment/web main=nginx:2")
    run("rollout status deployment/web --timeout=30s")
    assert "rolled back" in run("rollout undo deployment/web")
    assert "REVISION" in run("rollout history deployment/web")
    run("label deployment web tier=front")
    run("annotate deployment web note=hi")
    for kind, body in (
        ("merge", '{"metadata":{"labels":{"m":"1"}}}'),
        ("strategic", '{"metadata":{"labels":{"s":"1"}}}'),
        ("json", '[{"op":"add","path":"/metadata/labels/j","value":"1"}]'),
    ):
        run(f"patch deployment web --type={kind} -p {body}")
    shown = json.loads(run("get deployment web -o json"))
    assert {"m", "s", "j", "tier"} <= set(shown["metadata"]["labels"])
    assert run("get deployment web -o jsonpath={.spec.replicas}") == "1"
    # the cluster at work
    run("wait --for=condition=complete job/build --timeout=30s")
    assert "Bound" in run("get pvc data")
    assert "gp3 (default)" in run("get storageclass")
    run("wait --for=jsonpath={.status.loadBalancer.ingress[0].hostname}"
        "=default-web.example.test service/web --timeout=30s")  # fmt: skip
    nodes = run("get nodes -o wide")
    assert nodes.count(" Ready ") == 2
    assert "Events:" in run("describe pod -l job-name=build")
    assert "Scheduled" in run("get events")
    run("logs job/build")
    # permissions
    assert run("auth can-i delete pods").strip() == "yes"
    assert run("auth can-i delete pods", token="nobody", code=1).strip() == "no"
    assert "admin" in run("auth whoami")
    assert "Forbidden" in run("delete deployment web", token="nobody", code=1)
    assert "web" in run("get deployments", token="nobody")
    assert "Forbidden" in run("get pods --as=nobody", code=1)
    assert "build" in run("get pods --as=nobody --as-group=developers")
    # what is refused
    wrong = APP.replace("replicas: 2", "replicaz: 2")
    assert 'unknown field "spec.replicaz"' in run("apply -f -", text=wrong, code=1)
    assert "NotFound" in run("get deployment missing", code=1)
    # and the end
    run("cordon node-1")
    run("drain node-2 --ignore-daemonsets --delete-emptydir-data --force --timeout=30s")
    run("uncordon node-1")
    assert "deleted" in run("delete -f - --timeout=30s", text=APP)
    assert "deleted" in run("delete namespace ns --timeout=30s")
    assert "No resources found" in run("get pvc")
