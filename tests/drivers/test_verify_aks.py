"""Each check of Azure's passes on a cluster that ``up`` made, and fails when what it checks is
broken: through Azure's API or Kubernetes', as somebody would by mistake.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from clusterkit.aks.iam import ROLES
from clusterkit.ready.checks import Result
from clusterkit.ready.subject import Subject
from clusterkit.ready.verify import Wanted, run
from tests.drivers.aks import Account
from tests.drivers.aks_cases import JENKINS_X, MINIMAL_CASE, administered, zone
from tests.drivers.world import Edits, World, edited, world

REGISTRY = {"name": "demo", "repositories": ["app"], "keep": False}
BUILDS: Edits = {"registry": REGISTRY, "ready": {"kaniko": {}}}
SECRET: Edits = {"registry": {**REGISTRY, "push": "secret"}, "ready": {"kaniko": {}}}
ABAC: Edits = {"registry": {**REGISTRY, "abac": True}, "ready": {"kaniko": {}}}
JENKINS: Edits = {"registry": REGISTRY, "ready": {"jenkins_x": JENKINS_X}}
ALL = [f"Z{number}" for number in range(1, 12)]
CASE = replace(MINIMAL_CASE, label="verified", profile=edited(MINIMAL_CASE.profile, BUILDS))


def verified(found: World) -> dict[str, Sequence[Result]]:
    """What each check finds."""
    made = found.cloud.checks(found.profile, found.clients())
    assert [check.id for check in made] == ALL
    verdicts = run(made, Subject(found.clients().kube), Wanted())
    return {verdict.check.id: verdict.results for verdict in verdicts}


def failed(found: World) -> dict[str, str]:
    """The checks that fail, and all that they say."""
    return {
        name: "\n".join(" ".join(map(str, vars(result).values())) for result in results)
        for name, results in verified(found).items()
        if any(result.status == "failed" for result in results)
    }


def state(found: World, key: str) -> Any:
    """The state of something of ours, by the beginning of its key."""
    states = found.cluster().plan(found.profile).snapshot.states
    return next(have for name, have in states.items() if name.startswith(key))


# -- what breaks ----------------------------------------------------------------------------------


def _no_registry(found: World) -> None:
    Account(found)("DELETE", state(found, "registry/").path)


def _lacking(name: str) -> Callable[[World], None]:
    def broken(found: World) -> None:
        Account(found)("DELETE", state(found, f"role-assignment/{name}").path)

    return broken


def _old_role(found: World) -> None:
    """AcrPush in a registry with permissions by repository, in place of the role it needs."""
    account, have = Account(found), state(found, "role-assignment/builds")
    shown = account("GET", have.path)["properties"]
    account("DELETE", have.path)
    roles = f"{account.path}/providers/Microsoft.Authorization/roleDefinitions"
    body = {
        "roleDefinitionId": f"{roles}/{ROLES['AcrPush']}",
        "principalId": shown["principalId"],
        "principalType": "ServicePrincipal",
    }
    account("PUT", have.path, {"properties": body})


def _no_tokens(found: World) -> None:
    policies = {"azureADAuthenticationAsArmPolicy": {"status": "disabled"}}
    path = state(found, "registry/").path
    Account(found)("PATCH", path, {"properties": {"policies": policies}})


def _stranger(**given: Any) -> Callable[[World], None]:
    """Change the builds' federated credential; without anything it is deleted."""

    def broken(found: World) -> None:
        account, path = Account(found), state(found, "federated-credential/").path
        properties = account("GET", path)["properties"]
        if given:
            account("PUT", path, {"properties": {**properties, **given}})
        else:
            account("DELETE", path)

    return broken


def _changed(**given: Any) -> Callable[[World], None]:
    """Change properties of the cluster."""

    def broken(found: World) -> None:
        account, path = Account(found), state(found, "cluster/").path
        shown = account("GET", path)
        account("PUT", path, {**shown, "properties": {**shown["properties"], **given}})

    return broken


def _pod(found: World) -> None:
    """A pod of the builds' service account whose author knew of its annotations only."""
    container = {"name": "main", "image": "example.test/app"}
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "theirs"},
        "spec": {"serviceAccountName": "kaniko", "containers": [container]},
    }
    found.clients().kube.apply("/api/v1/namespaces/builds/pods/theirs", body)


def _unregistered(found: World) -> None:
    account = Account(found)
    account("POST", f"{account.path}/providers/Microsoft.ContainerRegistry/unregister")


def _token(end: datetime) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": int(end.timestamp())}).encode())
    return f"e30.{claims.decode().rstrip('=')}."


def _password(*, key: str | None = None, age: timedelta = timedelta(0)) -> Callable[[World], None]:
    """Write another docker config: for another registry, or with a token of another age."""

    def broken(found: World) -> None:
        path = "/api/v1/namespaces/builds/secrets/regcred"
        server = key or state(found, "registry/").server
        entry = {"identitytoken": _token(datetime.now(UTC) + timedelta(hours=3) - age)}
        config = base64.b64encode(json.dumps({"auths": {server: entry}}).encode()).decode()
        found.clients().kube.patch(path, {"data": {".dockerconfigjson": config}})

    return broken


def _no_container(found: World) -> None:
    path = state(found, "storage-account/").path
    Account(found)("DELETE", f"{path}/blobServices/default/containers/logs")


def _by_policies(found: World) -> None:
    path = state(found, "key-vault/").path
    Account(found)("PATCH", path, {"properties": {"enableRbacAuthorization": False}})


