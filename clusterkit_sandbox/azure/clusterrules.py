"""What Kubernetes Service checks and completes of a managed cluster.

Codes: facts/azure.tsv and the vendor's page of AKS error codes; the rights of the control plane's
identity on a kubelet identity of one's own: the vendor's page "Use a managed identity", whose codes
these are.
"""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network

from clusterkit_sandbox.azure import ids, networks
from clusterkit_sandbox.azure.account import TENANT, Caller
from clusterkit_sandbox.azure.authorization import may
from clusterkit_sandbox.azure.catalogue import VERSIONS, default_version, number, patch_of
from clusterkit_sandbox.azure.failure import Failure, Json, refusal
from clusterkit_sandbox.azure.poolrules import (
    defaulted,
    fixed,
    invalid,
    merged,
    no_upgrade,
    not_offered,
)
from clusterkit_sandbox.azure.resources import AgentPool, Cluster, Identity, Subnet
from clusterkit_sandbox.azure.service import Call
from clusterkit_sandbox.azure.store import Store
from clusterkit_sandbox.azure.tables import table

NAME = re.compile(r"[a-zA-Z0-9]|[a-zA-Z0-9][-_a-zA-Z0-9]{0,61}[a-zA-Z0-9]")
_DEFAULTS = table("defaults")
_SERVICES, _DNS, _PODS = "10.0.0.0/16", "10.0.0.10", "10.244.0.0/16"
_ASSIGN = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"


def _at(body: Json, path: str) -> object:
    found: object = body
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def complete(call: Call, new: Cluster, old: Cluster | None) -> None:
    """Check and complete a cluster without its pools."""
    if old is not None:
        for path in _DEFAULTS["cluster_fixed"]:
            fixed(path, _at(old.properties, path), _at(new.properties, path))
        new.shown["properties"] = merged(old.properties, new.properties)
        for name in ("identity", "sku"):
            new.shown[name] = new.shown.get(name) or old.shown.get(name)
    properties, group = new.properties, call.group
    new.shown["sku"] = {"name": "Base", "tier": "Free", **(new.shown.get("sku") or {})}
    new.shown["kind"] = "Base"
    _version(new, old)
    _network(properties)
    prefix = f"{new.name[:10]}-{group.name[:16]}-{call.subscription[:6]}".strip("-")
    nodes = f"MC_{group.name}_{new.name}_{new.location}"[:80]
    defaulted(properties, {"dnsPrefix": prefix, "nodeResourceGroup": nodes, **_DEFAULTS["cluster"]})
    if old is None:
        properties["resourceUID"] = call.store.new_hex(24)
        host = f"{properties['dnsPrefix']}-{call.store.new_hex(8)}".lower()
        properties["fqdn"] = f"{host}.hcp.{new.location}.azmk8s.io"
        properties["azurePortalFQDN"] = f"{host}.portal.hcp.{new.location}.azmk8s.io"
    _issuer(call.store, new)
    _access(properties)
    _identity(call, new, old)


def _version(new: Cluster, old: Cluster | None) -> None:
    properties = new.properties
    asked = properties.get("kubernetesVersion") or default_version()
    current = patch_of(asked)
    if old is not None:
        before = old.properties["currentKubernetesVersion"]
        same = (old.properties["kubernetesVersion"], before, ".".join(before.split(".")[:2]))
        if current is not None and asked not in same:
            here, there = number(before), number(current)
            if there < here or there[1] - here[1] > 1:
                raise no_upgrade(before, current)
        elif asked in same:
            current = before
    if current is None:
        raise not_offered(asked)
    offer = next(one for one in VERSIONS if one.minor == ".".join(current.split(".")[:2]))
    long_term = properties.get("supportPlan") == "AKSLongTermSupport"
    if long_term and new.shown["sku"]["tier"] != "Premium":
        raise refusal("InvalidParameter#long-term", target="supportPlan")
    if old is None and not offer.standard and not long_term:
        raise refusal("K8sVersionNotSupported#long-term", current=current)
    properties["kubernetesVersion"], properties["currentKubernetesVersion"] = asked, current


def _network(properties: Json) -> None:
    network: Json = dict(properties.get("networkProfile") or {})
    defaulted(network, _DEFAULTS["network"])
    if network["networkPlugin"] == "azure":
        defaulted(network, {"networkPluginMode": "overlay", "networkDataplane": "azure"})
    network["serviceCidr"] = network.get("serviceCidr") or _SERVICES
    if not network.get("dnsServiceIP"):
        network["dnsServiceIP"] = _DNS
        if network["serviceCidr"] != _SERVICES:
            raise invalid("networkProfile.dnsServiceIP", "It must be set along with serviceCidr.")
    services = _block("networkProfile.serviceCidr", network["serviceCidr"])
    try:
        within = ip_address(network["dnsServiceIP"]) in services
    except ValueError:
        raise invalid("networkProfile.dnsServiceIP", "It is not an IP address.") from None
    if not within:
        raise refusal(
            "DnsServiceIpOutOfServiceCidr",
            address=network["dnsServiceIP"],
            services=network["serviceCidr"],
        )
    if network.get("networkPluginMode") == "overlay" or network["networkPlugin"] == "kubenet":
        network["podCidr"] = network.get("podCidr") or _PODS
        _block("networkProfile.podCidr", network["podCidr"])
        network["podCidrs"] = [network["podCidr"]]
    network["serviceCidrs"] = [network["serviceCidr"]]
    properties["networkProfile"] = network


