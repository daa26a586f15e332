"""One HTTP request as the API gateway sees it, undecoded so that its signature can be verified."""

from __future__ import annotations

import re
from typing import Any

from clusterkit_sandbox.alibaba.failure import Failure, bad
from clusterkit_sandbox.kit import wire

_CENTRAL = re.compile(
    r"(?P<product>[a-z]+)(?:-readonly|-(?P<region>[a-z]+-[a-z0-9-]+))?\.aliyuncs\.com"
)
_REGIONAL = re.compile(
    r"(?P<product>[a-z]+)(?:-vpc|-anonymous|-openapi)?\.(?P<region>[a-z0-9-]+)\.aliyuncs\.com"
)


def host_parts(host: str) -> tuple[str, str | None]:
    """Product and region of a host name: ``cs.eu-central-1.aliyuncs.com``, ``vpc.aliyuncs.com``,
    ``ecs-cn-hangzhou.aliyuncs.com`` (the forms in aliyunsdkcore/data/endpoints.json).
    """
    found = _REGIONAL.fullmatch(host) or _CENTRAL.fullmatch(host)
    return (found["product"], found["region"]) if found else ("unknown", None)


class Request(wire.Request):
    """One request, of either protocol."""

    @property
    def product(self) -> str:
        """The service its host name belongs to: ``vpc``."""
        return host_parts(self.host)[0]

    @property
    def action(self) -> str | None:
        """The RPC action; None for a ROA request, which is identified by method and path."""
        if "Action" in self.flat:
            return self.flat["Action"]
        return self.headers.get("x-acs-action") if self.path in ("", "/") else None

    @property
    def version(self) -> str:
        """The API version asked for."""
        return self.flat.get("Version") or self.headers.get("x-acs-version", "")

    @property
    def region(self) -> str | None:
        """The region asked for: the parameter, the header, or what the host name says."""
        return (
            self.flat.get("RegionId")
            or self.headers.get("x-acs-region-id")
            or host_parts(self.host)[1]
        )

    @property
    def style(self) -> str:
        """``RPC`` or ``ROA``."""
        return "ROA" if self.action is None else "RPC"

    def json(self) -> Any:
        """The JSON body; an empty object if there is none."""
        if not self.body:
            return {}
        if "json" not in self.headers.get("content-type", ""):
            # the vendor's reading of a form here is not documented; what it makes of the types
            # (True for true) is what goes wrong, so it is refused
            raise bad("Sandbox.UnsupportedContentType", "The body must be application/json.")
        try:
            return wire.parsed(self.body)
        except ValueError:
            raise Failure(400, "InvalidParameter", "The request body is not valid JSON.") from None