def _gone(key: str) -> Callable[[World], None]:
    def broken(found: World) -> None:
        Account(found)("DELETE", state(found, key).path)

    return broken


class Broken(NamedTuple):
    """One way in which what a check asks about is broken."""

    checks: Mapping[str, str]
    """the ids that fail, and words of each"""
    by: Callable[[World], None]
    profile: Edits = BUILDS
    prepare: Callable[[World], Edits] = MINIMAL_CASE.prepare


def _both(found: World) -> Edits:
    """Entra ID, and the cluster's own certificates."""
    admins = administered(found)["entra"]["admins"]
    return {"entra": {"admins": admins, "local_accounts": True}}


NO_IDENTITY = {"workloadIdentity": {"enabled": False}}
OTHER = "https://example.com/issuer/"
BROKEN: Mapping[str, Broken] = {
    "registry": Broken({"Z1": "clusterkit up", "Z2": "", "Z3": ""}, _no_registry),
    "pull": Broken({"Z2": "lacks AcrPull on the registry"}, _lacking("pull")),
    "push": Broken({"Z2": "lacks AcrPush on the registry"}, _lacking("builds")),
    "push by repository": Broken({"Z2": "AcrPush have no effect"}, _old_role, ABAC),
    "tokens": Broken({"Z3": "az acr config authentication-as-arm"}, _no_tokens),
    "credential": Broken({"Z4": "no federated credential"}, _stranger()),
    "issuer": Broken({"Z4": f"for the issuer {OTHER}"}, _stranger(issuer=OTHER)),
    "audience": Broken({"Z4": "for api://other"}, _stranger(audiences=["api://other"])),
    "subject": Broken(
        {"Z4": "no federated credential"}, _stranger(subject="system:serviceaccount:a:b")
    ),
    "workload id": Broken({"Z4": "Workload ID is off"}, _changed(securityProfile=NO_IDENTITY)),
    "label": Broken({"Z5": "azure.workload.identity/use=true, so it is given no token"}, _pod),
    "password": Broken({"Z6": "no login to"}, _password(key="example.azurecr.io"), SECRET),
    "old password": Broken({"Z6": "expired"}, _password(age=timedelta(hours=4)), SECRET),
    "provider": Broken({"Z7": "clusterkit up --activate"}, _unregistered),
    "push of Jenkins X": Broken(
        {"Z2": "lacks AcrPush on the registry"}, _lacking("push"), JENKINS, zone
    ),
    "files": Broken(
        {"Z2": "lacks Storage Blob Data Contributor"}, _lacking("files"), JENKINS, zone
    ),
    "secrets": Broken(
        {"Z2": "lacks Key Vault Secrets Officer"}, _lacking("secrets"), JENKINS, zone
    ),
    "records": Broken(
        {"Z2": "lacks DNS Zone Contributor on the zone example.com"},
        _lacking("records"),
        JENKINS,
        zone,
    ),
    "zones": Broken({"Z2": "lacks Reader on the group names"}, _lacking("zones"), JENKINS, zone),
    "container": Broken({"Z9": "no container logs"}, _no_container, JENKINS, zone),
    "account": Broken(
        {"Z2": "the storage account does not exist", "Z9": "no storage account"},
        _gone("storage-account/"),
        JENKINS,
        zone,
    ),
    "policies": Broken({"Z10": "roles have no effect"}, _by_policies, JENKINS, zone),
    "vault": Broken(
        {"Z2": "the key vault does not exist", "Z10": "brings it back with its secrets"},
        _gone("key-vault/"),
        JENKINS,
        zone,
    ),
    "local accounts": Broken(
        {"Z8": "Getting static credential is not allowed"},
        _changed(disableLocalAccounts=True),
        {},
        _both,
    ),
}


@pytest.mark.parametrize(
    "profile", [BUILDS, SECRET, ABAC, JENKINS], ids=["identity", "secret", "abac", "jenkins-x"]
)
def test_nothing_fails_on_what_up_made(profile: Edits, tmp_path: Path) -> None:
    case = replace(CASE, profile=edited(MINIMAL_CASE.profile, profile), prepare=zone)
    with world(case, tmp_path) as found:
        found.settle(found.up())
        assert failed(found) == {}
        states = {r.status for results in verified(found).values() for r in results}
        assert states == {"passed", "skipped"}


@pytest.mark.parametrize("name", BROKEN)
def test_a_check_fails_when_it_is_broken(name: str, tmp_path: Path) -> None:
    wanted = BROKEN[name]
    profile = edited(MINIMAL_CASE.profile, wanted.profile)
    case = replace(CASE, profile=profile, prepare=wanted.prepare)
    with world(case, tmp_path) as found:
        found.settle(found.up())
        wanted.by(found)
        told = failed(found)
        assert told.keys() == wanted.checks.keys(), told
        for check, words in wanted.checks.items():
            assert words in told[check]


def test_a_domain_without_a_zone_is_a_warning(tmp_path: Path) -> None:
    case = replace(CASE, profile=edited(MINIMAL_CASE.profile, JENKINS), prepare=zone)
    with world(case, tmp_path) as found:
        account = Account(found)
        names = f"{account.path}/resourceGroups/names/providers/Microsoft.Network/dnsZones"
        account("DELETE", f"{names}/example.com")
        cluster = found.cluster()
        found.settle(cluster.apply(cluster.plan(found.profile), found.events.append))
        assert failed(found) == {}
        (told,) = verified(found)["Z11"]
        assert (told.status, "no zone of it" in told.what) == ("warned", True)
