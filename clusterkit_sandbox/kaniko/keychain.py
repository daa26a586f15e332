"""Which credentials the executor shows a registry.

kaniko pkg/creds/creds.go: Docker's configuration (``DOCKER_AUTH_CONFIG`` before the file) first,
then the helpers ``env``, ``google``, ``ecr``, ``acr``; the first that has something wins. A helper
that Docker's configuration names is a program of the image, and its failure ends the build; those
asked afterwards are part of the executor, and their failures mean that they have nothing
(go-containerregistry, pkg/authn/keychain.go; docker/cli, cli/config; docker-credential-helpers,
client/client.go).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from clusterkit_sandbox.kaniko import acr, ecr, google
from clusterkit_sandbox.kaniko.container import Container, NetworkFailure
from clusterkit_sandbox.kaniko.failure import Failure
from clusterkit_sandbox.kaniko.reference import HUB

_HUB_KEY = "https://index.docker.io/v1/"
_CONFIG = "/kaniko/.docker"
_IDENTITY = "<token>"
_MISSING = "credentials not found in native keychain"


@dataclass(frozen=True)
class Login:
    """What to show; nothing for nobody."""

    user: str = ""
    password: str = ""
    identity: str = ""
    """a token that is exchanged for others (OAuth 2 refresh token)"""
    token: str = ""
    """a token to show as it is"""


class NotFound(Exception):
    """A helper has nothing for this registry; the text is what it says, if it is asked alone."""


Helper = Callable[[Container, str], tuple[str, str]]
"""registry to user and password; ``NotFound``"""


def resolve(container: Container, registry: str, helpers: list[str]) -> Login:
    """The login for a registry; ``Failure`` in the executor's words."""
    configured = _configured(container, registry)
    if configured is not None:
        return configured
    for name in helpers:
        helper = _INSIDE.get(name)
        if helper is None:
            continue
        try:
            user, password = helper(container, registry)
        except NotFound:
            continue
        return _login(user, password)
    return Login()


def sources(container: Container, helpers: list[str]) -> str:
    """What is asked, in order, as the executor logs it."""
    found = ["env:DOCKER_AUTH_CONFIG"] if "DOCKER_AUTH_CONFIG" in container.environment else []
    path = _path(container)
    if path in container.files:
        found.append(f"file:{path}")
    return ", ".join([*found, *helpers])


def _login(user: str, password: str) -> Login:
    return Login(identity=password) if user == _IDENTITY else Login(user, password)


# -- Docker's configuration ------------------------------------------------------------------------


def _path(container: Container) -> str:
    return f"{container.environment.get('DOCKER_CONFIG', _CONFIG).rstrip('/')}/config.json"


def _configured(container: Container, registry: str) -> Login | None:
    key = _HUB_KEY if registry == HUB else registry
    text = container.environment.get("DOCKER_AUTH_CONFIG")
    if text:
        found = _entry(_parsed(text.encode(), "DOCKER_AUTH_CONFIG"), key)
        if found is not None:
            return found
    path = _path(container)
    if path not in container.files:
        return None
    config = _parsed(container.files[path], path)
    program = (config.get("credHelpers") or {}).get(key) or config.get("credsStore")
    if program:
        try:
            return _login(*_run(container, str(program), key))
        except NotFound:
            return None
    return _entry(config, key)


def _parsed(text: bytes, where: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise Failure(f"{where}: {error}") from None
    if not isinstance(found, dict):
        raise Failure(
            f"{where}: json: cannot unmarshal {type(found).__name__} into Go"
            " value of type configfile.ConfigFile"
        )
    for name, entry in (found.get("auths") or {}).items():
        if isinstance(entry, dict) and entry.get("auth"):
            try:
                pair = base64.b64decode(entry["auth"], validate=True).decode()
            except (binascii.Error, ValueError) as error:
                raise Failure(f"{where}: {name}: {error}") from None
            if ":" not in pair:
                raise Failure(f"{where}: invalid auth configuration file")
    return found


def _entry(config: Mapping[str, Any], key: str) -> Login | None:
    auths: Mapping[str, Any] = config.get("auths") or {}
    entry = auths.get(key)
    if entry is None:
        # older clients wrote URLs (docker/cli, cli/config/credentials/file_store.go)
        entry = next((one for name, one in auths.items() if _host(name) == _host(key)), None)
    if not isinstance(entry, dict):
        return None
    user, password = str(entry.get("username", "")), str(entry.get("password", ""))
    if entry.get("auth"):
        user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
    found = Login(
        user,
        password.strip("\0"),
        str(entry.get("identitytoken", "")),
        str(entry.get("registrytoken", "")),
    )
    return found if found != Login() else None


def _host(name: str) -> str:
    return name.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _run(container: Container, name: str, registry: str) -> tuple[str, str]:
    """Run a helper's program; ``Failure`` if there is none or it fails."""
    program = f"docker-credential-{name}"
    helper = _PROGRAMS.get(name) if container.helpers else None
    if helper is None:
        raise _broken(f'exec: "{program}": executable file not found in $PATH', "")
    try:
        return helper(container, registry)
    except NotFound as error:
        if str(error) in ("", _MISSING):
            raise
        raise _broken("exit status 1", str(error)) from None


def _broken(why: str, out: str) -> Failure:
    return Failure(f"error getting credentials - err: {why}, out: `{out}`")


# -- helpers ---------------------------------------------------------------------------------------


def _environment(container: Container, registry: str) -> tuple[str, str]:
    """``KANIKO_REGISTRY_USER`` and ``_PASSWORD``, of the registry or a domain above it."""
    parts = registry.replace("-", "_").upper().split(".")
    for index in range(len(parts)):
        name = f"KANIKO_{'_'.join(parts[index:])}"
        user, password = (container.environment.get(f"{name}_{o}") for o in ("USER", "PASSWORD"))
        if user is not None and password is not None:
            return user, password
    raise NotFound


def _google(container: Container, registry: str) -> tuple[str, str]:
    if not google.serves(registry):
        raise NotFound(_MISSING)
    return _asked(google.login, container, registry)


def _ecr(container: Container, registry: str) -> tuple[str, str]:
    try:
        return _asked(ecr.login, container, registry)
    except NotFound:
        # the helper hides the cause in a log of its own
        raise NotFound(_MISSING) from None


def _acr(container: Container, registry: str) -> tuple[str, str]:
    return _asked(acr.login, container, registry)


def _asked(
    login: Callable[[Container, str], tuple[str, str]], container: Container, registry: str
) -> tuple[str, str]:
    try:
        return login(container, registry)
    except (LookupError, NetworkFailure) as error:
        raise NotFound(str(error.args[0]) if error.args else _MISSING) from None


_INSIDE: Mapping[str, Helper] = {
    "env": _environment,
    "google": _google,
    "ecr": _ecr,
    "acr": _acr,
}
_PROGRAMS: Mapping[str, Helper] = {"gcr": _google, "ecr-login": _ecr, "acr-env": _acr}
"""What the image has in its PATH."""
