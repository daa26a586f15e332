"""Write ``clusterkit_sandbox/alibaba/data/*.json.xz``: what Alibaba Cloud publishes of its APIs.

The source is the vendor's own Python SDK (the ``alibabacloud_*`` packages on PyPI, Apache-2.0), the
only published description that has the types of request *and* answer, for Container Service's
bodies too. The packages are read, never imported: ``client.py`` says how an operation is called,
``models/*.py`` has the wire names, the types, and in comments which parameters are required or
deprecated. Their prose is left behind.

One file per product, written the same way each time: an ``xz`` of

    {"product", "version", "source",
     "operations": {name: {"style": "RPC"|"ROA", "method", "path",
                           "query": [name], "whole": name?, "comma": [name]?,
                           "parameters": SHAPE, "answer": SHAPE|null}},
     "others": {name: [method, path]}}

``others`` exist but are not emulated. ``whole`` is the parameter that is the request body as it
stands, ``comma`` are lists sent as one text with commas. A SHAPE is ``"string"``, ``"integer"``,
``"number"``, ``"boolean"`` or ``"any"``, ``{"array": SHAPE}``, ``{"map": SHAPE}``, or
``{"fields": {wire name: SHAPE}, "required": [name]?, "deprecated": [name]?}``.

``--check`` compares what is checked in with what the installed packages say.
"""

from __future__ import annotations

import argparse
import ast
import importlib.metadata
import json
import lzma
import re
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
DATA = HERE.parent / "clusterkit_sandbox" / "alibaba" / "data"
WANTED: dict[str, Any] = json.loads((HERE / "alibaba_operations.json").read_text(encoding="utf-8"))

SCALARS = {"str": "string", "int": "integer", "bool": "boolean", "float": "number", "Any": "any"}

Shape = str | dict[str, Any]


@dataclass
class Operation:
    """What ``client.py`` says of one operation."""

    params: dict[str, str] = field(default_factory=dict)
    query: list[str] = field(default_factory=list)
    comma: list[str] = field(default_factory=list)
    whole: str | None = None
    request: str | None = None
    answer: str | None = None


class Package:
    """One installed SDK package."""

    def __init__(self, name: str) -> None:
        distribution = importlib.metadata.distribution(name)
        self.source = f"{name} {distribution.version}"
        self.root = Path(str(distribution.locate_file(name)))
        index = (self.root / "models" / "__init__.py").read_text(encoding="utf-8")
        imports = re.findall(r"^from \._(\w+) import (\w+)", index, re.MULTILINE)
        self.modules = {model: module for module, model in imports}
        tree = ast.parse((self.root / "client.py").read_text(encoding="utf-8"))
        client = next(node for node in tree.body if isinstance(node, ast.ClassDef))
        self.operations: dict[str, Operation] = {}
        for node in client.body:
            if isinstance(node, ast.FunctionDef) and node.name.endswith("with_options"):
                found = read_operation(node)
                if "action" in found.params:
                    self.operations[found.params["action"]] = found

    @cache  # noqa: B019  (one object per package, and the program ends soon)
    def classes(self, module: str) -> tuple[list[str], dict[str, ast.ClassDef]]:
        """The lines of a model file, and its classes by name."""
        text = (self.root / "models" / f"_{module}.py").read_text(encoding="utf-8")
        nodes = ast.parse(text).body
        return text.splitlines(), {n.name: n for n in nodes if isinstance(n, ast.ClassDef)}

    def model(self, name: str, above: tuple[str, ...] = ()) -> dict[str, Any]:
        """The shape of one model class; a class inside itself is left open."""
        if name in above:
            return {"map": "any"}
        lines, classes = self.classes(self.modules[name])
        methods = {m.name: m for m in classes[name].body if isinstance(m, ast.FunctionDef)}
        start = methods["__init__"]
        types = {a.arg: ast.unparse(a.annotation) for a in start.args.args if a.annotation}
        wire = wire_names(methods["from_map"])
        shape: dict[str, Any] = {"fields": {}}
        for statement in start.body:
            if not isinstance(statement, ast.Assign):
                continue
            target = statement.targets[0]
            assert isinstance(target, ast.Attribute)
            spelled = wire.get(target.attr, target.attr)
            shape["fields"][spelled] = self.shape(types[target.attr], (*above, name))
            comment = comment_above(lines, statement.lineno)
            if "This parameter is required." in comment:
                shape.setdefault("required", []).append(spelled)
            if re.match(r"\W*(?:this parameter is )?deprecated", comment, re.IGNORECASE):
                shape.setdefault("deprecated", []).append(spelled)
        return shape

    def shape(self, annotation: str, above: tuple[str, ...]) -> Shape:
        """The shape of a type annotation."""
        if found := re.fullmatch(r"List\[(.*)\]", annotation):
            return {"array": self.shape(found[1], above)}
        if found := re.fullmatch(r"Dict\[str, (.*)\]", annotation):
            return {"map": self.shape(found[1], above)}
        if annotation.startswith("main_models."):
            return self.model(annotation.split(".")[-1], above)
        return SCALARS[annotation]


