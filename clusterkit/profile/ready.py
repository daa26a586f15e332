"""What a cluster is prepared for: the section ``ready`` of a profile."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, WithJsonSchema

from clusterkit.profile.fields import Form, ImageName, Strict, every
from clusterkit.profile.labels import DnsLabel, DnsSubdomain
from clusterkit.profile.problems import Problem, refuse, shown

JENKINS_X_ACCOUNT = "jx/tekton-bot"
"""the service account Jenkins X 3 runs its pipelines under"""
KANIKO = "ghcr.io/osscontainertools/kaniko:v1.28.3"
"""the maintained successor of gcr.io/kaniko-project/executor, which ended with v1.24.0
(https://github.com/osscontainertools/kaniko)"""
DOCKER_HUB = "https://index.docker.io/v1/"
"""what docker's configuration calls Docker Hub (docker/cli ``cli/config/credentials``)"""
_HUB = frozenset({DOCKER_HUB, "docker.io", "index.docker.io", "registry-1.docker.io"})


def _server_cure(text: str) -> str:
    host = re.sub(r"^https?://", "", text).partition("/")[0].lower()
    return f"write {host}" if host and host != text else ""


def _pinned(image: str) -> Iterator[Problem]:
    tag = image.rpartition("/")[2].partition(":")[2]
    if "@" not in image and tag in ("", "latest"):
        what = f"names no version: {shown(image)}"
        yield Problem(what, f"add a tag or a digest, as in {KANIKO}")


class OtherRegistry(Strict):
    """A registry that clusterkit does not create; its user and password are given to `up`, by
    `--registry-user` and `--registry-password-stdin` or in the environment."""

    server: Annotated[
        str,
        Form(
            rf"{re.escape(DOCKER_HUB)}|[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{{1,5}})?",
            f"a host name such as ghcr.io, with its port if that is not 443, or {DOCKER_HUB}",
            255,
            _server_cure,
        ),
    ] = Field(default=DOCKER_HUB, description="its host name; default: Docker Hub")
    prefix: ImageName = Field(
        description="first part of every image's name there: the user or the organization"
    )

    @property
    def host(self) -> str:
        """As in the names of images."""
        return "docker.io" if self.server in _HUB else self.server

    @property
    def key(self) -> str:
        """As in docker's configuration: a host without a path, but for Docker Hub."""
        return DOCKER_HUB if self.server in _HUB else self.server


class Kaniko(Strict):
    """What builds with kaniko need."""

    namespace: DnsLabel = Field(default="builds", description="namespace of the builds")
    service_account: DnsSubdomain = Field(
        default="kaniko", description="service account that may push to the registry"
    )
    image: Annotated[
        str,
        Form(
            r"[a-z0-9]+([._:/-][a-z0-9]+)*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?(@sha256:[0-9a-f]{64})?",
            "an image with its version",
            512,
        ),
        every(_pinned),
    ] = Field(default=KANIKO, description="kaniko's image, with a version")
    registry: OtherRegistry | None = Field(
        default=None,
        description="push to this registry in place of the one of `registry`, which then serves "
        "for pulls",
    )

    @property
    def account(self) -> str:
        """``NAMESPACE/NAME`` of the service account."""
        return f"{self.namespace}/{self.service_account}"


def _git_url(text: str) -> str:
    try:
        url = urlsplit(text)
        host, secret = url.hostname, url.username or url.password
    except ValueError:
        raise refuse("is not a URL", "https://github.com/OWNER/REPOSITORY") from None
    if secret:
        raise refuse("contains credentials, which do not belong in a profile", "remove them")
    if url.scheme != "https" or not host or not url.path.strip("/") or re.search(r"\s", text):
        raise refuse(
            f"must be the https URL of a git repository, is {shown(text)}",
            "https://github.com/OWNER/REPOSITORY",
        )
    return text


class JenkinsX(Strict):
    """What Jenkins X 3 needs."""

    git_url: Annotated[
        str,
        AfterValidator(_git_url),
        WithJsonSchema({"type": "string", "pattern": "^https://[^@\\s/]+/[^@\\s]+$"}),
    ] = Field(description="https URL of the Jenkins X cluster repository")
    secrets: Literal["local", "vault", "cloud"] | None = Field(
        default=None,
        description="where Jenkins X keeps its secrets: in Kubernetes, in a Vault that you run in "
        "the namespace `jx-vault`, or in the cloud's own service; default: `cloud`, or `local` "
        "where Jenkins X knows none",
    )
    storage: bool = Field(
        default=True, description="create buckets for logs, reports and artifacts"
    )
    keep_storage: bool = Field(
        default=True, description="`destroy` keeps these buckets, which still cost storage"
    )
    domain: (
        Annotated[
            str,
            Form(
                r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}",
                "a domain such as apps.example.com",
                253,
            ),
        ]
        | None
    ) = Field(
        default=None,
        description="domain of the Ingresses, in a DNS zone of the same account; default: one of "
        "nip.io by the load balancer's address",
    )
    tls_email: (
        Annotated[str, Form(r"[^@\s]+@[^@\s]+\.[^@\s]+", "an address such as me@example.com", 254)]
        | None
    ) = Field(default=None, description="address for Let's Encrypt; TLS needs a domain of your own")

    @property
    def cloud_secrets(self) -> bool:
        """Whether Jenkins X keeps its secrets in the cloud's own service, where it knows that."""
        return self.secrets in (None, "cloud")

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        if self.tls_email and not self.domain:
            # jx-verify ``pkg/cmd/tls``: no certificate for nip.io
            what = "needs a domain: there are no certificates for names of nip.io"
            yield Problem(what, "set domain", ("tls_email",))


class Jenkins(Strict):
    """What the chart of Jenkins needs to build with kaniko."""

    namespace: DnsLabel = Field(default="jenkins", description="namespace of Jenkins")


class Ready(Strict):
    """What to prepare the cluster for."""

    kaniko: Kaniko | None = Field(
        default=None, description="builds with kaniko; `{}` for the defaults"
    )
    jenkins_x: JenkinsX | None = Field(default=None, description="Jenkins X 3")
    jenkins: Jenkins | None = Field(
        default=None, description="Jenkins with kaniko agents; `{}` for the defaults"
    )

    @property
    def agents(self) -> Kaniko | None:
        """The builds of Jenkins: as ``kaniko``, in the namespace of Jenkins."""
        if self.jenkins is None:
            return None
        kaniko, namespace = self.kaniko or Kaniko(), self.jenkins.namespace
        if kaniko.namespace == namespace:
            return kaniko
        return kaniko.model_copy(update={"namespace": namespace, "service_account": "kaniko"})

    @property
    def builders(self) -> tuple[Kaniko, ...]:
        """Whatever builds with kaniko, each in a namespace of its own."""
        found = (each for each in (self.kaniko, self.agents) if each)
        return tuple({each.namespace: each for each in found}.values())

    @property
    def pushers(self) -> tuple[str, ...]:
        """The service accounts ``namespace/name`` that push images."""
        builds = tuple(each.account for each in self.builders)
        return builds + ((JENKINS_X_ACCOUNT,) if self.jenkins_x else ())
