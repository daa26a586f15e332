"""Builds by kaniko in a cluster that stands alone, or in one of a cloud."""

from __future__ import annotations

import asyncio
import io
import json
import ssl
import tarfile
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes import client, config

from clusterkit_sandbox.emulator import SandboxContext
from tests.sandbox.echo import Echo
from tests.sandbox.kubes import HOST, TOKENS, Cloud, kubeconfig, node
from tests.sandbox.workloads import until

IMAGE = "ghcr.io/osscontainertools/kaniko:v1.28.3"
NAMESPACE = "builds"
NOTE = "no Dockerfile was executed"


class Alone(Echo):
    """A cluster of one node, and no cloud that anybody could ask."""

    def __init__(self, context: SandboxContext) -> None:
        super().__init__(context)
        self.hooks = Cloud()
        self.cluster = context.kube.open(
            "alone", hosts=[HOST], version="1.34", review=TOKENS.get, hooks=self.hooks
        )
        self.cluster.set_nodes([node(1)])


class Builder:
    """Who runs kaniko in the namespace ``builds``."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.api = client.ApiClient(settings)
        self.core: Any = client.CoreV1Api(self.api)
        self.batch: Any = client.BatchV1Api(self.api)
        body: Any = {"metadata": {"name": NAMESPACE}}
        self.core.create_namespace(body)

    @classmethod
    def alone(cls, cloud: Alone, folder: Path) -> Builder:
        """In the cluster that stands alone."""
        settings = client.Configuration()
        path = str(kubeconfig(cloud.cluster, folder))
        loaded: Any = config
        loaded.load_kube_config(path, client_configuration=settings)
        return cls(settings)

    def account(self, name: str = "kaniko", **annotations: str) -> None:
        """A service account."""
        keys = {key.replace("__", "/").replace("_", "-"): v for key, v in annotations.items()}
        body = {"metadata": {"name": name, "annotations": keys}}
        self.core.create_namespaced_service_account(NAMESPACE, body)

    def context(self, name: str = "context", **files: str) -> None:
        """A ConfigMap to build from."""
        data = {"Dockerfile": "FROM scratch\nCOPY . /\n", **files}
        body = {"metadata": {"name": name}, "data": data}
        self.core.create_namespaced_config_map(NAMESPACE, body)

    def config_map(self, name: str, **data: str) -> None:
        """A ConfigMap; ``__`` in a key is a dot."""
        found = {key.replace("__", "."): value for key, value in data.items()}
        self.core.create_namespaced_config_map(
            NAMESPACE, {"metadata": {"name": name}, "data": found}
        )

    def regcred(self, text: str) -> None:
        """The Secret ``regcred`` with this configuration of Docker."""
        body = {
            "metadata": {"name": "regcred"},
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": text},
        }
        self.core.create_namespaced_secret(NAMESPACE, body)

    def job(self, *arguments: str, name: str = "kaniko", **more: Any) -> str:
        """Make a Job; ``pod`` is of the pod's spec, ``labels`` its labels, ``job`` of the Job's."""
        container = {
            "name": "kaniko",
            "image": IMAGE,
            "args": [*arguments, "--digest-file=/dev/termination-log", "--log-format=text"],
            "terminationMessagePolicy": "FallbackToLogsOnError",
            **more.get("container", {}),
        }
        pod = {"restartPolicy": "Never", "containers": [container], **more.get("pod", {})}
        template = {"metadata": {"labels": more.get("labels", {})}, "spec": pod}
        spec = {"backoffLimit": 0, "template": template, **more.get("job", {})}
        self.batch.create_namespaced_job(NAMESPACE, {"metadata": {"name": name}, "spec": spec})
        until(lambda: self.pods(name), "the pod of the Job")
        return name

    def pods(self, job: str = "kaniko") -> list[Any]:
        """A Job's pods."""
        wanted = f"batch.kubernetes.io/job-name={job}"
        return list(self.core.list_namespaced_pod(NAMESPACE, label_selector=wanted).items)

    def pod(self, job: str = "kaniko") -> Any:
        """Its latest pod."""
        return self.pods(job)[-1]

    def state(self, job: str = "kaniko") -> Any:
        """The state of the container."""
        found = self.pod(job).status.container_statuses
        return found[0].state if found else client.V1ContainerState()

    def log(self, job: str = "kaniko", **more: Any) -> str:
        """What it wrote."""
        name = self.pod(job).metadata.name
        return str(self.core.read_namespaced_pod_log(name, NAMESPACE, **more))

    def ended(self, job: str = "kaniko") -> tuple[int, str]:
        """Wait for its end: exit code and message."""
        until(lambda: self.state(job).terminated is not None, "the end of the build")
        found = self.state(job).terminated
        return found.exit_code, found.message or ""

    def built(self, *arguments: str, **more: Any) -> tuple[int, str]:
        """Run one build from the ConfigMap ``context`` to its end."""
        name = more.pop("name", "kaniko")
        volumes = [{"name": "context", "configMap": {"name": "context"}}]
        mounts = [{"name": "context", "mountPath": "/workspace"}]
        pod, container = more.pop("pod", {}), more.pop("container", {})
        volumes += pod.pop("volumes", [])
        mounts += container.pop("volumeMounts", [])
        self.job(
            "--context=dir:///workspace",
            *arguments,
            name=name,
            pod={"volumes": volumes, **pod},
            container={"volumeMounts": mounts, **container},
            **more,
        )
        return self.ended(name)

    async def _attach(self, job: str, protocol: str, *parts: bytes) -> tuple[str, list[bytes]]:
        pod = self.pod(job).metadata.name
        url = f"{self.settings.host}/api/v1/namespaces/{NAMESPACE}/pods/{pod}/attach"
        trusted = ssl.create_default_context(cafile=self.settings.ssl_ca_cert)
        (token,) = (one["value"] for one in self.settings.auth_settings().values())
        heard: list[bytes] = []
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(
                f"{url}?container=kaniko&stdin=true&stdout=true",
                ssl=trusted,
                proxy=self.settings.proxy,
                headers={"Authorization": token},
                protocols=[protocol],
            ) as socket,
        ):
            for part in parts:
                await socket.send_bytes(part)
            if protocol.startswith("v5"):
                heard += [message.data async for message in socket]
            return socket.protocol or "", heard

    def attach(self, job: str, protocol: str, *parts: bytes) -> tuple[str, list[bytes]]:
        """Send these messages; the protocol that was agreed on, and what came back."""
        return asyncio.run(self._attach(job, protocol, *parts))


def archive(**files: str) -> bytes:
    """A compressed tar of a context; ``__`` in a name is a slash."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, text in {"Dockerfile": "FROM scratch\n", **files}.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def docker(**parts: Any) -> str:
    """Docker's configuration."""
    return json.dumps(parts)
