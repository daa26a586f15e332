"""YAML's surprises are errors with a line, and no file, however odd, ends in anything but
``ProfileError``."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterkit.errors import Finding, ProfileError
from clusterkit.profile.yaml import DEEPEST, Fault, read


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("yaml") / "profile.yaml"


def faults(file: Path, text: str) -> list[Fault]:
    file.write_text(text)
    return read(file).faults


def refused(path: Path, content: str | bytes | None = None) -> str:
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ProfileError) as error:
        read(path)
    (finding,) = error.value.findings
    return f"{finding} | {finding.hint}".removeprefix(str(path))


@pytest.mark.parametrize(
    ("text", "line", "place", "what"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, ("a",), "is a duplicate key, first used on line 1"),
        ("a:\n  - {b: 1, b: 2}\n", 2, ("a", 0, "b"), "is a duplicate key"),
        ("a: yes\n", 1, ("a",), "YAML reads yes as true"),
        ("a: [true, Off]\n", 1, ("a", 1), "YAML reads Off as false"),
        ("a: 012\n", 1, ("a",), "'012' is not a plain decimal number"),
        ("a: 1:30\n", 1, ("a",), "'1:30' is not a plain decimal number"),
        ("a: 0x10\n", 1, ("a",), "is not a plain decimal number"),
        ("a: 1_000\n", 1, ("a",), "is not a plain decimal number"),
        ("a: .inf\n", 1, ("a",), "is not a plain decimal number"),
        (f"a: {'9' * 5000}\n", 1, ("a",), "is not a plain decimal number"),
        ("\non: x\n", 2, ("on",), "YAML reads this key as true or false"),
        ("1.30: x\n", 1, ("1.30",), "YAML reads this key as a number"),
        ("? [a]\n: x\n", 1, (), "a key must be text"),
        ("a: !Ref x\n", 1, ("a",), "the tag !Ref is not supported"),
        ("a: !!binary aGk=\n", 1, ("a",), "the tag !!binary is not supported"),
        ("a: !!set {x}\n", 1, ("a",), "the tag !!set is not supported"),
        ("a: {<<: 7}\n", 1, ("a",), "<< needs a mapping"),
    ],
)
def test_traps(file: Path, text: str, line: int, place: tuple[str | int, ...], what: str) -> None:
    (fault,) = faults(file, text)
    assert (fault.line, fault.place) == (line, place)
    assert what in fault.what


def test_a_trap_seen_through_an_alias_is_told_once(file: Path) -> None:
    assert len(faults(file, "a: &x {b: yes}\nc: *x\nd: {<<: *x}\n")) == 1


def test_plain_values(file: Path) -> None:
    text = 'a: 1.30\nb: "1.30"\nc: -7\nd: true\ne: ~\nf: 2024-01-01\ng: 10.0.0.0/16\nh: "yes"\n'
    file.write_text(text)
    document = read(file)
    assert not document.faults
    assert document.data == {
        "a": 1.3, "b": "1.30", "c": -7, "d": True, "e": None, "f": "2024-01-01",
        "g": "10.0.0.0/16", "h": "yes",
    }  # fmt: skip
    assert document.raw(("a",)) == "1.30"


def test_merge_keys(file: Path) -> None:
    file.write_text("x: &x {a: 1, b: 1}\ny: &y {a: 2, c: 2}\nz:\n  <<: [*x, *y]\n  b: 3\n")
    document = read(file)
    assert not document.faults
    assert document.data["z"] == {"a": 1, "b": 3, "c": 2}
    assert document.line(("z", "b")) == 5
    assert document.line(("z", "c")) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ": the file is empty"),
        ("# nothing\n", ": the file is empty"),
        ("- a\n", ":1: a profile must be a mapping"),
        ("just text\n", ":1: a profile must be a mapping"),
        ("a:\n\tb: 1\n", ":2: YAML does not allow tabs"),
        ("a: 1\n---\nb: 2\n", ":2: a second document starts"),
        ("a: [1,\nb: 2\n", ":3: not YAML: expected ',' or ']'"),
        ("a: *nobody\n", ":1: not YAML: found undefined alias"),
        ("a: 1\nb: \x07\n", ":2: the character '\\x07' is not allowed"),
        ('a: 1\nb: "x\\ud800"\n', ":2: \\ud800 is half of a character"),
        ('"\\udfff": 1\n', ":1: \\udfff is half of a character"),
        ("a: &a [*a]\n", ":1: recursive alias"),
        ("a: &a {b: *a}\n", ":1: recursive alias"),
        ("a: &a {<<: *a}\n", ":1: recursive alias"),
        ("x: 1\na: " + "[" * 5000, f":2: not YAML: more than {DEEPEST} levels"),
        (b"a: 1\nb: \xff\n", ":2: is not UTF-8"),
        ("a: b\n".encode("utf-16"), ":1: is not UTF-8"),
        ("a: " + "x" * (1 << 20), ": is larger than 1 MiB"),
    ],
)
def test_what_is_no_profile(file: Path, text: str | bytes, said: str) -> None:
    assert refused(file, text).startswith(said)


def test_a_byte_order_mark_is_no_trouble(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbfa: b\n")
    assert read(file).data == {"a": "b"}


def test_aliases_that_explode_are_stopped_soon(file: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    began = time.monotonic()
    assert "more than 100,000 values" in refused(file, "\n".join(lines))
    merges = ["m0: &m0 {a: 1}"]
    merges += [f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}]}}" for n in range(1, 12)]
    assert "more than 100,000 values" in refused(file, "\n".join(merges))
    assert time.monotonic() - began < 10


def test_what_is_no_file(tmp_path: Path) -> None:
    assert refused(tmp_path).startswith(": is a directory")
    assert refused(tmp_path / "none.yaml").startswith(": does not exist")
    assert refused(tmp_path / ("x" * 5000)).endswith(": cannot be read: File name too long | ")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert refused(pipe).startswith(": cannot be read: it is a named pipe, not a regular file")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert refused(loop).startswith(": cannot be read: Too many levels of symbolic links")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.yaml"
    secret.write_text("a: 1\n")
    secret.chmod(0)
    assert refused(secret).startswith(": cannot be read")


keys = st.from_regex(r"k[a-z]{1,6}", fullmatch=True)
trees = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(st.dictionaries(keys, trees, min_size=1, max_size=5), st.booleans())
def test_data_and_lines_come_back(file: Path, data: dict[str, object], flow: bool) -> None:
    text = yaml.safe_dump(data, default_flow_style=flow, sort_keys=False, allow_unicode=False)
    file.write_text(text)
    document = read(file)
    assert document.data == data
    assert not document.faults
    lines = text.splitlines()
    for place, mark in document.marks.items():
        if place and isinstance(place[-1], str):
            assert place[-1] in lines[mark.line - 1]
    if not flow:
        tops = [n for n, line in enumerate(lines, 1) if line[:1] == "k"]
        assert [document.line((key,)) for key in data] == tops


def outcome(file: Path) -> tuple[Finding, ...]:
    try:
        read(file)
    except ProfileError as error:
        return error.findings
    return ()


junk = st.text(alphabet=" \n\t-:[]{}&*!|>'\"#%@`,?<=~0189.abyesno\0é", max_size=120)


@settings(deadline=None, max_examples=400)
@given(junk | st.text(max_size=80) | st.binary(max_size=80))
def test_junk_is_read_or_refused(file: Path, content: str | bytes) -> None:
    file.write_bytes(
        content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    )
    findings = outcome(file)
    assert all(finding.where.startswith(str(file)) for finding in findings)
