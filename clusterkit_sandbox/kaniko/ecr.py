"""Credentials for Amazon ECR, as ``docker-credential-ecr-login`` finds them.

awslabs/amazon-ecr-credential-helper: GetAuthorizationToken with the SDK's default chain. Of that
chain: keys in the environment, a shared credentials file, a web identity token, the container
credentials of EKS Pod Identity, and the role of the node (AWS SDKs Reference, "Standardized
credential providers").
"""

from __future__ import annotations

import base64
import configparser
import json
import re
from typing import Any, cast

from clusterkit_sandbox.kaniko.container import Container

_HOST = re.compile(
    r"[0-9]{12}\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.aws)"
)
_NODE = "http://169.254.169.254/latest"
_ROLES = f"{_NODE}/meta-data/iam/security-credentials/"
Keys = dict[str, str]


def login(container: Container, registry: str) -> tuple[str, str]:
    """User and password; ``LookupError`` without."""
    found = _HOST.fullmatch(registry)
    if found is None:
        raise LookupError(f"{registry} is not a registry of Amazon ECR")
    import botocore.exceptions

    try:
        client = aws(container, "ecr", found["region"], _keys(container, found["region"]))
        data = client.get_authorization_token()["authorizationData"][0]
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        raise LookupError(str(error)) from None
    user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    return user, password


def aws(container: Container, service: str, region: str, keys: Keys | None) -> Any:
    """A client of one service, which goes through the container's door; unsigned without keys."""
    import botocore.session
    from botocore import UNSIGNED
    from botocore.config import Config

    session = botocore.session.Session()
    # nothing of the machine that the sandbox runs on may count
    session.set_config_variable("config_file", "/dev/null")
    session.set_config_variable("credentials_file", "/dev/null")
    config = Config(
        region_name=region,
        proxies={"https": container.door.proxy},
        signature_version=UNSIGNED if keys is None else None,
        retries={"total_max_attempts": 1},
    )
    return session.create_client(
        service,
        config=config,
        verify=str(container.door.ca_file),
        endpoint_url=_endpoint(service, region),
        **cast("dict[str, Any]", keys or {}),
    )


def _endpoint(service: str, region: str) -> str:
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://{'api.ecr' if service == 'ecr' else service}.{region}.{suffix}"


def keys_of(container: Container, region: str) -> Keys:
    """The keys of the default chain; ``LookupError`` without."""
    return _keys(container, region)


def _keys(container: Container, region: str) -> Keys:
    env = container.environment
    if env.get("AWS_ACCESS_KEY_ID") and env.get("AWS_SECRET_ACCESS_KEY"):
        return _shown(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"],
                      env.get("AWS_SESSION_TOKEN", ""))  # fmt: skip
    path = env.get("AWS_SHARED_CREDENTIALS_FILE", f"{env.get('HOME', '/root')}/.aws/credentials")
    if path in container.files:
        return _shared(container.files[path], env.get("AWS_PROFILE", "default"))
    if "AWS_WEB_IDENTITY_TOKEN_FILE" in env:
        return _federated(container, region)
    if "AWS_CONTAINER_CREDENTIALS_FULL_URI" in env:
        return _associated(container)
    return _of_node(container)


def _shared(text: bytes, profile: str) -> Keys:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text.decode())
        found = parser[profile]
        return _shown(found["aws_access_key_id"], found["aws_secret_access_key"],
                      found.get("aws_session_token", ""))  # fmt: skip
    except (configparser.Error, KeyError, UnicodeDecodeError) as error:
        raise LookupError(f"failed to load shared credentials: {error}") from None


def _federated(container: Container, region: str) -> Keys:
    """IAM roles for service accounts."""
    env = container.environment
    path = env["AWS_WEB_IDENTITY_TOKEN_FILE"]
    if path not in container.files:
        raise LookupError(f"open {path}: no such file or directory")
    answer = aws(
        container, "sts", env.get("AWS_REGION", region), None
    ).assume_role_with_web_identity(
        RoleArn=env.get("AWS_ROLE_ARN", ""),
        RoleSessionName=env.get("AWS_ROLE_SESSION_NAME", "aws-go-sdk"),
        WebIdentityToken=container.files[path].decode(),
    )
    found = answer["Credentials"]
    return _shown(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])


def _associated(container: Container) -> Keys:
    """EKS Pod Identity: the agent of the node gives them for the pod's token."""
    env = container.environment
    path = env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "")
    if path not in container.files:
        raise LookupError(f"failed to read authorization token from {path}")
    headers = {"Authorization": container.files[path].decode()}
    answer = container.request("GET", env["AWS_CONTAINER_CREDENTIALS_FULL_URI"], headers)
    return _of_json(answer.status, answer.body)


def _of_node(container: Container) -> Keys:
    """The role of the instance, by IMDSv2."""
    answer = container.request(
        "PUT", f"{_NODE}/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "21600"}
    )
    if answer.status != 200:
        raise LookupError("no EC2 IMDS role found")
    headers = {"X-aws-ec2-metadata-token": answer.body.decode()}
    named = container.request("GET", _ROLES, headers)
    if named.status != 200:
        raise LookupError("no EC2 IMDS role found")
    role = named.body.decode().splitlines()[0]
    answer = container.request("GET", f"{_ROLES}{role}", headers)
    return _of_json(answer.status, answer.body)


def _of_json(status: int, body: bytes) -> Keys:
    if status != 200:
        raise LookupError(f"failed to load credentials, {body.decode(errors='replace')}")
    found = json.loads(body)
    return _shown(found["AccessKeyId"], found["SecretAccessKey"], found.get("Token", ""))


def _shown(key: str, secret: str, token: str) -> Keys:
    found = {"aws_access_key_id": key, "aws_secret_access_key": secret}
    return found | ({"aws_session_token": token} if token else {})
