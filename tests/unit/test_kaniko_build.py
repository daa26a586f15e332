"""A build from its Job to its digest, against an API server of a few lines."""

from __future__ import annotations

import io
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from clusterkit.errors import ClusterkitError, Denied, Interrupted, Rejected
from clusterkit.kube.api import KubeApi
from clusterkit.profile.ready import Kaniko
from clusterkit.ready import context as folders
from clusterkit.ready import failures
from clusterkit.ready.build import Ended, Runner
from clusterkit.ready.kaniko import STDIN, Build
from clusterkit.ready.registry import PushAccess
from tests.unit.apiserver import DIGEST, JOBS, Kubelet, serving, waits

ACCESS = PushAccess("registry.example.test", "demo")


class Desk:
    """Somebody who builds."""

    def __init__(self, api: KubeApi) -> None:
        self.told: list[str] = []
        self.log: list[str] = []
        self.stop = threading.Event()
        self.run = Runner(
            api, Kaniko(), ACCESS,
            tell=self.told.append, log=self.log.append, stop=self.stop, scale=0.05,
        )  # fmt: skip

    def build(self, folder: Path | None = None) -> Ended:
        """Build a folder, or from git."""
        if folder is None:
            return self.run(Build("git://example.test/a", ("app:1",)))
        found = folders.look(folder, "Dockerfile")
        return self.run(Build(STDIN, ("app:1",)), partial(folders.pack, found))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A context."""
    made = tmp_path / "context"
    (made / "src").mkdir(parents=True)
    (made / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    (made / "src" / "big").write_bytes(bytes(range(256)) * 4096)
    (made / "link").symlink_to("src/big")
    return made


@pytest.fixture
def kubelet() -> Kubelet:
    """A cluster in which builds work."""
    return Kubelet()


@pytest.fixture
def desk(kubelet: Kubelet, tmp_path: Path) -> Iterator[Desk]:
    """Somebody there."""
    with serving(tmp_path, kubelet) as api:
        yield Desk(api)


def test_a_folder_becomes_an_image(desk: Desk, kubelet: Kubelet, folder: Path) -> None:
    kubelet.needs_stdin = True
    kubelet.waiting = [waits("ContainerCreating")]
    ended = desk.build(folder)
    assert (ended.code, ended.digest) == (0, DIGEST)
    assert desk.log == kubelet.log
    assert kubelet.protocols == ["v5.channel.k8s.io"]
    with tarfile.open(fileobj=io.BytesIO(bytes(kubelet.stdin)), mode="r:gz") as archive:
        assert set(archive.getnames()) == {"Dockerfile", "src", "src/big", "link"}
        assert {entry.uid for entry in archive} == {0}
        big = archive.extractfile("src/big")
        assert big is not None
        assert big.read() == (folder / "src" / "big").read_bytes()
        assert archive.getmember("link").linkname == "src/big"
    [name] = {path for method, path in kubelet.heard if method == "DELETE"}
    assert name.startswith(f"{JOBS}/kaniko-")
    assert kubelet.job is None


def test_a_proxy_that_is_not_for_this_host(
    kubelet: Kubelet, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "localhost")
    kubelet.needs_stdin = True
    with serving(tmp_path, kubelet, direct=True) as api:
        assert Desk(api).build(folder).digest == DIGEST


def test_what_is_made(desk: Desk, kubelet: Kubelet, folder: Path) -> None:
    kubelet.code = kubelet.needs_stdin = True
    desk.build(folder)
    assert kubelet.job is not None
    [container] = kubelet.job["spec"]["template"]["spec"]["containers"]
    assert container["stdin"]
    assert container["stdinOnce"]
    assert "--context=tar://stdin" in container["args"]
    assert "--destination=registry.example.test/demo/app:1" in container["args"]


def test_a_failed_build_stays_and_is_explained(desk: Desk, kubelet: Kubelet) -> None:
    kubelet.code, kubelet.message = 1, "error"
    kubelet.log = [
        "error checking push permissions: POST https://r/v2/a/blobs/uploads/: NAME_UNKNOWN: The "
        "repository with name 'a' does not exist in the registry with id '1'"
    ]
    ended = desk.build()
    assert (ended.code, ended.digest) == (1, "")
    assert kubelet.job is not None
    found = failures.explain(ended.tail, ended.reason, ended.code)
    assert found is not None
    assert "no such repository" in found.what
    assert "registry.repositories" in found.hint


def test_a_log_that_breaks_goes_on_where_it_was(desk: Desk, kubelet: Kubelet) -> None:
    kubelet.log = [f"line {number}" for number in range(5)]
    kubelet.breaks = 3
    kubelet.runs.clear()
    threading.Timer(4.5, kubelet.runs.set).start()
    desk.build()
    assert desk.log == kubelet.log
    assert "sinceTime" not in kubelet.read[0]
    assert "sinceTime=2026-11-28T10%3A00%3A00.000000001Z" in kubelet.read[2]


def test_an_interrupted_build_is_removed(desk: Desk, kubelet: Kubelet, folder: Path) -> None:
    kubelet.needs_stdin = True
    kubelet.runs.clear()
    threading.Timer(0.5, desk.stop.set).start()
    with pytest.raises(Interrupted):
        desk.build(folder)
    assert kubelet.job is None
    assert [method for method, _ in kubelet.heard].count("DELETE") == 1


def test_kaniko_that_ends_early_is_not_waited_for(
    desk: Desk, kubelet: Kubelet, folder: Path
) -> None:
    (folder / "more").write_bytes(__import__("random").Random(1).randbytes(8_000_000))
    kubelet.needs_stdin, kubelet.takes = True, 100_000
    kubelet.code, kubelet.log = 1, ["error: no Dockerfile here"]
    ended = desk.build(folder)
    assert ended.code == 1
    assert ended.tail == ("error: no Dockerfile here",)


def test_what_a_pod_waits_for_is_told(desk: Desk, kubelet: Kubelet) -> None:
    why = "0/3 nodes are available: 3 Insufficient memory."
    condition = {"type": "PodScheduled", "status": "False", "message": why}
    kubelet.waiting = [{"conditions": [condition]}] * 2 + [waits("ContainerCreating")]
    desk.build()
    assert desk.told[:2] == [
        f"no node yet: {why}",
        "waiting for the container: ContainerCreating",
    ]


def test_an_image_that_cannot_be_pulled(desk: Desk, kubelet: Kubelet) -> None:
    kubelet.waiting = [waits("ImagePullBackOff", "Back-off pulling image")] * 1000
    with pytest.raises(ClusterkitError, match="ImagePullBackOff: Back-off pulling image"):
        desk.build()
    assert kubelet.job is None


def test_a_namespace_that_admits_no_builds(desk: Desk, kubelet: Kubelet) -> None:
    kubelet.no_pod = True
    what = 'pods "kaniko-x" is forbidden: violates PodSecurity "restricted:latest": runAsUser=0'
    kubelet.events = [{"type": "Warning", "reason": "FailedCreate", "message": what}]
    with pytest.raises(Rejected, match="violates PodSecurity") as caught:
        desk.build()
    assert "enforce=baseline" in caught.value.hint
    assert kubelet.job is None


def test_who_may_not_attach_is_told(desk: Desk, kubelet: Kubelet, folder: Path) -> None:
    kubelet.needs_stdin, kubelet.refuse_attach = True, 403
    with pytest.raises(Denied, match="not you"):
        desk.build(folder)
    assert kubelet.job is None


def test_a_file_that_cannot_be_sent(desk: Desk, kubelet: Kubelet, folder: Path) -> None:
    kubelet.needs_stdin = True
    found = folders.look(folder, "Dockerfile")
    (folder / "src" / "big").unlink()
    with pytest.raises(ClusterkitError, match="cannot be read: No such file") as caught:
        desk.run(Build(STDIN, ("app:1",)), partial(folders.pack, found))
    assert caught.value.where.endswith("src/big")
    assert kubelet.job is None
