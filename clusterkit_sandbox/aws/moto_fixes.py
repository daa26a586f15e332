"""Patches for moto, where it differs from AWS or is slow."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from clusterkit_sandbox.aws.moto_lifecycle import error
from clusterkit_sandbox.content import digest_of

CNI = "aws-K8S-"
"""how the description of an interface begins that the VPC CNI has attached; it goes with its
machine (aws/amazon-vpc-cni-k8s, ``pkg/awsutils``)"""
POLICIES = 10
TRUST = 2048
"""policies per role, and characters of its trust policy"""


def policies_once() -> None:
    """Load AWS's managed policies once: moto loads all 1500 per partition at every reset."""
    from moto.iam.models import IAMBackend

    inner = IAMBackend._init_aws_policies
    kept: list[Any] = []

    def policies(self: Any) -> list[Any]:
        if self.region_name != "aws":  # moto looks for keys in every partition there is
            return []
        if not kept:
            kept.extend(inner(self))
        for policy in kept:
            policy.attachment_count = 0
        return list(kept)

    IAMBackend._init_aws_policies = policies  # type: ignore[method-assign]


def tags_by_id() -> None:
    """Look a thing's tags up: moto goes through those of all things for each, which for a hundred
    clusters was seconds for a list.
    """
    from moto.ec2.models.core import TaggedEC2Resource
    from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix

    def tags(self: Any) -> list[dict[str, str]]:
        found = self.ec2_backend.tags.get(self.id) or {}
        common = {"resource_id": self.id}
        if found:
            common["resource_type"] = EC2_PREFIX_TO_RESOURCE.get(get_prefix(self.id), "")
        return [{**common, "key": key, "value": value} for key, value in [*found.items()]]

    TaggedEC2Resource.get_tags = tags  # type: ignore[method-assign]


def defaults_stay() -> None:
    """Refuse to delete a VPC's default group and main table, except with the VPC."""
    from moto.ec2.responses.route_tables import RouteTables
    from moto.ec2.responses.security_groups import SecurityGroups

    group, table = SecurityGroups.delete_security_group, RouteTables.delete_route_table

    def delete_group(self: Any) -> Any:
        wanted = self._get_param("GroupId")
        for groups in self.ec2_backend.groups.values():
            if wanted in groups and groups[wanted].name == "default":
                raise error(
                    "CannotDelete",
                    f'the specified group: "{wanted}" name: "default" cannot be deleted by a user',
                )
        return group(self)

    def delete_table(self: Any) -> Any:
        found = self.ec2_backend.route_tables.get(self._get_param("RouteTableId"))
        if found is not None and found.main_association_id is not None:
            raise error(
                "DependencyViolation",
                f"The routeTable '{found.id}' has dependencies and cannot be deleted.",
            )
        return table(self)

    SecurityGroups.delete_security_group = delete_group  # type: ignore[method-assign]
    RouteTables.delete_route_table = delete_table  # type: ignore[method-assign]


def roles_end_somewhere() -> None:
    """Quotas of a role (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html)"""
    from moto.iam.exceptions import LimitExceededException
    from moto.iam.models import IAMBackend

    attach, create = IAMBackend.attach_role_policy, IAMBackend.create_role
    update = IAMBackend.update_assume_role_policy

    def exceeded(what: str, quota: int) -> Exception:
        refusal: Exception = LimitExceededException(f"Cannot exceed quota for {what}: {quota}")
        return refusal

    def attach_role_policy(self: Any, policy_arn: str, role_name: str) -> Any:
        policies = self.get_role(role_name).managed_policies
        if policy_arn not in policies and len(policies) >= POLICIES:
            raise exceeded("PoliciesPerRole", POLICIES)
        return attach(self, policy_arn, role_name)

    def short(document: str) -> None:
        if len("".join(document.split())) > TRUST:
            raise exceeded("ACLSizePerRole", TRUST)

    def create_role(
        self: Any, role_name: str, assume_role_policy_document: str, *a: Any, **k: Any
    ) -> Any:
        short(assume_role_policy_document)
        return create(self, role_name, assume_role_policy_document, *a, **k)

    def update_assume_role_policy(self: Any, role_name: str, policy_document: str) -> Any:
        short(policy_document)
        return update(self, role_name, policy_document)

    IAMBackend.attach_role_policy = attach_role_policy  # type: ignore[method-assign]
    IAMBackend.create_role = create_role  # type: ignore[method-assign]
    IAMBackend.update_assume_role_policy = update_assume_role_policy  # type: ignore[method-assign]


def images_are_whole() -> None:
    """An image has the digest and the size of what it is, and stays when its tag is moved to
    another one (ECR API, PutImage; user guide, "Image tag mutability"). Moto makes digests of its
    own, counts only the configuration, and deletes the other image.
    """
    from moto.ecr.models import ECRBackend, Image

    inner = ECRBackend.put_image

    def create_digest(self: Any) -> None:
        self._image_digest = digest_of(self.image_manifest.encode())

    def size(self: Any) -> int | None:
        found = json.loads(self.image_manifest)
        parts = [found.get("config"), *found.get("layers", ())]
        return sum(one.get("size", 0) for one in parts if one) if "layers" in found else None

    def put_image(
        self: Any, repository_name: str, image_manifest: str, image_tag: str, *a: Any, **k: Any
    ) -> Any:
        repository = self._get_repository(repository_name)
        for other in self._resolve_image_tag_mutability(repository, image_tag):
            if other.image_manifest != image_manifest:
                other.remove_tag(image_tag)
        return inner(self, repository_name, image_manifest, image_tag, *a, **k)

    Image._create_digest = create_digest  # type: ignore[method-assign]
    Image.get_image_size_in_bytes = size  # type: ignore[method-assign]
    ECRBackend.put_image = put_image  # type: ignore[method-assign]


