"""Jenkins X 3: what it reads from the cluster and expects of the cloud.

Each driver fills a ``Platform`` from its own state. Jenkins X derives the names of its identities
from the cluster's name and project, so these must match letter by letter
(https://github.com/jenkins-x/jx3-versions, ``helmfiles/*/values.yaml.gotmpl``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

REQUIREMENTS = "default/terraform-jx-requirements"
"""the ConfigMap that the boot job merges into the cluster repository's jx-requirements.yml"""
KEY = "jx-requirements.yml"


@dataclass(frozen=True)
class Platform:
    """The cluster and what the cloud has for it, as Jenkins X names them."""

    provider: str
    """``eks``, ``gke``, ``aks``, ``alibaba``"""
    cluster: str
    registry: str
    """host of the images' names, with what comes before the organization"""
    organization: str = ""
    """``dockerRegistryOrg``"""
    region: str = ""
    zone: str = ""
    project: str = ""
    """the account, or the project"""
    secret_storage: str = "local"
    """``local``, ``vault``, ``gsm``, ``azurekeyvault``, ``secretsManager``, ``systemManager``"""
    storage: Mapping[str, str] = field(default_factory=dict)
    """``logs``, ``reports``, ``repository`` to a URL"""
    cluster_extra: Mapping[str, Any] = field(default_factory=dict)
    """more of ``spec.cluster``: ``azure``, ``gke``"""
    boot_annotations: Mapping[str, str] = field(default_factory=dict)
    """of the service account of the boot job"""
    vault: Mapping[str, Any] = field(default_factory=dict)
    """``spec.vault``"""
    registry_secret: bool = False
    """the registry knows no identity of pods: Secret ``jx/container-registry-auth``"""
