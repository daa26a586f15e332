"""The sandbox's AWS account: moto's backends, access keys, and lookups in IAM and EC2."""

from __future__ import annotations

import json
import os
import secrets
import string
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from clusterkit_sandbox.aws.refusals import Refusal, invalid
from clusterkit_sandbox.permissions import Permissions

ACCOUNT = "123456789012"
NEIGHBOUR = "210987654321"
"""another account, which has buckets only: their names are taken for everybody"""
REGION = "eu-west-1"
"""what ``sandbox env`` sets; every region works"""


@dataclass(frozen=True)
class Session:
    """A role that somebody has assumed, or a user's own temporary credentials."""

    key: str
    secret: str
    token: str
    arn: str
    """``arn:aws:sts::ACCOUNT:assumed-role/ROLE/NAME``, or the user's"""
    role: str
    """the role's ARN; empty for a user"""
    ends: datetime
    user: str = ""
    """the access key of the user whose credentials they are"""
    policies: tuple[str, ...] = ()
    """session policies, if any: documents that all of its rights are within"""


def _key() -> tuple[str, str]:
    alphabet = string.ascii_uppercase + string.digits
    return "AKIA" + "".join(secrets.choice(alphabet) for _ in range(16)), secrets.token_urlsafe(30)


class Account:
    """Moto in this process. Moto is not thread-safe: hold ``lock`` to use it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.key, self.secret = _key()
        self.other_key, self.other_secret = _key()
        """the key of a second user, who has no access to any cluster"""
        self.neighbour_key, self.neighbour_secret = _key()
        """the key of the user of another account"""
        self.secrets = {
            self.key: self.secret,
            self.other_key: self.other_secret,
            self.neighbour_key: self.neighbour_secret,
        }
        """access key id to secret key"""
        self.permissions: dict[str, Permissions] = {}
        """access key id to what its user may do; everything, if it is not here"""
        self.sessions: dict[str, Session] = {}
        """access key id to the role that was assumed"""
        self.users: dict[str, str] = {}
        """access key id to the ARN of the user of IAM whose it is"""

    def limited(self, permissions: Permissions) -> tuple[str, str]:
        """The access key of a new user who may do only this."""
        key, secret = _key()
        self.permissions[key] = permissions
        self.secrets = {**self.secrets, key: secret}
        return key, secret

    def remember(self, session: Session) -> Session:
        """The session that there is for the same role and name, else this one, whose key signs now.
        Machines and pods ask for theirs again and again.
        """
        soon = datetime.now(UTC) + timedelta(minutes=5)
        for known in self.sessions.values():
            same = (known.arn, known.role) == (session.arn, session.role)
            if same and known.role and known.ends > soon:
                return known
        return self.admit(session)

    def admit(self, session: Session) -> Session:
        """Let a session's key sign."""
        self.sessions[session.key] = session
        self.secrets = {**self.secrets, session.key: session.secret}
        return session

    def account_of(self, key: str) -> str:
        """The account that a key belongs to."""
        return NEIGHBOUR if key == self.neighbour_key else ACCOUNT

    def keys_changed(self) -> None:
        """Let the active keys of IAM's users sign, and no others of theirs."""
        gone = self.users
        active = {
            key.access_key_id: (key.secret_access_key, user.arn)
            for user in self.iam().users.values()
            for key in user.access_keys
            if key.status == "Active"
        }
        kept = {key: one for key, one in self.secrets.items() if key not in gone}
        self.users = {key: arn for key, (_, arn) in active.items()}
        self.secrets = {**kept, **{key: secret for key, (secret, _) in active.items()}}

    def principal_of(self, key: str) -> str:
        """The ARN of the user or the role in IAM."""
        session = self.sessions.get(key)
        return session.role if session and session.role else self.arn_of(key)

    def arn_of(self, key: str) -> str:
        """The ARN of the IAM user, or of the assumed role, that a key belongs to."""
        if key == self.neighbour_key:
            return f"arn:aws:iam::{NEIGHBOUR}:user/neighbour"
        if key in self.sessions:
            return self.sessions[key].arn
        if key in self.users:
            return self.users[key]
        names = {self.key: "sandbox", self.other_key: "outsider"}
        name = names.get(key) or f"limited-{[*self.permissions].index(key) + 1}"
        return f"arn:aws:iam::{ACCOUNT}:user/{name}"

    def load(self) -> Any:
        """Moto's WSGI application; the first call takes a second or two."""
        os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
        os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
        from moto import backends
        from moto.core import responses, utils
        from moto.moto_server.werkzeug_app import (
            DomainDispatcherApplication,
            create_backend_app,
        )

        # moto would list its own folders and the methods of its classes at every request
        modules = list(backends.list_of_moto_modules())
        backends.list_of_moto_modules = lambda: iter(modules)
        names = cache(utils.method_names_from_class)
        responses.method_names_from_class = names  # type: ignore[attr-defined]

        return DomainDispatcherApplication(create_backend_app)

    def knows(self, region: str) -> bool:
        """Whether moto has the region."""
        from moto.ec2.models import ec2_backends

        return region in ec2_backends[ACCOUNT]

    def ec2(self, region: str) -> Any:
        """Moto's EC2 of a region."""
        from moto.ec2.models import ec2_backends

        return ec2_backends[ACCOUNT][region]

    def iam(self) -> Any:
        """Moto's IAM."""
        from moto.iam.models import iam_backends

        return iam_backends[ACCOUNT]["aws"]

    def elb(self, region: str) -> Any:
        """Moto's classic load balancers."""
        from moto.elb.models import elb_backends

        return elb_backends[ACCOUNT][region]

    def reset(self) -> None:
        """Forget every resource."""
        from moto.backends import get_backend  # noqa: F401 - registers the services
        from moto.core.base_backend import BackendDict
        from moto.ec2.models import ec2_backends
        from moto.ecr.models import ecr_backends
        from moto.elb.models import elb_backends
        from moto.elbv2.models import elbv2_backends
        from moto.iam.models import iam_backends
        from moto.kms.models import kms_backends
        from moto.logs.models import logs_backends
        from moto.s3.models import s3_backends

        for backends in (
            ec2_backends, ecr_backends, elb_backends, elbv2_backends, iam_backends, kms_backends,
            logs_backends, s3_backends,
        ):  # fmt: skip
            if isinstance(backends, BackendDict):
                backends.reset()
        gone = {*self.sessions, *self.users}
        self.sessions, self.users = {}, {}
        self.secrets = {key: one for key, one in self.secrets.items() if key not in gone}

    # -- what EKS looks up in IAM and EC2 ----------------------------------------------------------

    def role(self, arn: str, service: str, age: float, now: float) -> Any:
        """A role that trusts the service and has propagated; otherwise EKS's error."""
        cannot = (
            f"Role with arn: {arn}, could not be assumed because it does not exist or the trusted "
            "entity is not correct"
        )
        name = arn.rpartition("/")[2]
        role = next((r for r in self.iam().roles.values() if r.name == name), None)
        if role is None or role.arn != arn:
            raise invalid(cannot)
        document = role.assume_role_policy_document
        document = json.loads(document) if isinstance(document, str) else document
        trusted = set()
        for statement in document.get("Statement", []):
            who = statement.get("Principal", {}).get("Service", [])
            trusted |= {who} if isinstance(who, str) else set(who)
        if service not in trusted:
            raise invalid(cannot)
        if now - role.create_date.timestamp() < age:
            raise invalid(cannot)
        return role

    def subnets(
        self, region: str, ids: list[str], zones: int, refused: frozenset[str]
    ) -> list[Any]:
        """Check that the subnets are of one VPC, in enough zones, and in zones EKS supports."""
        found = []
        ec2 = self.ec2(region)
        for identifier in ids:
            by_zone = [z[identifier] for z in ec2.subnets.values() if identifier in z]
            if not by_zone:
                raise invalid(
                    f"The subnet ID '{identifier}' does not exist (Service: AmazonEC2; Status "
                    "Code: 400; Error Code: InvalidSubnetID.NotFound)"
                )
            found.append(by_zone[0])
        if len({subnet.vpc_id for subnet in found}) > 1:
            raise invalid("Subnets specified must be in the same VPC")
        if len({subnet.availability_zone for subnet in found}) < zones:
            raise invalid("Subnets specified must be in at least two different AZs")
        for subnet in found:
            if subnet.availability_zone_id in refused:
                good = sorted(
                    z.name for z in ec2.describe_availability_zones() if z.zone_id not in refused
                )
                raise Refusal(
                    "UnsupportedAvailabilityZoneException",
                    f"Cannot create cluster because {subnet.availability_zone}, the targeted "
                    "availability zone, does not currently have sufficient capacity to support the "
                    f"cluster. Retry and choose from these availability zones: {', '.join(good)}",
                    400,
                    validZones=good,
                )
        return found

    def default_route(self, region: str, subnet: Any) -> str | None:
        """The gateway id of a subnet's default route."""
        ec2 = self.ec2(region)
        tables = [t for t in ec2.route_tables.values() if t.vpc_id == subnet.vpc_id]
        own = [t for t in tables if subnet.id in (a.get("SubnetId") for a in t.associations)]
        for table in own or [t for t in tables if t.main_association_id is not None]:
            for route in table.routes:
                if route.destination_cidr_block != "0.0.0.0/0":
                    continue
                if route.nat_gateway:
                    nat = ec2.nat_gateways.get(route.nat_gateway.id)
                    return nat.id if nat is not None and nat.state == "available" else None
                if route.gateway:
                    return str(route.gateway.id)
        return None


def write_profile(
    directory: Path, account: Account, key: str, secret: str, suffix: str = ""
) -> tuple[Path, Path]:
    """Files for AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE, with mode 0600."""
    config = directory / f"aws-config{suffix}"
    credentials = directory / f"aws-credentials{suffix}"
    for file in (config, credentials):
        file.touch(mode=0o600)
    others = "".join(
        f"\n[profile {name}]\nregion = {REGION}\n" for name in ("outsider", "neighbour")
    )
    config.write_text(f"[default]\nregion = {REGION}\n{others}")
    credentials.write_text(
        f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
        f"\n[outsider]\naws_access_key_id = {account.other_key}\n"
        f"aws_secret_access_key = {account.other_secret}\n"
        f"\n[neighbour]\naws_access_key_id = {account.neighbour_key}\n"
        f"aws_secret_access_key = {account.neighbour_secret}\n"
    )
    return config, credentials
