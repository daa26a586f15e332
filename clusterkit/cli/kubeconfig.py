"""The cluster's context in the user's kubeconfig, and the token kubectl asks for."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from clusterkit.cli import receipt, report
from clusterkit.cli.connect import Connected, connected
from clusterkit.cli.heartbeat import Heartbeat
from clusterkit.cli.target import Choice, find_target
from clusterkit.clouds import ACCOUNT_FIELDS, sandbox_directory
from clusterkit.engine.target import Target
from clusterkit.engine.words import clock
from clusterkit.environment import remembered
from clusterkit.errors import ClusterkitError, Finding, UsageError
from clusterkit.fleet import Waiting
from clusterkit.kube import kubeconfig as files
from clusterkit.kube.api import Credential

EXEC_VERSIONS = (
    "client.authentication.k8s.io/v1beta1",
    "client.authentication.k8s.io/v1",
)
"""the versions kubectl may ask for, the one every client knows first
(https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins)
"""


ADMIN = "admin"
_PARTS = ("context", "cluster", "user")


@dataclass(frozen=True)
class Written:
    """Where the cluster's context is."""

    file: Path
    context: str


def entry(
    here: Connected,
    *,
    context: str | None = None,
    auth: str = "clusterkit",
    minutes: int | None = None,
) -> files.Entry:
    """The cluster's entry; ``ClusterkitError`` while there is no running cluster."""
    target = _pinned(here)
    if auth == ADMIN:
        access = here.cluster.administrator()
        pair = files.certificate(access)
        return files.entry(target, access, pair, sandbox=here.sandbox, context=context)
    access = here.cluster.access()
    if auth == "clusterkit":
        environ: Mapping[str, str] = sandbox_environ(here) or _remembered(target)
        stanza: Mapping[str, object] = files.exec_clusterkit(target, environ, minutes)
    else:
        # a sandbox is found by variables only
        environ = here.cluster.connection.environ if here.sandbox else _remembered(target)
        stanza = files.with_environ(here.cluster.exec_native(), environ)
        tool = str(stanza["command"])
        if auth not in (tool, *tool.split("-")):  # a word of its name will do
            raise UsageError(
                f"--auth {auth} is not available on {target.cloud}",
                hint=f"use --auth clusterkit or --auth {tool}",
            )
    user = {"exec": stanza}
    return files.entry(target, access, user, sandbox=here.sandbox, context=context)


def _remembered(target: Target) -> dict[str, str]:
    return remembered(target.cloud, os.environ, named=target.cloud_profile is not None)


def _pinned(here: Connected) -> Target:
    """The target with its account, where that is a choice which may be another one tomorrow."""
    if here.target.cloud not in ACCOUNT_FIELDS:
        return here.target
    return replace(here.target, account=here.cluster.account())


def sandbox_environ(here: Connected) -> dict[str, str]:
    """What ``clusterkit token`` needs to find this very sandbox; nothing for a real cloud."""
    if not here.sandbox:
        return {}
    return {"CLUSTERKIT_SANDBOX": "1", "CLUSTERKIT_SANDBOX_DIR": str(sandbox_directory())}


def write_context(here: Connected, *, use: bool) -> Waiting[Written]:
    """Put the cluster's context where kubectl looks."""
    new = entry(here, minutes=here.known.minutes if here.known else None)
    home = yield files.merge(files.paths(), new, use=use)
    return Written(home.path, new.context)


def forget_context(here: Connected, known: str | None) -> Waiting[list[Finding]]:
    """Take the context out again, from kubectl's files and from the one the receipt names; what
    could not be removed.
    """
    places = files.paths() + ([Path(known)] if known else [])
    try:
        yield files.remove(list(dict.fromkeys(places)), _pinned(here), sandbox=here.sandbox)
    except ClusterkitError as error:
        name = files.entry_name(_pinned(here), sandbox=here.sandbox)
        cure = " && ".join(f"kubectl config delete-{part} {name}" for part in _PARTS)
        return [Finding(f"the cluster's context is still there: {error.what}", error.where, cure)]
    return []


def kubeconfig(
    choice: Choice,
    *,
    file: Path | None,
    stdout: bool,
    name: str | None,
    use: bool,
    auth: str,
    minutes: int | None,
) -> int:
    """``clusterkit kubeconfig``."""
    with connected(find_target(choice), choice, report.tell) as here, _told("the kubeconfig"):
        here.cluster.check_minutes(minutes)
        new = entry(here, context=name, auth=auth, minutes=minutes)
        if stdout:
            sys.stdout.write(files.render(new))
            return 0
        written = files.merge([file] if file else files.paths(), new, use=use).result().path
        if here.known:
            receipt.note(receipt.at_kubeconfig(here.known, written, minutes), here.receipts)
    report.say(f"context {new.context} is in {written}")
    return 0


def _told(what: str) -> Heartbeat:
    return Heartbeat(lambda seconds: report.tell(f"still waiting for {what} ({clock(seconds)})"))


def token(choice: Choice, *, minutes: int | None) -> int:
    """``clusterkit token``: an ExecCredential of the version the caller asks for."""
    # kubectl calls this, and may be far from any terminal
    mine = connected(find_target(choice), choice, report.tell, asks=False)
    with mine as here, _told("a credential"):
        found = here.cluster.credential(minutes)
    credential = {
        "apiVersion": _asked_version(os.environ.get("KUBERNETES_EXEC_INFO", "")),
        "kind": "ExecCredential",
        "spec": {},
        "status": _status(found),
    }
    sys.stdout.write(json.dumps(credential) + "\n")
    return 0


def _status(found: Credential) -> dict[str, str]:
    """``ExecCredentialStatus``: a token, or a client certificate with its key."""
    status = {"expirationTimestamp": found.expires.strftime("%Y-%m-%dT%H:%M:%SZ")}
    if found.token:
        return {"token": found.token, **status}
    pair = {"clientCertificateData": found.certificate, "clientKeyData": found.key}
    return {**pair, **status}


def _asked_version(info: str) -> str:
    try:
        asked = json.loads(info)["apiVersion"]
    except (ValueError, KeyError, TypeError):
        return EXEC_VERSIONS[0]
    if asked not in EXEC_VERSIONS:
        raise ClusterkitError(
            f"the caller wants a credential of {asked}", hint=f"one of {', '.join(EXEC_VERSIONS)}"
        )
    return str(asked)
