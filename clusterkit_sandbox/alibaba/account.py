"""The account: its access key and its initial resources."""

from __future__ import annotations

from dataclasses import replace

from clusterkit_sandbox.alibaba.catalogue import LIFECYCLE_ROLE, SERVICE_ROLES
from clusterkit_sandbox.alibaba.models import RegistryInstance
from clusterkit_sandbox.alibaba.ram import new_role, trust
from clusterkit_sandbox.alibaba.signature import AccessKey, random_key
from clusterkit_sandbox.alibaba.store import ACCOUNT, Store
from clusterkit_sandbox.permissions import Permissions

REGISTRY = "cri-sandbox000000001"
"""The id of the enterprise registry instance that has been bought."""


def new_key(name: str = "sandbox", permissions: Permissions | None = None) -> AccessKey:
    """An access key of a RAM user; of the account's own, who may do everything, by default."""
    key = random_key("LTAI5t", f"acs:ram::{ACCOUNT}:user/{name}")
    return replace(key, permissions=permissions)


def environment(key: AccessKey, region: str, ca: str) -> dict[str, str]:
    """The environment variables that make the vendor's clients use this account.

    An empty value is as good as none to all of them, and hides what the caller's shell has: the
    older Python SDK prefers ``ALIYUN_*`` to what a program gives it.
    """
    return {
        "ALIBABA_CLOUD_ACCESS_KEY_ID": key.id,
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": key.secret,
        "ALIBABA_CLOUD_SECURITY_TOKEN": "",
        "ALIBABA_CLOUD_REGION_ID": region,
        "ALIBABA_CLOUD_CA_BUNDLE": ca,
        "ALIBABA_CLOUD_ECS_METADATA": "",
        "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true",
        "ALIBABA_CLOUD_CREDENTIALS_URI": "",
        "ALIBABA_CLOUD_ROLE_ARN": "",
        "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": "",
        "ALIBABA_CLOUD_OIDC_TOKEN_FILE": "",
        "ALIBABA_CLOUD_PROFILE": "",
        "ALIYUN_ACCESS_KEY_ID": "",
        "ALIYUN_ACCESS_KEY_SECRET": "",
        # Terraform's provider
        "ALICLOUD_ACCESS_KEY": key.id,
        "ALICLOUD_SECRET_KEY": key.secret,
        "ALICLOUD_SECURITY_TOKEN": "",
        "ALICLOUD_REGION": region,
    }


def furnish(store: Store) -> None:
    """Create the account's initial resources, according to ``store.conditions``."""
    with store.lock:
        store.activated = store.conditions.activated
        if store.conditions.activated:
            for name in (*SERVICE_ROLES, LIFECYCLE_ROLE):
                services = ("oos", "cs") if name == LIFECYCLE_ROLE else ("cs",)
                role = new_role(store, name, trust(*services))
                role.policies["System", f"{name}Policy"] = role.created
        if store.conditions.registry:
            store.add(
                RegistryInstance(
                    id=REGISTRY,
                    region="",
                    name="sandbox",
                    specification="Enterprise_Basic",
                    endpoints={"internet": False},
                )
            )
