"""Calls side by side: all ended when it ends, but not after Ctrl-C."""

from __future__ import annotations

import threading

import pytest

from clusterkit.engine.background import Background


def test_results_and_errors_come_back() -> None:
    with Background() as aside:
        good, bad = aside(lambda: 7), aside(lambda: 1 // 0)
        assert good.result() == 7
        with pytest.raises(ZeroDivisionError):
            bad.result()


def test_nothing_goes_on_behind_an_error() -> None:
    go, done = threading.Event(), threading.Event()

    def slow() -> None:
        assert go.wait(10)
        done.set()

    def fail() -> None:
        with Background() as aside:
            aside(slow)
            go.set()
            raise ValueError("told first")

    with pytest.raises(ValueError, match="told first"):
        fail()
    assert done.is_set()


def test_ctrl_c_waits_for_nothing() -> None:
    go = threading.Event()

    def interrupted() -> None:
        with Background() as aside:
            aside(lambda: go.wait(10))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not go.is_set()
    go.set()
