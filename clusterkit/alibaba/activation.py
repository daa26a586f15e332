"""What an account must have before ACK works: the activated service, and roles for its parts.

Both are looked for by preflight and made only with consent (``up --activate``). The roles are the
account's, shared by all its clusters, so destroy never takes them away. Names and trust:
https://www.alibabacloud.com/help/en/ack/ack-managed-and-ack-dedicated/user-guide/ack-default-roles
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress

from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.profile import AlibabaProfile
from clusterkit.errors import AlreadyDone, Exists, Finding

MANAGED = ("Kubernetes", "Network", "Csi", "CsiProvisioner", "CsiPlugin", "Cms", "Log")
ROLES = ("AliyunCSDefaultRole", *(f"AliyunCSManaged{part}Role" for part in MANAGED))
LIFECYCLE = "AliyunOOSLifecycleHook4CSRole"
"""under which machines join and leave a pool; without it a pool of a given size is refused
(MissingAuth.AliyunOOSLifecycleHook4CSRole)
"""
AUTOSCALER = "AliyunCSManagedAutoScalerRole"
PULL = "AliyunCSManagedAcrRole"
NOT_ENABLED = "ErrorNotEnabled"
CURE = "clusterkit up --activate does it, or the console at first use of Container Service"


def wanted_roles(profile: AlibabaProfile) -> tuple[str, ...]:
    """The service roles this cluster's parts act under."""
    scaled = (AUTOSCALER,) if any(pool.automatic for pool in profile.pools) else ()
    return (*ROLES, LIFECYCLE, *scaled, *((PULL,) if profile.registry else ()))


def missing_roles(profile: AlibabaProfile, clients: Clients) -> list[str]:
    """The wanted roles that the account does not have."""
    names = [{"name": name} for name in wanted_roles(profile)]
    found = clients.cs("CheckServiceRole", "POST", "/ram/check-service-role", {"roles": names})
    return [role["name"] for role in (found or {}).get("roles") or () if not role["granted"]]


def check(profile: AlibabaProfile, clients: Clients) -> Iterator[Finding]:
    """What is not there yet; ``NOT_ENABLED`` is refused by Container Service itself."""
    if missing := missing_roles(profile, clients):
        what = f"the account lacks service roles: {', '.join(missing)}"
        yield Finding(what, "account", CURE)


def activate(profile: AlibabaProfile, clients: Clients) -> Sequence[str]:
    """Activate the service, which costs nothing by itself, and make the missing roles; says what
    was done.
    """
    done = []
    with suppress(AlreadyDone):
        clients.cs("OpenAckService", "POST", "/service/open", type="propayasgo")
        done.append("activated Container Service for Kubernetes")
    for role in missing_roles(profile, clients):
        with suppress(Exists):  # it may be there without its policy
            clients.ram(
                "CreateRole",
                RoleName=role,
                AssumeRolePolicyDocument=_trust(role),
                Description="Container Service for Kubernetes acts under this role",
            )
        policy = f"{role}Policy"
        with suppress(AlreadyDone):
            clients.ram("AttachPolicyToRole", PolicyType="System", PolicyName=policy, RoleName=role)
        done.append(f"made the service role {role}")
    return done


def _trust(role: str) -> str:
    """Which service acts under the role: Container Service, or Operation Orchestration Service."""
    principal = {"Service": [f"{'oos' if role == LIFECYCLE else 'cs'}.aliyuncs.com"]}
    statement = {"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": principal}
    return json.dumps({"Statement": [statement], "Version": "1"})
