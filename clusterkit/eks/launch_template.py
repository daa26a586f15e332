"""Launch templates of the nodes; always our own, because without one AL2023 nodes get an IMDS hop
limit of 1, and pods no credentials from the node
(https://docs.aws.amazon.com/eks/latest/userguide/al2023.html).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from clusterkit.eks.client import Clients
from clusterkit.eks.errors import pages
from clusterkit.eks.keypair import KeyPairState
from clusterkit.eks.tags import Ec2, ours, read_tags, write_tags
from clusterkit.engine.kind import Env, Kind, Tags
from clusterkit.engine.scope import Scope

if TYPE_CHECKING:
    from mypy_boto3_ec2.literals import ResourceTypeType

ROOT = "/dev/xvda"
"""the root device of Amazon Linux 2023"""


@dataclass(frozen=True)
class TemplateState:
    """A launch template."""

    id: str
    status: str = ""
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class LaunchTemplate(Ec2[TemplateState]):
    """How a node's machine is set up; never changed, its name holds a hash of it."""

    kind: ClassVar[str] = "launch-template"
    type: ClassVar[ResourceTypeType] = "launch-template"
    disk: int
    """GiB"""
    encrypted: bool = True
    key_pair: Kind[Clients, KeyPairState] | None = None

    @classmethod
    def list(cls, scope: Scope[Clients]) -> Iterable[TemplateState]:
        return _templates(scope, Filters=[ours(scope)])

    def _template_name(self, env: Env[Clients]) -> str:
        return f"clusterkit-{env.cluster}-{self.name}"

    def create(self, env: Env[Clients]) -> None:
        tags = write_tags(self.marks(env))
        disk = {
            "VolumeSize": self.disk,
            "VolumeType": "gp3",
            "Encrypted": self.encrypted,
            "DeleteOnTermination": True,
        }
        data: dict[str, Any] = {
            "MetadataOptions": {
                "HttpTokens": "required",
                "HttpPutResponseHopLimit": 2,
                "HttpEndpoint": "enabled",
            },
            "BlockDeviceMappings": [{"DeviceName": ROOT, "Ebs": disk}],
            "TagSpecifications": [
                {"ResourceType": kind, "Tags": tags}
                for kind in ("instance", "volume", "network-interface")
            ],
        }
        if self.key_pair is not None:
            data["KeyName"] = env[self.key_pair].key_name
        env.client.ec2.create_launch_template(
            LaunchTemplateName=self._template_name(env),
            ClientToken=env.token(self),
            LaunchTemplateData=data,  # type: ignore[arg-type]
            TagSpecifications=self.specification(env),
        )

    @classmethod
    def delete(cls, scope: Scope[Clients], have: TemplateState) -> None:
        scope.client.ec2.delete_launch_template(LaunchTemplateId=have.id)

    def taken(self, env: Env[Clients]) -> TemplateState | None:
        found = _templates(env, LaunchTemplateNames=[self._template_name(env)])
        return next(iter(found), None)


def _templates(scope: Scope[Clients], **parameters: Any) -> list[TemplateState]:
    ec2 = scope.client.ec2
    found = pages(ec2, "describe_launch_templates", "LaunchTemplates", **parameters)
    return [
        TemplateState(each["LaunchTemplateId"], tags=read_tags(each.get("Tags"))) for each in found
    ]
