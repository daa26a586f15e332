"""The vendors' environment variables that hold credentials, or say which stored ones are used."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clusterkit.errors import CredentialsError

_KEY = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class SecretKeys:
    """What a Kubernetes Secret with credentials has for one cloud, by the vendor's variables."""

    needed: tuple[str, ...]
    optional: tuple[str, ...] = ()
    closed: Mapping[str, str] = field(default_factory=dict)
    """what keeps the vendor's client from looking elsewhere"""
    file: str = ""
    """the variable that names a file, which holds what the first key has"""
    like: Mapping[str, str] = field(default_factory=dict)
    """what that file says in JSON"""

    def taken(self, data: Mapping[str, str], where: str) -> dict[str, str]:
        """What of the data of the Secret ``where`` is taken: text of the kinds that are known, and
        of no other, because those may read files, run programs and ask addresses of the network of
        whoever uses it. ``CredentialsError``, without what it holds.
        """
        found = {key: data[key] for key in (*self.needed, *self.optional) if data.get(key)}
        try:
            key = json.loads(found[self.needed[0]]) if self.file else {}
            fits = all(key[name] == value for name, value in self.like.items())
        except (ValueError, KeyError, TypeError):
            fits = False
        if not fits:
            wanted = ", ".join(f"{name}: {value}" for name, value in self.like.items())
            what = f"{self.needed[0]} must be a key with {wanted}"
            raise CredentialsError(what, where=where)
        odd = [] if self.file else [key for key in found if not _KEY.fullmatch(found[key])]
        if odd:  # HTTP clients refuse it with a message that has the whole of it
            what = f"{', '.join(odd)} is broken over lines, or has other characters that no key has"
            raise CredentialsError(what, where=where)
        return found


SECRETS: Mapping[str, SecretKeys] = {
    "eks": SecretKeys(
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        ("AWS_SESSION_TOKEN",),
        {
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        },
    ),
    "alibaba": SecretKeys(
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"),
        ("ALIBABA_CLOUD_SECURITY_TOKEN",),
        {"ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"},
    ),
    "gke": SecretKeys(
        ("service-account.json",),
        closed={"NO_GCE_CHECK": "true"},
        file="GOOGLE_APPLICATION_CREDENTIALS",
        like={"type": "service_account", "token_uri": "https://oauth2.googleapis.com/token"},
    ),
    "aks": SecretKeys(
        ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"), ("AZURE_SUBSCRIPTION_ID",)
    ),
}
"""by cloud"""


@dataclass(frozen=True)
class Stored:
    """Variables that choose among stored credentials; none is a secret itself."""

    names: tuple[str, ...]
    """of what the vendor's configuration calls a profile or a configuration"""
    places: tuple[str, ...]
    """of files and folders"""
    keys: tuple[str, ...]
    """with one of these set the environment itself holds the credentials"""


STORED: Mapping[str, Stored] = {
    "eks": Stored(
        ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"),
        ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"),
        ("AWS_ACCESS_KEY_ID",),
    ),
    "alibaba": Stored(
        ("ALIBABA_CLOUD_PROFILE", "ALIBABACLOUD_PROFILE", "ALICLOUD_PROFILE"),
        (),
        (
            "ALIBABA_CLOUD_ACCESS_KEY_ID",
            "ALIBABACLOUD_ACCESS_KEY_ID",
            "ALICLOUD_ACCESS_KEY_ID",
            "ALICLOUD_ACCESS_KEY",
        ),
    ),
    "gke": Stored(
        ("CLOUDSDK_ACTIVE_CONFIG_NAME",),
        ("CLOUDSDK_CONFIG", "GOOGLE_APPLICATION_CREDENTIALS"),
        ("GOOGLE_OAUTH_ACCESS_TOKEN", "GOOGLE_CREDENTIALS"),
    ),
    "aks": Stored((), ("AZURE_CONFIG_DIR",), ("AZURE_CLIENT_ID", "ARM_CLIENT_ID")),
}
"""by cloud"""


def remembered(cloud: str, environ: Mapping[str, str], *, named: bool) -> dict[str, str]:
    """What another process needs of ``environ`` to find the same stored credentials, a kubeconfig's
    ``exec`` command say, which runs in other shells; nothing if ``environ`` itself holds them.
    ``named``: the process is told the profile in another way.
    """
    stored = STORED[cloud]
    if any(environ.get(key) for key in stored.keys):
        return {}
    names = {} if named else {name: environ.get(name, "") for name in stored.names}
    places = {name: environ.get(name, "") for name in stored.places}
    absolute = {name: str(Path(at).expanduser().absolute()) for name, at in places.items() if at}
    return {name: value for name, value in (names | absolute).items() if value}
