"""How to reach a cluster that clusterkit did not make: a context of a kubeconfig.

The rules are kubectl's (client-go, ``tools/clientcmd``): of several files the first that has a name
counts, paths are relative to their file, and an ``exec`` command gives the credential
(https://kubernetes.io/docs/reference/access-authn-authz/authentication/, "client-go credential
plugins").
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clusterkit.errors import ClusterkitError, CredentialsError, UsageError
from clusterkit.kube.api import Access

SECONDS = 60.0
"""for a command that gets a credential; a login in a browser does not work here"""
_SAY = "name another one with --context, or another file with --kubeconfig"


@dataclass(frozen=True)
class _Stanza:
    """One entry of a kubeconfig, and the folder its paths are relative to."""

    body: Mapping[str, Any]
    folder: Path

    def data(self, name: str) -> str | None:
        """What ``NAME-data`` holds, or the file that ``NAME`` is (PEM)."""
        if whole := self.body.get(f"{name}-data"):
            try:
                return base64.b64decode("".join(str(whole).split()), validate=True).decode()
            except (binascii.Error, UnicodeDecodeError) as error:
                raise UsageError(f"{name}-data is not base64") from error
        return self.file(name)

    def file(self, name: str) -> str | None:
        """The content of the file that ``NAME`` is."""
        named = self.body.get(name)
        if not named:
            return None
        path = self.folder / str(named)
        try:
            return path.read_text()
        except OSError as error:
            what = f"cannot be read: {error.strerror or error}"
            raise ClusterkitError(
                what, where=str(path), hint=f"it is {name} of a context"
            ) from error


class Context:
    """One context of the files."""

    def __init__(self, files: Sequence[Path], name: str | None = None) -> None:
        """``name``: left out, the current one. ``UsageError`` if there is none, or it lacks what
        it names.
        """
        self._files = [(path, root) for path in files if (root := _read(path)) is not None]
        where = ", ".join(map(str, files))
        if not self._files:
            raise UsageError("there is no kubeconfig", where=where, hint=_SAY)
        current = (str(root["current-context"]) for _, root in self._files
                   if root.get("current-context"))  # fmt: skip
        self.name = name or next(current, "")
        if not self.name:
            raise UsageError("the kubeconfig has no current context", where=where, hint=_SAY)
        context = self._find("contexts", self.name).body
        self._cluster = self._find("clusters", str(context.get("cluster")))
        self._user = self._find("users", str(context.get("user")))

    def _find(self, kind: str, name: str) -> _Stanza:
        inner = kind.removesuffix("s")
        for path, root in self._files:
            for item in root.get(kind) or ():
                if isinstance(item, dict) and item.get("name") == name:
                    body = item.get(inner)
                    return _Stanza(body if isinstance(body, dict) else {}, path.parent)
        where = ", ".join(str(path) for path, _ in self._files)
        raise UsageError(f"the kubeconfig has no {inner} {name!r}", where=where, hint=_SAY)

    def __call__(self) -> Access:
        """How to reach it; runs the command that gets the credential, if there is one."""
        cluster, user = self._cluster.body, self._user.body
        server = str(cluster.get("server") or "")
        if not server.startswith("https://"):
            raise UsageError(f"its server is not an https URL: {server or 'none'}", where=self.name)
        for key in ("insecure-skip-tls-verify", "tls-server-name"):
            if cluster.get(key):
                hint = "put the cluster's certificate-authority-data into the kubeconfig"
                raise UsageError(f"{key} is not supported", where=self.name, hint=hint)
        for key in ("auth-provider", "username", "as"):
            if user.get(key):
                hint = "use an exec command, a token or a client certificate"
                raise UsageError(f"{key} of a user is not supported", where=self.name, hint=hint)
        issued = self._issued(user["exec"]) if user.get("exec") else {}
        token = issued.get("token") or user.get("token") or _stripped(self._user.file("tokenFile"))
        return Access(
            server,
            self._cluster.data("certificate-authority") or "",
            self._tokens(str(token)) if token else None,
            issued.get("clientCertificateData") or self._user.data("client-certificate"),
            issued.get("clientKeyData") or self._user.data("client-key"),
            cluster.get("proxy-url") or None,
        )

    def _tokens(self, first: str) -> Callable[[], str]:
        """The token, and after some minutes one that is fresh again."""
        kept = [first]

        def token() -> str:
            if kept:
                return kept.pop()
            user = self._user.body
            if user.get("exec"):
                return str(self._issued(user["exec"]).get("token") or "")
            return str(user.get("token") or _stripped(self._user.file("tokenFile")) or "")

        return token

    def _issued(self, stanza: Mapping[str, Any]) -> Mapping[str, str]:
        """What the command of an ``exec`` stanza gives: the status of its ExecCredential."""
        command = str(stanza.get("command") or "")
        if os.sep in command:
            command = str(self._user.folder / command)
        words = [command, *map(str, stanza.get("args") or ())]
        more = {str(each["name"]): str(each["value"]) for each in stanza.get("env") or ()}
        spec: dict[str, Any] = {"interactive": False}
        if stanza.get("provideClusterInfo"):
            known = {key: value for key, value in self._cluster.body.items() if key != "extensions"}
            spec["cluster"] = known
        asked = {"apiVersion": stanza.get("apiVersion"), "kind": "ExecCredential", "spec": spec}
        env = {**os.environ, **more, "KUBERNETES_EXEC_INFO": json.dumps(asked)}
        try:
            done = subprocess.run(
                words, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=SECONDS, check=False,
            )  # fmt: skip
        except OSError as error:
            hint = str(stanza.get("installHint") or "").strip()
            what = f"{command} cannot be run: {error.strerror or error}"
            raise CredentialsError(what, where=self.name, hint=hint) from error
        except subprocess.TimeoutExpired as error:
            what = f"{command} gave no credential within {SECONDS:g} s"
            raise CredentialsError(what, where=self.name, hint="log in with it first") from error
        if done.returncode:
            told = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
            what = f"{command} gave no credential: {told}"
            raise CredentialsError(what, where=self.name, hint="run it by hand to see more")
        try:
            status = json.loads(done.stdout)["status"]
        except (ValueError, KeyError, TypeError) as error:
            what = f"{command} printed no ExecCredential"
            raise CredentialsError(what, where=self.name) from error
        return status if isinstance(status, dict) else {}


def in_cluster() -> Access | None:
    """The API server of the cluster this process is a pod of; None outside of one
    (https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/).
    """
    folder = Path("/var/run/secrets/kubernetes.io/serviceaccount")
    host, port = (os.environ.get(f"KUBERNETES_SERVICE_{part}") for part in ("HOST", "PORT"))
    if not host or not (folder / "token").exists():
        return None
    address = f"[{host}]" if ":" in host else host
    token = folder / "token"  # the kubelet renews what is in it
    ca = (folder / "ca.crt").read_text()
    return Access(f"https://{address}:{port}", ca, lambda: token.read_text().strip())


def _read(path: Path) -> Mapping[str, Any] | None:
    """A kubeconfig; None for a file that is not there."""
    import yaml

    try:
        root = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        return None
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
        raise ClusterkitError(what, where=str(path)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ClusterkitError("is not YAML", where=str(path)) from error
    if root is None:
        return None
    if not isinstance(root, dict):
        raise ClusterkitError("is not a kubeconfig: it holds no mapping", where=str(path))
    return root


def _stripped(text: str | None) -> str | None:
    return text.strip() if text else None
