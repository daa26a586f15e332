"""What every test of a driver has."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.drivers.world import Died


@pytest.fixture(autouse=True, scope="session")
def _threads_of_the_dead() -> Iterator[None]:
    """Where a dead process's other threads stop, the renewal of its lock among them, is no
    fault.
    """
    report = threading.excepthook

    def told(ending: threading.ExceptHookArgs, /) -> None:
        if ending.exc_type is not Died:
            report(ending)

    threading.excepthook = told
    yield
    threading.excepthook = report
