"""The user's kubeconfig: what is written where, what stays, who else may write."""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from clusterkit.engine.target import Target
from clusterkit.errors import ClusterkitError, NotOurs
from clusterkit.kube import kubeconfig, kubeconfig_file, kubeconfig_lock
from clusterkit.kube.api import Access
from tests.unit.odd_files import EACH, ODD, same

TARGET = Target("eks", "demo", "eu-west-1")
NAME = "clusterkit_eks_eu-west-1_demo"
OTHERS = """\
# kept by hand
apiVersion: v1
kind: Config
preferences: {}   # nothing
clusters:
- {name: mine, cluster: {server: "https://example.invalid"}}  # do not touch
contexts:
- context:
    cluster: mine
    user: mine
  name: mine
users:
- {name: mine, user: {token: abc}}
current-context: mine
something: {new: [1, 2]}
"""


def entry(
    target: Target = TARGET,
    server: str = "https://abc.example",
    *,
    context: str | None = None,
    sandbox: bool = False,
    proxy: str | None = None,
) -> kubeconfig.Entry:
    execute = kubeconfig.exec_clusterkit(target, {"CLUSTERKIT_SANDBOX": "1"} if sandbox else {})
    access = Access(server, "-----BEGIN CERTIFICATE-----\n", proxy=proxy)
    user = {"exec": execute}
    return kubeconfig.entry(target, access, user, context=context, sandbox=sandbox)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config"
    path.write_text(OTHERS)
    path.chmod(0o644)
    return path


def named(path: Path, kind: str) -> dict[str, dict[str, object]]:
    found = yaml.safe_load(path.read_text()) or {}
    return {item["name"]: item[kind] for item in found.get(f"{kind}s") or ()}


def _merge(files: Sequence[Path], new: kubeconfig.Entry, *, use: bool) -> Path:
    return kubeconfig.merge(files, new, use=use).result().path


def _remove(files: Sequence[Path], target: Target, *, sandbox: bool = False) -> list[Path]:
    return kubeconfig.remove(files, target, sandbox=sandbox).result()


def _check(files: Sequence[Path], target: Target) -> None:
    for error in kubeconfig.refusals(files, [target]):
        if error is not None:
            raise error


def test_a_new_file_is_made_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / ".kube" / "config"
    assert _merge([path], entry(), use=True) == path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]
    found = yaml.safe_load(path.read_text())
    assert found["apiVersion"] == "v1"
    assert found["kind"] == "Config"
    assert found["current-context"] == NAME
    context = named(path, "context")[NAME]
    assert (context["cluster"], context["user"]) == (NAME, NAME)
    assert named(path, "cluster")[NAME]["server"] == "https://abc.example"
    assert named(path, "cluster")[NAME]["certificate-authority-data"] == (
        "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg=="
    )


def test_everything_else_stays_comments_included(config: Path) -> None:
    _merge([config], entry(), use=False)
    lines = config.read_text().splitlines()
    for line in OTHERS.splitlines():
        assert line in lines, line
    assert yaml.safe_load(config.read_text())["current-context"] == "mine"
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    _remove([config], TARGET)
    assert config.read_text() == OTHERS


def test_a_second_time_changes_nothing_at_all(config: Path) -> None:
    _merge([config], entry(), use=True)
    before = config.stat().st_ino, config.read_text()
    _merge([config], entry(), use=True)
    assert (config.stat().st_ino, config.read_text()) == before


def test_our_entry_is_brought_up_to_date_and_the_namespace_kept(config: Path) -> None:
    _merge([config], entry(proxy="http://127.0.0.1:1"), use=True)
    text = config.read_text().replace(
        f"    user: {NAME}", f"    user: {NAME}\n    namespace: jx  # where I work"
    )
    config.write_text(text)
    _merge([config], entry(server="https://def.example"), use=True)
    cluster = named(config, "cluster")[NAME]
    assert cluster["server"] == "https://def.example"
    assert cluster["proxy-url"] == "http://127.0.0.1:1"
    assert named(config, "context")[NAME]["namespace"] == "jx"
    assert "# where I work" in config.read_text()
    assert len(named(config, "user")) == 2


