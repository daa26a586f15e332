"""What each field of the profile becomes on Google Cloud (docs/portability.md)."""

from __future__ import annotations

from clusterkit.profile.portability import Table, becomes

_CREATE = "container:projects.locations.clusters.create"
_CLUSTER = f"{_CREATE} cluster"
_POOL = f"{_CLUSTER}.nodePools"
_POOL_CONFIG = f"{_POOL}.config"
_SUBNETWORK = "compute:subnetworks.insert"
_ACCOUNT = "iam:projects.serviceAccounts.create"
_REPOSITORY = "artifactregistry:projects.locations.repositories.create"
_POLICY = "artifactregistry:projects.locations.repositories.setIamPolicy policy.bindings"
_ACCOUNTS = "kubernetes:PATCH /api/v1/namespaces"
_CLASS = "kubernetes:PATCH /apis/storage.k8s.io/v1/storageclasses"
_ENDPOINTS = f"{_CLUSTER}.controlPlaneEndpointsConfig"

BECOMES: Table = {
    "cloud": becomes("the driver for Google Cloud"),
    "project": becomes("the project of everything", f"{_CREATE} (path)"),
    "name": becomes(
        "the cluster's name, which begins with a letter, and the label `clusterkit-cluster`",
        f"{_CLUSTER}.name",
        f"{_CLUSTER}.resourceLabels.clusterkit-cluster",
    ),
    "region": becomes(
        "the region of everything, or a zone of it", f"{_CREATE} (path)", f"{_SUBNETWORK} (path)"
    ),
    "kubernetes": becomes(
        "version of the control plane and of the nodes; GKE chooses the patch release",
        f"{_CLUSTER}.initialClusterVersion",
    ),
    "mode": becomes("an Autopilot cluster", f"{_CLUSTER}.autopilot.enabled"),
    "location": becomes("a zonal or a regional cluster", f"{_CREATE} (path)"),
    "channel": becomes("the release channel", f"{_CLUSTER}.releaseChannel.channel"),
    "network.cidr": becomes(
        "a VPC network with one subnetwork: its primary range", f"{_SUBNETWORK} ipCidrRange"
    ),
    "network.zones": becomes(
        "locations of the nodes; several make a new cluster's control plane regional, and a fixed "
        "pool has as many nodes in each",
        f"{_CLUSTER}.locations",
        f"{_POOL}.locations",
    ),
    "network.nat": becomes("a Cloud NAT on a router", "compute:routers.insert nats"),
    "network.pods": becomes(
        "range of the pods, a secondary range of the subnetwork",
        f"{_SUBNETWORK} secondaryIpRanges.ipCidrRange",
    ),
    "network.services": becomes(
        "range of the Services, a secondary range of the subnetwork",
        f"{_SUBNETWORK} secondaryIpRanges.ipCidrRange",
    ),
    "network.existing": becomes(
        "a VPC network and subnetwork that are there", f"{_CLUSTER}.network"
    ),
    "network.existing.vpc": becomes("name of the network", f"{_CLUSTER}.network"),
    "network.existing.subnetwork": becomes("name of the subnetwork", f"{_CLUSTER}.subnetwork"),
    "network.existing.pods": becomes(
        "name of its secondary range for the pods",
        f"{_CLUSTER}.ipAllocationPolicy.clusterSecondaryRangeName",
    ),
    "network.existing.services": becomes(
        "name of its secondary range for the Services",
        f"{_CLUSTER}.ipAllocationPolicy.servicesSecondaryRangeName",
    ),
    "network.existing.project": becomes("host project of a Shared VPC", f"{_CLUSTER}.network"),
    "endpoint.public": becomes(
        "a public IP address of the control plane",
        f"{_ENDPOINTS}.ipEndpointsConfig.enablePublicEndpoint",
    ),
    "endpoint.private": becomes("always there: `false` is refused"),
    "endpoint.allowed": becomes(
        "authorized networks",
        f"{_ENDPOINTS}.ipEndpointsConfig.authorizedNetworksConfig.cidrBlocks.cidrBlock",
    ),
    "endpoint.dns": becomes(
        "the DNS-based endpoint, for whom IAM lets",
        f"{_ENDPOINTS}.dnsEndpointConfig.allowExternalTraffic",
    ),
    "ssh_key": becomes("metadata `ssh-keys` of the nodes", f"{_POOL_CONFIG}.metadata.ssh-keys"),
    "ssh_user": becomes("user in `ssh-keys`", f"{_POOL_CONFIG}.metadata.ssh-keys"),
    "ssh_from": becomes("a firewall rule for port 22", "compute:firewalls.insert sourceRanges"),
    "pools": becomes("node pools, instance groups", f"{_POOL}.name"),
    "pools.name": becomes("name of the node pool, with a hash", f"{_POOL}.name"),
    "pools.machine": becomes("the machine type", f"{_POOL_CONFIG}.machineType"),
    "pools.machine.cpu": becomes(
        "the smallest machine type that fits", f"{_POOL_CONFIG}.machineType"
    ),
    "pools.machine.memory": becomes(
        "the smallest machine type that fits", f"{_POOL_CONFIG}.machineType"
    ),
    "pools.machine.arch": becomes(
        "the smallest machine type that fits", f"{_POOL_CONFIG}.machineType"
    ),
    "pools.count": becomes(
        "number of nodes in all zones together, which must divide it", f"{_POOL}.initialNodeCount"
    ),
    "pools.count.min": becomes(
        "least nodes of the cluster autoscaler", f"{_POOL}.autoscaling.totalMinNodeCount"
    ),
    "pools.count.max": becomes(
        "most nodes of the cluster autoscaler", f"{_POOL}.autoscaling.totalMaxNodeCount"
    ),
    "pools.disk.size": becomes("size of the boot disk, in GB", f"{_POOL_CONFIG}.diskSizeGb"),
    "pools.disk.type": becomes("type of the boot disk", f"{_POOL_CONFIG}.diskType"),
    "pools.spot": becomes("Spot VMs", f"{_POOL_CONFIG}.spot"),
    "pools.labels": becomes("Kubernetes labels of the pool's nodes", f"{_POOL_CONFIG}.labels"),
    "pools.taints": becomes("taints of the pool's nodes", f"{_POOL_CONFIG}.taints"),
    "pools.taints.key": becomes("key of the taint", f"{_POOL_CONFIG}.taints.key"),
    "pools.taints.value": becomes("value of the taint", f"{_POOL_CONFIG}.taints.value"),
    "pools.taints.effect": becomes(
        "effect of the taint, such as NO_SCHEDULE", f"{_POOL_CONFIG}.taints.effect"
    ),
    "pools.scopes": becomes("access scopes of the nodes", f"{_POOL_CONFIG}.oauthScopes"),
    "storage.default": becomes(
        "StorageClass `clusterkit-ssd`: pd-ssd or hyperdisk-balanced; where nothing is asked, "
        "GKE's own `standard-rwo`",
        f"{_CLASS} parameters.type",
    ),
    "storage.keep_volumes": becomes(
        "a word in the description of the nodes' service account, which `destroy` reads",
        f"{_ACCOUNT} serviceAccount.description",
    ),
    "registry": becomes(
        "a repository of Artifact Registry, from which the nodes' service account may pull",
        f"{_REPOSITORY} format",
        f"{_POLICY}.members",
    ),
    "registry.name": becomes("name of the repository", f"{_REPOSITORY} repositoryId"),
    "registry.repositories": becomes("names of images in it; a push makes them"),
    "registry.cache": becomes("names under which kaniko pushes layers; a push makes them"),
    "registry.keep": becomes(
        "a label, which `destroy` reads", f"{_REPOSITORY} labels.clusterkit-keep"
    ),
    "registry.push": becomes(
        "the role artifactregistry.writer for the pods themselves (Workload Identity), for the "
        "nodes' service account, or for one whose key is in a Secret",
        f"{_POLICY}.members",
        f"{_POLICY}.role",
    ),
    "registry.hosts": becomes(
        "the repositories behind `gcr.io` and the like", f"{_REPOSITORY} repositoryId"
    ),
    "registry.identity": becomes(
        "the pods' own principal, or a service account they act as", f"{_POLICY}.members"
    ),
    "ready.kaniko": becomes(
        "a service account that may push", f"{_ACCOUNTS} (path)", f"{_POLICY}.members"
    ),
    "ready.kaniko.namespace": becomes("its namespace", f"{_POLICY}.members"),
    "ready.kaniko.service_account": becomes("its name", f"{_POLICY}.members"),
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
        "service accounts of Google's by the names that Jenkins X makes of the cluster's, such as "
        "`NAME-tekton`, which its own act as, and the ConfigMap that tells it of the cluster",
        f"{_ACCOUNT} accountId",
        "iam:projects.serviceAccounts.setIamPolicy policy.bindings.members",
        f"{_ACCOUNTS} data.jx-requirements.yml",
    ),
    "ready.jenkins_x.git_url": becomes(
        "the cluster repository, in what `clusterkit ready jenkins-x` prints"
    ),
    "ready.jenkins_x.secrets": becomes(
        "`cloud`: Secret Manager, for the service accounts `NAME-boot` and `NAME-sm`",
        f"{_ACCOUNT} accountId",
        "cloudresourcemanager:projects.setIamPolicy policy.bindings.role",
        f"{_ACCOUNTS} data.jx-requirements.yml",
    ),
    "ready.jenkins_x.storage": becomes(
        "buckets of Cloud Storage, for logs, reports and artifacts",
        "storage:buckets.insert name",
        "storage:buckets.setIamPolicy bindings.members",
        f"{_ACCOUNTS} data.jx-requirements.yml",
    ),
    "ready.jenkins_x.keep_storage": becomes(
        "a label of the buckets, which `destroy` reads",
        "storage:buckets.insert labels.clusterkit-keep",
    ),
    "ready.jenkins_x.domain": becomes(
        "the domain, and the service account `NAME-dn` that writes into its zone",
        f"{_ACCOUNT} accountId",
        "cloudresourcemanager:projects.setIamPolicy policy.bindings.role",
        f"{_ACCOUNTS} data.jx-requirements.yml",
    ),
    "ready.jenkins_x.tls_email": becomes(
        "the address, in the ConfigMap", f"{_ACCOUNTS} data.jx-requirements.yml"
    ),
    "ready.jenkins": becomes(
        "a service account of the agents that may push", f"{_ACCOUNTS} (path)", f"{_POLICY}.members"
    ),
    "ready.jenkins.namespace": becomes("their namespace", f"{_POLICY}.members"),
    "tags": becomes(
        "labels of the cluster, of node pools and their machines and disks, of repositories and "
        "buckets; networks and service accounts have none. Lower-case letters, digits, `-` and `_` "
        "only",
        f"{_CLUSTER}.resourceLabels",
        f"{_POOL_CONFIG}.resourceLabels",
    ),
    "deletion_protection": becomes(
        "a label, and `destroy` refuses; Google Cloud itself deletes",
        f"{_CLUSTER}.resourceLabels.clusterkit-protect",
    ),
}
