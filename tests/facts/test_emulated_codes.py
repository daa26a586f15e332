"""The emulator of AWS raises no code that no source knows: ``facts/`` or botocore's description."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.session import get_session

from clusterkit_sandbox.aws.operations import SERVICES
from tests.facts.rows import read

FOLDER = Path(__file__).parents[2] / "clusterkit_sandbox" / "aws"
RAISES = {"Refusal", "Unsigned", "error", "unsigned"}
"""what is called with a code first"""
DOTTED = re.compile(r"[A-Z][A-Za-z]+\.[A-Z][A-Za-z]+")
"""codes of EC2, wherever they are written"""
TABLES = {
    "refusals.py": ("THROTTLE", "ERROR", "_CODES", "_UNSIGNED"),
    "authorization.py": ("_CODES",),
}
CODE = re.compile(r"[A-Z][A-Za-z]+")
OURS = {
    "NotImplemented": "what is described and not in the sandbox, always with 501",
    "NoCredentialProviders": "the cluster autoscaler's own words, in its Event",
    "Unauthorized": "of a bearer token; Kubernetes says 401",
}


def _texts(node: ast.AST | None) -> Iterator[str]:
    """The constants that an expression may be."""
    if isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def _raised(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and node.args:
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            logged = getattr(getattr(node.func, "value", None), "id", "") == "_LOG"
            if called in RAISES and not logged:
                yield from _texts(node.args[0])
        elif isinstance(node, ast.Assign):
            names = [getattr(one, "id", "") for one in node.targets]
            if "code" in names:
                yield from _texts(node.value)
            if any(name.endswith(TABLES.get(file.name, ())) for name in names):
                for each in ast.walk(node.value):
                    yield from (text for text in _texts(each) if CODE.fullmatch(text))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from [node.value] if DOTTED.fullmatch(node.value) else ()


def raised() -> dict[str, set[str]]:
    """Codes, with the files that have them."""
    found: dict[str, set[str]] = {}
    for file in sorted(FOLDER.glob("*.py")):
        for code in _raised(file):
            found.setdefault(code, set()).add(file.name)
    return found


def test_every_code_has_a_source() -> None:
    session = get_session()
    known = {fact.code for fact in read("aws")} | OURS.keys()
    for service in SERVICES:
        shapes: Any = session.get_service_model(service).error_shapes
        known |= {shape.error_code for shape in shapes}
    found = raised()
    assert {"InvalidParameterException", "DependencyViolation", "ExpiredToken"} <= found.keys()
    assert {code: files for code, files in found.items() if code not in known} == {}


def test_what_is_ours_is_raised() -> None:
    assert OURS.keys() <= raised().keys()
