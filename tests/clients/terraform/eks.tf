# A cluster as teams write it down: a network over three zones, keys, roles, machines, add-ons.

terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  default_tags {
    tags = { team = "platform", stack = var.name }
  }
}

variable "name" { default = "shop" }
variable "kubernetes" { default = "1.35" }
variable "public_key" { type = string }

data "aws_caller_identity" "me" {}
data "aws_partition" "here" {}
data "aws_region" "here" {}
data "aws_availability_zones" "here" { state = "available" }

data "aws_ssm_parameter" "image" {
  name = "/aws/service/eks/optimized-ami/${var.kubernetes}/amazon-linux-2023/x86_64/standard/recommended/image_id"
}

data "aws_ssm_parameter" "release" {
  name = "/aws/service/eks/optimized-ami/${var.kubernetes}/amazon-linux-2023/x86_64/standard/recommended/release_version"
}

data "aws_ami" "image" {
  owners = ["amazon"]
  filter {
    name   = "image-id"
    values = [data.aws_ssm_parameter.image.value]
  }
}

locals {
  zones    = slice(data.aws_availability_zones.here.names, 0, 3)
  policies = "arn:${data.aws_partition.here.partition}:iam::aws:policy"
  issuer   = replace(aws_eks_cluster.this.identity[0].oidc[0].issuer, "https://", "")
}

# -- network -------------------------------------------------------------------------------------

resource "aws_vpc" "this" {
  cidr_block           = "10.20.0.0/16"
  enable_dns_hostnames = true
  enable_dns_support   = true
  tags                 = { Name = var.name }
}

resource "aws_subnet" "public" {
  count                   = 3
  vpc_id                  = aws_vpc.this.id
  cidr_block              = cidrsubnet(aws_vpc.this.cidr_block, 8, count.index)
  availability_zone       = local.zones[count.index]
  map_public_ip_on_launch = true
  tags                    = { Name = "${var.name}-public-${count.index}", "kubernetes.io/role/elb" = "1" }
}

resource "aws_subnet" "private" {
  count             = 3
  vpc_id            = aws_vpc.this.id
  cidr_block        = cidrsubnet(aws_vpc.this.cidr_block, 3, count.index + 1)
  availability_zone = local.zones[count.index]
  tags              = { Name = "${var.name}-private-${count.index}", "kubernetes.io/role/internal-elb" = "1" }
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
}

resource "aws_eip" "nat" {
  count      = 3
  domain     = "vpc"
  depends_on = [aws_internet_gateway.this]
}

resource "aws_nat_gateway" "this" {
  count         = 3
  allocation_id = aws_eip.nat[count.index].id
  subnet_id     = aws_subnet.public[count.index].id
  depends_on    = [aws_internet_gateway.this]
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id
}

resource "aws_route" "public" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table" "private" {
  count  = 3
  vpc_id = aws_vpc.this.id
  route {
    cidr_block     = "0.0.0.0/0"
    nat_gateway_id = aws_nat_gateway.this[count.index].id
  }
}

resource "aws_route_table_association" "public" {
  count          = 3
  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public.id
}

resource "aws_route_table_association" "private" {
  count          = 3
  subnet_id      = aws_subnet.private[count.index].id
  route_table_id = aws_route_table.private[count.index].id
}

resource "aws_security_group" "control" {
  name        = "${var.name}-control"
  description = "The control plane"
  vpc_id      = aws_vpc.this.id
}

resource "aws_security_group_rule" "control" {
  security_group_id = aws_security_group.control.id
  type              = "ingress"
  protocol          = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_blocks       = [aws_vpc.this.cidr_block]
}

# -- keys and logs -------------------------------------------------------------------------------

data "aws_iam_policy_document" "key" {
  statement {
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.here.partition}:iam::${data.aws_caller_identity.me.account_id}:root"]
    }
  }
}

resource "aws_kms_key" "this" {
  description             = "Secrets of ${var.name}"
  deletion_window_in_days = 7
  enable_key_rotation     = true
  policy                  = data.aws_iam_policy_document.key.json
}

resource "aws_kms_alias" "this" {
  name          = "alias/eks/${var.name}"
  target_key_id = aws_kms_key.this.key_id
}

resource "aws_key_pair" "this" {
  key_name   = var.name
  public_key = var.public_key
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/eks/${var.name}/cluster"
  retention_in_days = 7
}

# -- roles ---------------------------------------------------------------------------------------

