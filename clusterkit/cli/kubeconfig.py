"""The cluster's context in the user's kubeconfig, and the token kubectl asks for."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clusterkit.cli import receipt, session
from clusterkit.cli.target import Choice, find_target
from clusterkit.engine.target import Target
from clusterkit.errors import Absent, ClusterkitError
from clusterkit.kube import kubeconfig as files
from clusterkit.kube.api import Credential

EXEC_VERSIONS = (
    "client.authentication.k8s.io/v1beta1",
    "client.authentication.k8s.io/v1",
)
"""the versions kubectl may ask for, the one every client knows first
(https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins)
"""


@dataclass(frozen=True)
class Written:
    """Where the cluster's context is."""

    file: Path
    context: str


def entry(
    here: session.Session,
    *,
    context: str | None = None,
    auth: str = "clusterkit",
    minutes: int | None = None,
) -> files.Entry:
    """The cluster's entry; ``ClusterkitError`` while there is no running cluster."""
    target = here.target
    try:
        access = here.cloud.access(here.clients, target)
    except Absent:
        raise _no_cluster(target) from None
    if auth == "clusterkit":
        stanza: Mapping[str, object] = files.exec_clusterkit(target, sandbox_environ(here), minutes)
    else:
        stanza = here.cloud.exec_native(target)
        if auth != stanza["command"]:
            raise ClusterkitError(
                f"--auth {auth}: not known for {target.cloud}",
                hint=f"clusterkit, or {stanza['command']}",
            )
    return files.entry(target, access, stanza, sandbox=here.sandbox, context=context)


def sandbox_environ(here: session.Session) -> dict[str, str]:
    """What ``clusterkit token`` needs to find this very sandbox; nothing for a real cloud."""
    if not here.sandbox:
        return {}
    return {"CLUSTERKIT_SANDBOX": "1", "CLUSTERKIT_SANDBOX_DIR": str(session.sandbox_directory())}


def write_context(here: session.Session, *, use: bool) -> Written:
    """Put the cluster's context where kubectl looks."""
    known = receipt.read(here.receipts, here.target.cloud, here.target.name)
    new = entry(here, minutes=known.minutes if known else None)
    return Written(files.merge(files.paths(), new, use=use), new.context)


def forget_context(here: session.Session, known: str | None) -> None:
    """Take the context out again, from kubectl's files and from the one the receipt names."""
    places = files.paths() + ([Path(known)] if known else [])
    files.remove(list(dict.fromkeys(places)), here.target, sandbox=here.sandbox)


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
    here = session.connect(find_target(choice), sandbox=choice.sandbox)
    _allowed(here, minutes)
    new = entry(here, context=name, auth=auth, minutes=minutes)
    if stdout:
        sys.stdout.write(files.render(new))
        return 0
    written = files.merge([file] if file else files.paths(), new, use=use)
    folder = here.receipts
    if known := receipt.read(folder, here.target.cloud, here.target.name):
        receipt.write(receipt.at_kubeconfig(known, written, minutes), folder)
    sys.stdout.write(f"context {new.context} is in {written}\n")
    return 0


def _allowed(here: session.Session, minutes: int | None) -> None:
    """``ClusterkitError`` unless the cloud gives credentials that live so long."""
    allowed = here.cloud.MINUTES
    if minutes is None or (allowed is not None and minutes in allowed):
        return
    if allowed is None:
        what = f"{here.target.cloud} decides by itself how long credentials live"
        raise ClusterkitError(what, where="--minutes", hint="leave it out")
    raise ClusterkitError(
        f"must be {allowed[0]} to {allowed[-1]} on {here.target.cloud}, is {minutes}",
        where="--minutes",
    )


def token(choice: Choice, *, minutes: int | None) -> int:
    """``clusterkit token``: an ExecCredential of the version the caller asks for."""
    target = find_target(choice)
    here = session.connect_quietly(target, sandbox=choice.sandbox)
    _allowed(here, minutes)
    try:
        found = here.cloud.credential(here.clients, target, minutes)
    except Absent:
        raise _no_cluster(target) from None
    credential = {
        "apiVersion": _asked_version(os.environ.get("KUBERNETES_EXEC_INFO", "")),
        "kind": "ExecCredential",
        "spec": {},
        "status": _status(found),
    }
    sys.stdout.write(json.dumps(credential) + "\n")
    return 0


def _no_cluster(target: Target) -> ClusterkitError:
    return ClusterkitError(
        f"there is no running cluster in {target.region}",
        where=target.name,
        hint="clusterkit status shows what there is, clusterkit up makes the rest",
    )


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
