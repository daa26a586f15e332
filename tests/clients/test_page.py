"""``--report`` and ``--html`` as a user runs them, and the page in Chromium where there is one."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.conftest import EKS, User

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
PAPER = {"light": "fbfbf9", "dark": "14181c"}
"""the page's background, from style.css"""
SCHEME = {"dark": 0, "light": 1}
"""blink's ``preferredColorScheme``"""


@pytest.fixture(scope="module")
def page(user: User) -> Path:
    """The page of an ``up``."""
    page = user.home / "page.html"
    page.touch(0o600)
    done = user.tool("up", user.profile("page"), "--yes", "--report", page)
    assert done.stderr.splitlines()[-1] == f"wrote {page}"
    return page


def test_up_and_status_write_their_page(user: User, page: Path) -> None:
    text, profile = page.read_text(), user.home / "page.yaml"
    for told in ("<h1>page ", "vpc-", "Critical path", "cluster/page", "eu-west-1"):
        assert told in text
    assert stat.S_IMODE(page.stat().st_mode) == 0o666 & ~_umask()
    there = user.home / "there.html"
    changed = user.home / "changed.yaml"
    changed.write_text(profile.read_text() + "tags: {team: ci}\n")
    user.tool("status", changed, "--html", there)
    assert ", to update" in there.read_text()
    user.tool("status", *EKS.target("page"), "--html", there)
    assert ", to update" not in there.read_text()  # nothing to compare it with
    assert "vpc/main" in there.read_text()
    assert not [file for file in user.home.iterdir() if file.name.startswith(".")]


@pytest.mark.deep
def test_a_failed_run_has_its_page_and_its_removal_too(user: User) -> None:
    profile, page = user.profile("fails"), user.home / "fails.html"
    user.tool("sandbox", "faults", "terminal:eks:CreateNodegroup@1")
    try:
        user.tool("up", profile, "--yes", "--report", page, ok=8)
    finally:
        user.tool("sandbox", "faults")
    text = page.read_text()
    assert 'class="badge bad">failed' in text
    assert 'role="alert"' in text
    assert "✕ failed" in text
    user.tool("destroy", profile, "--yes", "--report", page)
    assert "clusterkit destroy" in page.read_text()
    assert "Critical path" in page.read_text()


def test_a_page_that_cannot_be_written_stops_before_anything(user: User) -> None:
    profile = user.profile("refused")
    requests = user.requests()
    for page in (user.home / "none" / "page.html", user.home, profile):
        done = user.tool("up", profile, "--yes", "--report", page, ok=2)
        assert f"--report {page}" in done.stderr
    assert f"--html {profile}" in user.tool("status", profile, "--html", profile, ok=2).stderr
    assert user.requests() == requests
    assert profile.read_text().startswith("cloud: eks")


def _umask() -> int:
    shown = Path("/proc/self/status").read_text()
    return int(re.findall(r"^Umask:\s*(\d+)", shown, re.MULTILINE)[0], 8)


@pytest.fixture
def chromium(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Headless Chromium with a profile of its own, told to open a file."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: the page is not looked at")

    def opened(file: Path, scheme: str, *words: str) -> subprocess.CompletedProcess[str]:
        shutil.rmtree(tmp_path / "data", ignore_errors=True)
        return subprocess.run(
            [
                *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
                *("--disable-background-networking", "--disable-component-update"),
                *("--disable-sync", f"--user-data-dir={tmp_path / 'data'}"),
                *(
                    "--enable-logging=stderr",
                    f"--blink-settings=preferredColorScheme={SCHEME[scheme]}",
                ),
                *(*words, file.as_uri()),
            ],
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=50,
            check=True,
        )

    return opened


def test_a_browser_shows_it_without_a_complaint(
    page: Path, tmp_path: Path, chromium: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    for scheme, paper in PAPER.items():
        picture = tmp_path / f"{scheme}.png"
        done = chromium(page, scheme, f"--screenshot={picture}", "--window-size=390,844")
        assert "CONSOLE" not in done.stderr
        assert _first_pixel(picture.read_bytes()) == paper
    # the same with a complaint: its policy allows no script
    broken, text = tmp_path / "broken.html", page.read_text()
    broken.write_text(text.replace("</main>", "<script>oops()</script></main>"))
    done = chromium(broken, "light", "--dump-dom")
    assert "CONSOLE" in done.stderr
    assert "Content Security Policy" in done.stderr
    assert done.stdout.count("<tr>") == text.count("<tr>") > 10


def test_paper_has_what_is_folded(
    page: Path, tmp_path: Path, chromium: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    folded, paper = tmp_path / "folded.html", tmp_path / "paper.pdf"
    more = f"<details><summary>more</summary>{'<p>a line</p>' * 300}</details>"
    folded.write_text(page.read_text().replace("</main>", f"{more}</main>"))
    sheets = []
    for file in (page, folded):
        chromium(file, "light", f"--print-to-pdf={paper}")
        sheets.append(len(re.findall(rb"/Type\s*/Page\b", paper.read_bytes())))
    assert sheets[1] >= sheets[0] + 3


def _first_pixel(png: bytes) -> str:
    """In hexadecimal. No filter of a PNG changes the first pixel of the first row."""
    at, data = 8, b""
    while at < len(png):
        length = int.from_bytes(png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += length + 12
    return zlib.decompress(data)[1:4].hex()