data "aws_iam_policy_document" "trust" {
  for_each = { control = "eks", nodes = "ec2", pods = "pods.eks" }
  statement {
    actions = each.key == "pods" ? ["sts:AssumeRole", "sts:TagSession"] : ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["${each.value}.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "control" {
  name               = "${var.name}-control"
  assume_role_policy = data.aws_iam_policy_document.trust["control"].json
}

resource "aws_iam_role_policy_attachment" "control" {
  role       = aws_iam_role.control.name
  policy_arn = "${local.policies}/AmazonEKSClusterPolicy"
}

resource "aws_iam_role_policy" "control" {
  name = "secrets"
  role = aws_iam_role.control.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["kms:Encrypt", "kms:Decrypt", "kms:ListGrants", "kms:DescribeKey"]
      Resource = aws_kms_key.this.arn
    }]
  })
}

resource "aws_iam_role" "nodes" {
  name               = "${var.name}-nodes"
  assume_role_policy = data.aws_iam_policy_document.trust["nodes"].json
}

resource "aws_iam_role_policy_attachment" "nodes" {
  for_each   = toset(["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryReadOnly"])
  role       = aws_iam_role.nodes.name
  policy_arn = "${local.policies}/${each.value}"
}

resource "aws_iam_role" "disks" {
  name               = "${var.name}-disks"
  assume_role_policy = data.aws_iam_policy_document.trust["pods"].json
}

resource "aws_iam_role_policy_attachment" "disks" {
  role       = aws_iam_role.disks.name
  policy_arn = "${local.policies}/service-role/AmazonEBSCSIDriverPolicy"
}

data "aws_iam_policy_document" "builds" {
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [aws_iam_openid_connect_provider.this.arn]
    }
    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:sub"
      values   = ["system:serviceaccount:builds:builder"]
    }
  }
}

resource "aws_iam_role" "builds" {
  name               = "${var.name}-builds"
  assume_role_policy = data.aws_iam_policy_document.builds.json
}

resource "aws_iam_policy" "builds" {
  name = "${var.name}-builds"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = "ecr:GetAuthorizationToken", Resource = "*" },
      { Effect = "Allow", Action = ["ecr:*"], Resource = [for one in aws_ecr_repository.this : one.arn] },
      { Effect = "Allow", Action = ["s3:GetObject", "s3:PutObject"], Resource = "${aws_s3_bucket.this.arn}/*" },
    ]
  })
}

resource "aws_iam_role_policy_attachment" "builds" {
  role       = aws_iam_role.builds.name
  policy_arn = aws_iam_policy.builds.arn
}

resource "aws_iam_role" "team" {
  name = "${var.name}-team"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { AWS = data.aws_caller_identity.me.account_id }
    }]
  })
}

# -- cluster -------------------------------------------------------------------------------------

resource "aws_eks_cluster" "this" {
  name                          = var.name
  version                       = var.kubernetes
  role_arn                      = aws_iam_role.control.arn
  enabled_cluster_log_types     = ["api", "audit"]
  bootstrap_self_managed_addons = false

  access_config {
    authentication_mode                         = "API_AND_CONFIG_MAP"
    bootstrap_cluster_creator_admin_permissions = true
  }

  encryption_config {
    resources = ["secrets"]
    provider { key_arn = aws_kms_key.this.arn }
  }

  kubernetes_network_config {
    service_ipv4_cidr = "172.20.0.0/16"
  }

  upgrade_policy { support_type = "STANDARD" }

  vpc_config {
    subnet_ids              = aws_subnet.private[*].id
    security_group_ids      = [aws_security_group.control.id]
    endpoint_private_access = true
    endpoint_public_access  = true
    public_access_cidrs     = ["8.8.8.0/24"]
  }

  depends_on = [aws_iam_role_policy_attachment.control, aws_cloudwatch_log_group.this]
}

resource "aws_iam_openid_connect_provider" "this" {
  url            = aws_eks_cluster.this.identity[0].oidc[0].issuer
  client_id_list = ["sts.amazonaws.com"]
}

resource "aws_eks_access_entry" "team" {
  cluster_name  = aws_eks_cluster.this.name
  principal_arn = aws_iam_role.team.arn
}

resource "aws_eks_access_policy_association" "team" {
  cluster_name  = aws_eks_cluster.this.name
  principal_arn = aws_eks_access_entry.team.principal_arn
  policy_arn    = "arn:${data.aws_partition.here.partition}:eks::aws:cluster-access-policy/AmazonEKSEditPolicy"
  access_scope {
    type       = "namespace"
    namespaces = ["shop"]
  }
}

data "aws_eks_addon_version" "newest" {
  for_each           = toset(["vpc-cni", "kube-proxy", "coredns", "eks-pod-identity-agent", "aws-ebs-csi-driver"])
  addon_name         = each.value
  kubernetes_version = aws_eks_cluster.this.version
  most_recent        = true
}

