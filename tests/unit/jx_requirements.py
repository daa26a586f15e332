"""What ``jx-requirements.yml`` may hold, by the structs of jenkins-x/jx-api v4.8.6
(``pkg/apis/core/v4beta1/requirements.go``) and their schema, which refuses every other name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]


def _object(texts: str = "", switches: str = "", **inner: Schema) -> Schema:
    found: dict[str, Any] = {name: {"type": "string"} for name in texts.split()}
    found |= {name: {"type": "boolean"} for name in switches.split()}
    return {"type": "object", "additionalProperties": False, "properties": {**found, **inner}}


AZURE = _object(
    "registrySubscription",
    dns=_object("tenantId subscriptionId resourceGroup"),
    secretStorage=_object("keyVaultName"),
    storage=_object("storageAccountName"),
    clusterNodes=_object("clientID"),
)
CLUSTER = _object(
    "chartRepository chartKind chartSecret registry dockerRegistryOrg kanikoFlags "
    "environmentGitOwner provider project clusterName region zone gitName gitKind gitServer "
    "externalDNSSAName",
    "environmentGitPublic gitPublic",
    azure=AZURE,
    gke=_object("projectNumber"),
    issueProvider=_object(jira=_object("serverUrl userName project")),
)
INGRESS = _object(
    "apiVersion cloud_dns_secret_name domain kind namespaceSubDomain",
    "externalDNS ignoreLoadBalancer",
    tls=_object("email secretName", "enabled production"),
    annotations={"type": "object", "additionalProperties": {"type": "string"}},
)
VAULT = _object(
    "name bucket keyring key url serviceAccount namespace secretEngineMountPoint "
    "kubernetesAuthPath",
    "recreateBucket disableURLDiscovery",
    aws=_object(
        "kmsKeyId kmsRegion s3Bucket s3Prefix s3Region dynamoDBTable dynamoDBRegion iamUserName",
        "autoCreate",
    ),
    azure=_object("tenantId vaultName keyName storageAccountName containerName"),
)
ENVIRONMENT = _object(
    "key owner repository gitServer gitKind gitUrl promotionStrategy namespace",
    "remoteCluster reusePullRequest",
    ingress=INGRESS,
)
SPEC = _object(
    "repository secretStorage webhook",
    "kuberhealthy terraform terraformVault",
    autoUpdate=_object("schedule", "enabled autoMerge reusePullRequest"),
    cluster=CLUSTER,
    environments={"type": "array", "items": ENVIRONMENT},
    extraDomains={"type": "array", "items": INGRESS},
    ingress=INGRESS,
    pipelineUser=_object("username email"),
    repositories=_object(maven=_object("releaseUrl snapshotUrl")),
    storage={"type": "array", "items": _object("name url")},
    vault=VAULT,
)
REQUIREMENTS: Schema = {
    **_object(spec=SPEC),
    "required": ["apiVersion", "kind", "spec"],
}
REQUIREMENTS["properties"].update(
    apiVersion={"const": "core.jenkins-x.io/v4beta1"}, kind={"const": "Requirements"}
)
