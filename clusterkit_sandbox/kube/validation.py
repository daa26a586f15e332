"""What the schema demands of a decoded object, and the names every object must keep to.

Schemas carry required fields, enumerations and, for custom kinds, bounds and patterns; the causes
are worded as k8s.io/kube-openapi and k8s.io/apimachinery ``pkg/util/validation`` do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from clusterkit_sandbox.kube.cel_rules import broken
from clusterkit_sandbox.kube.kinds import Object, Resource, Schema, member, resolve
from clusterkit_sandbox.kube.refusals import Cause

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")


def _rule(what: str, examples: str, pattern: re.Pattern[str]) -> str:
    return (
        f"{what}, and must start and end with an alphanumeric character (e.g. {examples}, regex"
        f" used for validation is '{pattern.pattern}')"
    )


_LABEL_RULE = _rule(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-'",
    "'my-name',  or '123-abc'",
    _LABEL,
)
_SUBDOMAIN_RULE = _rule(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'",
    "'example.com'",
    _SUBDOMAIN,
)
_VALUE_RULE = _rule(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.'",
    "'MyValue',  or 'my_value',  or '12345'",
    _VALUE,
)
_KEY_RULE = _rule(
    "name part must consist of alphanumeric characters, '-', '_' or '.'",
    "'MyName',  or 'my.name',  or '123-abc'",
    _QUALIFIED,
)
_UNCHECKED = (
    "some validation rules were not checked because the object was invalid; correct the existing"
    " errors to complete validation"
)
_LABEL_LENGTH, _SUBDOMAIN_LENGTH = 63, 253
_FORMATS = {
    "duration": re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h|d|w)(.*)"),
    "date-time": re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[-+]\d\d:\d\d)"),
}
"""of custom kinds (k8s.io/kube-openapi ``pkg/validation/strfmt``)"""
_HEAD = ("apiVersion", "kind", "metadata")
_MAY_BE_EMPTY = ("endpoints", "value")
_ANNOTATIONS_SIZE = 256 * 1024  # apimachinery, TotalAnnotationSizeLimitB


def metadata_causes(resource: Resource, found: Object) -> list[Cause]:
    """What is wrong with name, labels and annotations."""
    metadata = found["metadata"]
    causes = []
    name = metadata.get("name") or ""
    if not name:
        detail = "name or generateName is required"
        causes.append(Cause.required("metadata.name", detail))
    elif wrong := _name_problem(resource, name):
        causes.append(Cause.invalid("metadata.name", name, wrong))
    for key, value in (metadata.get("labels") or {}).items():
        if wrong := key_problem(key):
            causes.append(Cause.invalid("metadata.labels", key, wrong))
        if wrong := _value_problem(value):
            causes.append(Cause.invalid("metadata.labels", value, wrong))
    annotations = metadata.get("annotations") or {}
    causes += [
        Cause.invalid("metadata.annotations", key, wrong)
        for key in annotations
        if (wrong := key_problem(key.lower()))
    ]
    if sum(len(key) + len(value) for key, value in annotations.items()) > _ANNOTATIONS_SIZE:
        detail = f"may not be more than {_ANNOTATIONS_SIZE} bytes"
        causes.append(Cause("metadata.annotations", "FieldValueTooLong", f"Too long: {detail}"))
    return causes


def _name_problem(resource: Resource, name: str) -> str:
    if resource.group in ("rbac.authorization.k8s.io", "apiregistration.k8s.io"):
        if name in (".", "..") or "/" in name or "%" in name:
            return "may not be '.' or '..', nor contain '/' or '%'"
        return ""
    if resource.key in (
        ("", "namespaces"),
        ("", "services"),
        ("networking.k8s.io", "servicecidrs"),
    ):
        return _dns(name, _LABEL, _LABEL_RULE, _LABEL_LENGTH)
    return subdomain_problem(name)


def _dns(name: str, pattern: re.Pattern[str], rule: str, longest: int) -> str:
    if len(name) > longest:
        return f"must be no more than {longest} characters"
    return "" if pattern.fullmatch(name) else rule


def key_problem(key: str) -> str:
    """What is wrong with a qualified name; empty for nothing."""
    prefix, slash, name = key.rpartition("/")
    if slash and not _SUBDOMAIN.fullmatch(prefix):
        return f"prefix part {_SUBDOMAIN_RULE}"
    if not name or not _QUALIFIED.fullmatch(name):
        return _KEY_RULE
    return "name part must be no more than 63 characters" if len(name) > _LABEL_LENGTH else ""


def subdomain_problem(name: str) -> str:
    """What is wrong with a DNS name; empty for nothing."""
    return _dns(name, _SUBDOMAIN, _SUBDOMAIN_RULE, _SUBDOMAIN_LENGTH)


def _value_problem(value: str) -> str:
    if len(value) > _LABEL_LENGTH:
        return f"must be no more than {_LABEL_LENGTH} characters"
    return "" if _VALUE.fullmatch(value) else _VALUE_RULE


def schema_causes(resource: Resource, found: Object, old: Object | None) -> list[Cause]:
    """What the schema demands and the object lacks; ``old`` is what it was before."""
    checker = _Checker(resource)
    schema = resolve(resource.schema)
    for name, value in found.items():
        # metadata has rules of its own; of Kubernetes' kinds only its controllers write the status
        if name not in _HEAD and (resource.custom or name != "status"):
            checker.check(value, member(schema, name), name)
    checker.required(found, schema, "")
    causes = [*checker.causes, *checker.repeated]
    if resource.custom and resource.has_rules:
        if not checker.causes:
            causes += broken(found, resource.schema, old)
        else:
            causes.append(Cause.invalid("<nil>", None, _UNCHECKED))
    if causes and resource.custom and old is not None:
        # what was wrong already may stay (documentation of custom kinds, "Validation ratcheting")
        before = schema_causes(resource, old, None)
        return [cause for cause in causes if cause not in before]
    return causes


class _Checker:
    def __init__(self, resource: Resource) -> None:
        self._custom = resource.custom
        self.causes: list[Cause] = []
        self.repeated: list[Cause] = []
        """items of lists that are maps, which are looked at last"""

    def check(self, value: Any, schema: Schema | None, path: str) -> None:
        schema = resolve(schema)
        if isinstance(value, dict):
            self.required(value, schema, path)
            for name, inner in value.items():
                known = name in schema.get("properties", {})
                self.check(inner, member(schema, name), f"{path}.{name}" if known else path)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self.check(item, schema.get("items"), f"{path}[{index}]")
            if self._custom and schema.get("x-kubernetes-list-type") == "map":
                self._distinct(value, schema["x-kubernetes-list-map-keys"], path)
        else:
            choices = schema.get("enum")
            if choices and value not in choices and value != "":
                self.causes.append(Cause.unsupported(path, value, choices))
        _check_bounds(value, schema, path, self.causes)

    def _distinct(self, items: list[Any], keys: list[str], path: str) -> None:
        seen = []
        for index, item in enumerate(items):
            key = {name: item.get(name) for name in keys} if isinstance(item, dict) else item
            if key in seen:
                self.repeated.append(Cause.duplicate(f"{path}[{index}]", key))
            seen.append(key)

    def required(self, found: Object, schema: Schema, path: str) -> None:
        for name in schema.get("required", ()):
            missing = found.get(name) is None
            if not self._custom and name not in _MAY_BE_EMPTY:
                missing = missing or found[name] in ("", [])
            if missing and name not in ("status", "metadata"):
                self.causes.append(Cause.required(f"{path}.{name}" if path else name))


def _check_bounds(value: Any, schema: Schema, path: str, causes: list[Cause]) -> None:
    size = len(value) if isinstance(value, str | list | dict) else None
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    rules: tuple[tuple[str, float | None, Callable[[float, float], bool], str], ...] = (
        ("minimum", number, lambda a, b: a < b, "should be greater than or equal to {}"),
        ("maximum", number, lambda a, b: a > b, "should be less than or equal to {}"),
        ("minLength", size, lambda a, b: a < b, "should be at least {} chars long"),
        ("maxLength", size, lambda a, b: a > b, "should be at most {} chars long"),
        ("minItems", size, lambda a, b: a < b, "should have at least {} items"),
        ("maxItems", size, lambda a, b: a > b, "should have at most {} items"),
    )
    for name, measured, outside, words in rules:
        if name in schema and measured is not None and outside(measured, schema[name]):
            detail = f"{path} in body {words.format(schema[name])}"
            causes.append(Cause.invalid(path, value, detail))
    form = schema.get("format")
    if form in _FORMATS and isinstance(value, str) and not _FORMATS[form].fullmatch(value):
        detail = f"{path} in body must be of type {form}: {json.dumps(value)}"
        causes.append(Cause.invalid(path, value, detail))
    pattern = schema.get("pattern")
    if pattern and isinstance(value, str) and not re.search(pattern, value):
        detail = f"{path} in body should match '{pattern}'"
        causes.append(Cause.invalid(path, value, detail))
