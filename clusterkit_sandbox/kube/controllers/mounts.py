"""What a container finds when it starts: files of its volumes, and its environment (Kubernetes
documentation, "Volumes", "Projected Volumes", "Define Environment Variables for a Container").
"""

from __future__ import annotations

import base64
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping

from clusterkit_sandbox.kube.kinds import Object
from clusterkit_sandbox.kube.selectors import dig
from clusterkit_sandbox.kube.state import ClusterState

Token = Callable[[str], str]
"""a token of the pod's ServiceAccount for an audience, empty for the cluster's own"""
_KEY = re.compile(r"metadata\.(?P<field>labels|annotations)\['(?P<key>[^']+)'\]")
_REFERENCE = re.compile(r"\$(\$|\(([A-Za-z_][A-Za-z0-9_.-]*)\))")


def files(
    state: ClusterState, pod: Object, container: Object, token: Token
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """The files that are mounted in a container, by path, and the folders that are."""
    volumes = {one["name"]: one for one in pod["spec"].get("volumes") or ()}
    found: dict[str, bytes] = {}
    folders = []
    for mount in container.get("volumeMounts") or ():
        volume = volumes.get(mount["name"])
        if volume is None:
            continue
        root, inside = posixpath.normpath(mount["mountPath"]), mount.get("subPath", "")
        folders.append(root)
        for path, data in _volume(state, pod, volume, token):
            if not inside:
                found[f"{root.rstrip('/')}/{path}"] = data
            elif path == inside:
                found[root] = data
            elif path.startswith(f"{inside}/"):
                found[f"{root.rstrip('/')}/{path.removeprefix(inside + '/')}"] = data
    return found, tuple(folders)


def _volume(
    state: ClusterState, pod: Object, volume: Object, token: Token
) -> Iterator[tuple[str, bytes]]:
    for source in [volume, *(dig(volume, "projected.sources") or ())]:
        for field, plural in (("secret", "secrets"), ("configMap", "configmaps")):
            given = source.get(field)
            if given:
                name = given.get("secretName") or given.get("name") or ""
                yield from _items(_content(state, pod, plural, name), given.get("items"))
        given = source.get("serviceAccountToken")
        if given:
            yield given["path"], token(given.get("audience", "")).encode()
        for item in dig(source, "downwardAPI.items") or ():
            yield item["path"], _field(pod, dig(item, "fieldRef.fieldPath") or "").encode()


def _items(content: Mapping[str, bytes], items: list[Object] | None) -> Iterator[tuple[str, bytes]]:
    if not items:
        yield from content.items()
    for item in items or ():
        if item["key"] in content:
            yield item["path"], content[item["key"]]


def _content(state: ClusterState, pod: Object, plural: str, name: str) -> dict[str, bytes]:
    """The keys of a Secret or ConfigMap; none if it is not there."""
    found = state.get(("", plural), pod["metadata"]["namespace"], name) or {}
    data: Mapping[str, str] = found.get("data") or {}
    if plural == "secrets":
        return {key: base64.b64decode(value) for key, value in data.items()}
    binary: Mapping[str, str] = found.get("binaryData") or {}
    plain = {key: value.encode() for key, value in data.items()}
    return plain | {key: base64.b64decode(value) for key, value in binary.items()}


def environment(state: ClusterState, pod: Object, container: Object) -> dict[str, str]:
    """A container's variables; a later one may refer to those before it."""
    found: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        for field, plural in (("secretRef", "secrets"), ("configMapRef", "configmaps")):
            if source.get(field):
                content = _content(state, pod, plural, source[field].get("name", ""))
                for key, data in content.items():
                    found[source.get("prefix", "") + key] = data.decode(errors="replace")
    for variable in container.get("env") or ():
        value = _value(state, pod, variable)
        if value is not None:
            found[variable["name"]] = expanded(value, found)
    return found


def _value(state: ClusterState, pod: Object, variable: Object) -> str | None:
    given = variable.get("valueFrom") or {}
    for field, plural in (("secretKeyRef", "secrets"), ("configMapKeyRef", "configmaps")):
        if given.get(field):
            content = _content(state, pod, plural, given[field].get("name", ""))
            data = content.get(given[field]["key"])
            return None if data is None else data.decode(errors="replace")
    if given.get("fieldRef"):
        return _field(pod, given["fieldRef"]["fieldPath"])
    return str(variable.get("value") or "")


def _field(pod: Object, path: str) -> str:
    keyed = _KEY.fullmatch(path)
    if keyed is not None:
        return str((pod["metadata"].get(keyed["field"]) or {}).get(keyed["key"], ""))
    return str(dig(pod, path) or "")


def expanded(text: str, known: Mapping[str, str]) -> str:
    """``$(NAME)`` for what a variable is; unknown ones stay, and ``$$`` is one ``$``."""

    def replace(match: re.Match[str]) -> str:
        return "$" if match[1] == "$" else known.get(match[2], match[0])

    return _REFERENCE.sub(replace, text)
