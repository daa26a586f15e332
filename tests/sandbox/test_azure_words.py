"""The words of the emulated Azure's refusals are data: what the code asks for is there and used."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import clusterkit_sandbox.azure
from clusterkit_sandbox.azure.failure import refusal
from clusterkit_sandbox.azure.tables import table

OWN = {"target", "details", "headers"}


def asked() -> dict[str, list[set[str]]]:
    """The keys of refusals in the code, and the words that each is given."""
    found: dict[str, list[set[str]]] = {}
    folder = Path(clusterkit_sandbox.azure.__path__[0])
    for file in folder.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "refusal":
                words = {one.arg for one in node.keywords if one.arg is not None} - OWN
                found.setdefault(ast.literal_eval(node.args[0]), []).append(words)
    return found


def test_every_refusal_has_its_words() -> None:
    known = table("errors")["refusals"]
    assert asked().keys() == known.keys()
    for key, calls in asked().items():
        text = known[key] if isinstance(known[key], str) else known[key][0]
        wanted = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
        assert all(words == wanted for words in calls), key
        made = refusal(key, **dict.fromkeys(wanted, "x"))
        assert (made.code, made.status >= 400) == (key.partition("#")[0], True)
