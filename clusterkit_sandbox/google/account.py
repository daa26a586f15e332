"""The account: its projects, its service account and what programs need to use it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from clusterkit_sandbox.google.tokens import Caller

PROJECT = "clusterkit-sandbox"
"""The project that credentials and gcloud's configuration name."""
HOST_PROJECT = "clusterkit-host"
"""A second project, for networks that are shared with the first."""
PROJECTS: Mapping[str, str] = {PROJECT: "123456789012", HOST_PROJECT: "210987654321"}
"""Project to its number."""
REGION = "europe-west1"
"""The default region."""


def project_id(given: str) -> str | None:
    """The project with this id or number."""
    if given in PROJECTS:
        return given
    return next((name for name, number in PROJECTS.items() if number == given), None)


def owner() -> Caller:
    """The sandbox's own service account, which may do everything."""
    email = f"sandbox@{PROJECT}.iam.gserviceaccount.com"
    return Caller(email, "100000000000000000001", owner=True)


def environment(key: Mapping[str, str], directory: Path) -> dict[str, str]:
    """Write a key file and a configuration folder for gcloud into ``directory``; return the
    variables that make Google's clients use them.
    """
    name = key["client_email"].partition("@")[0]
    file = directory / f"gcloud-{name}.json"
    configuration = directory / f"gcloud-{name}"
    configuration.mkdir(mode=0o700, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(json.dumps(key, indent=2), encoding="ascii")
    return {
        "GOOGLE_APPLICATION_CREDENTIALS": str(file),
        "GOOGLE_CLOUD_PROJECT": PROJECT,
        "CLOUDSDK_CONFIG": str(configuration),
        "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE": str(file),
        "CLOUDSDK_CORE_ACCOUNT": key["client_email"],
        "CLOUDSDK_CORE_PROJECT": PROJECT,
        "CLOUDSDK_COMPUTE_REGION": REGION,
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
        "CLOUDSDK_SURVEY_DISABLE_PROMPTS": "1",
        # no metadata server answers on this machine
        "NO_GCE_CHECK": "true",
        "CLOUDSDK_CORE_CHECK_GCE_METADATA": "false",
    }