def test_somebody_elses_stanza_of_the_name_is_never_changed(config: Path) -> None:
    with pytest.raises(NotOurs, match="the context 'mine' is there already") as caught:
        _merge([config], entry(context="mine"), use=True)
    assert caught.value.where == str(config)
    assert "--context" in caught.value.hint
    assert config.read_text() == OTHERS


def test_the_sandbox_and_the_real_cluster_stand_side_by_side(config: Path) -> None:
    _merge([config], entry(), use=True)
    _merge([config], entry(sandbox=True), use=True)
    assert len(named(config, "context")) == 3
    _remove([config], TARGET, sandbox=True)
    assert set(named(config, "context")) == {"mine", NAME}
    assert set(named(config, "user")) == {"mine", NAME}


def test_remove_takes_every_context_of_the_cluster_and_only_those(config: Path) -> None:
    other = Target("eks", "demo2", "eu-west-1")
    _merge([config], entry(), use=False)
    _merge([config], entry(context="short"), use=True)
    _merge([config], entry(other), use=False)
    assert _remove([config], TARGET) == [config]
    assert set(named(config, "context")) == {"mine", "clusterkit_eks_eu-west-1_demo2"}
    assert yaml.safe_load(config.read_text())["current-context"] == ""
    assert _remove([config], TARGET) == []


def test_remove_leaves_a_current_context_of_others_and_missing_files_alone(config: Path) -> None:
    _merge([config], entry(), use=False)
    missing = config.with_name("missing")
    assert _remove([missing, config], TARGET) == [config]
    assert config.read_text() == OTHERS
    assert not missing.exists()


def test_which_file_of_several(tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    # kubectl's rule for something new: the first that exists, the last if none does
    assert _merge([first, second], entry(), use=False) == second
    third.write_text(OTHERS)
    # what is there already is changed where it is; the current context is set where it counts
    assert _merge([third, second], entry(server="https://x.example"), use=True) == second
    assert yaml.safe_load(third.read_text())["current-context"] == NAME
    assert "https://x.example" in second.read_text()
    new = entry(Target("eks", "new", "eu-west-1"))
    assert _merge([first, third, second], new, use=False) == third
    assert not first.exists()
    assert _remove([third, second], TARGET) == [third, second]


def test_the_list_of_files_is_kubectls(tmp_path: Path) -> None:
    home = Path(os.environ["HOME"])
    assert kubeconfig.paths({}) == [home / ".kube" / "config"]
    assert kubeconfig.paths({"KUBECONFIG": ""}) == [home / ".kube" / "config"]
    assert kubeconfig.paths({"KUBECONFIG": ":/a::/b:/a"}) == [Path("/a"), Path("/b")]


def test_what_the_user_has_set_in_our_entry_stays(config: Path) -> None:
    _merge([config], entry(), use=True)
    theirs = "    proxy-url: socks5://127.0.0.1:9\n    tls-server-name: kubernetes\n"
    text = config.read_text()
    line = next(line for line in text.splitlines(keepends=True) if "https://abc.example" in line)
    config.write_text(text.replace(line, line + theirs))
    _merge([config], entry(), use=True)
    cluster = named(config, "cluster")[NAME]
    assert cluster["proxy-url"] == "socks5://127.0.0.1:9"
    assert cluster["tls-server-name"] == "kubernetes"


def test_a_link_stays_a_link(tmp_path: Path, config: Path) -> None:
    link = tmp_path / "elsewhere" / "config"
    link.parent.mkdir()
    link.symlink_to(config)
    assert _merge([link], entry(), use=True) == link
    assert link.is_symlink()
    assert NAME in config.read_text()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("clusters: [", "not valid YAML (line 1)"),
        ("a: 1\na: secret-thing\n", "not valid YAML (line 2)"),
        ("- 1\n", "holds no mapping"),
        ("kind: Pod\n", "its kind is not Config"),
        ("clusters: {}\n", "its clusters are not a list"),
        ("users: [{name: x}]\n", "one of its users has no name or user"),
        ("contexts: [3]\n", "one of its contexts has no name or context"),
        ("a: 1\n---\nb: secret-thing\n", "not valid YAML"),
        ("a: " + "[" * 500, "nested too deeply"),
    ],
)
def test_a_damaged_file_is_named_and_not_touched(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    for change in (
        lambda: _check([path], TARGET),
        lambda: _merge([path], entry(), use=True),
        lambda: _remove([path], TARGET),
    ):
        with pytest.raises(ClusterkitError) as caught:
            change()
        assert what in caught.value.what
        assert caught.value.where == str(path)
        assert "left as it is" in caught.value.hint
        assert "secret-thing" not in str(caught.value)
    assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ClusterkitError, match="not UTF-8"):
        _merge([path], entry(), use=True)


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ClusterkitError, match="it is a directory"):
        _merge([tmp_path], entry(), use=True)


