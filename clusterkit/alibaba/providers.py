"""Credentials that come from elsewhere than a key: by the vendor's own library,
``alibabacloud-credentials``, which reads, asks, keeps and renews them.

Its own search is not used: it reads the environment once, when it is imported. It is imported only
where such credentials are used.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from clusterkit.alibaba.key import SESSION, Key
from clusterkit.errors import CredentialsError

MODES = ("EcsRamRole", "OIDC", "ChainableRamRoleArn", "CloudSSO", "OAuth", "External")
"""modes of the aliyun program's profiles that the library knows besides those with a key"""
OIDC = (
    "ALIBABA_CLOUD_ROLE_ARN",
    "ALIBABA_CLOUD_OIDC_PROVIDER_ARN",
    "ALIBABA_CLOUD_OIDC_TOKEN_FILE",
)
"""set in pods with a role of their own (RRSA), and by pipelines"""
URI = "ALIBABA_CLOUD_CREDENTIALS_URI"
ECS_ROLE = "ALIBABA_CLOUD_ECS_METADATA"
"""the name of the machine's role"""
NO_ECS = "ALIBABA_CLOUD_ECS_METADATA_DISABLED"
PRODUCT = Path("/sys/class/dmi/id/product_name")
ECS = "Alibaba Cloud ECS"
"""what that says on the vendor's machines (canonical/cloud-init ``DataSourceAliYun.py``)"""

Asked = Callable[[], Key]
"""gives the key to sign with now"""


def of_profile(file: Path, name: str, profile: Mapping[str, Any]) -> Asked:
    """Whatever a profile of the aliyun program's configuration file names, of one of ``MODES`` or
    of mode CredentialsURI.
    """
    mode = str(profile.get("mode"))
    if mode == "CredentialsURI":
        uri = str(profile.get("credentials_uri") or "")
        return _asked(f"profile {name!r}", lambda made: made.URLCredentialsProvider(uri=uri))
    where = {"profile_name": name, "profile_file": str(file)}
    what = f"profile {name!r} (mode {mode})"
    return _asked(what, lambda made: made.CLIProfileCredentialsProvider(**where))


def of_environment(environ: Mapping[str, str]) -> Asked | None:
    """A role for the token of a file, if the environment names both."""
    role, provider, token = (environ.get(name, "") for name in OIDC)
    if not (role and provider and token):
        return None
    wanted = {
        "role_arn": role,
        "oidc_provider_arn": provider,
        "oidc_token_file_path": token,
        "role_session_name": environ.get("ALIBABA_CLOUD_ROLE_SESSION_NAME") or SESSION,
    }
    what = f"the role of {OIDC[0]}"
    return _asked(what, lambda made: made.OIDCRoleArnCredentialsProvider(**wanted))


def of_surroundings(environ: Mapping[str, str]) -> Asked | None:
    """What the address in the environment gives, or the role of the machine clusterkit runs on."""
    if uri := environ.get(URI):
        return _asked(URI, lambda made: made.URLCredentialsProvider(uri=uri))
    role = environ.get(ECS_ROLE) or None
    if environ.get(NO_ECS, "").lower() == "true" or not (role or _on_ecs()):
        return None
    what = "the machine's role"
    return _asked(what, lambda made: made.EcsRamRoleCredentialsProvider(role_name=role))


def _on_ecs() -> bool:
    try:
        return PRODUCT.read_text().strip() == ECS
    except (OSError, UnicodeDecodeError):
        return False


def _asked(what: str, make: Callable[[Any], Any]) -> Asked:
    """Ask what ``make`` makes of the library's classes each time; it keeps what is still good."""
    from alibabacloud_credentials import provider as theirs

    logging.getLogger("credentials").handlers.clear()  # it prints what it raises
    made: Any = None

    def ask() -> Key:
        nonlocal made
        try:
            made = made or make(theirs)
            found = made.get_credentials()
        except Exception as error:  # of the library, of requests, of whatever it runs
            # an answer that was not understood may hold a secret
            told = str(error).partition("result:")[0].rstrip(" ,:")
            said = f"{what} gave no credentials: {told or type(error).__name__}"
            raise CredentialsError(said, hint=f"see {what}, or run aliyun configure") from None
        return Key(
            str(found.get_access_key_id()),
            str(found.get_access_key_secret()),
            str(found.get_security_token() or ""),
        )

    return ask
