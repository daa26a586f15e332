"""An emulator refuses in the cloud's own words: no code is raised that ``facts/`` does not know."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

import clusterkit_sandbox
from tests.facts.rows import read

FOLDER = Path(clusterkit_sandbox.__file__).parent
CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.*]+")
OWN = "Sandbox."
"""how codes begin that say: this is not in the sandbox"""
CLOUDS = {"alibaba": "alibaba", "azure": "azure", "google": "gcp"}
"""the folder of an emulator, and the file of its facts"""
GENERAL: dict[str, tuple[str, ...]] = {
    # Alibaba Cloud documentation, document 53438: Missing{ParameterName}
    "alibaba": ("Missing*",),
    # reasons of nameAvailable, not codes (Azure/azure-rest-api-specs, CheckNameAvailability);
    # words of facts/azure.tsv that stand for a code there; what 503 says
    "azure": (
        "AlreadyExists", "Invalid", "K8sVersionNotSupported", "VMExtensionProvisioningError",
        "ServiceUnavailable",
    ),
    # google/rpc/code.proto; Cloud Storage, "HTTP status and error codes for JSON": 400 and 416;
    # recorded traffic of Compute Engine (k8s-config-connector, _http.log)
    "google": (
        "CANCELLED", "OUT_OF_RANGE", "parseError", "requestedRangeNotSatisfiable", "INTERNAL_ERROR",
        "fieldSizeTooLarge",
    ),
}  # fmt: skip
UNSERVED = "UNIMPLEMENTED"
"""what is described and not in the sandbox, with 501"""


def _refusals(table: dict[str, Any]) -> list[str]:
    return [key.partition("#")[0] for key in table["refusals"]]


def _by_kind(table: dict[str, Any]) -> list[str]:
    return [
        code for part in ("statuses", "reasons", "storage", "operations") for code in table[part]
    ]


TABLES = {"azure": _refusals, "google": _by_kind}
"""the codes in the ``errors.json`` of an emulator"""


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
                elif folder.name == "google" and names[:1] == ["reason"]:
                    places[node.name] = 0
    for name, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                given = _given(node, places)
            elif isinstance(node, ast.Tuple) and _told(node):
                given = node.elts[0]
                if any(text[:1].islower() for text in _texts(given)):
                    continue
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
    named = [one.value for one in call.keywords if one.arg in ("code", "reason")]
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


def tabled(cloud: str) -> Iterator[tuple[str, str]]:
    """The codes that an emulator has as data."""
    if cloud in TABLES:
        table = json.loads((FOLDER / cloud / "data" / "errors.json").read_text())
        yield from ((code, "errors.json") for code in TABLES[cloud](table))


@pytest.mark.parametrize("cloud", CLOUDS)
def test_no_code_in_an_emulator_without_a_row(cloud: str) -> None:
    known = {code for fact in read(CLOUDS[cloud]) for code in fact.codes}
    found = [*codes(FOLDER / cloud), *tabled(cloud)]
    assert len(found) > 80
    assert [
        (text, where)
        for text, where in found
        if not text.startswith(OWN)
        and text != UNSERVED
        and text not in GENERAL[cloud]
        and not any(fnmatchcase(code, text) for code in known)
    ] == []
