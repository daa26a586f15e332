"""Credentials: access keys as Alibaba Cloud's users have them, and roles assumed with them.

The order is that of the vendor's own tools (``DefaultCredentialsProvider`` of
``alibabacloud-credentials``, the README of aliyun-cli): what is asked for by name
(``--cloud-profile``); a key in the environment (``ALIBABA_CLOUD_ACCESS_KEY_ID``, ``_SECRET``,
``_SECURITY_TOKEN``, or the names that the aliyun program and Terraform read, ``VARIABLES``); a role
for the token of a file (``ALIBABA_CLOUD_ROLE_ARN``, RRSA); the profile named in
``ALIBABA_CLOUD_PROFILE``, or the current one, of the aliyun program's configuration file,
``~/.aliyun/config.json``; ``ALIBABA_CLOUD_CREDENTIALS_URI``; the role of the machine. The SDK
reads names of its own from older days, which are never looked at here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from clusterkit import localfile
from clusterkit.alibaba import providers
from clusterkit.alibaba.key import SESSION, Key
from clusterkit.alibaba.providers import Asked
from clusterkit.engine.cache import Renewed
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import CredentialsError

HINT = (
    "run aliyun configure, set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET, "
    "or give --cloud-profile NAME"
)
MODES = ("AK", "StsToken", "RamRoleArn")
"""modes of profiles that hold a key"""
VARIABLES = (
    (
        "ALIBABA_CLOUD_ACCESS_KEY_ID",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
        "ALIBABA_CLOUD_SECURITY_TOKEN",
    ),
    ("ALIBABACLOUD_ACCESS_KEY_ID", "ALIBABACLOUD_ACCESS_KEY_SECRET", "ALIBABACLOUD_SECURITY_TOKEN"),
    ("ALICLOUD_ACCESS_KEY_ID", "ALICLOUD_ACCESS_KEY_SECRET", "ALICLOUD_SECURITY_TOKEN"),
    ("ALICLOUD_ACCESS_KEY", "ALICLOUD_SECRET_KEY", "ALICLOUD_SECURITY_TOKEN"),
)
"""names of a key's id, secret and token: the SDKs', the aliyun program's two, Terraform's
(aliyun-cli README, terraform-provider-alicloud website/docs/index.html.markdown)"""
NAMED = ("ALIBABACLOUD_PROFILE", "ALIBABA_CLOUD_PROFILE", "ALICLOUD_PROFILE")
SESSION_SECONDS = 3600
"""of an assumed role, unless the profile says otherwise; the most a role allows by default"""
EARLY = timedelta(minutes=5)
"""how long before its end an assumed role is assumed again"""


NO_KEY = Key("", "")


@dataclass(frozen=True)
class Source:
    """A key, and the role to assume with it; or who is asked for a key each time."""

    key: Key = NO_KEY
    role: str = ""
    """ARN; empty: the key is used as it is"""
    session: str = SESSION
    seconds: int = SESSION_SECONDS
    external: str = ""
    """what the role's trust policy asks for besides (``ExternalId``)"""
    asked: Asked | None = None


Assume = Callable[[Source], tuple[Key, datetime]]
"""what assuming a role gives, and when that ends"""


def keyring(target: Target, wire: CloudConnection, assume: Assume) -> Callable[[], Key]:
    """The current key, refreshed when an assumed role's session nears its end; nothing is read
    before the first key is asked for.
    """

    def fetch() -> tuple[Asked, datetime | None]:
        given, name = wire.environ, target.cloud_profile
        source = find(name, given or os.environ, only=bool(given) and name is None)
        if source.asked:
            return source.asked, None
        key, end = assume(source) if source.role else (source.key, None)
        return lambda: key, end

    asked = Renewed(fetch, EARLY)

    def current() -> Key:
        return asked()()

    return current


def find(name: str | None, environ: Mapping[str, str], *, only: bool = False) -> Source:
    """Whose key to use; ``CredentialsError`` with the cure.

    ``name`` is a profile of the configuration file. With ``only`` nothing but ``environ`` is read:
    a sandbox's credentials are never mixed with the user's.
    """
    if name is None and (found := _of_environment(environ)):
        return found
    if only:
        raise CredentialsError("the sandbox gave no credentials", hint="clusterkit sandbox stop")
    if name is None and (asked := providers.of_environment(environ)):
        return Source(asked=asked)
    file = Path.home() / ".aliyun" / "config.json"
    profiles, current = _read(file)
    named = name or next(filter(None, map(environ.get, NAMED)), None)
    wanted = named or current
    if not profiles and named:
        what = f"there is no profile {named!r}: {file} has none"
        raise CredentialsError(what, hint=f"create it with: aliyun configure --profile {named}")
    if not profiles and (asked := providers.of_surroundings(environ)):
        return Source(asked=asked)
    if not profiles:
        raise CredentialsError("there are no Alibaba Cloud credentials", hint=HINT)
    if wanted not in profiles:
        known = ", ".join(sorted(profiles))
        what = f"there is no profile {wanted!r} in {file}"
        raise CredentialsError(what, hint=f"there are {known}")
    return _source(file, profiles[wanted], wanted)


def _of_environment(environ: Mapping[str, str]) -> Source | None:
    """The key of the first names of which one is set; names of two kinds are never mixed."""
    for names in VARIABLES:
        key, secret, token = (environ.get(name, "") for name in names)
        if bool(key) != bool(secret):
            missing = names[1] if key else names[0]
            raise CredentialsError(f"{missing} is not set", hint=HINT)
        if key:
            return Source(Key(key, secret, token))
    return None


def _read(file: Path) -> tuple[dict[str, Any], str]:
    """The profiles of the configuration file by name, and the current one's name."""
    try:
        found = json.loads(localfile.read(file))
        profiles = {str(profile["name"]): profile for profile in found.get("profiles", ())}
    except FileNotFoundError:
        return {}, ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # the parser's own words may quote what is in the file
        what = f"{file} cannot be read as the aliyun program's configuration"
        raise CredentialsError(what, hint="run aliyun configure to write it again") from None
    return profiles, str(found.get("current") or "default")


def _source(file: Path, profile: Mapping[str, Any], name: str) -> Source:
    mode = profile.get("mode") or "AK"
    others = (*providers.MODES, "CredentialsURI")
    if mode in others:
        return Source(asked=providers.of_profile(file, name, profile))
    if mode not in MODES:
        what = f"profile {name!r} is of mode {mode}, which clusterkit cannot use"
        known = ", ".join((*MODES, *others))
        cure = f"{known} can be used: aliyun configure --mode AK --profile {name}"
        raise CredentialsError(what, hint=cure)
    key = Key(
        str(profile.get("access_key_id") or ""),
        str(profile.get("access_key_secret") or ""),
        str(profile.get("sts_token") or "") if mode != "AK" else "",
    )
    if not key.id or not key.secret or (mode == "StsToken" and not key.token):
        raise CredentialsError(
            f"profile {name!r} is incomplete", hint=f"aliyun configure --mode {mode}"
        )
    if mode != "RamRoleArn":
        return Source(key)
    role = str(profile.get("ram_role_arn") or "")
    if not role:
        raise CredentialsError(f"profile {name!r} names no role", hint="aliyun configure")
    return Source(
        key,
        role,
        str(profile.get("ram_session_name") or SESSION),
        int(profile.get("expired_seconds") or SESSION_SECONDS),
        str(profile.get("external_id") or ""),
    )
