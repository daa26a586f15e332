"""The Helm chart: what the manifests are, by Helm 4 where it is installed (helm-python-sdk)."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusterkit.kube.api import KubeApi
from clusterkit.kube.context import Context
from clusterkit.operator import names
from clusterkit.operator.manifests import manifests
from clusterkit_sandbox.management import management

ROOT = Path(__file__).parent.parent.parent
CHART = ROOT / "charts" / "clusterkit-operator"
VALUES: dict[str, Any] = {
    "image": "example.test/op:1",
    "replicas": 3,
    "options": ["--default-credentials"],
    "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/op"}},
}


def test_it_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "gen_chart.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_helm_finds_nothing_wrong_and_renders_the_manifests() -> None:
    helm = pytest.importorskip("helm_python", reason="Helm 4 (helm-python-sdk) is not installed")
    found = helm.lint(str(CHART), VALUES)
    assert found["errors"] == []
    assert [each for each in found["messages"] if each["severity"] > 1] == []
    with helm.Chart.load(str(CHART)) as chart:
        text = chart.render(VALUES, name="op", namespace="ops")
        crds = [yaml.safe_load(each["data"]) for each in chart.crds]
    rendered = [
        body for part in text.values() for body in yaml.safe_load_all(part) if body is not None
    ]
    wanted = manifests(VALUES["image"], "ops", 3, VALUES["options"])
    account = next(body for body in wanted if body["kind"] == "ServiceAccount")
    account["metadata"] |= VALUES["serviceAccount"]
    assert crds == wanted[:1]
    assert {(b["kind"], b["metadata"]["name"]): b for b in rendered} == {
        (b["kind"], b["metadata"]["name"]): b for b in wanted[1:] if b["kind"] != "Namespace"
    }


def test_helm_installs_it(tmp_path: Path) -> None:
    helm = pytest.importorskip("helm_python", reason="Helm 4 (helm-python-sdk) is not installed")
    with management(tmp_path) as made:
        config = helm.Config(namespace=names.NAMESPACE, kubeconfig_path=str(made.kubeconfig))
        kube = KubeApi(Context([made.kubeconfig]))
        metadata = {"name": names.NAMESPACE}
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        kube.apply(f"/api/v1/namespaces/{names.NAMESPACE}", body)
        with config:
            config.install(CHART, "op", VALUES, namespace=names.NAMESPACE)
        path = f"/apis/apps/v1/namespaces/{names.NAMESPACE}/deployments/{names.ACCOUNT}"
        deployment = kube.get(path)
        assert deployment is not None
        assert deployment["spec"]["replicas"] == 3
        assert kube.list(f"/apis/{names.GROUP}/{names.VERSION}/{names.PLURAL}") == []


def test_the_image_gets_every_extra_that_it_needs_and_the_source() -> None:
    made = (ROOT / "Dockerfile").read_text()
    extras = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    )
    named = re.findall(r"/src\[([a-z,]+)\]", made)
    assert [set(each.split(",")) for each in named] == [extras - {"sandbox"}]
    sent = (ROOT / ".dockerignore").read_text().splitlines()
    assert sent[0] == "*"
    wheel = {"pyproject.toml", "README.md", "LICENSE", "clusterkit", "clusterkit_sandbox"}
    assert {each.removeprefix("!") for each in sent[1:]} == wheel | {"constraints.txt"}
