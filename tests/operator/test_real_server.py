"""The same on a real API server, where ``KUBEBUILDER_ASSETS`` names one: rules, status, watch."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clusterkit.errors import Rejected
from tests.operator.world import spec, world


@pytest.mark.deep
@pytest.mark.skipif("KUBEBUILDER_ASSETS" not in os.environ, reason="no real API server here")
def test_a_life_on_a_real_server(tmp_path: Path) -> None:
    with world(tmp_path, "eks", kube="envtest") as here, here.operator():
        here.apply("demo", spec())
        here.until_reason("demo", "InSync")
        with pytest.raises(Rejected, match=r"network\.cidr cannot be changed"):
            here.patch("demo", network={"cidr": "10.9.0.0/16"})
        with pytest.raises(Rejected, match="only aks has tier"):
            here.patch("demo", tier="free")
        assert len(here.workload("demo").list("/api/v1/nodes")) == 2
        here.delete("demo")
        here.until_reason("demo", "Unconfirmed", "Deleting")
        here.annotate("demo", confirm_deletion="demo")
        here.until_gone("demo")
        assert here.things("demo") == set()
