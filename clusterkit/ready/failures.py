"""What kaniko's last words mean, and what to do about it.

The words are those of kaniko v1.28.3 as it was run, and of older versions as their issues quote
them (GoogleContainerTools/kaniko, by number).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from clusterkit.errors import Finding


@dataclass(frozen=True)
class Failure:
    """One way to fail."""

    words: re.Pattern[str]
    cause: str
    cure: str


def _failure(words: str, cause: str, cure: str) -> Failure:
    return Failure(re.compile(words, re.IGNORECASE), cause, cure)


KILLED = "OOMKilled"
LATE = "DeadlineExceeded"
UP = "run clusterkit up"

FAILURES = (
    # the particular before the general: what is known of a registry before a plain 401
    _failure(
        r"NAME_UNKNOWN|repository .* not found|RepositoryNotFound",
        "the registry has no such repository, and a push does not make it",
        f"add it to registry.repositories in the profile and {UP}",
    ),
    _failure(
        r'exec: "docker-credential-\S+": executable file not found',
        "the docker config names a credential helper that kaniko's image does not have; "
        "docker-credential-acr went with v1.8.0",
        "use credHelpers with acr-env, ecr-login or gcr, host by host, and no credsStore; "
        f"{UP} writes such a config",
    ),
    _failure(
        r"serverURL does not refer to Azure Container Registry",
        "the helper acr-env is asked about a registry that is not Azure's",
        "name it in credHelpers for its own hosts only, never as credsStore",
    ),
    _failure(
        r"failed to acquire refresh token|error refreshing sp token|AADSTS\d+",
        "the pod got no token of Entra ID: its identity is not federated, or the pod lacks the "
        "label azure.workload.identity/use",
        f"{UP}, and take the pod from clusterkit kaniko manifest",
    ),
    _failure(
        r"uploadArtifacts|Token exchange failed|caller does not have permission",
        "Google refuses the push: the service account has no role on the repository, or a role "
        "that is left from a deleted account of the same name",
        f"{UP}; with registry.push: node the pool needs the scope cloud-platform",
    ),
    _failure(
        r"toomanyrequests|rate limit",
        "Docker Hub counts pulls without a login by address",
        "give builds a login: ready.kaniko.registry, or take the base image from elsewhere",
    ),
    _failure(
        r"/oauth2/token: UNAUTHORIZED|token (has )?expired|ExpiredToken",
        "the registry's password has expired",
        f"{UP}: it renews passwords that have",
    ),
    _failure(
        r"getting tag for destination",
        "the destination is not the name of an image",
        "NAME:TAG, in lower case",
    ),
    _failure(
        r"blobs/uploads/.*(401|403|denied|unauthorized)|checking push permission",
        "the registry does not let this pod push: no login, another one, or one without the right",
        f"{UP}: it sets up who may push; a destination elsewhere needs ready.kaniko.registry",
    ),
    _failure(
        r"blobs/uploads/.*EOF",
        "the registry, or a proxy before it, ended the connection (#1935)",
        "see that the repository exists, and that nothing on the way cuts large requests",
    ),
    _failure(
        r"kaniko should only be run inside of a container",
        "this kaniko is too old to know that it is in a container (cgroup v2, #1542)",
        "take a newer one: --image, or ready.kaniko.image",
    ),
    _failure(
        r"missing unit in duration",
        "kaniko takes durations with a unit",
        "write --cache-ttl=336h",
    ),
    _failure(
        r"operation not permitted|permission denied",
        "the build needs more capabilities than the Pod Security level baseline admits",
        "look at the command that failed: mounting and loading modules cannot be done in a build",
    ),
    _failure(
        r"Error while retrieving image from cache|error resolving source context|"
        r"MANIFEST_UNKNOWN|manifest unknown",
        "the base image, or the context, cannot be read",
        "check FROM and the context's address, and that the pod may read both",
    ),
    _failure(
        r"no space left on device|exceeds? .*ephemeral",
        "the node's disk, or the pod's share of it, is full: an image is unpacked there",
        "--disk-limit, or larger disks in the pool",
    ),
    _failure(
        r"(unexpected EOF|gzip: invalid header|no data found)",
        "the context did not arrive whole",
        "run it again; of a .tar.gz, check that it is one",
    ),
)
"""the first that fits is told"""
CACHE = _failure(
    r"Error uploading layer to cache|failed to push to destination \S*cache",
    "the image was built, but its layers could not be cached",
    f"see that the cache's repository exists (registry.cache: true) and {UP}",
)
"""kaniko says it as a warning and goes on"""


def explain(lines: Iterable[str], reason: str = "", code: int = 1) -> Finding | None:
    """Cause and cure of a build that failed; None for what the log itself says best, as a command
    of the Dockerfile that failed.

    ``reason`` is the container's or the Job's, in Kubernetes' words.
    """
    text = [*lines]
    if reason == KILLED or code == 137:
        what = "the build was killed: it needed more memory than its limit"
        return Finding(what, KILLED, "--memory-limit 4Gi, or fewer files in one layer")
    if reason == LATE:
        return Finding("the build took longer than an hour", LATE, "build less in one image")
    errors = [line for line in text if re.search(r"error|fatal|denied|panic", line, re.IGNORECASE)]
    for failure in FAILURES:
        # the last error says why it ended; earlier ones were tried again
        for line in (*reversed(errors[-5:]), *reversed(text[-3:])):
            if failure.words.search(line):
                return Finding(failure.cause, line.strip()[:300], failure.cure)
    return None


def uncached(lines: Iterable[str]) -> Finding | None:
    """What a build that succeeded should tell all the same."""
    for line in lines:
        if CACHE.words.search(line):
            return Finding(CACHE.cause, line.strip()[:300], CACHE.cure)
    return None
