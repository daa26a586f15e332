"""The vendor's SDKs for Node.js against the emulated Alibaba Cloud, unchanged.

``@alicloud/pop-core`` signs RPC and ROA with HMAC-SHA1, ``@alicloud/cs20151215`` with
ACS3-HMAC-SHA256; neither shares a line with the SDK for Python. Node.js knows no proxy from its
environment before version 24, so a preloaded module teaches its HTTPS agent the way to the proxy.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.aliyun import REGION, Aliyun, account, anew

pytestmark = [pytest.mark.client, pytest.mark.timeout(300)]

PACKAGES = ("@alicloud/pop-core@1.8.0", "@alicloud/cs20151215@7.2.0")
PROXY = """
const https = require('https'), http = require('http'), tls = require('tls');
const proxy = new URL(process.env.HTTPS_PROXY);
https.Agent.prototype.createConnection = function (options, done) {
  const target = `${options.host}:${options.port || 443}`;
  const tunnel = http.request({
    host: proxy.hostname, port: proxy.port, method: 'CONNECT', path: target, agent: false,
  });
  tunnel.on('connect', (answer, socket) => {
    if (answer.statusCode !== 200) {
      socket.destroy();
      done(new Error(`${answer.statusCode} ${answer.statusMessage}`));
    } else {
      done(null, tls.connect({ socket, servername: options.host }));
    }
  });
  tunnel.on('error', done);
  tunnel.end();
};
"""
KEYS = """
const keys = {
  accessKeyId: process.env.ALIBABA_CLOUD_ACCESS_KEY_ID,
  accessKeySecret: process.env.ALIBABA_CLOUD_ACCESS_KEY_SECRET,
};
const region = process.env.ALIBABA_CLOUD_REGION_ID;
const say = (found) => console.log(JSON.stringify(found));
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not here")
    folder = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text('{"private": true}')
    (folder / "proxy.js").write_text(PROXY)
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES]
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"npm cannot install the SDKs: {made.stderr.strip().splitlines()[-1:]}")
    return folder


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aliyun]:
    with account(tmp_path_factory.mktemp("alibaba")) as made:
        yield made


@pytest.fixture
def cloud(shared: Aliyun) -> Iterator[Aliyun]:
    with anew(shared) as made:
        yield made


def node(cloud: Aliyun, folder: Path, script: str) -> list[Any]:
    """What a script says, line by line."""
    done = subprocess.run(
        ["node", "--require", "./proxy.js", "-e", f"{KEYS}(async () => {{{script}}})()"],
        cwd=folder,
        env={**os.environ, **cloud.sandbox.environment()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_rpc(cloud: Aliyun, folder: Path) -> None:
    script = """
    const { RPCClient } = require('@alicloud/pop-core');
    const vpc = new RPCClient({
      ...keys, endpoint: `https://vpc.${region}.aliyuncs.com`, apiVersion: '2016-04-28',
    });
    const made = await vpc.request('CreateVpc', {
      RegionId: region, CidrBlock: '10.0.0.0/16', Description: "it's (a) *test*!",
      Tag: [{ Key: 'a b', Value: 'é~' }],
    }, { method: 'POST' });
    say((await vpc.request('DescribeVpcs', {
      RegionId: region, Tag: [{ Key: 'a b', Value: 'é~' }],
    })).Vpcs.Vpc.map((one) => [one.VpcId === made.VpcId, one.Description]));
    for (const [action, parameters] of [
      ['CreateVpc', { RegionId: region, Colour: 'red' }],
      ['DeleteVpc', { RegionId: region, VpcId: 'vpc-none' }],
    ]) {
      try { await vpc.request(action, parameters); } catch (error) { say(error.code); }
    }
    """
    assert node(cloud, folder, script) == [
        [[True, "it's (a) *test*!"]],
        "Sandbox.UnknownParameter",
        "InvalidVpcId.NotFound",
    ]


def test_roa(cloud: Aliyun, folder: Path) -> None:
    cloud.cluster()
    script = """
    const { ROAClient } = require('@alicloud/pop-core');
    const cs = new ROAClient({
      ...keys, endpoint: `https://cs.${region}.aliyuncs.com`, apiVersion: '2015-12-15',
    });
    const found = await cs.request('GET', '/api/v1/clusters', { name: 'demo', page_size: 10 });
    say(found.clusters.map((one) => [one.name, one.state]));
    const roles = JSON.stringify({ roles: [{ name: 'AliyunCSDefaultRole' }] });
    const json = { 'content-type': 'application/json' };
    say(await cs.request('POST', '/ram/check-service-role', {}, roles, json));
    """
    listed, checked = node(cloud, folder, script)
    assert listed == [["demo", "running"]]
    assert checked["roles"][0]["granted"]


def test_acs3(cloud: Aliyun, folder: Path) -> None:
    wanted = json.dumps(cloud.wanted())
    script = f"""
    const {{ default: Client, ...models }} = require('@alicloud/cs20151215');
    const wanted = {wanted};
    """
    script += """
    const cs = new Client({ ...keys, regionId: region, endpoint: `cs.${region}.aliyuncs.com` });
    const made = await cs.createCluster(new models.CreateClusterRequest({
      name: wanted.name, regionId: wanted.region_id, clusterType: wanted.cluster_type,
      profile: wanted.profile, clusterSpec: wanted.cluster_spec, vswitchIds: wanted.vswitch_ids,
      containerCidr: wanted.container_cidr, serviceCidr: wanted.service_cidr,
      addons: wanted.addons, endpointPublicAccess: true,
    }));
    say(made.statusCode);
    let state;
    do {
      state = (await cs.describeClusterDetail(made.body.clusterId)).body.state;
    } while (state === 'initial');
    say(state);
    const config = await cs.describeClusterUserKubeconfig(made.body.clusterId,
      new models.DescribeClusterUserKubeconfigRequest({ temporaryDurationMinutes: 15 }));
    say(config.body.config.includes('client-certificate-data'));
    try { await cs.describeClusterDetail('none'); } catch (error) {
      say([error.code, error.statusCode || error.data.statusCode]);
    }
    """
    assert node(cloud, folder, script) == [
        202, "running", True, ["ErrorClusterNotFound", 404],
    ]  # fmt: skip


def test_another_secret(cloud: Aliyun, folder: Path) -> None:
    script = """
    const { RPCClient } = require('@alicloud/pop-core');
    const sts = new RPCClient({
      accessKeyId: keys.accessKeyId, accessKeySecret: 'wrong',
      endpoint: 'https://sts.aliyuncs.com', apiVersion: '2015-04-01',
    });
    try { await sts.request('GetCallerIdentity', {}); } catch (error) { say(error.code); }
    """
    # as the older SDKs do, it sees that the text to be signed was the same
    assert node(cloud, folder, script)[0] in ("SignatureDoesNotMatch", "InvalidAccessKeySecret")


def test_the_region_is_the_sandboxs(cloud: Aliyun, folder: Path) -> None:
    assert node(cloud, folder, "say(region);") == [REGION]
