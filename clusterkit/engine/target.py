"""Where a cloud is and how to reach it: plain data, so that a driver cannot tell the sandbox from
the real thing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from clusterkit.engine.cache import Once
from clusterkit.engine.exchange import Exchange, Observe, tell_asker
from clusterkit.engine.retry import PATIENCE, Told
from clusterkit.naming import digest

T = TypeVar("T")


@dataclass(frozen=True)
class Target:
    """All that ``destroy`` and ``kubeconfig`` need to know of a cluster."""

    cloud: str
    name: str
    region: str
    cloud_profile: str | None = None
    """the named credentials of the vendor's own configuration file (``--cloud-profile``)"""
    account: str | None = None
    """the account that is meant: where the credentials reach several (projects, subscriptions), the
    one to use; None: the credentials' own
    """
    home: str | None = None
    """where in the account the cluster's things lie, on clouds whose profile may name such a place
    (a resource group); empty: where the driver puts them; None: not known, so that the driver looks
    """
    tags: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    """those that the profile puts on everything, where a company may require them"""

    @property
    def place(self) -> tuple[str | None, ...]:
        """What it has in common with other clusters that share its connections."""
        return (self.cloud, self.region, self.cloud_profile, self.account)


@dataclass(frozen=True)
class UserLogin:
    """A user's own login somewhere: never stored, logged or shown."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class CloudConnection:
    """How to reach the cloud; empty for the real one."""

    proxy: str | None = None
    """``http://127.0.0.1:PORT``, for every HTTPS request"""
    ca_file: Path | None = None
    """PEM file of the only certificate authorities to trust"""
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    """the credentials and settings that take the place of the process environment's, by the
    vendor's names
    """
    scale: float = 1.0
    """how long a second of the real cloud lasts there (1/60 on a sandbox at pace 60)"""
    patience: float = PATIENCE
    """for how many seconds a read outside a run is retried"""
    observe: Observe | None = field(default=None, repr=False, compare=False)
    """told of each request before it leaves and after its answer; all clients report to it"""
    throttled: Callable[[str], None] | None = field(default=None, repr=False, compare=False)
    """told of each request that the cloud refuses because there are too many: the API (``ec2``); on
    the thread that makes the call
    """
    waiting: Told | None = field(default=None, repr=False, compare=False)
    """told before a read outside a run is retried: why, and in how many seconds"""
    ask: Callable[[str], str] | None = field(default=None, repr=False, compare=False)
    """asks the user for a secret (a code of a second factor); None: there is nobody to ask"""
    registry_login: UserLogin | None = field(default=None, repr=False)
    """for the registry that is no cloud's, if the profile has one"""

    shared: Once = field(default_factory=Once, repr=False, compare=False)
    """what the clusters share whose connections are made from this one with ``replace``"""

    def connections(self, key: tuple[str | None, ...], make: Callable[[CloudConnection], T]) -> T:
        """Connections of one account and region, as ``key`` says which; one for all clusters that
        share. Only for calls that are ``exchange.asked_by`` a cluster.
        """
        wire = replace(self, observe=tell_asker, shared=Once())
        return self.shared(self.reached(key), lambda: make(wire))

    def reached(self, key: tuple[str | None, ...]) -> str:
        """An account and region (``Target.place``) as it is reached here; a hash, since it is kept
        and the variables may hold secrets.
        """
        known = repr((key, self.proxy, self.ca_file, sorted(self.environ.items())))
        return digest(known, length=32)

    def tell(self, exchange: Exchange) -> None:
        """Report a request or its answer to the observer, if there is one."""
        if self.observe is not None:
            self.observe(exchange)


def proxy_of_environment(host: str) -> str | None:
    """The proxy for HTTPS to ``host[:port]`` by ``HTTPS_PROXY`` and ``NO_PROXY``."""
    from urllib.request import getproxies, proxy_bypass

    return None if proxy_bypass(host) else getproxies().get("https")