@EACH
def test_what_is_no_regular_file_is_refused_and_stays(tmp_path: Path, kind: str) -> None:
    path, link = tmp_path / "odd", tmp_path / "link"
    ODD[kind](path)
    link.symlink_to(path)
    before = same(path)
    for place in (path, link):
        for act in (
            lambda p: _check([p], TARGET),
            lambda p: _merge([p], entry(), use=True),
            lambda p: _remove([p], TARGET),
        ):
            with pytest.raises(ClusterkitError, match=f"it is a {kind}") as caught:
                act(place)
            assert caught.value.where == str(place)
    assert same(path) == before
    assert sorted(tmp_path.iterdir()) == [link, path]


@EACH
def test_a_lock_that_is_no_regular_file_is_somebody_elses(
    tmp_path: Path, config: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubeconfig_lock, "LOCK_PATIENCE", 0.05)
    ODD[kind](tmp_path / "config.lock")
    with pytest.raises(ClusterkitError, match="is locked"):
        _merge([config], entry(), use=True)


@pytest.mark.parametrize("text", ["", "# only words\n", "# no newline"])
def test_an_empty_file_is_filled_and_its_comments_kept(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    _merge([path], entry(), use=True)
    assert path.read_text().startswith(text)
    assert named(path, "context")[NAME]


def test_a_file_in_json_stays_readable_as_json(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text('{"apiVersion": "v1", "kind": "Config", "clusters": [], "users": null}')
    _merge([path], entry(), use=True)
    assert named(path, "cluster")[NAME]
    assert named(path, "user")[NAME]


def test_extensions_of_others_may_have_any_shape(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("clusters: [{name: a, cluster: {extensions: 5}}]\n")
    _merge([path], entry(), use=True)
    assert set(named(path, "cluster")) == {"a", NAME}


def test_what_would_fail_is_known_before_there_is_a_cluster(tmp_path: Path, config: Path) -> None:
    before = config.stat().st_ino, config.read_text()
    _check([config], TARGET)
    assert (config.stat().st_ino, config.read_text()) == before
    config.write_text(OTHERS.replace("name: mine", f"name: {NAME}", 1))
    with pytest.raises(NotOurs, match="is there already"):
        _check([config], TARGET)
    nowhere = config / "below" / "config"
    with pytest.raises(ClusterkitError, match="cannot be made"):
        _check([nowhere], TARGET)
    assert list(tmp_path.iterdir()) == [config]


def test_a_file_is_parsed_before_it_is_locked(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And once more under the lock only if somebody wrote it in between."""
    lock, parsed = tmp_path / "config.lock", list[bool]()
    read = kubeconfig_file.Document.read

    def watched(path: Path, raw: bytes | None) -> kubeconfig_file.Document:
        found = read(path, raw)
        parsed.append(lock.exists())
        if len(parsed) == 2:  # the second command: another program is quicker
            path.write_text(f"{OTHERS}# changed since\n")
        return found

    monkeypatch.setattr(kubeconfig_file.Document, "read", watched)
    _merge([config], entry(), use=True)
    assert parsed == [False]
    _merge([config], entry(server="https://x.example"), use=True)
    assert parsed == [False, False, True]
    assert "# changed since" in config.read_text()
    assert "https://x.example" in config.read_text()


def test_anchors_survive(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(
        "users:\n- name: a\n  user: &u {token: x}\n- name: b\n  user: *u\nclusters:\ncontexts:\n"
    )
    _merge([path], entry(), use=True)
    assert "*u" in path.read_text()
    assert set(named(path, "user")) == {"a", "b", NAME}


def test_names_that_yaml_would_take_for_something_else(tmp_path: Path) -> None:
    path = tmp_path / "config"
    target = Target("eks", "on", "eu-west-1", "0123")
    _merge([path], entry(target, context="yes"), use=True)
    found = yaml.safe_load(path.read_text())  # YAML 1.1, like kubectl
    assert found["current-context"] == "yes"
    assert found["contexts"][0]["name"] == "yes"
    args = found["users"][0]["user"]["exec"]["args"]
    assert args == [
        *("token", "--cloud", "eks", "--region", "eu-west-1", "--name", "on"),
        *("--cloud-profile", "0123"),
    ]


def test_a_lock_that_stays_is_named(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubeconfig_lock, "LOCK_PATIENCE", 0.05)
    lock = tmp_path / "config.lock"
    lock.touch()
    with pytest.raises(ClusterkitError, match="is locked") as caught:
        _merge([config], entry(), use=True)
    assert str(lock) in caught.value.hint
    assert config.read_text() == OTHERS
    assert lock.exists()


def test_a_certificate_takes_the_place_of_a_command_and_back(config: Path) -> None:
    _merge([config], entry(), use=False)
    access = Access("https://abc.example", "", client_certificate="CERT", client_key="KEY")
    admin = kubeconfig.entry(TARGET, access, kubeconfig.certificate(access))
    _merge([config], admin, use=False)
    written = config.read_text()
    assert base64.b64encode(b"KEY").decode() in written
    assert "exec:" not in written
    assert config.stat().st_mode & 0o077 == 0
    _merge([config], entry(), use=False)
    assert "client-key-data" not in config.read_text()


def test_a_cloud_without_an_administrator_says_so() -> None:
    with pytest.raises(
        ClusterkitError, match="--auth admin: clusters on eks have no administrator"
    ):
        kubeconfig.no_administrator(None, TARGET)


def test_edits_soon_after_each_other_are_made_together(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of hundreds of clusters each would parse and write all others' contexts."""
    read, parsed = kubeconfig_file.Document.read, list[Path]()

    def watched(path: Path, raw: bytes | None) -> kubeconfig_file.Document:
        parsed.append(path)
        return read(path, raw)

    monkeypatch.setattr(kubeconfig_file.Document, "read", watched)
    made = []
    for number in range(100):
        target = Target("eks", f"c{number}", "eu-west-1")
        made.append(kubeconfig.merge([config], entry(target), use=False))
        time.sleep(0.005)
    assert {each.result(60).path for each in made} == {config}
    assert len(named(config, "context")) == 101
    assert len(parsed) <= 20


KILLED = """
import os, signal, sys
from pathlib import Path
from clusterkit.engine.target import Target
from clusterkit.kube import kubeconfig
from clusterkit.kube.api import Access
target = Target("eks", "dying", "eu-west-1")
new = kubeconfig.entry(target, Access("https://abc.example", ""), {})
setattr(Path, sys.argv[2], lambda *_: os.kill(os.getpid(), signal.SIGKILL))
kubeconfig.merge([Path(sys.argv[1])], new, use=True).result()
"""


@pytest.mark.parametrize(("step", "locked"), [("hardlink_to", False), ("replace", True)])
def test_a_lock_ends_with_its_process(
    tmp_path: Path, config: Path, step: str, locked: bool
) -> None:
    """Also of a process that was killed while it took the lock."""
    died = subprocess.run([sys.executable, "-c", KILLED, config, step], check=False)
    assert died.returncode == -signal.SIGKILL
    assert (tmp_path / "config.lock").exists() == locked
    _merge([config], entry(), use=True)
    assert not (tmp_path / "config.lock").exists()
    assert NAME in config.read_text()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_may_not_be_written(tmp_path: Path, config: Path) -> None:
    config.chmod(0o400)
    with pytest.raises(ClusterkitError, match="read-only"):
        _merge([config], entry(), use=True)
    assert _remove([config], TARGET) == []


def test_nothing_is_left_behind_when_the_disk_refuses(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ClusterkitError, match="No space left"):
        _merge([config], entry(), use=True)
    assert config.read_text() == OTHERS
    assert list(tmp_path.iterdir()) == [config]


def _write(path: Path, number: int) -> None:
    target = Target("eks", f"c{number}", "eu-west-1")
    _merge([path], entry(target), use=False)
    _merge([path], entry(target, server="https://x.example"), use=True)
    if number % 2:
        _remove([path], target)


@pytest.mark.parametrize(
    "count", [8, pytest.param(50, marks=[pytest.mark.deep, pytest.mark.timeout(600)])]
)
def test_writers_side_by_side_lose_nothing(tmp_path: Path, config: Path, count: int) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(config, number)) for number in range(count)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert len(named(config, "context")) == 1 + count // 2
    assert list(tmp_path.iterdir()) == [config]


def test_the_command_is_found_by_other_shells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Path(sys.executable).parent
    monkeypatch.setenv("PATH", str(here))
    command = kubeconfig.exec_clusterkit(TARGET, {})["command"]
    assert Path(command).is_absolute()
    assert os.access(command, os.X_OK)
    script = tmp_path / "clusterkit"
    script.touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{here}{os.pathsep}{tmp_path}")
    stanza = kubeconfig.exec_clusterkit(TARGET, {"A": "1"})
    assert stanza["command"] == "clusterkit"
    assert stanza["interactiveMode"] == "Never"
    assert stanza["apiVersion"] == "client.authentication.k8s.io/v1beta1"
    assert stanza["env"] == [{"name": "A", "value": "1"}]


def kubectl(path: Path, *args: str) -> str:
    found = shutil.which("kubectl", path=os.defpath + os.pathsep + os.environ["PATH"])
    if found is None:
        pytest.skip("kubectl is not installed")
    command = [found, f"--kubeconfig={path}", *args]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.client
def test_kubectl_reads_it_and_keeps_our_mark(config: Path) -> None:
    _merge([config], entry(proxy="http://127.0.0.1:1", context="off"), use=True)
    view = json.loads(kubectl(config, "config", "view", "--raw", "-o", "json"))
    assert view["current-context"] == "off"
    cluster = next(c for c in view["clusters"] if c["name"] == NAME)
    assert cluster["cluster"]["proxy-url"] == "http://127.0.0.1:1"
    user = next(u for u in view["users"] if u["name"] == NAME)
    assert user["user"]["exec"]["interactiveMode"] == "Never"
    kubectl(config, "config", "rename-context", "off", "renamed")
    kubectl(config, "config", "set-context", "renamed", "--namespace=jx")
    assert _remove([config], TARGET) == [config]
    assert set(named(config, "context")) == {"mine"}
    assert set(named(config, "cluster")) == {"mine"}


def test_rendered_it_is_a_kubeconfig_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(kubeconfig.render(entry()))
    found = yaml.safe_load(path.read_text())
    assert found["current-context"] == NAME
    assert [c["name"] for c in found["clusters"]] == [NAME]