def keys_by_id() -> None:
    """DeleteKeyPair takes the name or the id; moto takes only the name."""
    from moto.ec2.responses.key_pairs import KeyPairs

    delete = KeyPairs.delete_key_pair

    def by_either(self: Any) -> Any:
        wanted = self._get_param("KeyPairId")
        for name, pair in self.ec2_backend.key_pairs.items():
            if pair.id == wanted:
                self.params["KeyName"] = name
                break
        return delete(self)

    KeyPairs.delete_key_pair = by_either  # type: ignore[method-assign]


def associations_go(backend: Any) -> None:
    """Deleting a subnet removes its route table association; moto keeps it."""
    delete = backend.delete_subnet

    def deleted(self: Any, subnet_id: str) -> Any:
        answer = delete(self, subnet_id)
        for table in self.route_tables.values():
            for association, subnet in list(table._associations.items()):
                if subnet == subnet_id:
                    del table._associations[association]
        return answer

    backend.delete_subnet = deleted


def machines_end() -> None:
    """A terminated instance takes along the interface it was started with, and gives its address
    back (EC2 User Guide, "Terminate Amazon EC2 instances"); moto keeps both.
    """
    from moto.ec2.models.instances import Instance

    terminate = Instance.terminate

    def terminated(self: Any) -> Any:
        answer = terminate(self)
        ec2 = self.ec2_backend
        for interface in self.nics.values():
            if interface.description.startswith(("Primary network interface", CNI)):
                ec2.enis.pop(interface.id, None)
                interface.subnet.del_subnet_ip(interface.private_ip_address)
        for address in ec2.addresses:
            if address.instance is self:
                address.instance = address.eni = address.association_id = None
        return answer

    Instance.terminate = terminated  # type: ignore[method-assign]


def own_tags_apart(_: Any, asked: dict[str, Any]) -> None:
    """Keep a launch template's own tags out of its data, where moto puts them."""
    data = asked["template_data"]
    kept = [
        item
        for item in data.pop("TagSpecifications", [])
        if item.get("ResourceType") != "launch-template"
    ]
    if kept:
        data["TagSpecifications"] = kept


def trust_policies() -> None:
    """A trust policy must be JSON with statements."""
    from moto.iam.exceptions import MalformedPolicyDocument
    from moto.iam.models import IAMBackend

    inner = IAMBackend.create_role

    def create_role(
        self: Any, role_name: str, assume_role_policy_document: str, *a: Any, **k: Any
    ) -> Any:
        try:
            document = json.loads(assume_role_policy_document)
            statements = document["Statement"]
            fine = document.get("Version") in ("2012-10-17", "2008-10-17") and bool(statements)
        except (ValueError, KeyError, TypeError):
            fine = False
        if not fine:
            raise MalformedPolicyDocument("This policy contains invalid Json")
        return inner(self, role_name, assume_role_policy_document, *a, **k)

    IAMBackend.create_role = create_role  # type: ignore[method-assign]


def providers_of_identities() -> None:
    """A provider's clients can be added and removed, and IAM finds the thumbprint of an issuer for
    itself (IAM API Reference, AddClientIDToOpenIDConnectProvider, CreateOpenIDConnectProvider).
    """
    from moto.core.responses import EmptyResult
    from moto.iam.exceptions import EntityAlreadyExists
    from moto.iam.models import IAMBackend
    from moto.iam.responses import IamResponse

    inner = IAMBackend.create_open_id_connect_provider

    def create(self: Any, url: str, thumbprint_list: Any, *a: Any, **k: Any) -> Any:
        found = thumbprint_list or [hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()]
        try:
            return inner(self, url, found, *a, **k)
        except EntityAlreadyExists:
            raise EntityAlreadyExists(f"Provider with url {url} already exists.") from None

    def add(self: Any) -> Any:
        provider, client = _provider(self)
        if client not in provider.client_id_list:
            provider.client_id_list.append(client)
        return EmptyResult()

    def remove(self: Any) -> Any:
        provider, client = _provider(self)
        if client in provider.client_id_list:
            provider.client_id_list.remove(client)
        return EmptyResult()

    IAMBackend.create_open_id_connect_provider = create  # type: ignore[method-assign]
    IamResponse.add_client_id_to_open_id_connect_provider = add  # type: ignore[attr-defined]
    IamResponse.remove_client_id_from_open_id_connect_provider = remove  # type: ignore[attr-defined]


def _provider(response: Any) -> tuple[Any, str]:
    """The provider that a call names, and the client."""
    arn = response._get_param("OpenIDConnectProviderArn")
    client: str = response._get_param("ClientID")
    return response.backend.get_open_id_connect_provider(arn), client
