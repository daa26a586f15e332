"""Compute: VM sizes with their restrictions, quotas, SSH public keys, disks.

Names of capabilities and of quotas are those that public outputs of ``az vm list-skus`` and
``az vm list-usage`` show.
"""

from __future__ import annotations

import re

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from clusterkit_sandbox.azure.arm import Kind, register
from clusterkit_sandbox.azure.catalogue import REGIONS, Size, offered, region_name, size_in, zones
from clusterkit_sandbox.azure.failure import Json, not_emulated, refusal
from clusterkit_sandbox.azure.resources import Disk, Resource, ScaleSet, SshPublicKey
from clusterkit_sandbox.azure.service import Call, operation
from clusterkit_sandbox.azure.store import Store

_LOCATION = re.compile(r"location eq '([^']+)'")
SPOT = "lowPriorityCores"
"""The quota of spot machines, of all families together."""


def restricted(store: Store, size: str, region: str) -> bool:
    """Whether the subscription may not use a size in a region."""
    known = {(name.lower(), where) for name, where in store.conditions.restricted}
    return (size.lower(), region) in known or ("*", region) in known


@operation("compute:ResourceSkus_List")
def _skus(call: Call) -> object:
    asked = _LOCATION.search(str(call.get("$filter", "")))
    regions = REGIONS if asked is None else (region_name(asked[1]),)
    found = [
        _sku(call, region, size)
        for region in regions
        if region in REGIONS
        for size in offered(region)
    ]
    return {"value": found}


def _sku(call: Call, region: str, size: Size) -> Json:
    capabilities = {
        "MaxResourceVolumeMB": size.temporary * 1024,
        "OSVhdSizeMB": 1047552,
        "vCPUs": size.cpus,
        "MemoryPreservingMaintenanceSupported": True,
        "HyperVGenerations": "V2" if size.arm else "V1,V2",
        "MemoryGB": f"{size.memory:g}",
        "MaxDataDiskCount": max(4, min(32, size.cpus * 2)),
        "CpuArchitectureType": "Arm64" if size.arm else "x64",
        "LowPriorityCapable": size.spot,
        "PremiumIO": size.premium,
        "VMDeploymentTypes": "IaaS",
        "vCPUsAvailable": size.cpus,
        "EphemeralOSDiskSupported": size.temporary >= 128,
        "EncryptionAtHostSupported": size.premium,
        "AcceleratedNetworkingEnabled": True,
    }
    sold_out = call.store.conditions.sold_out
    out = [z for z in zones(region) if (size.name, z) in sold_out]
    restrictions: list[Json] = []
    if restricted(call.store, size.name, region):
        info: Json = {"locations": [region], "zones": list(zones(region))}
        restrictions.append(
            {"type": "Location", "values": [region], "restrictionInfo": {"locations": [region]},
             "reasonCode": "NotAvailableForSubscription"}
        )  # fmt: skip
        if zones(region):
            restrictions.append(
                {"type": "Zone", "values": [region], "restrictionInfo": info,
                 "reasonCode": "NotAvailableForSubscription"}
            )  # fmt: skip
    return {
        "resourceType": "virtualMachines",
        "name": size.name,
        "tier": "Standard",
        "size": size.name.removeprefix("Standard_"),
        "family": size.family,
        "locations": [region],
        "locationInfo": [
            {
                "location": region,
                "zones": [z for z in zones(region) if z not in out],
                "zoneDetails": [],
            }
        ],
        "capabilities": [
            {"name": name, "value": str(value)} for name, value in capabilities.items()
        ],
        "restrictions": restrictions,
    }


def cores(store: Store, subscription: str, region: str) -> dict[str, int]:
    """The vCPUs in use: ``cores``, of each family, and of spot machines."""
    found: dict[str, int] = {}
    for one in store.under(ScaleSet, f"/subscriptions/{subscription}"):
        size = size_in(region, str(one.shown["sku"].get("name", "")))
        if one.location != region or size is None:
            continue
        used = size.cpus * len(one.machines)
        names = (SPOT,) if one.properties.get("priority") == "Spot" else ("cores", size.family)
        for name in names:
            found[name] = found.get(name, 0) + used
    return found


@operation("compute:Usage_List")
def _usages(call: Call) -> object:
    region = region_name(str(call["location"]))
    conditions = call.store.conditions
    used = cores(call.store, call.subscription, region)
    limits = {
        "cores": ("Total Regional vCPUs", conditions.cores),
        SPOT: ("Total Regional Low-priority vCPUs", conditions.cores),
    }
    for family in sorted({size.family for size in offered(region)}):
        limits[family] = (
            f"{family.removesuffix('Family')} Family vCPUs",
            conditions.family(family),
        )
    found = [
        {
            "name": {"value": name, "localizedValue": words},
            "unit": "Count",
            "currentValue": used.get(name, 0),
            "limit": limit,
        }
        for name, (words, limit) in limits.items()
    ]
    return {"value": found}


# -- SSH public keys -------------------------------------------------------------------------------


def _check_key(_call: Call, new: Resource, _: Resource | None) -> None:
    key = new.properties.get("publicKey")
    if key is not None and not re.match(r"ssh-(rsa|ed25519) [A-Za-z0-9+/=]+", key):
        raise refusal("InvalidParameter#public-key", target="publicKey")


def _tagged_key(call: Call, one: Resource) -> None:
    one.properties.update(call.body.get("properties") or {})


@operation("compute:SshPublicKeys_GenerateKeyPair")
def _generate(call: Call) -> object:
    key = call.require(SshPublicKey, call.path.rpartition("/")[0])
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = private.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    key.properties["publicKey"] = public.decode()
    return {"privateKey": pem.decode(), "publicKey": public.decode(), "id": key.shown["id"]}


register(
    Kind(
        name="Microsoft.Compute/sshPublicKeys",
        record=SshPublicKey,
        prepare=_check_key,
        tagged=_tagged_key,
    )
)


# -- disks -----------------------------------------------------------------------------------------


def _keep_disk(_: Call, one: Resource) -> None:
    if one.properties.get("diskState") == "Attached":
        raise refusal(
            "OperationNotAllowed#attached", name=one.name, machine=one.shown.get("managedBy", "")
        )


def _prepare_disk(_: Call, new: Resource, old: Resource | None) -> None:
    before = {} if old is None else old.properties
    new.properties["diskState"] = before.get("diskState", "Unattached")


register(
    Kind(
        name="Microsoft.Compute/disks",
        record=Disk,
        prepare=_prepare_disk,
        keep=_keep_disk,
        create="disk/create",
        update="disk/create",
        delete="disk/delete",
    )
)


# -- scale sets ------------------------------------------------------------------------------------


def _prepare_scale_set(_: Call, new: Resource, old: Resource | None) -> None:
    """A scale set without machines is all that is emulated, besides those of agent pools."""
    assert isinstance(new, ScaleSet)
    size = new.shown.get("sku") or {}
    if old is None and size.get("capacity"):
        raise not_emulated("machines in scale sets of one's own")
    new.shown["sku"] = {"tier": "Standard", **size}
    new.properties.setdefault("uniqueId", new.id.rpartition("/")[2])


def _patched(call: Call, one: Resource) -> None:
    one.properties.update(call.body.get("properties") or {})


register(
    Kind(
        name="Microsoft.Compute/virtualMachineScaleSets",
        record=ScaleSet,
        prepare=_prepare_scale_set,
        tagged=_patched,
        create="disk/create",
        update="disk/create",
        delete="disk/delete",
        etags=True,
    )
)
