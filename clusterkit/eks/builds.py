"""How pods push to ECR: as themselves (EKS Pod Identity), as their node, or with a password.

A registry is named by account and region, so nothing has to be asked for but the account
(https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import partial

from clusterkit.eks.client import Clients
from clusterkit.eks.preflight import account as account_of
from clusterkit.eks.profile import EksProfile, EksRegistry
from clusterkit.kube.secrets import Login
from clusterkit.ready.registry import REGCRED, PushAccess

DOMAINS: Mapping[str, str] = {
    "aws-cn": "amazonaws.com.cn",
    "aws-iso": "c2s.ic.gov",
    "aws-iso-b": "sc2s.sgov.gov",
}
"""a partition's domain where it is not amazonaws.com (botocore, ``partitions.json``)"""


def access_of(registry: EksRegistry, account: str, clients: Clients) -> PushAccess:
    """How pods push; only its ``login`` asks the cloud."""
    region, host = clients.target.region, registry_host(account, clients)
    by_secret = registry.push == "secret"
    # the helper's cache is a file, and the home of kaniko's user is part of the image it builds
    env = {"AWS_REGION": region, "AWS_SDK_LOAD_CONFIG": "true"}
    env["AWS_ECR_DISABLE_CACHE"] = "true"
    return PushAccess(
        host=host,
        prefix=registry.name,
        cache=registry.cache_suffix,
        repositories=frozenset(name for name, _ in registry.full_names),
        helpers={} if by_secret else {host: "ecr-login"},
        secret=REGCRED if by_secret else "",
        env={} if by_secret else env,
        servers=(host,) if by_secret else (),
        login=partial(login, clients, host) if by_secret else None,
    )


def registry_host(account: str, clients: Clients) -> str:
    """Of an account's registry in the clients' region."""
    domain = DOMAINS.get(clients.partition, "amazonaws.com")
    return f"{account}.dkr.ecr.{clients.target.region}.{domain}"


def login(clients: Clients, host: str) -> Login:
    """What logs in for twelve hours, with the rights of whoever asks
    (ECR, GetAuthorizationToken).
    """
    [found] = clients.ecr.get_authorization_token()["authorizationData"]
    user, _, password = base64.b64decode(found["authorizationToken"]).decode().partition(":")
    return Login((host,), user, password, found["expiresAt"])


def push_access(profile: EksProfile, clients: Clients, account: str | None) -> PushAccess | None:
    """``Cloud.push_access``: only the account may have to be asked for."""
    if profile.registry is None:
        return None
    return access_of(profile.registry, account or account_of(clients), clients)
