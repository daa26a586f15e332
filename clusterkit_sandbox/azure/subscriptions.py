"""Subscriptions, the tenant, regions; and what any client may know of the cloud."""

from __future__ import annotations

from clusterkit_sandbox.azure.account import DOMAIN, SUBSCRIPTIONS, TENANT
from clusterkit_sandbox.azure.catalogue import REGIONS, display_name, zones
from clusterkit_sandbox.azure.failure import Json
from clusterkit_sandbox.azure.model import GRAPH, LOGIN, MANAGER
from clusterkit_sandbox.azure.service import Call, operation


def _shown(subscription: str) -> Json:
    return {
        "id": f"/subscriptions/{subscription}",
        "subscriptionId": subscription,
        "tenantId": TENANT,
        "displayName": SUBSCRIPTIONS[subscription],
        "state": "Enabled",
        "authorizationSource": "RoleBased",
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": "PayAsYouGo_2014-09-01",
            "spendingLimit": "Off",
        },
    }


@operation("subscriptions:Subscriptions_List")
def _list(call: Call) -> object:
    return call.page([_shown(one) for one in SUBSCRIPTIONS])


@operation("subscriptions:Subscriptions_Get")
def _get(call: Call) -> object:
    return _shown(call.subscription)


@operation("subscriptions:Tenants_List")
def _tenants(call: Call) -> object:
    return call.page(
        [
            {
                "id": f"/tenants/{TENANT}",
                "tenantId": TENANT,
                "tenantCategory": "Home",
                "displayName": "Sandbox",
                "defaultDomain": DOMAIN,
                "domains": [DOMAIN],
            }
        ]
    )


@operation("subscriptions:Subscriptions_ListLocations")
def _locations(call: Call) -> object:
    found = []
    for region in REGIONS:
        shown: Json = {
            "id": f"/subscriptions/{call.subscription}/locations/{region}",
            "name": region,
            "type": "Region",
            "displayName": display_name(region),
            "regionalDisplayName": display_name(region),
            "metadata": {"regionType": "Physical", "regionCategory": "Recommended"},
        }
        if zones(region):
            shown["availabilityZoneMappings"] = [
                {"logicalZone": zone, "physicalZone": f"{region}-az{zone}"}
                for zone in zones(region)
            ]
        found.append(shown)
    return call.page(found)


def metadata() -> Json:
    """``/metadata/endpoints`` of version 2022-09-01: where the cloud's services are."""
    return {
        "name": "AzureCloud",
        "portal": "https://portal.azure.com",
        "authentication": {
            "loginEndpoint": f"https://{LOGIN}/",
            "audiences": ["https://management.core.windows.net/", f"https://{MANAGER}/"],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "resourceManager": f"https://{MANAGER}/",
        "microsoftGraphResourceId": f"https://{GRAPH}/",
        "graph": "https://graph.windows.net/",
        "graphAudience": "https://graph.windows.net/",
        "suffixes": {
            "acrLoginServer": "azurecr.io",
            "storage": "core.windows.net",
            "keyVaultDns": "vault.azure.net",
        },
    }
