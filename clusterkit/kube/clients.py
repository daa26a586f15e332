"""What the clients of every cloud have: one account and region, and the cluster's Kubernetes."""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any, ClassVar, Self, TypeVar

from clusterkit.engine.cache import ReadCache, SingleFlight
from clusterkit.engine.exchange import asked_by
from clusterkit.engine.rate import Rate
from clusterkit.engine.target import CloudConnection, Target
from clusterkit.errors import Throttled
from clusterkit.kube.api import Access, KubeApi

T = TypeVar("T")


class CloudClients(ReadCache):
    """One account and region; nothing is connected before the first call.

    Every call raises clusterkit's errors and nothing else.
    """

    reads: ClassVar[tuple[str, ...]]
    """how the names of the operations begin that change nothing"""

    def __init__(
        self, target: Target, wire: CloudConnection, access: Callable[[Self], Access]
    ) -> None:
        """``access`` says how to reach the cluster's Kubernetes API once there is one."""
        super().__init__()
        self.target = target
        self.wire = wire
        self._access = access
        self._place = wire.reached(target.place)
        self._changed = time.monotonic()
        """when it has changed something last"""
        self.kube = KubeApi(partial(access, self), observe=wire.observe)

    def fresh(self) -> Self:
        """The same connections and credentials, remembering nothing: for a plan or a run."""
        new = copy(self)
        CloudClients.__init__(new, self.target, self.wire, self._access)
        return new

    def ask(self, operation: str, request: str, send: Callable[[], Any]) -> Any:
        """The answer to ``send``. Operations that only read may share it (``ReadCache.share``) with
        the same ``request`` to the same operation; a change ends that.
        """
        api = operation.partition(".")[0]
        ask = partial(self._rate(api), partial(self._sent, api, send))
        if operation.rpartition(".")[2].startswith(self.reads):
            question = f"{operation} {request}"
            return self.answer(question, partial(self._single_flight, question, self._changed, ask))
        self.unshare()
        try:
            return ask()
        finally:
            self._changed = time.monotonic()

    def _sent(self, api: str, send: Callable[[], Any]) -> Any:
        try:
            return self.mine(send)
        except Throttled:
            if self.wire.throttled is not None:
                self.wire.throttled(api)
            raise

    def _rate(self, api: str) -> Rate:
        """How often the account asks this API; its clusters share it."""
        return self.wire.shared(f"rate {self._place} {api}", lambda: Rate(self.wire.scale))

    @property
    def _single_flight(self) -> SingleFlight:
        return self.wire.shared(f"single flight {self._place}", SingleFlight)

    def mine(self, send: Callable[[], T]) -> T:
        """``send()`` over connections that clusters share: this one's observer is told of it."""
        return asked_by(self.wire.observe, send)
