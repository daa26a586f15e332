"""The real aws, kubectl and terraform in the sandbox, with nothing but its environment."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.sandbox import Sandbox
from tests.sandbox.test_eks_service import NODE_POLICIES, Aws

pytestmark = pytest.mark.client
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me"


class Shell:
    """Runs programs in a folder of its own, in the sandbox."""

    def __init__(self, sandbox: Sandbox, folder: Path, **more: str) -> None:
        self.folder = folder
        machine = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        self._environ = machine | {"HOME": str(folder)} | sandbox.environment() | more
        self._environ |= {"KUBECONFIG": str(folder / "kubeconfig")}

    def run(self, *command: str, good: int = 0, seconds: float = 110) -> str:
        """What it says on its standard output."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        said = f"{' '.join(command)}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr}"
        assert done.returncode == good, said[-6000:]
        return done.stdout

    def json(self, *command: str) -> Any:
        return json.loads(self.run(*command))


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(directory=tmp_path / "sandbox", pace=Pace(math.inf)) as made:
        yield made


@pytest.fixture
def shell(sandbox: Sandbox, tmp_path: Path) -> Shell:
    folder = tmp_path / "home"
    folder.mkdir()
    return Shell(sandbox, folder)


def program(name: str, machine: Mapping[str, str] = os.environ) -> str:
    found = shutil.which(name, path=machine.get("PATH"))
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.mark.timeout(300)
def test_aws_and_kubectl(shell: Shell, sandbox: Sandbox) -> None:
    aws = program("aws")
    assert shell.json(aws, "sts", "get-caller-identity")["Account"] == "123456789012"
    assert shell.json(aws, "eks", "list-clusters") == {"clusters": []}
    assert len(shell.json(aws, "ec2", "describe-vpcs")["Vpcs"]) == 1
    arguments = Aws(sandbox).arguments()
    network = f"subnetIds={','.join(arguments['resourcesVpcConfig']['subnetIds'])}"
    made = shell.json(
        aws, "eks", "create-cluster", "--name", "demo", "--role-arn", arguments["roleArn"],
        "--resources-vpc-config", network, "--access-config", "authenticationMode=API",
    )  # fmt: skip
    assert made["cluster"]["status"] == "CREATING"
    shell.run(aws, "eks", "wait", "cluster-active", "--name", "demo")
    role = Aws(sandbox).role("nodes", "ec2", *NODE_POLICIES)
    shell.run(
        aws, "eks", "create-nodegroup", "--cluster-name", "demo", "--nodegroup-name", "pool",
        "--subnets", *arguments["resourcesVpcConfig"]["subnetIds"], "--node-role", role,
        "--scaling-config", "minSize=1,maxSize=2,desiredSize=2",
    )  # fmt: skip
    shell.run(aws, "eks", "wait", "nodegroup-active", "--cluster-name", "demo",
              "--nodegroup-name", "pool")  # fmt: skip
    shell.run(aws, "eks", "update-kubeconfig", "--name", "demo")
    refused = shell.run(aws, "eks", "describe-cluster", "--name", "none", good=255)
    assert refused == ""
    kubectl = program("kubectl")
    nodes = shell.json(kubectl, "get", "nodes", "--output", "json")["items"]
    assert len(nodes) == 2
    assert shell.run(kubectl, "auth", "can-i", "delete", "namespaces").strip() == "yes"


STACK = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {}

variable "public_key" { type = string }

data "aws_availability_zones" "here" { state = "available" }

resource "aws_vpc" "this" {
  cidr_block           = "10.0.0.0/16"
  enable_dns_hostnames = true
  tags                 = { Name = "demo" }
}

resource "aws_subnet" "public" {
  count                   = 2
  vpc_id                  = aws_vpc.this.id
  cidr_block              = cidrsubnet(aws_vpc.this.cidr_block, 8, count.index)
  availability_zone       = data.aws_availability_zones.here.names[count.index]
  map_public_ip_on_launch = true
  tags                    = { "kubernetes.io/role/elb" = "1" }
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.this.id
  }
}

resource "aws_route_table_association" "public" {
  count          = 2
  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public.id
}

