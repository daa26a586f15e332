"""An Alibaba Cloud account of a sandbox, asked by the vendor's newer SDK and by hand.

Every answer that passes is held against the vendor's published description of it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib
import json
import math
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import urllib3
from alibabacloud_tea_openapi.utils_models import Config
from darabonba.exceptions import DaraException
from darabonba.runtime import RuntimeOptions

from clusterkit_sandbox.alibaba import model
from clusterkit_sandbox.alibaba.gateway import AlibabaCloud
from clusterkit_sandbox.alibaba.request import Request
from clusterkit_sandbox.alibaba.store import Conditions
from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.emulator import SandboxContext
from clusterkit_sandbox.kit.shape import Operation, Reader
from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.sandbox import Sandbox

REGION = "ap-southeast-1"
ZONES = [f"{REGION}{letter}" for letter in "abc"]
PACKAGES = {
    "cs": "alibabacloud_cs20151215",
    "vpc": "alibabacloud_vpc20160428",
    "ecs": "alibabacloud_ecs20140526",
    "ess": "alibabacloud_ess20220222",
    "ram": "alibabacloud_ram20150501",
    "sts": "alibabacloud_sts20150401",
    "cr": "alibabacloud_cr20181201",
    "slb": "alibabacloud_slb20140515",
    "nlb": "alibabacloud_nlb20220430",
}
VERSIONS = {
    "cs": "2015-12-15",
    "vpc": "2016-04-28",
    "ecs": "2014-05-26",
    "ram": "2015-05-01",
    "sts": "2015-04-01",
    "cr": "2018-12-01",
    "personalcr": "2016-06-07",
    "slb": "2014-05-15",
    "nlb": "2022-04-30",
    "alb": "2020-06-16",
    "ess": "2022-02-22",
    "location": "2015-06-12",
}
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDdUNHqvWGvyxXl1KbMzEB5eqhSSXaYBnR1rYoCGMzQv demo"


def differences(operation: Operation, body: object) -> Iterator[str]:
    """Where an answer is not what the vendor publishes; nothing if it is."""
    if operation.answer is None or body is None:
        if body is not None:
            yield f"{operation.name}: has a body"
        return
    reader = Reader({}, answer=True)
    reader.read(without_nulls(body), operation.answer)
    for problem in reader.problems:
        yield f"{operation.name} {problem.place}: {problem.rule} {problem.wanted}"


def without_nulls(value: Any) -> Any:
    """The value without the nulls in its lists, which the vendor may put anywhere."""
    if isinstance(value, dict):
        return {name: without_nulls(one) for name, one in value.items()}
    if isinstance(value, list):
        return [without_nulls(one) for one in value if one is not None]
    return value


class Judged(AlibabaCloud):
    """The emulator, with every good answer held against its description."""

    def __init__(self, context: SandboxContext) -> None:
        super().__init__(context)
        self.wrong: list[str] = []
        self.asked: set[str] = set()

    def _answer(self, request: Request) -> Answer:
        answer = super()._answer(request)
        if answer.status < 300:
            operation, _ = model.find(request)
            self.asked.add(operation.name)
            body = json.loads(answer.body) if answer.body else None
            self.wrong += differences(operation, body)
        return answer


class Aliyun:
    """One sandbox with nothing but Alibaba Cloud in it."""

    def __init__(self, sandbox: Sandbox, cloud: Judged) -> None:
        self.sandbox = sandbox
        self.cloud = cloud
        self.environ = sandbox.environment()
        self.key = self.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"]
        self.secret = self.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"]
        self._clients: dict[tuple[str, str], Any] = {}
        self._pool = urllib3.ProxyManager(
            sandbox.proxy, ca_certs=str(sandbox.ca_file), retries=False
        )

    # -- the newer SDK, which signs with ACS3-HMAC-SHA256 -----------------------------------------

    def client(self, product: str, region: str = REGION, **more: str) -> Any:
        host = "ram.aliyuncs.com" if product == "ram" else f"{product}.{region}.aliyuncs.com"
        settings = {
            "access_key_id": self.key,
            "access_key_secret": self.secret,
            "region_id": region,
            "endpoint": host,
            "https_proxy": self.sandbox.proxy,
            "ca": str(self.sandbox.ca_file),
            "protocol": "HTTPS",
        }
        module = importlib.import_module(f"{PACKAGES[product]}.client")
        return module.Client(Config(**settings | more))

    def sdk(self, name: str, /, *path: str, region: str = REGION, **wire: Any) -> Any:
        """``sdk("vpc:CreateVpc", RegionId=...)``: the answer's body, by wire names."""
        product, _, action = name.partition(":")
        client = self._clients.get((product, region))
        if client is None:
            client = self._clients[product, region] = self.client(product, region)
        return ask(client, product, action, *path, **wire)

    def __call__(self, name: str, /, *path: str, **wire: Any) -> Any:
        return self.sdk(name, *path, **wire)

    # -- by hand, signed with HMAC-SHA1 ----------------------------------------------------------

    def rpc(
        self,
        product: str,
        action: str,
        *,
        method: str = "GET",
        host: str = "",
        override: Mapping[str, str] | None = None,
        tamper: Mapping[str, str] | None = None,
        **parameters: str,
    ) -> tuple[int, Any]:
        """Status and body; ``override`` before the signature is made, ``tamper`` after it."""
        sent = {
            "AccessKeyId": self.key,
            "Action": action,
            "Format": "JSON",
            "RegionId": REGION,
            "SignatureMethod": "HMAC-SHA1",
            "SignatureNonce": str(uuid.uuid4()),
            "SignatureVersion": "1.0",
            "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "Version": VERSIONS[product],
        }
        sent |= parameters
        sent |= override or {}
        joined = "&".join(f"{_pct(k)}={_pct(v)}" for k, v in sorted(sent.items()))
        sent["Signature"] = self._sha1(f"{method}&%2F&{_pct(joined)}", "&")
        sent |= tamper or {}
        address = host or f"{product}.{REGION}.aliyuncs.com"
        if method == "POST":
            return self._send(
                "POST",
                f"https://{address}/",
                {"Content-Type": "application/x-www-form-urlencoded"},
                urlencode(sent).encode(),
            )
        return self._send(method, f"https://{address}/?{urlencode(sent)}", {}, b"")

    def roa(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        product: str = "cs",
        headers: Mapping[str, str] | None = None,
        secret: str = "",
        **query: str,
    ) -> tuple[int, Any]:
        """Status and body of a request to Container Service."""
        data = b"" if body is None else body
        if not isinstance(data, bytes):
            data = json.dumps(body).encode()
        sent = {
            "Accept": "application/json",
            "Date": formatdate(usegmt=True),
            "x-acs-signature-method": "HMAC-SHA1",
            "x-acs-signature-nonce": str(uuid.uuid4()),
            "x-acs-signature-version": "1.0",
            "x-acs-version": VERSIONS[product],
            "x-acs-region-id": REGION,
        }
        if body is not None:
            sent["Content-Type"] = "application/json"
            sent["Content-MD5"] = base64.b64encode(hashlib.md5(data).digest()).decode()
        sent |= headers or {}
        acs = sorted((k.lower(), v) for k, v in sent.items() if k.lower().startswith("x-acs-"))
        resource = path + ("?" if query else "")
        resource += "&".join(f"{k}={v}" for k, v in sorted(query.items()))
        lines = [method, *(sent.get(n, "") for n in ("Accept", "Content-MD5", "Content-Type"))]
        text = "\n".join([*lines, sent["Date"], *(f"{k}:{v}" for k, v in acs), resource])
        sent["Authorization"] = f"acs {self.key}:{self._sha1(text, '', secret)}"
        host = f"{model.HOSTS[product]}.{REGION}.aliyuncs.com"
        url = f"https://{host}{path}" + (f"?{urlencode(query)}" if query else "")
        return self._send(method, url, sent, data)

    def _sha1(self, text: str, suffix: str, secret: str = "") -> str:
        key = ((secret or self.secret) + suffix).encode()
        return base64.b64encode(hmac.new(key, text.encode(), hashlib.sha1).digest()).decode()

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Any]:
        answer = self._pool.request(method, url, headers=dict(headers), body=body)
        return answer.status, json.loads(answer.data) if answer.data else None

    # -- things most tests begin with ------------------------------------------------------------

    def network(
        self, cidr: str = "192.168", zones: Iterable[int] = (0, 1)
    ) -> tuple[str, list[str]]:
        """A VPC with a vSwitch in each zone."""
        made = self("vpc:CreateVpc", RegionId=REGION, CidrBlock=f"{cidr}.0.0/16")["VpcId"]
        vswitches = [
            self(
                "vpc:CreateVSwitch",
                RegionId=REGION,
                VpcId=made,
                ZoneId=ZONES[zone],
                CidrBlock=f"{cidr}.{index}.0/24",
            )["VSwitchId"]
            for index, zone in enumerate(zones)
        ]
        return made, vswitches

    def key_pair(self, name: str = "demo") -> str:
        self("ecs:ImportKeyPair", RegionId=REGION, KeyPairName=name, PublicKeyBody=PUBLIC_KEY)
        return name

    def wanted(self, name: str = "demo", vswitches: list[str] | None = None) -> dict[str, Any]:
        """What CreateCluster takes: a Flannel cluster without nodes."""
        if vswitches is None:
            _, vswitches = self.network()
        return {
            "name": name,
            "region_id": REGION,
            "cluster_type": "ManagedKubernetes",
            "profile": "Default",
            "cluster_spec": "ack.pro.small",
            "vswitch_ids": vswitches,
            "container_cidr": "10.10.0.0/16",
            "service_cidr": "10.20.0.0/20",
            "endpoint_public_access": True,
            "addons": [{"name": n} for n in ("flannel", "csi-plugin", "csi-provisioner")],
        }

    def cluster(self, name: str = "demo", **more: Any) -> dict[str, Any]:
        """A cluster that is up: its details."""
        made = self("cs:CreateCluster", **self.wanted(name, more.pop("vswitches", None)) | more)
        self.done(made["task_id"])
        found: dict[str, Any] = self("cs:DescribeClusterDetail", made["cluster_id"])
        return found

    def pool(
        self,
        cluster: Mapping[str, Any],
        name: str = "pool",
        parts: Mapping[str, Any] | None = None,
        **group: Any,
    ) -> Any:
        """CreateClusterNodePool, without waiting; ``parts`` are what is not its scaling group."""
        return self(
            "cs:CreateClusterNodePool",
            cluster["cluster_id"],
            **(parts or {}),
            nodepool_info={"name": name},
            scaling_group={
                "instance_types": ["ecs.g7.xlarge", "ecs.c7.xlarge"],
                "vswitch_ids": cluster["vswitch_ids"],
                "instance_charge_type": "PostPaid",
                "system_disk_category": "cloud_essd",
                "system_disk_size": 40,
                "desired_size": 2,
                **group,
            },
        )

    def done(self, task: str, state: str = "success") -> Any:
        """The task, once it has ended, which must be in this state."""
        found = eventually(
            lambda: self("cs:DescribeTaskInfo", task), lambda one: one["state"] != "running"
        )
        assert found["state"] == state, found
        return found