def _block(what: str, text: str) -> networks.Net:
    try:
        return ip_network(text)
    except ValueError:
        raise invalid(what, f"'{text}' is not a valid CIDR.") from None


def check_subnets(store: Store, cluster: Cluster, pools: list[AgentPool]) -> None:
    """Refuse a range of Services that overlaps a subnet of a pool."""
    text = cluster.properties["networkProfile"]["serviceCidr"]
    services = ip_network(text)
    for pool in pools:
        subnet = store.find(Subnet, str(pool.properties.get("vnetSubnetID") or "-"))
        for block in networks.blocks(subnet.properties) if subnet is not None else ():
            if block.overlaps(services):
                raise refusal(
                    "ServiceCidrOverlapExistingSubnetsCidr",
                    target="networkProfile.serviceCIDR",
                    services=text,
                    block=block,
                )


def _issuer(store: Store, new: Cluster) -> None:
    profile = dict(new.properties.get("oidcIssuerProfile") or {"enabled": False})
    if profile.get("enabled") and not profile.get("issuerURL"):
        root = f"https://{new.location}.oic.prod-aks.azure.com"
        profile["issuerURL"] = f"{root}/{TENANT}/{store.new_uuid()}/"
    new.properties["oidcIssuerProfile"] = profile


def _access(properties: Json) -> None:
    entra = properties.get("aadProfile") or {}
    if entra and entra.get("managed") is None:
        entra["managed"] = True
    if entra:
        entra.setdefault("tenantID", TENANT)
        entra.setdefault("adminGroupObjectIDs", None)
        entra.setdefault("enableAzureRBAC", False)
    if properties["disableLocalAccounts"] and not entra:
        raise refusal("BadRequest#local-accounts", target="disableLocalAccounts")
    for block in (properties.get("apiServerAccessProfile") or {}).get("authorizedIPRanges") or ():
        try:
            ip_network(block, strict=False)
        except ValueError:
            what = "apiServerAccessProfile.authorizedIPRanges"
            raise invalid(what, f"'{block}' is not an IP address or CIDR.") from None


def _identity(call: Call, new: Cluster, old: Cluster | None) -> None:
    identity: Json = dict(new.shown.get("identity") or {})
    kind = str(identity.get("type", "")).lower()
    if kind not in ("systemassigned", "userassigned"):
        if new.properties.get("servicePrincipalProfile", {}).get("secret"):
            raise Failure(
                "UNIMPLEMENTED", "The sandbox has no clusters of service principals.", 501
            )
        raise refusal("InvalidParameter#identity", target="servicePrincipalProfile")
    mine: list[Identity] = []
    for identifier in identity.get("userAssignedIdentities") or {}:
        found = call.store.find(Identity, identifier)
        if found is None:
            raise refusal("FailedIdentityOperation", identifier=identifier)
        mine.append(found)
    identity.setdefault("tenantId", TENANT)
    if kind == "systemassigned":
        if "principalId" not in identity:
            identity["principalId"] = call.store.new_uuid()
            call.store.tokens.add(Caller(identity["principalId"], call.store.new_uuid(), new.name))
    else:
        identity["userAssignedIdentities"] = {
            one.shown["id"]: {k: one.properties[k] for k in ("principalId", "clientId")}
            for one in mine
        }
    new.shown["identity"] = identity
    new.properties["servicePrincipalProfile"] = {"clientId": "msi"}
    _kubelet(call, new, old, mine)


def _kubelet(call: Call, new: Cluster, old: Cluster | None, mine: list[Identity]) -> None:
    given = (new.properties.get("identityProfile") or {}).get("kubeletidentity")
    before = {} if old is None else old.properties.get("identityProfile") or {}
    same = before.get("kubeletidentity", {}).get("resourceId", "").lower()
    if not given or str(given.get("resourceId", "")).lower() == same:
        return
    kubelet = call.store.find(Identity, str(given.get("resourceId", "")))
    if not mine:
        raise refusal("CustomKubeletIdentityOnlySupportedOnUserAssignedMSICluster")
    if kubelet is None:
        raise refusal("FailedIdentityOperation#kubelet", identity=given.get("resourceId"))
    control = call.store.principal(mine[0].properties["principalId"])
    if control is None or not may(call.store, control, _ASSIGN, kubelet.id):
        raise refusal(
            "CustomKubeletIdentityMissingPermissionError",
            principal=mine[0].properties["principalId"],
            id=kubelet.shown["id"],
            action=_ASSIGN,
        )
    new.properties["identityProfile"] = {"kubeletidentity": kubelet_profile(kubelet)}


def control_plane(store: Store, cluster: Cluster) -> Caller | None:
    """Who a cluster's control plane is."""
    identity = cluster.shown["identity"]
    mine = list((identity.get("userAssignedIdentities") or {}).values())
    principal = mine[0]["principalId"] if mine else identity.get("principalId", "")
    return store.tokens.principal(principal)


def kubelet_profile(identity: Identity) -> Json:
    """How a cluster shows its kubelet's identity."""
    return {
        "resourceId": ids.small(identity.shown["id"]),
        "clientId": identity.properties["clientId"],
        "objectId": identity.properties["principalId"],
    }