resource "aws_eip" "nat" {
  domain     = "vpc"
  depends_on = [aws_internet_gateway.this]
}

resource "aws_nat_gateway" "this" {
  allocation_id = aws_eip.nat.id
  subnet_id     = aws_subnet.public[0].id
}

resource "aws_key_pair" "this" {
  key_name   = "demo"
  public_key = var.public_key
}

resource "aws_launch_template" "this" {
  name     = "demo"
  key_name = aws_key_pair.this.key_name
  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 2
  }
  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size = 30
      volume_type = "gp3"
    }
  }
  tag_specifications {
    resource_type = "instance"
    tags          = { Name = "demo" }
  }
}

resource "aws_iam_role" "control" {
  name = "demo-control"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "eks.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "control" {
  role       = aws_iam_role.control.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
}

resource "aws_iam_role" "nodes" {
  name = "demo-nodes"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ec2.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "nodes" {
  for_each   = toset(["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy"])
  role       = aws_iam_role.nodes.name
  policy_arn = "arn:aws:iam::aws:policy/${each.value}"
}

resource "aws_eks_cluster" "this" {
  name                          = "demo"
  role_arn                      = aws_iam_role.control.arn
  bootstrap_self_managed_addons = false
  access_config {
    authentication_mode = "API"
  }
  vpc_config {
    subnet_ids = aws_subnet.public[*].id
  }
  depends_on = [aws_iam_role_policy_attachment.control]
}

resource "aws_eks_addon" "cni" {
  cluster_name = aws_eks_cluster.this.name
  addon_name   = "vpc-cni"
}

resource "aws_eks_node_group" "this" {
  cluster_name    = aws_eks_cluster.this.name
  node_group_name = "pool"
  node_role_arn   = aws_iam_role.nodes.arn
  subnet_ids      = aws_subnet.public[*].id
  launch_template {
    id      = aws_launch_template.this.id
    version = aws_launch_template.this.latest_version
  }
  scaling_config {
    min_size     = 1
    max_size     = 2
    desired_size = 1
  }
  depends_on = [
    aws_eks_addon.cni,
    aws_iam_role_policy_attachment.nodes,
    aws_route_table_association.public,
  ]
}
"""


def mirror() -> Path:
    """A folder with Terraform's AWS provider, as a file-system mirror is laid out."""
    named = os.environ.get("CLUSTERKIT_TERRAFORM_MIRROR")
    places = [Path(named)] if named else []
    places += [Path("/usr/local/share/terraform/plugins"), Path("/usr/share/terraform/plugins")]
    places += sorted(Path("/opt").glob("*"))
    for place in places:
        found = next(place.glob("**/hashicorp/aws/*/*/terraform-provider-aws*"), None)
        if found is not None:
            return found.parents[5]
    pytest.skip("no file-system mirror holds Terraform's AWS provider")


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_terraform(sandbox: Sandbox, tmp_path: Path) -> None:
    terraform, where = program("terraform"), tmp_path / "stack"
    settings = tmp_path / "terraform.rc"
    settings.write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror()}"\n  }}\n}}\n'
        "disable_checkpoint = true\n"
    )
    where.mkdir()
    (where / "main.tf").write_text(STACK)
    shell = Shell(
        sandbox,
        where,
        TF_CLI_CONFIG_FILE=str(settings),
        TF_IN_AUTOMATION="1",
        TF_VAR_public_key=KEY,
    )
    shell.run(terraform, "init", "-input=false", "-no-color")
    shell.run(terraform, "apply", "-input=false", "-no-color", "-auto-approve", seconds=280)
    aws = Aws(sandbox)
    assert aws.eks.describe_cluster(name="demo")["cluster"]["status"] == "ACTIVE"
    shell.run(terraform, "plan", "-input=false", "-no-color", "-detailed-exitcode")
    shell.run(terraform, "destroy", "-input=false", "-no-color", "-auto-approve", seconds=280)
    assert aws.eks.list_clusters()["clusters"] == []
    assert len(aws.ec2.describe_vpcs()["Vpcs"]) == 1
    assert aws.iam.list_roles()["Roles"] == []
    assert sandbox.requests.count() > 0
