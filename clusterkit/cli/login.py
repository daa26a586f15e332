"""The user's login to a registry: from the environment and standard input, never from a profile or
the arguments, which every user of the machine may read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from clusterkit.engine.target import UserLogin
from clusterkit.errors import UsageError

if TYPE_CHECKING:
    from clusterkit.profile.model import BaseProfile

PASSWORD = "CLUSTERKIT_REGISTRY_PASSWORD"
OPTION = "--registry-password-stdin"


def registry_login(
    user: str | None, *, stdin: bool, environ: Mapping[str, str] = os.environ
) -> UserLogin | None:
    """The login, if there is one; ``UsageError`` for half of one."""
    password = environ.get(PASSWORD, "")
    if stdin:
        if sys.stdin is None or sys.stdin.isatty():
            what = "standard input is a terminal"
            raise UsageError(what, where=OPTION, hint=f"pipe the password in, or set {PASSWORD}")
        password = sys.stdin.read().rstrip("\r\n")
        if not password:
            raise UsageError("standard input is empty", where=OPTION)
    if user and password:
        if ":" in user:
            raise UsageError("a user name has no colon", where="--registry-user")
        return UserLogin(user, password)
    if stdin:
        what, hint = "the user is missing", "--registry-user NAME"
        raise UsageError(what, where=OPTION, hint=hint)
    return None


def check_one_registry(profiles: Iterable[BaseProfile], login: UserLogin | None) -> None:
    """``UsageError`` if the login would be given to several registries."""
    servers = {profile.login_for for profile in profiles} - {None}
    if login is not None and len(servers) > 1:
        what = f"is for one registry, and the profiles have {', '.join(sorted(map(str, servers)))}"
        hint = "run it for the profiles of each registry by themselves"
        raise UsageError(what, where="--registry-user", hint=hint)
