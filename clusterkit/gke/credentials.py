"""Credentials and the project: as Google's own tools find them, from the environment given.

In this order: the account of a gcloud configuration that is asked for by name
(``--cloud-profile``); an access token that the environment has or names (gcloud's
``auth/access_token_file``, Terraform's ``GOOGLE_OAUTH_ACCESS_TOKEN``); the file in
``GOOGLE_APPLICATION_CREDENTIALS``, in gcloud's ``auth/credential_file_override`` or in Terraform's
``GOOGLE_CREDENTIALS``, which may also be the file's content; gcloud's application default
credentials; the account of gcloud's active configuration; the service account of the machine
clusterkit runs on, if that is Google's. A file may be a service account's key, a user's login,
workload identity federation (``external_account``) or an impersonated service account
(https://cloud.google.com/docs/authentication/application-default-credentials). google-auth's own
search reads ``os.environ`` alone and asks for a metadata server everywhere, so it is not used.
"""

from __future__ import annotations

import configparser
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusterkit import localfile
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import CredentialsError

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
LOGIN = "gcloud auth application-default login"
HINT = (
    f"run {LOGIN}, set GOOGLE_APPLICATION_CREDENTIALS to a key file, or give --cloud-profile NAME"
)
NO_PROJECT = (
    "set project: in the profile, give --account PROJECT, or run gcloud config set project PROJECT"
)
PROJECTS = ("GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT", "GOOGLE_PROJECT", "GCLOUD_PROJECT")
"""the last two are Terraform's and that of older libraries"""
TOKEN_FILE = "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"
TOKEN = "GOOGLE_OAUTH_ACCESS_TOKEN"
KEYS = (
    "GOOGLE_APPLICATION_CREDENTIALS",
    "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE",
    "GOOGLE_CREDENTIALS",
)
QUOTA_PROJECT = "GOOGLE_CLOUD_QUOTA_PROJECT"
METADATA = "GCE_METADATA_HOST"
"""names a metadata server (google-auth, ``environment_vars.py``)"""
UNIVERSE = "googleapis.com"
"""``universe_domain`` of Google's public cloud; others have hosts of their own"""
IMPERSONATE = "CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT"
USERS = ("authorized_user", "external_account_authorized_user")
"""types of people's logins, which need a project whose quota their requests use"""
PRODUCT = Path("/sys/class/dmi/id/product_name")
"""begins with ``Google`` on Google's machines (google-auth, ``detect_gce_residency_linux``)"""
LOADERS: Mapping[str, tuple[str, str]] = {
    "authorized_user": ("google.oauth2.credentials", "from_authorized_user_info"),
    "external_account": ("google.auth.identity_pool", "from_info"),
    "external_account_authorized_user": (
        "google.auth.external_account_authorized_user",
        "from_info",
    ),
    "impersonated_service_account": (
        "google.auth.impersonated_credentials",
        "from_impersonated_service_account_info",
    ),
    "service_account": ("google.oauth2.service_account", "from_service_account_info"),
}
"""types of files, and who makes credentials of them; a federated token may also come from AWS or
from a program
"""
AWS_TOKEN = "urn:ietf:params:aws:token-type:aws4_request"


@dataclass(frozen=True)
class Found:
    """What was found, before anything is asked over the network."""

    credentials: Credentials
    project: str = ""
    """of the key; empty if it names none"""
    user: bool = False
    quota_project: str = ""
    login: bool = False
    """of a gcloud configuration's account"""


class Configuration:
    """gcloud's configuration: its folder, and the properties of one of its configurations."""

    def __init__(self, name: str | None, environ: Mapping[str, str]) -> None:
        """``name``: of a configuration; None for the active one. ``CredentialsError`` if there is
        none of that name.
        """
        self.folder = _folder(environ)
        self.name = name or environ.get("CLOUDSDK_ACTIVE_CONFIG_NAME") or self._active()
        self._parser = configparser.ConfigParser(interpolation=None)
        file = self._file(self.name)
        try:
            if file is not None:
                self._parser.read_string(localfile.read(file).decode())
        except FileNotFoundError:
            if name is not None:
                what = f"there is no gcloud configuration {name!r} in {self.folder}"
                raise CredentialsError(what, hint=f"there are {self._known()}") from None
        except (OSError, UnicodeDecodeError, configparser.Error):
            what = f"{file} cannot be read as a configuration of gcloud"
            raise CredentialsError(what, hint="gcloud config configurations list") from None

    def get(self, section: str, key: str) -> str:
        """A property, as in ``get("core", "project")``; empty if it is not set."""
        return self._parser.get(section, key, fallback="")

    @property
    def login(self) -> Path | None:
        """The file with the account's credentials that gcloud keeps for other programs."""
        if override := self.get("auth", "credential_file_override"):
            return Path(override)
        account = self.get("core", "account")
        if self.folder is None or not account:
            return None
        return self.folder / "legacy_credentials" / account / "adc.json"

    def _active(self) -> str:
        try:
            text = localfile.read(self.folder / "active_config") if self.folder else b""
            return text.decode().strip() or "default"
        except (OSError, UnicodeDecodeError):
            return "default"

    def _file(self, name: str) -> Path | None:
        return self.folder / "configurations" / f"config_{name}" if self.folder else None

    def _known(self) -> str:
        there = self.folder.glob("configurations/config_*") if self.folder else ()
        names = sorted(each.name.removeprefix("config_") for each in there)
        return ", ".join(names) or "none: gcloud init makes one"


def _folder(environ: Mapping[str, str]) -> Path | None:
    """gcloud's folder; None where only ``environ`` counts and names none: a sandbox's credentials
    are never mixed with the user's.
    """
    if given := environ.get("CLOUDSDK_CONFIG"):
        return Path(given)
    return Path.home() / ".config" / "gcloud" if environ is os.environ else None


