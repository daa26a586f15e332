"""What each field of the profile becomes on AWS (docs/portability.md)."""

from __future__ import annotations

from clusterkit.profile.portability import Table, becomes

_CLUSTER = "eks:CreateCluster"
_GROUP = "eks:CreateNodegroup"
_TEMPLATE = "ec2:CreateLaunchTemplate LaunchTemplateData"
_DISK = f"{_TEMPLATE}.BlockDeviceMapping.Ebs"
_REPOSITORY = "ecr:CreateRepository"
_ROLE = "iam:CreateRole"
_POD_IDENTITY = "eks:CreatePodIdentityAssociation"
_OBJECTS = "kubernetes:PATCH /api/v1/namespaces"
_CLASS = "kubernetes:PATCH /apis/storage.k8s.io/v1/storageclasses"

BECOMES: Table = {
    "cloud": becomes("the driver for AWS"),
    "name": becomes(
        "the cluster's name, and the tag `clusterkit-cluster`",
        f"{_CLUSTER} name",
        f"{_CLUSTER} tags.clusterkit-cluster",
    ),
    "region": becomes("the region of everything", "ec2:CreateSubnet AvailabilityZone"),
    "kubernetes": becomes(
        "version of the control plane and of the node groups; EKS chooses the patch release",
        f"{_CLUSTER} version",
        f"{_GROUP} version",
    ),
    "network.cidr": becomes(
        "a VPC, with a public and a private subnet in each zone",
        "ec2:CreateVpc CidrBlock",
        "ec2:CreateSubnet CidrBlock",
    ),
    "network.zones": becomes(
        "availability zones of the subnets, at least two", "ec2:CreateSubnet AvailabilityZone"
    ),
    "network.nat": becomes(
        "a NAT gateway with an Elastic IP address, or one for each zone",
        "ec2:CreateNatGateway AllocationId",
    ),
    "network.pods": becomes("refused: pods get addresses of the subnets"),
    "network.services": becomes(
        "range of the Services", f"{_CLUSTER} kubernetesNetworkConfig.serviceIpv4Cidr"
    ),
    "network.existing": becomes(
        "a VPC and subnets that are there", f"{_CLUSTER} resourcesVpcConfig.subnetIds"
    ),
    "network.existing.vpc": becomes("id of the VPC", f"{_CLUSTER} tags"),
    "network.existing.subnets": becomes("ids of the nodes' subnets", f"{_GROUP} subnets"),
    "network.existing.public_subnets": becomes(
        "ids of the load balancers' subnets", f"{_CLUSTER} resourcesVpcConfig.subnetIds"
    ),
    "endpoint.public": becomes(
        "public access", f"{_CLUSTER} resourcesVpcConfig.endpointPublicAccess"
    ),
    "endpoint.private": becomes(
        "private access", f"{_CLUSTER} resourcesVpcConfig.endpointPrivateAccess"
    ),
    "endpoint.allowed": becomes(
        "public access CIDRs", f"{_CLUSTER} resourcesVpcConfig.publicAccessCidrs"
    ),
    "ssh_key": becomes(
        "a key pair, named in the launch templates",
        "ec2:ImportKeyPair PublicKeyMaterial",
        f"{_TEMPLATE}.KeyName",
    ),
    "pools": becomes("managed node groups, Auto Scaling groups", f"{_GROUP} nodegroupName"),
    "pools.name": becomes("name of the node group, with a hash", f"{_GROUP} nodegroupName"),
    "pools.machine": becomes("the instance types, up to 20", f"{_GROUP} instanceTypes"),
    "pools.machine.cpu": becomes(
        "the smallest type that fits; several of spot capacity", f"{_GROUP} instanceTypes"
    ),
    "pools.machine.memory": becomes(
        "the smallest type that fits; several of spot capacity", f"{_GROUP} instanceTypes"
    ),
    "pools.machine.arch": becomes(
        "the smallest type that fits, and its AMI", f"{_GROUP} instanceTypes", f"{_GROUP} amiType"
    ),
    "pools.count": becomes(
        "number of nodes in all zones together", f"{_GROUP} scalingConfig.desiredSize"
    ),
    "pools.count.min": becomes("least nodes of the group", f"{_GROUP} scalingConfig.minSize"),
    "pools.count.max": becomes("most nodes of the group", f"{_GROUP} scalingConfig.maxSize"),
    "pools.disk.size": becomes("size of the EBS root volume", f"{_DISK}.VolumeSize"),
    "pools.disk.type": becomes("type of the EBS root volume", f"{_DISK}.VolumeType"),
    "pools.disk.encrypted": becomes("encryption of the EBS root volume", f"{_DISK}.Encrypted"),
    "pools.spot": becomes("Spot Instances", f"{_GROUP} capacityType"),
    "pools.labels": becomes("labels of the group's nodes, each with a value", f"{_GROUP} labels"),
    "pools.taints": becomes("taints of the group's nodes", f"{_GROUP} taints"),
    "pools.taints.key": becomes("key of the taint", f"{_GROUP} taints.key"),
    "pools.taints.value": becomes("value of the taint", f"{_GROUP} taints.value"),
    "pools.taints.effect": becomes(
        "effect of the taint, such as NO_SCHEDULE", f"{_GROUP} taints.effect"
    ),
    "pools.max_unavailable": becomes(
        "nodes that an update may take away at once", f"{_GROUP} updateConfig.maxUnavailable"
    ),
    "storage.default": becomes(
        "StorageClass `gp3`: EBS gp3, encrypted, by ebs.csi.aws.com", f"{_CLASS} parameters.type"
    ),
    "storage.keep_volumes": becomes(
        "a tag of the cluster's role, which `destroy` reads", f"{_ROLE} Tags.member.Value"
    ),
    "registry": becomes("ECR repositories", f"{_REPOSITORY} repositoryName"),
    "registry.name": becomes("first part of their names", f"{_REPOSITORY} repositoryName"),
    "registry.repositories": becomes("second part of their names", f"{_REPOSITORY} repositoryName"),
    "registry.cache": becomes(
        "a repository `…/cache` for each, whose images expire",
        f"{_REPOSITORY} repositoryName",
        "ecr:PutLifecyclePolicy lifecyclePolicyText",
    ),
    "registry.cache_days": becomes(
        "days after which they expire", "ecr:PutLifecyclePolicy lifecyclePolicyText"
    ),
    "registry.keep": becomes("a tag, which `destroy` reads", f"{_REPOSITORY} tags.Value"),
    "registry.push": becomes(
        "Pod Identity associations with a role that may push, the nodes' role, or a password in a "
        "Secret",
        f"{_POD_IDENTITY} serviceAccount",
        "iam:PutRolePolicy PolicyDocument",
        "iam:AttachRolePolicy PolicyArn",
    ),
    "ready.kaniko": becomes(
        "a service account that may push, with its Pod Identity association",
        f"{_OBJECTS} (path)",
        f"{_POD_IDENTITY} serviceAccount",
    ),
    "ready.kaniko.namespace": becomes("its namespace", f"{_POD_IDENTITY} namespace"),
    "ready.kaniko.service_account": becomes("its name", f"{_POD_IDENTITY} serviceAccount"),
    "ready.kaniko.image": becomes("kaniko's image, in what `clusterkit kaniko` makes"),
    "ready.kaniko.registry": becomes(
        "the login to a registry of your own, in the Secret `regcred`", f"{_OBJECTS} (path)"
    ),
    "ready.kaniko.registry.server": becomes(
        "its name in the Secret", f"{_OBJECTS} metadata.annotations.clusterkit.dev/servers"
    ),
    "ready.kaniko.registry.prefix": becomes(
        "the first part of images' names, in what `clusterkit kaniko` makes"
    ),
    "ready.jenkins_x": becomes(
        "the cluster's issuer as an identity provider, roles for the service accounts of Jenkins "
        "X, and a ConfigMap",
        "iam:CreateOpenIDConnectProvider Url",
        f"{_ROLE} AssumeRolePolicyDocument",
        f"{_OBJECTS} (path)",
    ),
    "ready.jenkins_x.git_url": becomes(
        "the cluster repository, in what `clusterkit ready jenkins-x` prints"
    ),
    "ready.jenkins_x.secrets": becomes(
        "a role for Secrets Manager; without it a word in the ConfigMap", f"{_ROLE} RoleName"
    ),
    "ready.jenkins_x.storage": becomes(
        "S3 buckets `logs-…`, `reports-…` and `repository-…`, and roles that use them",
        "s3:CreateBucket (path)",
        "iam:PutRolePolicy PolicyDocument",
    ),
    "ready.jenkins_x.keep_storage": becomes(
        "a tag, which `destroy` reads", "s3:CreateBucket Tags.Tag.Value"
    ),
    "ready.jenkins_x.domain": becomes(
        "roles that may change records of the domain in Route 53", f"{_ROLE} RoleName"
    ),
    "ready.jenkins_x.tls_email": becomes(
        "a role for cert-manager, and the address in the ConfigMap", f"{_ROLE} RoleName"
    ),
    "ready.jenkins": becomes(
        "a service account of the agents that may push, with its Pod Identity association",
        f"{_OBJECTS} (path)",
        f"{_POD_IDENTITY} serviceAccount",
    ),
    "ready.jenkins.namespace": becomes("their namespace", f"{_POD_IDENTITY} namespace"),
    "tags": becomes(
        "tags of everything, the nodes' machines and disks too",
        f"{_CLUSTER} tags",
        f"{_GROUP} tags",
        f"{_TEMPLATE}.TagSpecification.Tag",
        "ec2:CreateVpc TagSpecification.Tag",
    ),
    "deletion_protection": becomes(
        "deletion protection of the cluster", f"{_CLUSTER} deletionProtection"
    ),
    "admins": becomes(
        "access entries with AmazonEKSClusterAdminPolicy", "eks:CreateAccessEntry principalArn"
    ),
    "logging": becomes(
        "control plane logs in CloudWatch", f"{_CLUSTER} logging.clusterLogging.types"
    ),
    "log_days": becomes("retention of their log group", "logs:PutRetentionPolicy retentionInDays"),
    "support": becomes("upgrade policy", f"{_CLUSTER} upgradePolicy.supportType"),
}
