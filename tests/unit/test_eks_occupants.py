"""What is said of things that are in the way of an EKS destroy."""

from __future__ import annotations

from typing import Any

from clusterkit.eks import occupants
from clusterkit.engine.scope import Scope

SCOPE: Scope[Any] = Scope(None, "demo", "eu-west-1")


def test_an_interface_that_a_service_manages_is_not_deleted_by_hand() -> None:
    ours = {"NetworkInterfaceId": "eni-1", "Description": "by hand"}
    [said] = [occupants._of(SCOPE, occupants.INTERFACES, ours)]
    assert said.cure == (
        "aws ec2 delete-network-interface --network-interface-id eni-1 --region eu-west-1"
    )
    managed = {**ours, "RequesterManaged": True, "RequesterId": "amazon-rds"}
    assert occupants._of(SCOPE, occupants.INTERFACES, managed).cure == (
        "delete what amazon-rds made it for"
    )
