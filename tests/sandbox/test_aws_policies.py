"""How the emulated AWS reads policies (IAM User Guide, "Policy evaluation logic")."""

from __future__ import annotations

from typing import Any

import pytest

from clusterkit_sandbox.aws.policies import allows

GROUP = "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:1:autoScalingGroupName/a"
ACTION = "autoscaling:SetDesiredCapacity"
TAGS = {"aws:ResourceTag/team": "ci", "aws:ResourceTag/stage": "prod"}
ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def one(**more: Any) -> dict[str, Any]:
    """A statement."""
    return {"Effect": "Allow", "Action": ACTION, "Resource": "*", **more}


def asks(operator: str, key: str, *values: str) -> dict[str, Any]:
    """A statement with a condition."""
    return one(Condition={operator: {key: list(values)}})


@pytest.mark.parametrize(
    ("statements", "good"),
    [
        ([], False),
        ([one()], True),
        ([one(Action="autoscaling:Set*")], True),
        ([one(Action="AUTOSCALING:setdesiredcapacity")], True),
        ([one(Action="autoscaling:Describe*")], False),
        ([one(Resource=GROUP)], True),
        ([one(Resource="arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/a")], True),
        ([one(Resource="arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/b")],
         False),
        ([{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], True),
        ([{"Effect": "Allow", "NotAction": "autoscaling:*", "Resource": "*"}], False),
        ([{"Effect": "Allow", "Action": "*", "NotResource": GROUP}], False),
        ([ALL, one(Effect="Deny")], False),
        ([ALL, one(Effect="Deny", Resource="arn:aws:s3:::*")], True),
        ([asks("StringEquals", "aws:ResourceTag/team", "ops", "ci")], True),
        ([asks("StringEquals", "AWS:resourcetag/team", "ci")], True),
        ([asks("StringEquals", "aws:ResourceTag/team", "CI")], False),
        ([asks("StringEqualsIgnoreCase", "aws:ResourceTag/team", "CI")], True),
        ([asks("StringLike", "aws:ResourceTag/team", "c?")], True),
        ([asks("StringNotEquals", "aws:ResourceTag/team", "ci")], False),
        ([asks("StringNotEquals", "aws:ResourceTag/other", "ci")], True),
        ([asks("StringEquals", "aws:ResourceTag/other", "ci")], False),
        ([asks("StringEqualsIfExists", "aws:ResourceTag/other", "ci")], True),
        ([asks("StringEqualsIfExists", "aws:ResourceTag/team", "ops")], False),
        ([asks("Null", "aws:ResourceTag/other", "true")], True),
        ([asks("Null", "aws:ResourceTag/team", "true")], False),
        ([asks("NumericLessThan", "aws:ResourceTag/team", "1")], False),
        ([one(Condition={"StringEquals": {"aws:ResourceTag/team": "ci",
                                          "aws:ResourceTag/stage": "test"}})], False),
    ],
)  # fmt: skip
def test_an_action_on_a_group(statements: list[dict[str, Any]], good: bool) -> None:
    assert allows([{"Statement": statements}], ACTION, GROUP, TAGS) is good


@pytest.mark.parametrize(
    ("principal", "good"),
    [
        ({"Service": "pods.eks.amazonaws.com"}, True),
        ({"Service": ["ec2.amazonaws.com", "pods.eks.amazonaws.com"]}, True),
        ({"Service": "ec2.amazonaws.com"}, False),
        ({"AWS": "pods.eks.amazonaws.com"}, False),
        ("*", True),
    ],
)
def test_whom_a_role_trusts(principal: object, good: bool) -> None:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
    who = ("Service", "pods.eks.amazonaws.com")
    assert allows([{"Statement": statement}], "sts:AssumeRole", "*", {}, who) is good


def test_an_action_on_nothing_needs_every_resource() -> None:
    describe = "autoscaling:DescribeAutoScalingGroups"
    assert not allows([{"Statement": one(Action=describe, Resource=GROUP)}], describe, "*", {})
    assert allows([{"Statement": one(Action=describe)}], describe, "*", {})
