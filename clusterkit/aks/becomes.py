"""What each field of the profile becomes on Azure (docs/portability.md)."""

from __future__ import annotations

from clusterkit.profile.portability import Table, becomes

_CLUSTER = "arm:Microsoft.ContainerService/managedClusters PUT"
_POOL = f"{_CLUSTER} properties.agentPoolProfiles"
_NETWORK = "arm:Microsoft.Network/virtualNetworks PUT"
_GROUP = "arm:Microsoft.Resources/resourceGroups PUT"
_REGISTRY = "arm:Microsoft.ContainerRegistry/registries PUT"
_RIGHT = "arm:Microsoft.Authorization/roleAssignments PUT"
_IDENTITY = "arm:Microsoft.ManagedIdentity/userAssignedIdentities"
_CREDENTIAL = f"{_IDENTITY}/federatedIdentityCredentials PUT"
_ACCOUNTS = "kubernetes:PATCH /api/v1/namespaces"
_REQUIREMENTS = f"{_ACCOUNTS} data.jx-requirements.yml"
_FILES = "arm:Microsoft.Storage/storageAccounts PUT"
_CLASS = "kubernetes:PATCH /apis/storage.k8s.io/v1/storageclasses"

BECOMES: Table = {
    "cloud": becomes("the driver for Azure"),
    "name": becomes(
        "the cluster's name, and the tag `clusterkit-cluster`",
        f"{_CLUSTER} (path)",
        f"{_GROUP} tags.clusterkit-cluster",
    ),
    "region": becomes("the location of everything", f"{_CLUSTER} location", f"{_GROUP} location"),
    "kubernetes": becomes(
        "version of the control plane and of the nodes; AKS chooses the patch release",
        f"{_CLUSTER} properties.kubernetesVersion",
        f"{_POOL}.orchestratorVersion",
    ),
    "network.cidr": becomes(
        "a virtual network, all of it one subnet",
        f"{_NETWORK} properties.addressSpace.addressPrefixes",
        f"{_NETWORK} properties.subnets.properties.addressPrefix",
    ),
    "network.zones": becomes("the pools' availability zones", f"{_POOL}.availabilityZones"),
    "network.nat": becomes(
        "a NAT gateway with a public IP address, or the cluster's load balancer",
        "arm:Microsoft.Network/natGateways PUT (path)",
        f"{_CLUSTER} properties.networkProfile.outboundType",
    ),
    "network.pods": becomes(
        "range of the pods, an overlay", f"{_CLUSTER} properties.networkProfile.podCidr"
    ),
    "network.services": becomes(
        "range of the Services", f"{_CLUSTER} properties.networkProfile.serviceCidr"
    ),
    "network.existing": becomes(
        "a virtual network and subnet that are there", _POOL + ".vnetSubnetID"
    ),
    "network.existing.vpc": becomes("id of the virtual network", f"{_POOL}.vnetSubnetID"),
    "network.existing.subnet": becomes("name of the subnet", f"{_POOL}.vnetSubnetID"),
    "endpoint.public": becomes(
        "a public API server, or a private one",
        f"{_CLUSTER} properties.apiServerAccessProfile.enablePrivateCluster",
    ),
    "endpoint.private": becomes("with `public: false`, the only choice"),
    "endpoint.allowed": becomes(
        "authorized IP ranges; the nodes' own way out is added",
        f"{_CLUSTER} properties.apiServerAccessProfile.authorizedIPRanges",
    ),
    "ssh_key": becomes(
        "an SSH public key resource, and the key of the nodes' user",
        "arm:Microsoft.Compute/sshPublicKeys PUT properties.publicKey",
        f"{_CLUSTER} properties.linuxProfile.ssh.publicKeys.keyData",
    ),
    "pools": becomes("node pools, scale sets", f"{_POOL}.name"),
    "pools.name": becomes("name of the node pool, with a hash", f"{_POOL}.name"),
    "pools.machine": becomes("the VM size", f"{_POOL}.vmSize"),
    "pools.machine.cpu": becomes("the smallest VM size that fits", f"{_POOL}.vmSize"),
    "pools.machine.memory": becomes("the smallest VM size that fits", f"{_POOL}.vmSize"),
    "pools.machine.arch": becomes("the smallest VM size that fits", f"{_POOL}.vmSize"),
    "pools.count": becomes("number of nodes in all zones together", f"{_POOL}.count"),
    "pools.count.min": becomes("least nodes of the cluster autoscaler", f"{_POOL}.minCount"),
    "pools.count.max": becomes("most nodes of the cluster autoscaler", f"{_POOL}.maxCount"),
    "pools.disk.size": becomes("size of the managed OS disk", f"{_POOL}.osDiskSizeGB"),
    "pools.spot": becomes("spot VMs", f"{_POOL}.scaleSetPriority"),
    "pools.labels": becomes("labels of the pool's nodes", f"{_POOL}.nodeLabels"),
    "pools.taints": becomes("taints of the pool's nodes", f"{_POOL}.nodeTaints"),
    "pools.taints.key": becomes("`KEY=value:effect`", f"{_POOL}.nodeTaints"),
    "pools.taints.value": becomes("`key=VALUE:effect`", f"{_POOL}.nodeTaints"),
    "pools.taints.effect": becomes("`key=value:EFFECT`", f"{_POOL}.nodeTaints"),
    "pools.mode": becomes("mode of the pool, System or User", f"{_POOL}.mode"),
    "pools.os": becomes("operating system of the nodes", f"{_POOL}.osSKU"),
    "storage.default": becomes(
        "StorageClass `clusterkit-ssd`: Standard SSD by disk.csi.azure.com",
        f"{_CLASS} parameters.skuName",
    ),
    "storage.keep_volumes": becomes(
        "a tag of the control plane's identity, which `destroy` reads",
        f"{_IDENTITY} PUT tags.clusterkit-keep-volumes",
    ),
    "registry": becomes(
        "a container registry, from which the kubelet's identity may pull",
        f"{_REGISTRY} (path)",
        f"{_RIGHT} properties.roleDefinitionId",
    ),
    "registry.name": becomes("first part of every image's name; a push makes it"),
    "registry.repositories": becomes("second part of the images' names; a push makes them"),
    "registry.cache": becomes("names under which kaniko pushes layers; a push makes them"),
    "registry.keep": becomes("a tag, which `destroy` reads", f"{_REGISTRY} tags.clusterkit-keep"),
    "registry.push": becomes(
        "federated credentials of an identity with the role AcrPush, the kubelet's, or a token in "
        "a Secret",
        f"{_CREDENTIAL} properties.subject",
        f"{_RIGHT} properties.roleDefinitionId",
    ),
    "registry.acr": becomes("name of the registry", f"{_REGISTRY} (path)"),
    "registry.sku": becomes("price tier of the registry", f"{_REGISTRY} sku.name"),
    "registry.abac": becomes(
        "permissions by repository", f"{_REGISTRY} properties.roleAssignmentMode"
    ),
    "ready.kaniko": becomes(
        "a service account that may push", f"{_ACCOUNTS} (path)", f"{_CREDENTIAL} (path)"
    ),
    "ready.kaniko.namespace": becomes("its namespace", f"{_CREDENTIAL} properties.subject"),
    "ready.kaniko.service_account": becomes("its name", f"{_CREDENTIAL} properties.subject"),
    "ready.kaniko.image": becomes("kaniko's image, in what `clusterkit kaniko` makes"),
    "ready.kaniko.registry": becomes(
        "the login to a registry of your own, in the Secret `regcred`", f"{_ACCOUNTS} (path)"
    ),
    "ready.kaniko.registry.server": becomes(
        "its name in the Secret", f"{_ACCOUNTS} metadata.annotations.clusterkit.dev/servers"
    ),
    "ready.kaniko.registry.prefix": becomes(
        "the first part of images' names, in what `clusterkit kaniko` makes"
    ),
    "ready.jenkins_x": becomes(
        "the ConfigMap `default/terraform-jx-requirements`; the kubelets' identity may push",
        f"{_ACCOUNTS} (path)",
        f"{_RIGHT} properties.roleDefinitionId",
    ),
    "ready.jenkins_x.git_url": becomes("the repository, in what `clusterkit ready` makes"),
    "ready.jenkins_x.secrets": becomes(
        "a key vault with the role Key Vault Secrets Officer (`cloud`, the default), or none",
        "arm:Microsoft.KeyVault/vaults PUT (path)",
        _REQUIREMENTS,
    ),
    "ready.jenkins_x.storage": becomes(
        "a storage account with three containers, and the role Storage Blob Data Contributor",
        f"{_FILES} (path)",
        _REQUIREMENTS,
    ),
    "ready.jenkins_x.keep_storage": becomes(
        "a tag, which `destroy` reads", f"{_FILES} tags.clusterkit-keep"
    ),
    "ready.jenkins_x.domain": becomes(
        "the role DNS Zone Contributor on its zone, if the subscription has it",
        f"{_RIGHT} properties.roleDefinitionId",
        _REQUIREMENTS,
    ),
    "ready.jenkins_x.tls_email": becomes("an address in the ConfigMap", _REQUIREMENTS),
    "ready.jenkins": becomes(
        "the agents' service account, which may push",
        f"{_ACCOUNTS} (path)",
        f"{_CREDENTIAL} (path)",
    ),
    "ready.jenkins.namespace": becomes("its namespace", f"{_CREDENTIAL} properties.subject"),
    "tags": becomes(
        "tags of everything, node pools and scale sets too",
        f"{_CLUSTER} tags",
        f"{_POOL}.tags",
        f"{_NETWORK} tags",
    ),
    "deletion_protection": becomes(
        "a tag, and `destroy` refuses; Azure itself deletes",
        f"{_CLUSTER} tags.clusterkit-protect",
    ),
    "subscription": becomes("the subscription of everything"),
    "resource_group": becomes("the resource group of everything", f"{_CLUSTER} (path)"),
    "tier": becomes("price tier of the control plane", f"{_CLUSTER} sku.tier"),
    "support": becomes("support plan of the version", f"{_CLUSTER} properties.supportPlan"),
    "entra": becomes(
        "Entra integration with Azure RBAC for Kubernetes",
        f"{_CLUSTER} properties.aadProfile.enableAzureRBAC",
    ),
    "entra.admins": becomes(
        "role Azure Kubernetes Service RBAC Cluster Admin", f"{_RIGHT} properties.principalId"
    ),
    "entra.local_accounts": becomes(
        "the cluster's own certificates", f"{_CLUSTER} properties.disableLocalAccounts"
    ),
    "ssh_user": becomes("user of the nodes", f"{_CLUSTER} properties.linuxProfile.adminUsername"),
}