def environment(wire: CloudConnection) -> Mapping[str, str]:
    """The connection's own variables, or the process's if it has none."""
    return wire.environ or os.environ


def find(target: Target, environ: Mapping[str, str]) -> Found:
    """Whose credentials to use; ``CredentialsError`` with the cure. No network."""
    configuration = Configuration(target.cloud_profile, environ)
    found = _found(target, environ, configuration)
    principal = environ.get(IMPERSONATE) if target.cloud_profile is None else ""
    if not principal and found.login:
        principal = configuration.get("auth", "impersonate_service_account")
    if not principal:
        quota = environ.get(QUOTA_PROJECT)
        return replace(found, quota_project=quota) if quota else found
    from google.auth import impersonated_credentials

    other: Any = impersonated_credentials.Credentials
    made = other(found.credentials, target_principal=principal, target_scopes=[SCOPE])
    return Found(made, found.project)


def _found(target: Target, environ: Mapping[str, str], configuration: Configuration) -> Found:
    login = configuration.login
    if target.cloud_profile is not None:
        if login is None:
            what = f"gcloud's configuration {target.cloud_profile!r} names no account"
            cure = f"gcloud auth login --configuration={target.cloud_profile}"
            raise CredentialsError(what, hint=cure)
        return replace(of_file(login), login=True)
    if (token := _token(environ)) is not None:
        return Found(_given(token))
    for key in filter(None, map(environ.get, KEYS)):
        return of_text(key) if key.lstrip().startswith("{") else of_file(Path(key))
    folder = configuration.folder
    default = folder / "application_default_credentials.json" if folder else None
    for file in (default, login):
        if file is not None and file.is_file():
            return replace(of_file(file), login=file == login)
    if environ.get("NO_GCE_CHECK", "").lower() != "true" and _on_google(environ):
        from google.auth import compute_engine

        machine: Any = compute_engine.Credentials
        return Found(machine(scopes=[SCOPE]))
    raise CredentialsError("there are no Google Cloud credentials", hint=HINT)


def _token(environ: Mapping[str, str]) -> Callable[[], str] | None:
    """What reads the access token of the environment; None if there is none."""
    if (file := environ.get(TOKEN_FILE)) is not None:
        return lambda: _read(Path(file))
    given = environ.get(TOKEN)
    return None if given is None else lambda: given


def _read(file: Path) -> str:
    try:
        return localfile.read(file).decode().strip()
    except (OSError, UnicodeDecodeError):
        raise CredentialsError(f"{file} holds no access token", hint=HINT) from None


def _given(token: Callable[[], str]) -> Credentials:
    """A token that somebody else renews, read anew each time."""
    from google.auth import credentials

    class Given(credentials.Credentials):
        def refresh(self, _: object) -> None:
            self.token = token()

    made: Any = Given
    given: Credentials = made()
    return given


def _on_google(environ: Mapping[str, str]) -> bool:
    if environ.get(METADATA):
        return True
    try:
        return PRODUCT.read_text().startswith("Google")
    except (OSError, UnicodeDecodeError):
        return False


def of_file(file: Path) -> Found:
    """The credentials in a file of Google's."""
    try:
        return of_text(localfile.read(file), str(file))
    except FileNotFoundError:
        raise CredentialsError(f"{file} does not exist", hint=HINT) from None
    except OSError:
        raise CredentialsError(f"{file} cannot be read", hint=HINT) from None


def of_text(text: str | bytes, where: str = "what the environment gives") -> Found:
    """The credentials in the content of such a file."""
    try:
        return of_info(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError):
        # the parser's own words may quote what is in the file
        what = f"{where} cannot be read as Google Cloud credentials"
        raise CredentialsError(what, hint=HINT) from None


def of_info(info: Mapping[str, Any]) -> Found:
    """The credentials that a file's JSON describes; ``ValueError``, ``KeyError`` or ``TypeError``
    if something is missing, or the type is none of Google's.
    """
    from google.auth.exceptions import GoogleAuthError

    kind = info["type"]
    module, method = LOADERS[kind]
    if (universe := info.get("universe_domain") or UNIVERSE) != UNIVERSE:
        what = f"the credentials are of {universe}, and clusterkit reaches {UNIVERSE} only"
        raise CredentialsError(what, hint=HINT)
    if kind == "external_account" and info.get("subject_token_type") == AWS_TOKEN:
        module = "google.auth.aws"
    elif "executable" in info.get("credential_source", {}):
        module = "google.auth.pluggable"
    scopes = {} if kind in USERS else {"scopes": [SCOPE]}
    try:
        made = getattr(import_module(module).Credentials, method)(info, **scopes)
    except GoogleAuthError as error:
        raise ValueError(str(error)) from None
    quota = str(info.get("quota_project_id") or "")
    return Found(made, str(info.get("project_id") or ""), kind in USERS, quota)


def project(target: Target, environ: Mapping[str, str]) -> str:
    """The project that the target, the environment or gcloud's configuration names; empty if
    nothing does.
    """
    named = Configuration(target.cloud_profile, environ).get("core", "project")
    of_environ = [environ.get(name, "") for name in PROJECTS]
    order = [named, *of_environ] if target.cloud_profile else [*of_environ, named]
    return next(filter(None, (target.account, *order)), "")


def of_key(found: Found) -> str:
    """The project that the credentials are of; ``CredentialsError`` if they name none."""
    if not found.project:
        raise CredentialsError("nothing names the Google Cloud project", hint=NO_PROJECT)
    return found.project
