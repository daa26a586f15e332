"""What each field of the profile becomes on Alibaba Cloud (docs/portability.md)."""

from __future__ import annotations

from clusterkit.profile.portability import Table, becomes

_CLUSTER = "CS:CreateCluster"
_POOL = "CS:CreateClusterNodePool"
_SCALE = "CS:ModifyClusterNodePool auto_scaling"
_MACHINES = f"{_POOL} scaling_group"
_NODES = f"{_POOL} kubernetes_config"
_PERSONAL = "CR:CreateRepo Repo"
_ACCOUNTS = "kubernetes:PATCH /api/v1/namespaces"
_CLASS = "kubernetes:PATCH /apis/storage.k8s.io/v1/storageclasses"
_REQUIREMENTS = f"{_ACCOUNTS} data.jx-requirements.yml"
_ROLE = "RAM:CreateRole AssumeRolePolicyDocument"

BECOMES: Table = {
    "cloud": becomes("the driver for Alibaba Cloud"),
    "name": becomes(
        "the cluster's name, and the tag `clusterkit-cluster`",
        f"{_CLUSTER} name",
        f"{_CLUSTER} tags.value",
    ),
    "region": becomes(
        "the region of everything", f"{_CLUSTER} region_id", "VPC:CreateVSwitch ZoneId"
    ),
    "resource_group": becomes(
        "the resource group of VPC, security group, address, key pair, cluster and machines",
        f"{_CLUSTER} resource_group_id",
        f"{_POOL} nodepool_info.resource_group_id",
        "VPC:CreateVpc ResourceGroupId",
        "VPC:AllocateEipAddress ResourceGroupId",
        "ECS:CreateSecurityGroup ResourceGroupId",
        "ECS:ImportKeyPair ResourceGroupId",
    ),
    "kubernetes": becomes(
        "version of the control plane and of the nodes; the newest patch release that ACK has",
        f"{_CLUSTER} kubernetes_version",
    ),
    "edition": becomes("specification of the cluster", f"{_CLUSTER} cluster_spec"),
    "network.cidr": becomes(
        "a VPC, with a VSwitch in each zone",
        "VPC:CreateVpc CidrBlock",
        "VPC:CreateVSwitch CidrBlock",
    ),
    "network.zones": becomes("zones of the VSwitches", "VPC:CreateVSwitch ZoneId"),
    "network.nat": becomes(
        "an Internet NAT gateway with an elastic IP address, and an SNAT entry for each VSwitch",
        "VPC:CreateNatGateway NatType",
        "VPC:CreateSnatEntry SourceVSwitchId",
    ),
    "network.plugin": becomes("the network plug-in, an add-on", f"{_CLUSTER} addons.name"),
    "network.pods": becomes("range of the pods, with Flannel", f"{_CLUSTER} container_cidr"),
    "network.services": becomes("range of the Services", f"{_CLUSTER} service_cidr"),
    "network.existing": becomes("a VPC and VSwitches that are there", f"{_CLUSTER} vpcid"),
    "network.existing.vpc": becomes("id of the VPC", f"{_CLUSTER} vpcid"),
    "network.existing.vswitches": becomes(
        "ids of the nodes' VSwitches", f"{_MACHINES}.vswitch_ids"
    ),
    "network.existing.pod_vswitches": becomes(
        "ids of the pods' VSwitches, with Terway", f"{_CLUSTER} pod_vswitch_ids"
    ),
    "endpoint.public": becomes(
        "an elastic IP address of the API server", f"{_CLUSTER} endpoint_public_access"
    ),
    "endpoint.private": becomes("always there: `false` is refused"),
    "endpoint.allowed": becomes(
        "an access control list on the API server's load balancer, with the VSwitches in it",
        "SLB:AddAccessControlListEntry AclEntrys",
    ),
    "ssh_key": becomes(
        "a key pair, named in the node pools",
        "ECS:ImportKeyPair PublicKeyBody",
        f"{_MACHINES}.key_pair",
    ),
    "pools": becomes("node pools, scaling groups", f"{_POOL} nodepool_info.name"),
    "pools.name": becomes("name of the node pool, with a hash", f"{_POOL} nodepool_info.name"),
    "pools.machine": becomes("the instance types, up to 10", f"{_MACHINES}.instance_types"),
    "pools.machine.cpu": becomes("the types that fit, best first", f"{_MACHINES}.instance_types"),
    "pools.machine.memory": becomes(
        "the types that fit, best first", f"{_MACHINES}.instance_types"
    ),
    "pools.machine.arch": becomes("the types that fit, best first", f"{_MACHINES}.instance_types"),
    "pools.count": becomes("number of nodes in all zones together", f"{_MACHINES}.desired_size"),
    "pools.count.min": becomes("least nodes of the pool's auto scaling", f"{_SCALE}.min_instances"),
    "pools.count.max": becomes("most nodes of the pool's auto scaling", f"{_SCALE}.max_instances"),
    "pools.disk.size": becomes("size of the system disk", f"{_MACHINES}.system_disk_size"),
    "pools.disk.type": becomes("category of the system disk", f"{_MACHINES}.system_disk_category"),
    "pools.disk.encrypted": becomes(
        "encryption of the system disk", f"{_MACHINES}.system_disk_encrypted"
    ),
    "pools.spot": becomes("spot instances", f"{_MACHINES}.spot_strategy"),
    "pools.labels": becomes("labels of the pool's nodes", f"{_NODES}.labels"),
    "pools.taints": becomes("taints of the pool's nodes", f"{_NODES}.taints"),
    "pools.taints.key": becomes("key of the taint", f"{_NODES}.taints.key"),
    "pools.taints.value": becomes("value of the taint", f"{_NODES}.taints.value"),
    "pools.taints.effect": becomes("effect of the taint", f"{_NODES}.taints.effect"),
    "storage.default": becomes(
        "StorageClass `clusterkit-ssd`: ESSD, or ESSD AutoPL, by diskplugin.csi.alibabacloud.com",
        f"{_CLASS} parameters.type",
    ),
    "storage.keep_volumes": becomes(
        "a tag of VPC and security group, which `destroy` reads",
        "VPC:CreateVpc Tag.Value",
        "ECS:CreateSecurityGroup Tag.Value",
    ),
    "registry": becomes(
        "repositories of Container Registry's Personal Edition, or of an instance",
        f"{_PERSONAL}.RepoName",
    ),
    "registry.name": becomes("namespace of the repositories", f"{_PERSONAL}.RepoNamespace"),
    "registry.repositories": becomes("names of the repositories", f"{_PERSONAL}.RepoName"),
    "registry.cache": becomes("a repository `…-cache` for each", f"{_PERSONAL}.RepoName"),
    "registry.keep": becomes(
        "a word in the summary, which `destroy` reads", f"{_PERSONAL}.Summary"
    ),
    "registry.push": becomes(
        "service accounts with a role that may push (RRSA), and a Secret to log in with",
        _ROLE,
        f"{_ACCOUNTS} (path)",
        f"{_CLUSTER} rrsa_config.enabled",
    ),
    "registry.instance": becomes(
        "an Enterprise Edition instance that is there", "CR:CreateRepository InstanceId"
    ),
    "registry.host": becomes("host names in the Secret that builds log in with"),
    "ready.kaniko": becomes("a service account that may push", _ROLE, f"{_ACCOUNTS} (path)"),
    "ready.kaniko.namespace": becomes("its namespace", _ROLE, f"{_ACCOUNTS} (path)"),
    "ready.kaniko.service_account": becomes("its name", _ROLE, f"{_ACCOUNTS} (path)"),
    "ready.kaniko.image": becomes("kaniko's image, in what `clusterkit kaniko` makes"),
    "ready.kaniko.registry": becomes(
        "the login to a registry of your own, in the Secret `regcred`",
        f"{_ACCOUNTS} metadata.annotations.clusterkit.dev/servers",
    ),
    "ready.kaniko.registry.server": becomes(
        "its name in the Secret", f"{_ACCOUNTS} metadata.annotations.clusterkit.dev/servers"
    ),
    "ready.kaniko.registry.prefix": becomes(
        "the first part of images' names, in what `clusterkit kaniko` makes"
    ),
    "ready.jenkins_x": becomes(
        "a ConfigMap that tells Jenkins X of the cluster, the Secret `jx/container-registry-auth`, "
        "and a namespace in which a push makes repositories",
        "CR:UpdateNamespace Namespace.AutoCreate",
        f"{_ACCOUNTS} (path)",
    ),
    "ready.jenkins_x.git_url": becomes(
        "the cluster repository, in what `clusterkit ready jenkins-x` prints"
    ),
    "ready.jenkins_x.secrets": becomes("a word in the ConfigMap", _REQUIREMENTS),
    "ready.jenkins_x.storage": becomes("nothing: Jenkins X has no use for buckets of OSS"),
    "ready.jenkins_x.keep_storage": becomes("nothing: there are no buckets"),
    "ready.jenkins_x.domain": becomes(
        "the domain, in the ConfigMap; its records are yours to make", _REQUIREMENTS
    ),
    "ready.jenkins_x.tls_email": becomes("the address, in the ConfigMap", _REQUIREMENTS),
    "ready.jenkins": becomes(
        "a service account of the agents, and the Secret `regcred`", _ROLE, f"{_ACCOUNTS} (path)"
    ),
    "ready.jenkins.namespace": becomes("their namespace", _ROLE, f"{_ACCOUNTS} (path)"),
    "mirror": becomes("containerd's mirrors, in the user data of the nodes", f"{_NODES}.user_data"),
    "tags": becomes(
        "tags of everything, the nodes' machines and disks too; roles and repositories have none",
        f"{_CLUSTER} tags",
        f"{_MACHINES}.tags",
        "VPC:CreateVpc Tag",
    ),
    "deletion_protection": becomes(
        "deletion protection of the cluster", f"{_CLUSTER} deletion_protection"
    ),
}
