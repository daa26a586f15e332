"""Quotas of a new account, on every cloud that has some."""

from __future__ import annotations

import pytest

from clusterkit_sandbox.alibaba import store as alibaba
from clusterkit_sandbox.azure import store as azure
from clusterkit_sandbox.azure.catalogue import CORE_QUOTA
from clusterkit_sandbox.google import store as google
from clusterkit_sandbox.google.catalogue import PROJECT_QUOTAS
from clusterkit_sandbox.kit.quotas import NOBODY_REACHES, quota


def test_they_are_in_force() -> None:
    assert quota(5) == 5
    assert alibaba.Conditions().quotas == alibaba.QUOTAS
    assert google.Conditions().project_quotas == PROJECT_QUOTAS
    assert azure.Conditions().cores == CORE_QUOTA


def test_the_user_lifts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTERKIT_SANDBOX_QUOTAS", "off")
    assert quota(5) == NOBODY_REACHES
    assert set(alibaba.Conditions().quotas.values()) == {NOBODY_REACHES}
    conditions = google.Conditions()
    assert {*conditions.project_quotas.values(), *conditions.region_quotas.values()} == {
        NOBODY_REACHES
    }
    assert azure.Conditions().cores == azure.Conditions().family("any") == NOBODY_REACHES