resource "aws_eks_addon" "early" {
  for_each                    = toset(["vpc-cni", "kube-proxy", "eks-pod-identity-agent"])
  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.value
  addon_version               = data.aws_eks_addon_version.newest[each.value].version
  resolve_conflicts_on_update = "OVERWRITE"
}

resource "aws_eks_addon" "coredns" {
  cluster_name         = aws_eks_cluster.this.name
  addon_name           = "coredns"
  addon_version        = data.aws_eks_addon_version.newest["coredns"].version
  configuration_values = jsonencode({ replicaCount = 2 })
  depends_on           = [aws_eks_node_group.this]
}

resource "aws_eks_addon" "disks" {
  cluster_name  = aws_eks_cluster.this.name
  addon_name    = "aws-ebs-csi-driver"
  addon_version = data.aws_eks_addon_version.newest["aws-ebs-csi-driver"].version
  pod_identity_association {
    role_arn        = aws_iam_role.disks.arn
    service_account = "ebs-csi-controller-sa"
  }
  depends_on = [aws_eks_node_group.this]
}

resource "aws_eks_pod_identity_association" "disks" {
  cluster_name    = aws_eks_cluster.this.name
  namespace       = "shop"
  service_account = "backup"
  role_arn        = aws_iam_role.disks.arn
}

# -- machines ------------------------------------------------------------------------------------

resource "aws_launch_template" "nodes" {
  name_prefix            = "${var.name}-"
  key_name               = aws_key_pair.this.key_name
  update_default_version = true

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 2
  }

  block_device_mappings {
    device_name = data.aws_ami.image.root_device_name
    ebs {
      volume_size           = 60
      volume_type           = "gp3"
      encrypted             = true
      delete_on_termination = true
    }
  }

  dynamic "tag_specifications" {
    for_each = ["instance", "volume"]
    content {
      resource_type = tag_specifications.value
      tags          = { Name = "${var.name}-node" }
    }
  }
}

resource "aws_eks_node_group" "this" {
  for_each        = { base = "ON_DEMAND", spot = "SPOT" }
  cluster_name    = aws_eks_cluster.this.name
  node_group_name = "${var.name}-${each.key}"
  node_role_arn   = aws_iam_role.nodes.arn
  subnet_ids      = aws_subnet.private[*].id
  version         = var.kubernetes
  release_version = nonsensitive(data.aws_ssm_parameter.release.value)
  ami_type        = "AL2023_x86_64_STANDARD"
  capacity_type   = each.value
  instance_types  = each.value == "SPOT" ? ["m6i.large", "m5.large"] : ["m6i.large"]
  labels          = { pool = each.key }

  launch_template {
    id      = aws_launch_template.nodes.id
    version = aws_launch_template.nodes.latest_version
  }

  scaling_config {
    min_size     = 1
    max_size     = 4
    desired_size = each.value == "SPOT" ? 1 : 3
  }

  update_config { max_unavailable = 1 }

  dynamic "taint" {
    for_each = each.value == "SPOT" ? [1] : []
    content {
      key    = "spot"
      value  = "true"
      effect = "NO_SCHEDULE"
    }
  }

  lifecycle { ignore_changes = [scaling_config[0].desired_size] }

  # the routes are not waited for: the machines try until they are there
  depends_on = [aws_iam_role_policy_attachment.nodes, aws_eks_addon.early]
}

resource "aws_autoscaling_group_tag" "template" {
  for_each               = aws_eks_node_group.this
  autoscaling_group_name = each.value.resources[0].autoscaling_groups[0].name
  tag {
    key                 = "k8s.io/cluster-autoscaler/node-template/label/pool"
    value               = each.key
    propagate_at_launch = false
  }
}

# -- images and caches ---------------------------------------------------------------------------

resource "aws_ecr_repository" "this" {
  for_each             = toset(["web", "worker"])
  name                 = "${var.name}/${each.value}"
  image_tag_mutability = "IMMUTABLE"
  force_delete         = true
  image_scanning_configuration { scan_on_push = true }
}

resource "aws_ecr_lifecycle_policy" "this" {
  for_each   = aws_ecr_repository.this
  repository = each.value.name
  policy = jsonencode({
    rules = [{
      rulePriority = 1
      selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 14 }
      action       = { type = "expire" }
    }]
  })
}

resource "aws_s3_bucket" "this" {
  bucket        = "${var.name}-cache-${data.aws_caller_identity.me.account_id}-${data.aws_region.here.name}"
  force_destroy = true
}

resource "aws_s3_bucket_versioning" "this" {
  bucket = aws_s3_bucket.this.id
  versioning_configuration { status = "Enabled" }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.this.arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket                  = aws_s3_bucket.this.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}