def read_operation(function: ast.FunctionDef) -> Operation:
    """What one ``..._with_options`` method says."""
    found = Operation()
    for argument in function.args.args:
        if argument.arg in ("request", "tmp_req") and argument.annotation:
            found.request = ast.unparse(argument.annotation).split(".")[-1]
    if function.returns:
        found.answer = ast.unparse(function.returns).split(".")[-1]
    for node in ast.walk(function):
        match node:
            case ast.Assign(
                targets=[ast.Subscript(value=ast.Name(id="query"), slice=ast.Constant(value=name))]
            ):
                found.query.append(str(name))
            case ast.Call(func=ast.Attribute(attr="Params"), keywords=keywords):
                for word in keywords:
                    if word.arg:
                        found.params[word.arg] = constant(word.value)
            case ast.Call(
                func=ast.Attribute(attr="array_to_string_with_specified_style"),
                args=[_, ast.Constant(value=name), ast.Constant(value="simple")],
            ):
                found.comma.append(str(name))
            case ast.keyword(
                arg="body",
                value=ast.Call(
                    func=ast.Attribute(attr="to_array"), args=[ast.Attribute(attr=name)]
                ),
            ):
                found.whole = name
            case _:
                pass
    return found


def constant(node: ast.expr) -> str:
    """A literal; an f-string with its parts as ``[name]``."""
    if isinstance(node, ast.JoinedStr):
        parts = []
        for value in node.values:
            if isinstance(value, ast.Constant):
                parts.append(str(value.value))
            else:
                names = [n.id for n in ast.walk(value) if isinstance(n, ast.Name)]
                parts.append(f"[{next(n for n in names if n != 'DaraURL')}]")
        return "".join(parts)
    return str(ast.literal_eval(node))


def wire_names(from_map: ast.FunctionDef) -> dict[str, str]:
    """Attribute to wire name."""
    names: dict[str, str] = {}
    for node in ast.walk(from_map):
        match node:
            case ast.If(test=ast.Compare(left=ast.Call(args=[ast.Constant(value=wire)]))):
                for inner in ast.walk(node):
                    match inner:
                        case ast.Attribute(value=ast.Name(id="self"), attr=attribute):
                            names.setdefault(attribute, str(wire))
                        case _:
                            pass
            case _:
                pass
    return names


def comment_above(lines: list[str], number: int) -> str:
    """The comment block that ends in the line before ``number`` (from 1)."""
    block = []
    position = number - 2
    while position >= 0 and lines[position].strip().startswith("#"):
        block.append(lines[position].strip()[1:].strip())
        position -= 1
    return " ".join(reversed(block)).strip()


def describe(product: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """One product's file."""
    if "operations" in wanted:
        return {"product": product, "others": {}, **wanted}
    package = Package(wanted["package"])
    operations = {}
    for name in sorted(wanted["emulated"]):
        found = package.operations[name]
        shape = package.model(found.request) if found.request else {"fields": {}}
        required = sorted({*shape.get("required", []), *wanted.get("required", {}).get(name, [])})
        if required:
            shape["required"] = required
        answer = package.model(found.answer) if found.answer else {"fields": {}}
        entry: dict[str, Any] = {
            "style": found.params["style"],
            "method": found.params["method"],
            "path": found.params["pathname"],
            "query": sorted(found.query),
            "parameters": shape,
            "answer": answer["fields"].get("body"),
        }
        if found.comma:
            entry["comma"] = sorted(found.comma)
        if found.whole:
            entry["whole"] = found.whole
        operations[name] = entry
    others = {
        name: [found.params["method"], found.params["pathname"]]
        for name, found in sorted(package.operations.items())
        if name not in operations
    }
    version = next(iter(package.operations.values())).params["version"]
    return {
        "product": product,
        "version": version,
        "source": package.source,
        "operations": operations,
        "others": others,
    }


def main() -> int:
    """Write or check every file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if they differ")
    check: bool = parser.parse_args().check
    stale = []
    for product, wanted in WANTED.items():
        text = json.dumps(describe(product, wanted), sort_keys=True, separators=(",", ":"))
        file = DATA / f"{product}.json.xz"
        if file.exists() and lzma.decompress(file.read_bytes()).decode() == text:
            continue
        stale.append(file.name)
        if not check:
            file.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
    word = "differs from the installed packages" if check else "written"
    sys.stderr.write("".join(f"{name}: {word}\n" for name in stale))
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
