"""ECS 2014-05-26: SSH key pairs, which are regional and identified by name.

``KeyPair.AlreadyExist`` and ``QuotaExceed.KeyPair`` are on the vendor's page of ImportKeyPair.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

from clusterkit_sandbox.alibaba.failure import Failure, bad
from clusterkit_sandbox.alibaba.models import Instance, KeyPair
from clusterkit_sandbox.alibaba.service import (
    Call,
    asked_for,
    given_tags,
    has_tags,
    iso,
    operation,
    resource_group,
    tag_key_value,
)
from clusterkit_sandbox.kit.wire import parsed

_NAME = re.compile(r"[^\W\d_][\w.:-]{1,127}")
_KINDS = (
    "ssh-rsa",
    "ssh-dss",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-ed25519",
)
"""Vendor: ImportKeyPair, PublicKeyBody: rsa, dsa, ecdsa; an operator of 2026 imported ed25519."""


@operation("ecs:ImportKeyPair")
def _import(call: Call) -> object:
    name, body = call["KeyPairName"], str(call["PublicKeyBody"])
    if not _NAME.fullmatch(name):
        raise bad("InvalidKeyPairName.Malformed", "The specified KeyPairName is not valid.")
    parts = body.split()
    try:
        blob = base64.b64decode(parts[1], validate=True)
        length = int.from_bytes(blob[:4])
        true = parts[0] in _KINDS and blob[4 : 4 + length] == parts[0].encode()
    except (IndexError, binascii.Error):
        true, blob = False, b""
    if not true:
        raise bad(
            "InvalidPublicKeyBody.Malformed",
            'The specified parameter "PublicKeyBody" is not valid.',
        )
    if call.store.get(KeyPair, name, call.region):
        raise bad("KeyPair.AlreadyExist", "The key pair already exist.")
    if len(call.here(KeyPair)) >= call.store.conditions.quotas["key-pair"]:
        raise Failure(403, "QuotaExceed.KeyPair", "The key pair quota exceeds.")
    pair = KeyPair(
        id=name,
        region=call.region,
        name=name,
        tags=given_tags(call),
        resource_group=resource_group(call),
        fingerprint=hashlib.md5(blob, usedforsecurity=False).hexdigest(),
        public_key=body,
    )
    call.store.add(pair)
    return {"KeyPairName": name, "KeyPairFingerPrint": pair.fingerprint}


@operation("ecs:DescribeKeyPairs")
def _describe(call: Call) -> object:
    wanted = re.escape(str(call.get("KeyPairName", "*"))).replace(r"\*", ".*")
    found = [
        pair
        for pair in call.here(KeyPair)
        if re.fullmatch(wanted, pair.id)
        and asked_for(
            call, KeyPairFingerPrint=pair.fingerprint, ResourceGroupId=pair.resource_group
        )
        and has_tags(pair, call)
    ]
    figures, pairs = call.page(found)
    described = [
        {
            "KeyPairName": pair.id,
            "KeyPairFingerPrint": pair.fingerprint,
            "CreationTime": iso(pair.created),
            "ResourceGroupId": pair.resource_group,
            "Tags": {"Tag": tag_key_value(pair.tags)},
        }
        | ({"PublicKey": pair.public_key} if call.get("IncludePublicKey") else {})
        for pair in pairs
    ]
    return figures | {"KeyPairs": {"KeyPair": described}}


@operation("ecs:DeleteKeyPairs")
def _delete(call: Call) -> object:
    try:
        names = parsed(call["KeyPairNames"])
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise bad(
            "InvalidKeyPairNames.ValueNotSupported", "KeyPairNames must be a JSON array of names."
        )
    used = {instance.key_pair for instance in call.here(Instance)}
    for name in names:
        if name in used:
            raise Failure(
                403,
                "InvalidParameter.KeypairAlreadyAttachedInstance",
                "The key pair is attached to an instance.",
            )
    for name in names:
        pair = call.store.get(KeyPair, name, call.region)
        if pair is not None:
            call.store.remove(pair)
    return {}
