"""An emulator refuses in the cloud's own words: no code is raised that ``facts/`` does not know."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

import clusterkit_sandbox
from tests.facts.rows import read

FOLDER = Path(clusterkit_sandbox.__file__).parent
CODE = re.compile(r"[A-Z][A-Za-z0-9_.*]+")
OWN = "Sandbox."
"""how codes begin that say: this is not in the sandbox"""
GENERAL = {
    # Alibaba Cloud documentation, document 53438: Missing{ParameterName}
    "alibaba": ("Missing*",),
}


def codes(folder: Path) -> Iterator[tuple[str, str]]:
    """Every code in the sources of an emulator, and where it is: what is given for a parameter
    ``code``, and what stands with a sentence in a pair.
    """
    trees = {path.name: ast.parse(path.read_text()) for path in sorted(folder.glob("*.py"))}
    places = {"Failure": 1}
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                names = [one.arg for one in node.args.args if one.arg != "self"]
                if "code" in names:
                    places[node.name] = names.index("code")
    for name, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                given = _given(node, places)
            elif isinstance(node, ast.Tuple) and _told(node):
                given = node.elts[0]
            else:
                continue
            for text in _texts(given):
                if CODE.fullmatch(text):
                    yield text, f"{name}:{node.lineno}"


def _given(call: ast.Call, places: dict[str, int]) -> ast.expr | None:
    function = call.func
    name = getattr(function, "id", getattr(function, "attr", ""))
    place = places.get(name)
    if place is None:
        return None
    named = [one.value for one in call.keywords if one.arg == "code"]
    return named[0] if named else call.args[place] if len(call.args) > place else None


def _texts(node: ast.expr | None) -> Iterator[str]:
    """The values of an expression, with ``*`` for what is put in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from (*_texts(node.body), *_texts(node.orelse))
    elif isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else "*" for part in node.values]
        yield "".join(map(str, parts))


def _told(pair: ast.Tuple) -> bool:
    """Whether the second is a sentence, or one that is made somewhere else."""
    if len(pair.elts) != 2:
        return False
    said = pair.elts[1]
    made = isinstance(said, ast.Name) and said.id in ("message", "reason")
    either = said.values if isinstance(said, ast.BoolOp) else [said]
    return made or any(" " in text for one in either for text in _texts(one))


@pytest.mark.parametrize("cloud", GENERAL)
def test_no_code_in_an_emulator_without_a_row(cloud: str) -> None:
    known = {code for fact in read(cloud) for code in fact.codes}
    found = list(codes(FOLDER / cloud))
    assert len(found) > 100
    assert [
        (text, where)
        for text, where in found
        if not text.startswith(OWN)
        and text not in GENERAL[cloud]
        and not any(fnmatchcase(code, text) for code in known)
    ] == []
