"""How pods push to Container Registry: with a password that lives an hour.

kaniko has no credential helper for it, so that neither a pod's role nor a node's is of use to it
(pkg/creds/creds.go of osscontainertools/kaniko). Pods use the registry's host inside the VPC: the
public one of newer Personal Editions takes pushes only
(https://www.alibabacloud.com/help/en/acr/product-overview/individual-edition).
"""

from __future__ import annotations

from functools import partial

from clusterkit.alibaba.client import Clients
from clusterkit.alibaba.profile import AlibabaProfile, AlibabaRegistry
from clusterkit.alibaba.registry import (
    PersonalRepository,
    domains,
    instance_login,
    password,
    servers,
)
from clusterkit.engine.scope import Scope
from clusterkit.errors import Absent
from clusterkit.kube.secrets import Login
from clusterkit.naming import CLUSTER
from clusterkit.ready.registry import REGCRED, PushAccess


def access_of(registry: AlibabaRegistry, hosts: tuple[str, ...], clients: Clients) -> PushAccess:
    """How pods push; ``hosts`` are the registry's, the one inside the VPC first."""
    return PushAccess(
        host=hosts[0],
        prefix=registry.name,
        cache=registry.cache_suffix,
        repositories=frozenset(name for name, _ in registry.full_names),
        secret=REGCRED,
        servers=hosts,
        login=partial(login, registry, hosts, clients),
    )


def login(registry: AlibabaRegistry, hosts: tuple[str, ...], clients: Clients) -> Login:
    """What logs in for an hour, with the rights of whoever asks."""
    if registry.instance is None:
        return password(clients, hosts)
    return instance_login(clients, registry.instance, hosts)


def push_access(profile: AlibabaProfile, clients: Clients, _: str | None) -> PushAccess | None:
    """``Cloud.push_access``: the host names are read, unless the profile names one."""
    registry = profile.registry
    return access_of(registry, hosts_of(profile, clients), clients) if registry else None


def hosts_of(profile: AlibabaProfile, clients: Clients) -> tuple[str, ...]:
    """The registry's host names, the one inside the VPC first; none without a registry. ``Absent``
    before the first repository of the Personal Edition.
    """
    registry = profile.registry
    if registry is None:
        return ()
    if registry.instance:
        return domains(clients, registry.instance)
    if registry.host:
        return servers(profile.region, registry.host)
    return personal_hosts(Scope(clients, profile.name, profile.region))


def personal_hosts(scope: Scope[Clients]) -> tuple[str, ...]:
    """The Personal Edition's, as a repository of ours tells them."""
    for have in PersonalRepository.list(scope):
        if have.tags.get(CLUSTER) == scope.cluster:
            return have.servers or servers(scope.region, None)
    raise Absent("personal-repository")
