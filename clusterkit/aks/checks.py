"""What ``clusterkit verify`` asks of Azure beyond the cluster's own API."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from clusterkit.aks import activation, blobs, ids, keyvault
from clusterkit.aks.asked import (
    EXPIRED,
    NO_CONTAINER,
    NO_HOST,
    NO_LOCAL,
    NO_SECRETS,
    NO_TOKEN,
    NOT_REGISTERED,
    STRANGER,
    UNAUTHORIZED,
    Asked,
)
from clusterkit.aks.builds import USE, expires
from clusterkit.aks.client import Clients
from clusterkit.aks.iam import (
    KUBELET,
    PUSH,
    ROLES,
    IdentityState,
    RoleAssignmentState,
    assignments,
)
from clusterkit.aks.profile import AksProfile
from clusterkit.aks.registry import ABAC, LEGACY, RegistryState
from clusterkit.aks.registry import PULL as PULLS
from clusterkit.aks.registry import PUSH as PUSHES
from clusterkit.aks.workload import AUDIENCE, FederatedCredential, subject
from clusterkit.kube.secrets import KEY
from clusterkit.ready.checks import UP, Check, Result, Row, numbered
from clusterkit.ready.jenkinsx import STORAGE
from clusterkit.ready.registry import REGCRED


def checks(profile: AksProfile, clients: Clients) -> Sequence[Check]:
    """Z1 to Z11."""
    return numbered("Z", ROWS, Asked(profile, clients))


_NO_REGISTRY = Result("skipped", "the profile has no registry")
_NOT_THERE = Result("failed", "there is no registry of this cluster", "registry", NO_HOST)
_NO_ACCOUNTS = Result("skipped", "no service account pushes as itself")


def _there(asked: Asked) -> RegistryState | Result:
    """The registry, or what is to say without one."""
    return _NO_REGISTRY if asked.profile.registry is None else asked.registry or _NOT_THERE


# -- Z1 to Z3: the registry -----------------------------------------------------------------------


def _registry(asked: Asked) -> Iterator[Result]:
    have = _there(asked)
    if isinstance(have, Result):
        yield have
    elif have.status not in ("", "Succeeded") or not have.server:
        what = f"its state is {have.status or 'unknown'}, its login server {have.server or 'none'}"
        yield Result("failed", what, f"registry {have.name}")
    else:
        yield Result("passed", f"{have.server} is there", f"registry {have.name}")


class _Right(NamedTuple):
    """A role that somebody needs."""

    who: str
    """name of an identity of ours"""
    role: str
    on: str
    """path of a thing; empty if it does not exist"""
    thing: str
    """the thing, for people"""


def _roles(asked: Asked) -> Iterator[Result]:
    given = [*assignments(asked.scope)]
    for right in _rights(asked):
        where = f"identity {right.who}"
        have = asked.identity(right.who)
        if have is None or not right.on:
            lacking = where if have is None else right.thing
            yield Result("failed", f"{lacking} does not exist", where)
        elif not _has(have, right, given):
            what = f"lacks {right.role} on {right.thing}"
            if _mistaken(asked, have, right, given):
                what += ", where AcrPull and AcrPush have no effect"
            yield Result("failed", what, where)
        else:
            yield Result("passed", f"has {right.role} on {right.thing}", where)


def _rights(asked: Asked) -> Iterator[_Right]:
    profile, registry = asked.profile, asked.registry
    if profile.registry is not None:
        mode = ABAC if profile.registry.abac else LEGACY
        path = registry.path if registry else ""
        yield _Right(KUBELET, PULLS[mode], path, "the registry")
        if profile.node_pushes:
            yield _Right(KUBELET, PUSHES[mode], path, "the registry")
        if profile.push_accounts:
            yield _Right(PUSH, PUSHES[mode], path, "the registry")
    if profile.keeps_files:
        files = asked.ours(blobs.StorageAccount)
        path = files.path if files else ""
        yield _Right(KUBELET, "Storage Blob Data Contributor", path, "the storage account")
    if profile.keeps_secrets:
        vault = asked.ours(keyvault.KeyVault)
        path = vault.path if vault else ""
        yield _Right(KUBELET, "Key Vault Secrets Officer", path, "the key vault")
    if zone := asked.zone:
        yield _Right(KUBELET, "DNS Zone Contributor", zone.path, f"the zone {zone.name}")
        yield _Right(KUBELET, "Reader", zone.group_path, f"the group {zone.group}")


def _has(have: IdentityState, right: _Right, given: Iterable[RoleAssignmentState]) -> bool:
    """Whether it has the role there, or on what lies above."""
    wanted, on = (ROLES[right.role], have.principal.lower()), f"{ids.key(right.on)}/"
    return any(
        (each.role, each.principal) == wanted and on.startswith(f"{each.scope}/") for each in given
    )


def _mistaken(
    asked: Asked, have: IdentityState, right: _Right, given: Sequence[RoleAssignmentState]
) -> bool:
    """Whether it has a role that a registry with permissions by repository does not honour."""
    registry = asked.profile.registry
    old = [right._replace(role=role) for role in ("AcrPull", "AcrPush")]
    by_repository = registry is not None and registry.abac and right.thing == "the registry"
    return by_repository and any(_has(have, each, given) for each in old)


def _tokens(asked: Asked) -> Iterator[Result]:
    have = _there(asked)
    if isinstance(have, Result):
        yield have
        return
    where = f"registry {have.name}"
    if have.arm_tokens:
        yield Result("passed", "it takes them", where)
        return
    cure = f"az acr config authentication-as-arm update --registry {have.name} --status enabled"
    what = "its policy azureADAuthenticationAsArmPolicy is disabled, and helpers have no others"
    yield Result("failed", what, where, cure=f"{UP}, or {cure}")


# -- Z4 to Z6: how builds log in ------------------------------------------------------------------


def _federation(asked: Asked) -> Iterator[Result]:
    accounts, cluster = asked.profile.push_accounts, asked.cluster
    if not accounts:
        yield _NO_ACCOUNTS
        return
    if cluster is None:
        yield Result("failed", "there is no cluster", asked.profile.name)
        return
    where = f"cluster {cluster.name}"
    enable = f"{UP}, or az aks update --enable-oidc-issuer --enable-workload-identity"
    if not cluster.issuer:
        yield Result("failed", "it has no OIDC issuer", where, cure=enable)
        return
    if not cluster.workload_identity:
        yield Result("failed", "Workload ID is off", where, NO_TOKEN, enable)
    found = {have.subject: have for have in FederatedCredential.list(asked.scope)}
    for account in accounts:
        have = found.get(subject(account))
        if have is None:
            what = "no federated credential is for it"
        elif have.issuer != cluster.issuer:
            what = f"its credential is for the issuer {have.issuer}, not {cluster.issuer}"
        elif AUDIENCE not in have.audiences:
            what = f"its credential is for {', '.join(have.audiences)}, not {AUDIENCE}"
        else:
            yield Result("passed", "has a federated credential", f"serviceaccount/{account}")
            continue
        yield Result("failed", what, f"serviceaccount/{account}")


def _pods(asked: Asked) -> Iterator[Result]:
    pushers = asked.profile.push_accounts
    if not pushers:
        yield _NO_ACCOUNTS
        return
    wrong = [pod for pod in _without_label(asked) if pod.account in pushers]
    for pod in wrong:
        what = f"runs as {pod.account} without the label {USE}=true, so it is given no token"
        yield Result("failed", what, f"pod/{pod.name}")
    if not wrong:
        yield Result("passed", f"none runs as {', '.join(pushers)} without the label {USE}")


class _Pod(NamedTuple):
    name: str
    """``NAMESPACE/NAME``"""
    account: str
    """``NAMESPACE/NAME`` of its service account"""


def _without_label(asked: Asked) -> Iterator[_Pod]:
    """The pods that the webhook of Workload ID leaves as they are."""
    for shown in asked.clients.kube.list("/api/v1/pods"):
        metadata = shown["metadata"]
        space = str(metadata["namespace"])
        if (metadata.get("labels") or {}).get(USE) != "true":
            account = shown["spec"].get("serviceAccountName") or "default"
            yield _Pod(f"{space}/{metadata['name']}", f"{space}/{account}")


def _password(asked: Asked) -> Iterator[Result]:
    wanted = asked.profile.registry
    builders = [each for each in asked.profile.ready.builders if each.registry is None]
    if wanted is None or wanted.push != "secret" or not builders:
        yield Result("skipped", "builds push without a password of Azure's")
        return
    registry = asked.registry
    if registry is None:
        yield _NOT_THERE
        return
    for builder in builders:
        path = f"/api/v1/namespaces/{builder.namespace}/secrets/{REGCRED}"
        token = _token(asked.clients.kube.get(path), registry.server)
        yield _good(token, registry.server, f"secret/{builder.namespace}/{REGCRED}")


def _good(token: str, server: str, where: str) -> Result:
    """Whether a password is good still."""
    if not token:
        return Result("failed", f"it has no login to {server}", where)
    end = expires(token)
    if end is None:
        return Result("warned", f"the password for {server} is not a token", where)
    if end > datetime.now(UTC):
        return Result("passed", f"its token is good until {end:%H:%M} UTC", where)
    renew = f"{UP} renews it, and so does clusterkit kaniko build"
    return Result("failed", f"its token expired {end:%Y-%m-%d %H:%M} UTC", where, cure=renew)


def _token(secret: Mapping[str, Any] | None, server: str) -> str:
    """The password for a registry in a docker config, or the token in its place."""
    try:
        text = base64.b64decode(((secret or {}).get("data") or {})[KEY])
        entry = json.loads(text)["auths"][server]
        both = base64.b64decode(entry.get("auth") or "").decode()
    except (KeyError, TypeError, ValueError):
        return ""
    return str(entry.get("identitytoken") or entry.get("password") or both.partition(":")[2])


# -- Z7, Z8: the subscription, the cluster --------------------------------------------------------


def _providers(asked: Asked) -> Iterator[Result]:
    for name, state in activation.states(asked.profile, asked.clients).items():
        if state in ("Registered", activation.GOES_ON):
            yield Result("passed", "is registered", name)
        else:
            cure = f"{UP} --activate, or az provider register --namespace {name}"
            yield Result("failed", f"is {state or 'not known'}", name, cure=cure)


def _accounts(asked: Asked) -> Iterator[Result]:
    entra, cluster = asked.profile.entra, asked.cluster
    wanted = entra is None or entra.local_accounts
    if cluster is None:
        yield Result("failed", "there is no cluster", asked.profile.name)
        return
    where = f"cluster {cluster.name}"
    words = {True: "let in", False: "not let in"}
    if cluster.local_accounts == wanted:
        yield Result("passed", f"they are {words[wanted]}", where)
        return
    what = f"they are {words[not wanted]}, the profile says {words[wanted]}"
    yield Result("failed", what, where, "" if wanted else "az aks get-credentials --admin succeeds")


# -- Z9 to Z11: Jenkins X -------------------------------------------------------------------------


def _files(asked: Asked) -> Iterator[Result]:
    if not asked.profile.keeps_files:
        yield Result("skipped", "the profile asks for no storage (ready.jenkins_x.storage)")
        return
    have = asked.ours(blobs.StorageAccount)
    if have is None:
        yield Result("failed", "there is no storage account of this cluster")
        return
    where = f"storage account {have.name}"
    if missing := [name for name in STORAGE if name not in have.containers]:
        yield Result("failed", f"it has no container {', '.join(missing)}", where)
    else:
        yield Result("passed", f"it has {', '.join(STORAGE)}", where)


def _vault(asked: Asked) -> Iterator[Result]:
    if not asked.profile.keeps_secrets:
        yield Result("skipped", "secrets are kept elsewhere (ready.jenkins_x.secrets)")
        return
    have = asked.ours(keyvault.KeyVault)
    if have is None:
        name = keyvault.vault_name(asked.scope)
        there = keyvault.deleted(asked.scope, name)
        again = there is not None and keyvault.ours(asked.scope, there)
        what = f"{name} was deleted" if again else "there is no key vault of this cluster"
        cure = f"{UP} brings it back with its secrets" if again else ""
        yield Result("failed", what, "key vault", "dial tcp: lookup …: no such host", cure)
    elif not have.by_roles:
        what = "access policies decide who may read it, roles have no effect"
        yield Result("failed", what, f"key vault {have.name}")
    else:
        yield Result("passed", "is there, and roles decide", f"key vault {have.name}")


def _zone(asked: Asked) -> Iterator[Result]:
    wanted = asked.profile.ready.jenkins_x
    if wanted is None or wanted.domain is None:
        yield Result("skipped", "the profile has no domain (ready.jenkins_x.domain)")
        return
    if zone := asked.zone:
        yield Result("passed", f"the zone {zone.name} is in the group {zone.group}", wanted.domain)
        return
    what = "no zone of it is in the subscription: nobody writes its records"
    yield Result("warned", what, wanted.domain)


ROWS = (
    Row("the registry exists and has a login server", _registry, NO_HOST),
    Row("identities have the roles that they need", _roles, UNAUTHORIZED),
    Row("the registry takes the tokens of Resource Manager's", _tokens, EXPIRED),
    Row("the builds' service accounts are known to Entra ID", _federation, STRANGER, UP, "kaniko"),
    Row(
        "pods that push as themselves have Workload ID's label",
        _pods,
        NO_TOKEN,
        f'labels: {{{USE}: "true"}} in the metadata of the pod\'s template',
        "kaniko",
    ),
    Row("the builds' password has not expired", _password, EXPIRED, UP, "kaniko"),
    Row(
        "the subscription has registered what the cluster needs",
        _providers,
        NOT_REGISTERED,
        f"{UP} --activate, or az provider register",
    ),
    Row("the cluster's own certificates are let in as the profile says", _accounts, NO_LOCAL),
    Row("Jenkins X has a place for its logs", _files, NO_CONTAINER, UP, "jenkins-x"),
    Row("Jenkins X has a key vault for its secrets", _vault, NO_SECRETS, UP, "jenkins-x"),
    Row(
        "the domain has a DNS zone in the subscription",
        _zone,
        "dial tcp: lookup …: no such host",
        "az network dns zone create, or create the records yourself",
        "jenkins-x",
    ),
)
