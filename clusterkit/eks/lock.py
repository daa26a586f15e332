"""The lock of a cluster between machines: an EC2 launch template.

Its name is unique in an account and region (EC2 API, ``CreateLaunchTemplate``:
``InvalidLaunchTemplateName.AlreadyExistsException``), it costs nothing, nothing else refers to it,
its id is never used again, and EKS needs the same permissions for its node groups anyway.
"""

from __future__ import annotations

from clusterkit.eks.client import Clients
from clusterkit.eks.tags import read_tags, write_tags
from clusterkit.engine.cloud_lock import PREFIX, CloudLock, Held
from clusterkit.engine.kind import Tags
from clusterkit.engine.scope import Scope
from clusterkit.errors import Gone


def _name(scope: Scope[Clients]) -> str:
    return f"{PREFIX}-{scope.cluster}"


class LaunchTemplateLock(CloudLock[Clients]):
    """A launch template that launches nothing."""

    def read(self, scope: Scope[Clients]) -> Held | None:
        try:
            shown = scope.client.ec2.describe_launch_templates(LaunchTemplateNames=[_name(scope)])
        except Gone:
            return None
        for each in shown["LaunchTemplates"]:
            return Held(each["LaunchTemplateId"], read_tags(each.get("Tags")))
        return None

    def take(self, scope: Scope[Clients], tags: Tags) -> None:
        scope.client.ec2.create_launch_template(
            LaunchTemplateName=_name(scope),
            VersionDescription="a clusterkit run is working on this cluster",
            LaunchTemplateData={"InstanceInitiatedShutdownBehavior": "terminate"},
            TagSpecifications=[{"ResourceType": "launch-template", "Tags": write_tags(tags)}],
        )

    def write(self, scope: Scope[Clients], identifier: str, tags: Tags) -> None:
        scope.client.ec2.create_tags(Resources=[identifier], Tags=write_tags(tags))

    def release(self, scope: Scope[Clients], identifier: str) -> None:
        scope.client.ec2.delete_launch_template(LaunchTemplateId=identifier)
