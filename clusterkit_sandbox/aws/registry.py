"""Elastic Container Registry's own hosts: ``ACCOUNT.dkr.ecr.REGION.amazonaws.com``.

ECR user guide: "Private registry authentication" (a token stands for who asked for it, and is good
for twelve hours, on every registry they may use), "IAM permissions for pushing an image",
"Repository policies". The challenge and ``Not Authorized`` are recorded (NVIDIA/enroot#59,
google/go-containerregistry#861); other words: facts/aws.tsv.

Images have one truth: what is pushed here is shown by the API, which moto serves, and what the API
puts or deletes is so here.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.aws import policies, sessions
from clusterkit_sandbox.aws.account import ACCOUNT
from clusterkit_sandbox.aws.service import Eks
from clusterkit_sandbox.content import Content, Manifest, digest_of
from clusterkit_sandbox.kit.wire import Request
from clusterkit_sandbox.registry.bearer import Granted, basic
from clusterkit_sandbox.registry.service import Asked, Refusal, place

TOKEN = "ecr:GetAuthorizationToken"
_CHANGES = ("ecr:BatchDeleteImage", "ecr:DeleteRepository", "ecr:PutImage")
"""the operations of the API that ``follow`` follows"""
_LIFE = 12 * 3600
_HOST = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com"
)
_ACTIONS: Mapping[str, str] = {
    "CheckBlob": "BatchCheckLayerAvailability",
    "GetBlob": "GetDownloadUrlForLayer",
    "StartUpload": "InitiateLayerUpload",
    "GetUpload": "UploadLayerPart",
    "UploadChunk": "UploadLayerPart",
    "FinishUpload": "CompleteLayerUpload",
    "CancelUpload": "UploadLayerPart",
    "CheckManifest": "BatchGetImage",
    "GetManifest": "BatchGetImage",
    "PutManifest": "PutImage",
    "DeleteManifest": "BatchDeleteImage",
    "DeleteBlob": "BatchDeleteImage",
    "ListTags": "ListImages",
    "ListReferrers": "BatchGetImage",
    "GetCatalog": "DescribeRepositories",
}


class EcrRegistry:
    """Implements ``registry.service.Service``."""

    name = "ecr"
    throttled = "Rate exceeded"
    made = True

    def __init__(self, eks: Eks, content: Content, load: Callable[[], object]) -> None:
        """``load`` sees to it that moto is there."""
        self._eks = eks
        self._account = eks.account
        self._content = content
        self._load = load
        self._tokens = Granted[str](256)

    def claims(self, host: str) -> bool:
        """The hosts of every account's registry in every region."""
        return _HOST.fullmatch(host) is not None

    def operation(self, request: Request) -> str:
        """None: tokens are of the API."""
        return ""

    def answer(self, request: Request) -> Answer:
        """Nothing is served besides the distribution API."""
        raise Refusal(404, "UNSUPPORTED", "404 page not found")

    def clear(self) -> None:
        """Forget every token."""
        self._tokens.clear()

    def token(self, key: str, region: str, body: bytes) -> Answer:
        """The answer of GetAuthorizationToken to who has this access key."""
        asked = json.loads(body or b"{}").get("registryIds") or [ACCOUNT]
        secret = base64.b64encode(f"AWS:{self._tokens.issue(key, _LIFE)}".encode()).decode()
        data = [
            {
                "authorizationToken": secret,
                "expiresAt": time.time() + _LIFE,
                "proxyEndpoint": f"https://{one}.dkr.ecr.{region}.amazonaws.com",
            }
            for one in asked
        ]
        kind = (("Content-Type", "application/x-amz-json-1.1"),)
        return Answer(200, kind, json.dumps({"authorizationData": data}).encode())

    # -- who may do what ---------------------------------------------------------------------------

    def admit(self, asked: Asked) -> str:
        """Who has a token, as far as their own and the repository's policies allow it."""
        key, where = self._key(asked), _HOST.fullmatch(asked.host)
        action = _ACTIONS.get(asked.operation, "")
        if where is None or not action:
            return ""
        account, region = where["account"], where["region"]
        arn = f"arn:aws:ecr:{region}:{account}:repository/{asked.repository}"
        with self._account.lock:
            found = self._repository(account, region, asked.repository)
            self._permit(key, f"ecr:{action}", arn, found.policy if found is not None else None)
        if not asked.repository:
            return f"ecr/{region}/"
        if found is None:
            text = (
                f"The repository with name '{asked.repository}' does not exist in the registry"
                f" with id '{account}'"
            )
            raise Refusal(404, "NAME_UNKNOWN", text)
        return place(f"ecr/{region}", asked.repository)

    def _key(self, asked: Asked) -> str:
        given = basic(asked.request)
        found = self._tokens.find(given[1]) if given is not None and given[0] == "AWS" else None
        if found is None:
            realm = f'Basic realm="https://{asked.host}/",service="ecr.amazonaws.com"'
            headers = {"Www-Authenticate": realm}
            raise Refusal(401, "UNAUTHORIZED", "Not Authorized", headers=headers, plain=True)
        if not found[1]:
            text = "Your authorization token has expired. Reauthenticate and try again."
            raise Refusal(403, "DENIED", text)
        return found[0]

    def _repository(self, account: str, region: str, name: str) -> Any:
        """Moto's repository."""
        from moto.ecr.models import ecr_backends

        self._load()
        if account != ACCOUNT or not self._account.knows(region):
            return None
        return ecr_backends[ACCOUNT][region].repositories.get(name)

    def _permit(self, key: str, action: str, resource: str, policy: str | None) -> None:
        who = self._account.arn_of(key)
        document = [policies.parsed(policy)] if policy else []
        says = {
            policies.decided(document, action, resource, {}, ("AWS", name)) for name in _names(who)
        }
        text = f"User: {who} is not authorized to perform: {action} on resource: {resource} "
        if "Deny" in says:
            why = "with an explicit deny in a resource-based policy"
            raise Refusal(403, "DENIED", text + why)
        if "Allow" not in says and not sessions.allowed(self._eks, key, action, resource, {}):
            why = f"because no identity-based policy allows the {action} action"
            raise Refusal(403, "DENIED", text + why)

    # -- images ------------------------------------------------------------------------------------

    def check(self, asked: Asked, place: str, manifest: Manifest, tag: str) -> None:
        """Refuse to move a tag that is immutable."""
        from moto.ecr.exceptions import ImageAlreadyExistsException
        from moto.ecr.models import ecr_backends

        region = asked.host.split(".")[3]
        with self._account.lock:
            repository = self._repository(ACCOUNT, region, asked.repository)
            if repository is None or not tag:
                return
            try:
                ecr_backends[ACCOUNT][region]._resolve_image_tag_mutability(repository, tag)
            except ImageAlreadyExistsException:
                text = (
                    f"The image tag '{tag}' already exists in the '{asked.repository}' repository"
                    " and cannot be overwritten because the repository is immutable."
                )
                raise Refusal(400, "TAG_INVALID", text) from None

    def changed(self, asked: Asked, place: str) -> None:
        """Let the API show what the repository holds."""
        from moto.ecr.models import Image

        with self._account.lock:
            repository = self._repository(ACCOUNT, asked.host.split(".")[3], asked.repository)
            if repository is None:
                return
            known = {image.get_image_digest(): image for image in repository.images}
            repository.images[:] = []
            make: Any = Image
            for one in self._content.manifests(place):
                text = one.body.decode()
                image = known.get(one.digest) or make(
                    ACCOUNT, None, text, asked.repository, one.type, one.digest
                )
                image.image_tags = list(self._content.tags(place, one.digest))
                image.image_tag = image.image_tags[-1] if image.image_tags else None
                image.image_pushed_at = int(one.pushed)
                repository.images.append(image)
                layers = json.loads(text).get("layers", ())
                repository.layers |= {layer["digest"]: layer["size"] for layer in layers}

    def follow(self, operation: str, region: str, body: bytes, answer: Answer) -> None:
        """Do here what an operation of the API has done to a repository; call it with the lock."""
        if operation not in _CHANGES or answer.status != 200:
            return
        name = str(json.loads(body)["repositoryName"])
        here = place(f"ecr/{region}", name)
        if operation == "ecr:DeleteRepository":
            self._content.forget(here)
            return
        images = self._repository(ACCOUNT, region, name).images
        shown = {image.get_image_digest(): image for image in images}
        for one in self._content.manifests(here):
            if one.digest not in shown:
                self._content.delete(here, one.digest)
        for tag, (digest, _) in self._content.tags(here).items():
            if tag not in shown[digest].image_tags:
                self._content.untag(here, tag)
        for digest, image in shown.items():
            text = image.image_manifest.encode()
            kind = image.image_manifest_media_type
            for tag in image.image_tags or ("",):
                if tag not in self._content.tags(here, digest):
                    size = image.get_image_size_in_bytes() or len(text)
                    self._content.put(here, Manifest(digest_of(text), kind, text, size=size), tag)


def _names(arn: str) -> tuple[str, ...]:
    """By what a policy may name the caller with this ARN: its own, its role's, its account's."""
    found = ("*", arn, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root")
    if ":assumed-role/" not in arn:
        return found
    role = arn.rpartition(":assumed-role/")[2].partition("/")[0]
    return (*found, f"arn:aws:iam::{ACCOUNT}:role/{role}")