def _pct(text: str) -> str:
    return quote(text, safe="-_.~")


def ask(client: Any, product: str, action: str, /, *path: str, **wire: Any) -> Any:
    """Call an operation of the newer SDK by its wire names."""
    names = {
        n.removesuffix("with_options").replace("_", ""): n
        for n in dir(client)
        if n.endswith("with_options")
    }
    method = getattr(client, names[action.lower()])
    models = importlib.import_module(f"{PACKAGES[product]}.models")
    arguments: list[Any] = [*path]
    request = getattr(models, f"{action}Request", None)
    if request is not None:
        arguments.append(request().from_map(wire))
    elif wire:
        raise TypeError(f"{action} takes no parameters")
    if product == "cs":
        arguments.append({})
    answer = method(*arguments, RuntimeOptions(autoretry=False, read_timeout=30000))
    body = getattr(answer, "body", None)
    if isinstance(body, list):
        return [one.to_map() for one in body]
    return body.to_map() if body is not None else None


@contextmanager
def refused(code: str, status: int = 400) -> Iterator[list[str]]:
    """The call inside is refused with this code; its message is left in the list."""
    message: list[str] = []
    with pytest.raises(DaraException) as caught:
        yield message
    error: Any = caught.value
    found = getattr(error, "status_code", None) or error.statusCode
    assert (error.code, found) == (code, status), f"{error.code} {found}: {error.message}"
    message.append(re.sub(r"^code: \d+, | request id: .*$", "", str(error.message)))


def eventually(
    look: Callable[[], Any], good: Callable[[Any], object] = bool, within: float = 20.0
) -> Any:
    """What ``look`` sees, once it is good."""
    until = time.monotonic() + within
    while True:
        found = look()
        if good(found):
            return found
        assert time.monotonic() < until, found
        time.sleep(0.02)


@contextmanager
def account(directory: Path, factor: float = math.inf) -> Iterator[Aliyun]:
    """A sandbox of its own, with every answer judged at the end."""
    clouds: list[Judged] = []

    def make(context: SandboxContext) -> Judged:
        clouds.append(Judged(context))
        return clouds[-1]

    with Sandbox(directory=directory, pace=Pace(factor), emulators=[make]) as sandbox:
        yield Aliyun(sandbox, clouds[0])
        assert clouds[0].wrong == []


@contextmanager
def anew(cloud: Aliyun) -> Iterator[Aliyun]:
    """The same sandbox for one more test: nothing in it, nothing wrong with it after."""
    yield cloud
    assert cloud.cloud.wrong == []
    cloud.cloud.store.conditions = Conditions()
    cloud.sandbox.faults.clear()
    cloud.sandbox.reset()
