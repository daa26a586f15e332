"""Our cluster in the user's kubeconfig: put there, kept up to date, and taken out again.

The file is the user's. kubectl's rules say which one it is (``$KUBECONFIG`` may name several;
client-go, ``tools/clientcmd``): a stanza is changed where it is, a new one goes to the first file
that exists, or to the last of the list. What is not ours stays as it is, comments included.

Our stanzas carry a mark among their ``extensions``, which kubectl keeps; only what carries it is
ever changed or removed.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clusterkit.engine.target import Target
from clusterkit.errors import ClusterkitError, NotOurs
from clusterkit.kube.api import Access, Credential
from clusterkit.kube.kubeconfig_file import (
    SECTIONS,
    Document,
    Files,
    edit,
    rehearse,
    scalars,
    text,
)

EXTENSION = "clusterkit.dev"
_REPLACED = ("certificate-authority", "certificate-authority-data")
"""of a cluster, what another answer of the cloud takes away; all else is the user's, who may have
set a way through a proxy or another name of the server, as is a context's namespace
"""


@dataclass(frozen=True)
class Entry:
    """A cluster, who asks, and the context that joins them."""

    name: str
    """of the cluster and the user stanza"""
    context: str
    mark: Mapping[str, Any]
    cluster: Mapping[str, Any]
    """``server``, ``certificate-authority-data``, ``proxy-url``"""
    user: Mapping[str, Any]
    """``exec``, or a client certificate"""


def entry(
    target: Target,
    access: Access,
    user: Mapping[str, Any],
    *,
    sandbox: bool = False,
    context: str | None = None,
) -> Entry:
    """The entry of this cluster; ``user`` is how kubectl gets its credentials."""
    name = entry_name(target, sandbox=sandbox)
    cluster = {"server": access.server}
    if access.ca:
        cluster["certificate-authority-data"] = _data(access.ca)
    if access.proxy:
        cluster["proxy-url"] = access.proxy
    mark = _mark(target, sandbox=sandbox)
    return Entry(name, context or name, mark, cluster, dict(user))


def certificate(access: Access) -> dict[str, str]:
    """The user of an access by a client certificate, with its key."""
    pair = {"certificate": access.client_certificate, "key": access.client_key}
    return {f"client-{name}-data": _data(text or "") for name, text in pair.items()}


def standalone(target: Target, access: Access, credential: Credential) -> str:
    """A kubeconfig with this cluster alone and the credential in it, as JSON, which is YAML."""
    user = {"token": credential.token}
    if credential.certificate:
        pair = (credential.certificate, credential.key)
        user = certificate(Access(access.server, access.ca, None, *pair))
    cluster, name = dict(entry(target, access, user).cluster), target.name
    whole = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    return json.dumps(whole, indent=2)


def no_administrator(_: object, target: Target) -> Access:
    """For a cloud whose clusters have no administrator of their own."""
    what = f"clusters on {target.cloud} have no administrator of their own"
    hint = "leave --auth out: clusterkit gets a credential each time"
    raise ClusterkitError(what, where="--auth admin", hint=hint)


def _data(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def entry_name(target: Target, *, sandbox: bool = False) -> str:
    """``clusterkit_CLOUD[_ACCOUNT]_REGION_NAME``; a sandbox's never takes the place of a real
    cluster's.
    """
    where = ("sandbox",) if sandbox else ()
    account = (target.account,) if target.account else ()
    return "_".join(("clusterkit", *where, target.cloud, *account, target.region, target.name))


def exec_clusterkit(
    target: Target, environ: Mapping[str, str], minutes: int | None = None
) -> dict[str, Any]:
    """The ``exec`` stanza that has clusterkit itself get the token; ``environ`` is set for it,
    ``minutes`` is how long what it gets is to live.

    ``v1beta1``, because every client knows it; some do not know ``v1``.
    """
    args = ["token", "--cloud", target.cloud, "--region", target.region, "--name", target.name]
    if target.cloud_profile:
        args += ["--cloud-profile", target.cloud_profile]
    if target.account:
        args += ["--account", target.account]
    if minutes:
        args += ["--minutes", str(minutes)]
    command, *before = _command()
    hint = "clusterkit was not found: run clusterkit kubeconfig again where it is installed"
    more = {"provideClusterInfo": False, "installHint": hint}
    return {**exec_stanza(command, before + args, environ), **more}


def exec_stanza(command: str, args: Sequence[str], environ: Mapping[str, str]) -> dict[str, Any]:
    """An ``exec`` stanza of a user in a kubeconfig; ``environ`` is set for the command."""
    stanza: dict[str, Any] = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": command,
        "args": list(args),
        "interactiveMode": "Never",
    }
    if environ:
        stanza["env"] = [{"name": name, "value": value} for name, value in environ.items()]
    return stanza


def with_environ(stanza: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """The ``exec`` stanza with more variables; those it has stay."""
    had = {each["name"]: each["value"] for each in stanza.get("env", ())}
    both = {**environ, **had}
    if not both:
        return dict(stanza)
    return {**stanza, "env": [{"name": name, "value": both[name]} for name in sorted(both)]}


def _command() -> list[str]:
    """How another shell finds clusterkit: by name only if that does not need our virtual
    environment to be active.
    """
    here = Path(sys.executable).parent
    inside = sys.prefix != sys.base_prefix
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    elsewhere = [folder for folder in folders if folder and not (inside and Path(folder) == here)]
    if shutil.which("clusterkit", path=os.pathsep.join(elsewhere)):
        return ["clusterkit"]
    script = here / "clusterkit"
    return [str(script)] if script.exists() else [sys.executable, "-m", "clusterkit"]


def paths(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """The files kubectl reads, in its order."""
    named = [Path(part) for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return list(dict.fromkeys(named)) or [Path.home() / ".kube" / "config"]


def merge(files: Sequence[Path], new: Entry, *, use: bool) -> Future[Document]:
    """Put the entry into the right one of the files, which is returned, as by ``edit``.

    ``use`` makes its context the current one. ``NotOurs`` if somebody else's stanza has the name.
    """
    return edit(files, _putting(new, use=use))


def refusals(
    files: Sequence[Path], targets: Sequence[Target], *, sandbox: bool = False
) -> list[ClusterkitError | None]:
    """The error that ``merge`` would raise now for each cluster, before there is one, or None.
    The files are read once; ``ClusterkitError`` for a file that cannot be read or written.
    """
    unknown = Access(server="https://unknown.invalid", ca="")
    found: list[ClusterkitError | None] = []

    def change(opened: Files) -> None:
        for target in targets:
            put = _putting(entry(target, unknown, {}, sandbox=sandbox), use=True)
            try:
                put(opened)
            except ClusterkitError as error:
                found.append(error)
            else:
                found.append(None)

    rehearse(files, change)
    return found


def _putting(new: Entry, *, use: bool) -> Callable[[Files], Document]:
    """The change that puts the entry into the right file, which it returns."""

    def change(opened: Files) -> Document:
        home = next((d for d in opened if _ours(d, "clusters", new.mark)), opened.destination)
        for document in opened:
            _check_free(document, new)
        _put(home, "clusters", new.name, "cluster", _marked(new.cluster, new.mark))
        _put(home, "users", new.name, "user", _marked(new.user, new.mark))
        joined = {"cluster": new.name, "user": new.name}
        _put(home, "contexts", new.context, "context", _marked(joined, new.mark))
        if use:
            # the first file that sets it wins, and this is the first that exists
            opened.destination.root["current-context"] = text(new.context)
        return home

    return change


def remove(files: Sequence[Path], target: Target, *, sandbox: bool = False) -> Future[list[Path]]:
    """Take this cluster's stanzas out of the files, as by ``edit``; returns those that had any.

    A current context that is ours becomes empty, as ``kubectl config unset`` leaves it.
    """
    mark = _mark(target, sandbox=sandbox)

    def change(opened: Files) -> list[Path]:
        gone = {item["name"] for document in opened for item in _ours(document, "contexts", mark)}
        changed: list[Path] = []
        for document in opened:
            mine = [(kind, item) for kind in SECTIONS for item in _ours(document, kind, mark)]
            for kind, item in mine:
                document.root[kind].remove(item)
            current = document.root.get("current-context") in gone
            if current:
                document.root["current-context"] = ""
            if mine or current:
                changed.append(document.path)
        return changed

    there = [path for path in files if path.exists()]
    if there:
        return edit(there, change)
    nothing: Future[list[Path]] = Future()
    nothing.set_result([])
    return nothing


def render(new: Entry) -> str:
    """A kubeconfig of its own with nothing but this entry."""
    document = Document.empty(Path("-"))
    _put(document, "clusters", new.name, "cluster", _marked(new.cluster, new.mark))
    _put(document, "users", new.name, "user", _marked(new.user, new.mark))
    joined = {"cluster": new.name, "user": new.name}
    _put(document, "contexts", new.context, "context", _marked(joined, new.mark))
    document.root["current-context"] = text(new.context)
    return document.dump()


def _mark(target: Target, *, sandbox: bool) -> dict[str, Any]:
    mark: dict[str, Any] = {
        "cloud": target.cloud,
        "region": target.region,
        "name": target.name,
    }
    return mark | ({"sandbox": True} if sandbox else {})


def _marked(stanza: Mapping[str, Any], mark: Mapping[str, Any]) -> dict[str, Any]:
    return {**stanza, "extensions": [{"name": EXTENSION, "extension": dict(mark)}]}


def _mark_of(item: Mapping[str, Any]) -> Any:
    for stanza in item.values():
        if isinstance(stanza, dict):
            extensions = stanza.get("extensions")
            for extension in extensions if isinstance(extensions, list) else ():
                if isinstance(extension, dict) and extension.get("name") == EXTENSION:
                    return extension.get("extension")
    return None


def _ours(document: Document, kind: str, mark: Mapping[str, Any]) -> list[Any]:
    return [item for item in document.items(kind) if _mark_of(item) == mark]


def _check_free(document: Document, new: Entry) -> None:
    for kind, name in (("clusters", new.name), ("users", new.name), ("contexts", new.context)):
        for item in document.items(kind):
            if item["name"] == name and _mark_of(item) != new.mark:
                raise NotOurs(
                    f"the {kind[:-1]} {name!r} is there already, and is not this cluster's",
                    where=str(document.path),
                    hint="choose another name with --context, or another file with --file or "
                    "KUBECONFIG",
                )


def _put(document: Document, kind: str, name: str, inner: str, stanza: Mapping[str, Any]) -> None:
    """Put the stanza in place of the one of that name, or at the end."""
    for item in document.items(kind):
        if item["name"] == name:
            had = item[inner]
            # another credential takes the place of all there were
            old = [*had] if kind == "users" else _REPLACED
            for key in [key for key in old if key in had and key not in stanza]:
                del had[key]
            for key, value in stanza.items():
                if had.get(key) != value:
                    had[key] = scalars(value)
            return
    document.section(kind).append(scalars({"name": name, inner: dict(stanza)}))
