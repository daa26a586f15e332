"""What kaniko's last words mean; the words are those of its v1.28.3 where it was run."""

from __future__ import annotations

import pytest

from clusterkit.ready.failures import explain, uncached

PUSH = 'error checking push permissions: checking push permission for "r.test/a:1": '


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        (
            PUSH + "POST https://r.test/v2/a/blobs/uploads/: unexpected status code 401 "
            "Unauthorized: Not Authorized",
            "does not let this pod push",
        ),
        (
            PUSH + "POST https://r/v2/a/blobs/uploads/: NAME_UNKNOWN: The repository with name "
            "'a' does not exist in the registry with id '123456789012'",
            "no such repository",
        ),
        (
            "error checking push permissions: getting tag for destination: repository can only "
            "contain the characters `abcdefghijklmnopqrstuvwxyz0123456789_-./`: demo/APP",
            "not the name of an image",
        ),
        (
            "resolving authorization for r.test failed: error getting credentials - err: exec: "
            '"docker-credential-acr": executable file not found in $PATH, out: ``',
            "a credential helper that kaniko's image does not have",
        ),
        (
            "error getting credentials - err: exit status 1, out: `serverURL does not refer to "
            "Azure Container Registry`",
            "asked about a registry that is not Azure's",
        ),
        (
            "failed to acquire refresh token error refreshing sp token - adal: Refresh request",
            "no token of Entra ID",
        ),
        (
            "creating push check transport for x.azurecr.io failed: POST "
            "https://x.azurecr.io/oauth2/token: UNAUTHORIZED: authentication required",
            "password has expired",
        ),
        (
            'error: DENIED: Permission "artifactregistry.repositories.uploadArtifacts" denied on '
            'resource "projects/p" (or it may not exist)',
            "Google refuses the push",
        ),
        ("error pushing: Post https://r/v2/a/blobs/uploads/: EOF", "ended the connection"),
        (
            "kaniko should only be run inside of a container, run with the --force flag if you are "
            "sure you want to continue",
            "too old to know",
        ),
        ("error: toomanyrequests: You have reached your pull rate limit", "counts pulls"),
        ("error building image: gzip: invalid header", "did not arrive whole"),
        ("error: write /kaniko/x: no space left on device", "is full"),
    ],
)
def test_known_words(line: str, cause: str) -> None:
    found = explain(["INFO[0001] Retrieving image", line, "exit"])
    assert found is not None
    assert cause in found.what
    assert found.hint
    assert found.where == line[:300]


def test_what_the_log_itself_says_best() -> None:
    assert explain(["make: *** [all] Error 2", "error building image: exit status 2"]) is None


@pytest.mark.parametrize(
    ("reason", "code", "words"),
    [("OOMKilled", 137, "memory"), ("Error", 137, "memory"), ("DeadlineExceeded", 1, "an hour")],
)
def test_what_kubernetes_ended(reason: str, code: int, words: str) -> None:
    found = explain(["INFO Taking snapshot of full filesystem..."], reason, code)
    assert found is not None
    assert words in found.what


def test_a_cache_that_does_not_work_is_told() -> None:
    line = (
        "WARN[0012] Error uploading layer to cache: failed to push to destination "
        "r.test/a/cache:0a: NAME_UNKNOWN: The repository with name 'a/cache' does not exist"
    )
    found = uncached(["INFO ok", line])
    assert found is not None
    assert "could not be cached" in found.what
    assert uncached(["INFO ok"]) is None
