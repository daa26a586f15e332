"""Whose credentials a CloudCluster is worked on with: those of a Secret beside it, or the
operator's own where its namespace may use them.

They are data of the connection, never the process's environment. Of a Secret only the named keys
are taken, because vendors' variables may also name files, programs and addresses.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from clusterkit.engine.target import CloudConnection, UserLogin
from clusterkit.environment import SECRETS
from clusterkit.errors import CredentialsError
from clusterkit.kube.api import KubeApi
from clusterkit.naming import digest
from clusterkit.operator.names import DEFAULT_CREDENTIALS, core


class CredentialSource:
    """Finds them; one for each management cluster."""

    def __init__(
        self, kube: KubeApi, base: CloudConnection, folder: Path, *, everybody: bool
    ) -> None:
        """``base``: how the clouds are reached, with the operator's own credentials. ``folder`` is
        private to the process. ``everybody``: all namespaces may use those.
        """
        self._kube = kube
        self._base = base
        self._folder = folder
        self._everybody = everybody

    def connection(self, body: Mapping[str, Any], cloud: str) -> CloudConnection:
        """The connection for this CloudCluster; ``CredentialsError`` if it may not have one."""
        namespace, spec = body["metadata"]["namespace"], body["spec"]
        found = self._base
        named = (spec.get("credentials") or {}).get("secretRef")
        if named:
            found = replace(found, environ=self._environ(namespace, named["name"], cloud))
        elif not (self._everybody or self._trusted(namespace)):
            what, where = "may not use the operator's own credentials", f"namespace {namespace}"
            hint = "name a Secret in spec.credentials.secretRef, or ask who administers the "
            hint += f"management cluster: kubectl annotate namespace {namespace} "
            hint += f"{DEFAULT_CREDENTIALS}=true"
            raise CredentialsError(what, where=where, hint=hint)
        login = (spec.get("registryLogin") or {}).get("secretRef")
        if login:
            data = self._secret(namespace, login["name"], ("username", "password"))
            found = replace(found, registry_login=UserLogin(data["username"], data["password"]))
        return found

    def _trusted(self, namespace: str) -> bool:
        there = self._kube.get(f"/api/v1/namespaces/{namespace}") or {"metadata": {}}
        return (there["metadata"].get("annotations") or {}).get(DEFAULT_CREDENTIALS) == "true"

    def _environ(self, namespace: str, name: str, cloud: str) -> dict[str, str]:
        keys, where = SECRETS[cloud], f"Secret {namespace}/{name}"
        taken = keys.taken(self._secret(namespace, name, keys.needed), where)
        if keys.file:
            taken = {keys.file: self._file(taken[keys.needed[0]], where)}
        return {**taken, **keys.closed}

    def _secret(self, namespace: str, name: str, needed: tuple[str, ...]) -> dict[str, str]:
        where = f"Secret {namespace}/{name}"
        found = self._kube.get(core(namespace, "secrets", name))
        if found is None:
            raise CredentialsError(
                "does not exist", where=where, hint=f"make it with {', '.join(needed)}"
            )
        try:
            data = {
                key: base64.b64decode(value).decode().strip()
                for key, value in (found.get("data") or {}).items()
                if key in needed or key.isupper()  # the vendors' variables
            }
        except (binascii.Error, UnicodeDecodeError):
            raise CredentialsError("holds what is not text", where=where) from None
        if missing := [key for key in needed if not data.get(key)]:
            raise CredentialsError(f"lacks {', '.join(missing)}", where=where, hint="add it")
        return data

    def _file(self, text: str, secret: str) -> str:
        """The path of a file with it."""
        file = self._folder / f"{digest(secret, text, length=16)}.json"
        if not file.exists():
            new = file.with_suffix(f".{os.urandom(4).hex()}")
            new.touch(mode=0o600)
            new.write_text(text)
            new.replace(file)
        return str(file)
