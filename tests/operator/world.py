"""A management cluster, emulated clouds, and operators that work between them."""

from __future__ import annotations

import asyncio
import base64
import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from clusterkit import Cluster, clouds
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.kube.api import Access, KubeApi
from clusterkit.kube.context import Context
from clusterkit.operator import names
from clusterkit.operator.crd import crd
from clusterkit.operator.run import Options, serve
from clusterkit_sandbox.management import management
from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.sandbox import Sandbox

ROOT = Path(__file__).parent.parent.parent
REGIONS = {
    "eks": "eu-west-1",
    "alibaba": "ap-southeast-1",
    "gke": "europe-west1",
    "aks": "westeurope",
}
POOLS = [{"name": "default", "machine": {"cpu": 2, "memory": 8}, "count": 2}]
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SOON = 60.0
Body = dict[str, Any]


def spec(cloud: str = "eks", **more: Any) -> Body:
    """The smallest profile of a cloud."""
    return {"cloud": cloud, "region": REGIONS[cloud], "pools": POOLS, **more}


class World:
    """What a test holds: administrator of the management cluster and of the clouds."""

    def __init__(self, sandbox: Sandbox, kubeconfig: Path, folder: Path) -> None:
        self.sandbox = sandbox
        self.kubeconfig = kubeconfig
        self.folder = folder
        self.access: Access = Context([kubeconfig])()
        self.kube = KubeApi(lambda: self.access)
        self.base = CloudConnection(
            sandbox.proxy, sandbox.ca_file, sandbox.environment(), 1.0 / sandbox.pace.factor
        )

    # -- the management cluster -------------------------------------------------------------------

    def install(self) -> None:
        """What the operator needs, as the manifests say, but for what runs in a cluster."""
        definition = crd()
        self.kube.apply(f"{CRDS}/{definition['metadata']['name']}", definition)
        self.namespace(names.NAMESPACE, trusted=False)
        self.namespace("default")
        root = f"/apis/{names.GROUP}/{names.VERSION}"
        self.until(lambda: self.kube.get(root), "the API knows CloudClusters")

    def namespace(self, name: str, *, trusted: bool = True) -> None:
        """A namespace that may use the operator's own credentials, or may not."""
        said = {names.DEFAULT_CREDENTIALS: "true"} if trusted else {}
        metadata = {"name": name, "annotations": said}
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        self.kube.apply(f"/api/v1/namespaces/{name}", body)

    def apply(
        self,
        name: str,
        wanted: Mapping[str, Any],
        namespace: str = "default",
        annotations: Mapping[str, str] | None = None,
    ) -> Body:
        """``kubectl apply`` of a CloudCluster."""
        body = {
            "apiVersion": f"{names.GROUP}/{names.VERSION}",
            "kind": names.KIND,
            "metadata": {"name": name, "annotations": dict(annotations or {})},
            "spec": dict(wanted),
        }
        return self.kube.apply(names.path(namespace, name), body)

    def annotate(self, name: str, namespace: str = "default", **said: str) -> None:
        """``kubectl annotate`` with our prefix; ``_`` stands for ``-``."""
        told = {f"{names.GROUP}/{key.replace('_', '-')}": value for key, value in said.items()}
        self.kube.patch(names.path(namespace, name), {"metadata": {"annotations": told}})

    def look(self, name: str, namespace: str = "default") -> None:
        """Ask for a look at once."""
        self.annotate(name, namespace, reconcile_at=str(time.monotonic_ns()))

    def without_rules(self) -> None:
        """Take the CRD's rules away, as on an API server that does not evaluate them."""
        definition = crd()
        inside = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
        del inside["spec"]["x-kubernetes-validations"]
        self.kube.apply(f"{CRDS}/{definition['metadata']['name']}", definition)

    def patch(self, name: str, namespace: str = "default", **more: Any) -> None:
        """Change parts of the spec."""
        self.kube.patch(names.path(namespace, name), {"spec": more})

    def delete(self, name: str, namespace: str = "default") -> None:
        """``kubectl delete --wait=false``."""
        self.kube.delete(names.path(namespace, name))

    def get(self, name: str, namespace: str = "default") -> Body | None:
        """The object."""
        return self.kube.get(names.path(namespace, name))

    def condition(self, name: str, kind: str, namespace: str = "default") -> Body:
        """One of its conditions; empty if it has none of the type."""
        status = (self.get(name, namespace) or {}).get("status") or {}
        return next((c for c in status.get("conditions") or () if c["type"] == kind), {})

    def events(self, name: str, namespace: str = "default") -> list[str]:
        """The reasons and messages of its Events."""
        found = self.kube.list(f"/api/v1/namespaces/{namespace}/events")
        mine = (each for each in found if each["involvedObject"]["name"] == name)
        return [f"{each['reason']}: {each['message']}" for each in mine]

    def until(self, true: Callable[[], Any], what: str, within: float = SOON) -> Any:
        """Wait for something; what it was at last."""
        end = time.monotonic() + within
        while not (found := true()):
            assert time.monotonic() < end, what
            time.sleep(0.05)
        return found

    def until_reason(
        self, name: str, reason: str, kind: str = "Synced", namespace: str = "default"
    ) -> Body:
        """Wait for a condition's reason; the condition."""
        end = time.monotonic() + SOON
        while (found := self.condition(name, kind, namespace)).get("reason") != reason:
            assert time.monotonic() < end, (name, reason, (self.get(name, namespace) or {}).get(
                "status"), self.events(name, namespace)[-20:])  # fmt: skip
            time.sleep(0.05)
        return found

    def until_gone(self, name: str, namespace: str = "default") -> None:
        """Wait until the object is gone."""
        end = time.monotonic() + SOON
        while (there := self.get(name, namespace)) is not None:
            assert time.monotonic() < end, there.get("status")
            time.sleep(0.05)

    def secret(self, name: str, data: Mapping[str, str], namespace: str = "default") -> None:
        """A Secret."""
        coded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": coded}
        self.kube.apply(names.core(namespace, "secrets", name), body)

    def workload(self, name: str, namespace: str = "default") -> KubeApi:
        """The cluster that was made, by nothing but the kubeconfig in its Secret."""
        path = names.core(namespace, "secrets", f"{name}-kubeconfig")
        secret = self.until(lambda: self.kube.get(path), f"the Secret {name}-kubeconfig")
        file = self.folder / f"{namespace}-{name}.json"
        file.write_bytes(base64.b64decode(secret["data"]["value"]))
        return KubeApi(Context([file]))

    def reached(self, name: str, namespace: str = "default") -> Access:
        """The same as what is in that kubeconfig."""
        self.workload(name, namespace)
        return Context([self.folder / f"{namespace}-{name}.json"])()

    # -- the clouds -------------------------------------------------------------------------------

    def cluster(self, name: str, cloud: str = "eks") -> Cluster:
        """The library, as a person at a terminal uses it."""
        home = "" if cloud in clouds.HOME_FIELDS else None
        return Cluster(Target(cloud, name, REGIONS[cloud], home=home), self.base)

    def things(self, name: str, cloud: str = "eks") -> set[str]:
        """What carries the cluster's tags."""
        return {f"{each.key} {each.id}" for each in self.cluster(name, cloud).observe().things}

    # -- operators --------------------------------------------------------------------------------

    @contextmanager
    def operator(self, access: Access | None = None, **more: Any) -> Iterator[threading.Thread]:
        """An operator on a thread of this process."""
        options = Options(**({"interval": 600.0, "takeover": 3.0, "port": 0} | more))
        stop = threading.Event()
        failed: list[BaseException] = []

        def work() -> None:
            try:
                asyncio.run(serve(access or self.access, self.base, options, stop))
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=work, name="operator", daemon=True)
        thread.start()
        try:
            yield thread
        finally:
            stop.set()
            thread.join(60)
            assert not thread.is_alive()
            if failed:
                raise failed[0]

    def process(self, *options: str, **environ: str) -> subprocess.Popen[bytes]:
        """A replica as a process of its own; its log goes to a file."""
        words = [sys.executable, "-m", "clusterkit", "operator", "run", "--sandbox"]
        words += ["--kubeconfig", str(self.kubeconfig), "--port", "0", "--takeover", "3", *options]
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        with (self.folder / f"operator-{time.monotonic_ns()}.log").open("wb") as log:
            return subprocess.Popen(
                words, env={**os.environ, "PYTHONPATH": path, **environ},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip


@contextmanager
def world(
    folder: Path, *emulators: str, kube: str = "embedded", pace: float = math.inf
) -> Iterator[World]:
    """An empty world with the CRD installed."""
    with ExitStack() as stack:
        sandbox = Sandbox(directory=folder / "clouds", pace=Pace(pace), emulators=emulators)
        sandbox.start()
        stack.callback(sandbox.stop)
        made = stack.enter_context(management(folder / "management", kube))
        found = World(sandbox, made.kubeconfig, folder)
        found.install()
        yield found


def text(value: object) -> str:
    """For searches in whatever was written."""
    return json.dumps(value)
