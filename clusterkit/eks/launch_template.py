"""Launch templates of the nodes; always our own, because without one AL2023 nodes get an IMDS hop
limit of 1, and pods no credentials from the node
(https://docs.aws.amazon.com/eks/latest/userguide/al2023.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from clusterkit.eks.client import Clients
from clusterkit.eks.errors import call, gone_is_fine, pages
from clusterkit.eks.keypair import KeyPairState
from clusterkit.eks.tags import Ec2Marked, Tags, name_of, ours, read_tags, specification, write_tags
from clusterkit.engine.resource import Change, Ctx, Resource, one_each

ROOT = "/dev/xvda"
"""the root device of Amazon Linux 2023"""


@dataclass(frozen=True)
class TemplateState:
    """A launch template."""

    id: str
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class LaunchTemplate(Ec2Marked[TemplateState]):
    """How a node's machine is set up; never changed, its name holds a hash of it."""

    kind: ClassVar[str] = "launch-template"
    disk: int
    """GiB"""
    encrypted: bool = True
    key_pair: Resource[Clients, KeyPairState] | None = None

    @classmethod
    def owned(cls, cx: Ctx[Clients]) -> Mapping[str, TemplateState]:
        found = pages(
            cx.clients.ec2, "describe_launch_templates", "LaunchTemplates", Filters=[ours(cx)]
        )
        states = (TemplateState(t["LaunchTemplateId"], read_tags(t["Tags"])) for t in found)
        return one_each((name_of(state.tags), state) for state in states)

    def create(self, cx: Ctx[Clients]) -> None:
        tags = write_tags(self.wanted_tags(cx))
        data: dict[str, Any] = {
            "MetadataOptions": {
                "HttpTokens": "required",
                "HttpPutResponseHopLimit": 2,
                "HttpEndpoint": "enabled",
            },
            "BlockDeviceMappings": [
                {
                    "DeviceName": ROOT,
                    "Ebs": {
                        "VolumeSize": self.disk,
                        "VolumeType": "gp3",
                        "Encrypted": self.encrypted,
                        "DeleteOnTermination": True,
                    },
                }
            ],
            "TagSpecifications": [
                {"ResourceType": kind, "Tags": tags}
                for kind in ("instance", "volume", "network-interface")
            ],
        }
        if self.key_pair is not None:
            data["KeyName"] = cx[self.key_pair].key_name
        call(
            cx.clients.ec2.create_launch_template,
            LaunchTemplateName=f"clusterkit-{cx.cluster}-{self.name}",
            ClientToken=cx.token(self),
            LaunchTemplateData=data,  # type: ignore[arg-type]
            TagSpecifications=specification(cx, self, "launch-template"),
        )

    def diff(self, cx: Ctx[Clients], have: TemplateState) -> list[Change]:
        return self.tag_changes(have.tags)

    @classmethod
    def delete(cls, cx: Ctx[Clients], have: TemplateState) -> None:
        gone_is_fine(cx.clients.ec2.delete_launch_template, LaunchTemplateId=have.id)
