"""One HTTP request as the API gateway sees it, undecoded so that its signature can be verified."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

from clusterkit_sandbox.alibaba.failure import Failure, bad
from clusterkit_sandbox.emulator import Environ

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


@dataclass(frozen=True)
class Request:
    """One request; header names are in lower case, ``path`` is as sent, undecoded."""

    host: str
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    body: bytes

    @classmethod
    def read(cls, environ: Environ, body: bytes) -> Request:
        """The request of a WSGI environ whose body has been read."""
        headers = {
            key[5:].lower().replace("_", "-"): str(value)
            for key, value in environ.items()
            if key.startswith("HTTP_")
        }
        for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            if environ.get(key):
                headers[key.lower().replace("_", "-")] = str(environ[key])
        target = str(environ.get("RAW_URI") or environ["PATH_INFO"])
        return cls(
            host=headers.get("host", "").partition(":")[0].lower(),
            method=str(environ["REQUEST_METHOD"]),
            path=target.partition("?")[0],
            query=tuple(parse_qsl(str(environ["QUERY_STRING"]), keep_blank_values=True)),
            headers=headers,
            body=body,
        )

    @cached_property
    def form(self) -> dict[str, str]:
        """The parameters in a form-encoded body."""
        if "x-www-form-urlencoded" not in self.headers.get("content-type", ""):
            return {}
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    @cached_property
    def flat(self) -> dict[str, str]:
        """Query and form together, as RPC reads them."""
        return {**dict(self.query), **self.form}

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
            return parsed(self.body)
        except ValueError:
            raise Failure(400, "InvalidJson", "The request body is not valid JSON.") from None


def parsed(text: str | bytes) -> Any:
    """The JSON in a request; ``ValueError`` for what no answer could carry back: figures that are
    none, halves of characters, depths without end.
    """
    try:
        found = json.loads(text, parse_constant=_no_number)
        json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return found


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")
