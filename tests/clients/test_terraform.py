"""A stack as teams write it, by the real Terraform: made, found as it is to be, and gone again."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusterkit_sandbox.pace import Pace
from clusterkit_sandbox.sandbox import Sandbox
from tests.sandbox.test_eks_clients import KEY, Shell, mirror, program
from tests.sandbox.test_eks_service import Aws

pytestmark = [pytest.mark.client, pytest.mark.deep]
STACK = Path(__file__).parent / "terraform" / "eks.tf"
RESOURCES = 60


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(directory=tmp_path / "sandbox", pace=Pace(math.inf), emulators=["eks"]) as made:
        yield made


def summary(told: str) -> dict[str, int]:
    """The last ``changes`` of ``-json`` output."""
    lines = (json.loads(line) for line in told.splitlines() if line.startswith("{"))
    found: list[dict[str, Any]] = [line["changes"] for line in lines if "changes" in line]
    return {name: found[-1][name] for name in ("add", "change", "remove")}


@pytest.mark.timeout(900)
def test_a_realistic_stack_comes_stays_and_goes(sandbox: Sandbox, tmp_path: Path) -> None:
    terraform, where = program("terraform"), tmp_path / "stack"
    settings = tmp_path / "terraform.rc"
    settings.write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror()}"\n  }}\n}}\n'
        "disable_checkpoint = true\n"
    )
    where.mkdir()
    shutil.copy(STACK, where)
    shell = Shell(
        sandbox, where, TF_CLI_CONFIG_FILE=str(settings), TF_IN_AUTOMATION="1",
        TF_VAR_public_key=KEY,
    )  # fmt: skip
    shell.run(terraform, "init", "-input=false", "-no-color")
    change = ("-input=false", "-auto-approve", "-json")
    made = summary(shell.run(terraform, "apply", *change, seconds=400))
    assert made["add"] >= RESOURCES
    aws = Aws(sandbox)
    for pool, number in (("shop-base", 3), ("shop-spot", 1)):
        assert len(aws.machines(pool)) == number
    plan = shell.run(terraform, "plan", "-input=false", "-json", "-detailed-exitcode", seconds=200)
    assert summary(plan) == {"add": 0, "change": 0, "remove": 0}
    gone = summary(shell.run(terraform, "destroy", *change, seconds=400))
    assert gone["remove"] == made["add"]
    assert aws.eks.list_clusters()["clusters"] == []
    assert [vpc["IsDefault"] for vpc in aws.ec2.describe_vpcs()["Vpcs"]] == [True]
    assert aws.iam.list_roles()["Roles"] == []
    assert aws.ec2.describe_volumes()["Volumes"] == []
    assert aws.ec2.describe_launch_templates()["LaunchTemplates"] == []
    keys = [aws.kms.describe_key(KeyId=one["KeyId"]) for one in aws.kms.list_keys()["Keys"]]
    states = {one["KeyMetadata"]["Description"]: one["KeyMetadata"]["KeyState"] for one in keys}
    assert states["Secrets of shop"] == "PendingDeletion"
