"""What no client would send to the emulated Azure: it is refused, and nothing fails."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import urllib3

from clusterkit_sandbox.azure.account import TENANT
from tests.sandbox.azurecloud import ACR, NET, REGION, RG, UAI, Azure, cloud, shared

__all__ = ["cloud", "shared"]
LOGIN = f"https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token"
BODIES = (
    b"", b"{", b"[]", b"null", b"1", b'"x"', b"{}{}", b"\xff\xfe", b"[" * 100_000,
    b'{"location": NaN}', b'{"location": 1}', b'{"location": null, "properties": []}',
    b'{"properties": {"properties": {}}}', b'{"location": "\\ud800"}',
)  # fmt: skip


def raw(cloud: Azure, verb: str, url: str, body: bytes, token: str = "") -> int:
    pool = urllib3.ProxyManager(
        cloud.sandbox.proxy, ca_certs=str(cloud.sandbox.ca_file), retries=False
    )
    headers = {
        "Authorization": f"Bearer {token or cloud.token}",
        "Content-Type": "application/json",
    }
    if "oauth2" in url:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    return pool.request(verb, url, headers=headers, body=body).status


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("path", [f"{NET}/virtualNetworks/x", f"{UAI}/xyz", RG, f"{ACR}/xyz12"])
def test_bodies(cloud: Azure, path: str, body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        url = f"https://management.azure.com{path}?api-version=2026-01-01"
        assert raw(cloud, "PUT", url, body) == 400
    assert not caplog.records


@pytest.mark.parametrize("body", BODIES)
def test_bodies_of_other_hosts(cloud: Azure, body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    properties: dict[str, Any] = {"location": REGION, "sku": {"name": "Basic"}}
    cloud.done("PUT", f"{ACR}/demo12345", properties)
    graph = cloud.login(cloud.environ, "https://graph.microsoft.com")
    urls = (
        (LOGIN, ""),
        ("https://graph.microsoft.com/v1.0/directoryObjects/getByIds", graph),
        ("https://demo12345.azurecr.io/oauth2/exchange", ""),
        ("https://demo12345.azurecr.io/oauth2/token", ""),
    )
    with caplog.at_level(logging.ERROR):
        for url, token in urls:
            assert raw(cloud, "POST", url, body, token) in (200, 400, 401)
    assert not caplog.records


@pytest.mark.parametrize(
    "path",
    [
        "/", "//", "/subscriptions/", "/subscriptions//resourcegroups/x", f"{RG}/providers/",
        f"{RG}/providers/Microsoft.Network", f"{NET}/virtualNetworks/%00/subnets/a%2Fb",
        "/providers/Microsoft.Authorization/roleAssignments/x", f"{RG}/%F0%9F%98%80",
        f"{RG}/providers/Microsoft.Network/virtualNetworks/" + "a" * 5000,
    ],
)  # fmt: skip
def test_paths(cloud: Azure, path: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        for verb in ("GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS"):
            url = f"https://management.azure.com{path}?api-version=2026-01-01"
            assert raw(cloud, verb, url, b"{}") in (200, 201, 204, 400, 404, 501)
    assert not caplog.records
