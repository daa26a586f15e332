"""What every command pays before it does anything, and what an empty plan does not pay."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import UnknownServiceError
from botocore.loaders import create_loader

from clusterkit.eks.client import Clients, Service
from clusterkit.eks.models import Models
from tools.gen_aws_models import ITSELF, extract


def test_nothing_looks_for_garbage_at_the_exit() -> None:
    code = (
        "import atexit, gc, sys\n"
        "from clusterkit.__main__ import run\n"
        "atexit.register(lambda: print('frozen', gc.get_freeze_count() > 0))\n"  # the last of all
        "sys.argv = ['clusterkit', '--version']\n"
        "run()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1:] == ["frozen True"]


SERVICES = sorted(
    service._name for service in vars(Clients).values() if isinstance(service, Service)
)


@pytest.mark.parametrize("service", [*SERVICES, "sso", "sso-oidc"])
@pytest.mark.parametrize("kind", ["service-2", "endpoint-rule-set-1", "paginators-1"])
def test_models_are_botocores(service: str, kind: str) -> None:
    """Whole, or what of one the driver needs."""
    ours = Models().load_service_model(service, kind)
    if kind == "service-2" and service in ITSELF:
        assert ours == extract(service), "run tools/gen_aws_models.py"
    else:
        assert ours == create_loader().load_service_model(service, kind)


def test_models_of_the_users_own_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Models, "CUSTOMER_DATA_PATH", str(tmp_path))
    folder = tmp_path / "own" / "2026-01-01"
    folder.mkdir(parents=True)
    (folder / "service-2.json").write_text(json.dumps({"metadata": {"b": 1, "a": 2}}))
    assert Models().load_service_model("own", "service-2") == {"metadata": {"b": 1, "a": 2}}
    with pytest.raises(UnknownServiceError, match="other"):
        Models().load_service_model("other", "service-2")
