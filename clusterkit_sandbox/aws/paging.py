"""Pagination and tag filters that moto lacks.

What is a page stands in botocore's paginators. Moto pages some of its lists and ignores the page
size of the others; so its answer is passed on when it carries a token of its own, and cut here when
it does not. Tags are looked at once more because moto leaves them out of some lists.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import translate
from typing import Any
from urllib.parse import parse_qsl, urlencode
from xml.etree import ElementTree

from clusterkit_sandbox.answer import Answer
from clusterkit_sandbox.aws.refusals import Refusal

OURS = "sandbox-page-"
_CUT = ("LaunchTemplates", "LaunchTemplateVersions")
"""lists that moto cuts at 15, or where asked, without a token for the rest"""
_JSON = ("ecr", "kms", "logs", "resourcegroupstaggingapi", "service-quotas", "ssm")
Tags = Mapping[str, list[str]]
"""values by filter, ``tag:KEY`` or ``tag-key``"""


_NAMESPACES = threading.Lock()
"""ElementTree keeps the prefixes of namespaces for the whole process"""


@dataclass(frozen=True)
class Page:
    """How the answer of one list call is paginated."""

    list_name: str
    """the list's name on the wire"""
    token_name: str
    more_name: str | None
    start: int
    size: int | None
    """None: everything"""
    tags: Tags
    ec2: bool

    def cut(self, answer: Answer) -> Answer:
        """The requested page of moto's answer."""
        if answer.status != 200 or (self.size is None and not self.start and not self.tags):
            return answer
        if answer.body.lstrip()[:1] == b"{":
            return self._json(answer)
        return self._xml(answer)

    def _span(self, count: int) -> tuple[slice, str | None]:
        if self.size is None or self.start + self.size >= count:
            return slice(self.start, None), None
        end = self.start + self.size
        return slice(self.start, end), f"{OURS}{end}"

    def _json(self, answer: Answer) -> Answer:
        shown = json.loads(answer.body)
        if not shown.get(self.token_name):
            items = shown.get(self.list_name) or []
            span, token = self._span(len(items))
            shown[self.list_name] = items[span]
            if token:
                shown[self.token_name] = token
        return replace(answer, body=json.dumps(shown).encode())

    def _xml(self, answer: Answer) -> Answer:
        root = ElementTree.fromstring(answer.body)
        space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
        parent = root if self.ec2 else next(iter(root), root)
        listed = parent.find(space + self.list_name)
        given = parent.find(space + self.token_name)
        if listed is None or (given is not None and given.text):
            return answer
        for item in list(listed):
            if not _tagged(item, space, self.tags):
                listed.remove(item)
        items = list(listed)
        span, token = self._span(len(items))
        kept = items[span]
        for item in items:
            if item not in kept:
                listed.remove(item)
        if token:
            _put(parent, space + self.token_name, token)
            if self.more_name:
                _put(parent, space + self.more_name, "true")
        with _NAMESPACES:
            if space:
                ElementTree.register_namespace("", space[1:-1])
            return replace(answer, body=ElementTree.tostring(root, encoding="utf-8"))


def _put(parent: Any, name: str, text: str) -> None:
    found = parent.find(name)
    if found is None:
        found = ElementTree.SubElement(parent, name)
    found.text = text


def _tagged(item: Any, space: str, wanted: Tags) -> bool:
    if not wanted:
        return True
    machines = item.find(f"{space}instancesSet")  # a reservation has no tags, its instances have
    if machines is not None:
        for machine in list(machines):
            if not _tagged(machine, space, wanted):
                machines.remove(machine)
        return len(machines) > 0
    has = {
        tag.findtext(space + "key", ""): tag.findtext(space + "value", "")
        for tag in item.iterfind(f"{space}tagSet/{space}item")
    }
    for name, values in wanted.items():
        key = name.partition(":")[2]
        found = [has[key]] if key in has else []
        if name == "tag-key":
            found = list(has)
        if not any(re.match(_pattern(value), one) for value in values for one in found):
            return False
    return True


def _pattern(value: str) -> str:
    """A regular expression for an EC2 filter value: ``*`` and ``?`` unless a backslash stands
    before them, but no brackets (EC2 User Guide, "Filtering").
    """
    literal = re.sub(r"\\(.)|(\[)", lambda found: f"[{found[1] or found[2]}]", value)
    return translate(literal)


def plan(
    service: str, rules: Mapping[str, Any], shape: Any, body: bytes, forced: int | None
) -> tuple[Page | None, bytes]:
    """How to paginate the answer, and the request to pass to moto."""
    names, ec2 = shape.members, service == "ec2"
    key, token = rules.get("result_key"), rules["input_token"]
    limit, out = rules.get("limit_key") or "MaxResults", rules["output_token"]
    if not isinstance(key, str) or key not in names or not isinstance(token, str):
        return None, body
    flat = service not in _JSON
    sent: dict[str, Any] = (
        dict(parse_qsl(body.decode(), keep_blank_values=True)) if flat else json.loads(body or "{}")
    )
    size = int(sent[limit]) if sent.get(limit) else None
    if out not in names:  # a list that is never cut: EC2's addresses, key pairs
        size = forced = None
    if forced is not None:
        size = min(size or forced, forced)
    start = 0
    if str(sent.get(token, "")).startswith(OURS):
        start = _number(sent.pop(token))
        sent.pop(limit, None)
    elif forced is not None and sent.get(limit):
        sent[limit] = str(size) if flat else size
    elif ec2 and sent.get(token):
        raise Refusal("InvalidParameterValue", f"The token '{sent[token]}' is invalid", 400)
    if key in _CUT:
        sent[limit] = "100000"
    page = Page(
        list_name=_spelt(names[key], key),
        token_name=_spelt(names[out], out) if out in names else out,
        more_name=rules.get("more_results"),
        start=start,
        size=size,
        tags=_filters(sent) if ec2 else {},
        ec2=ec2,
    )
    return page, urlencode(sent).encode() if flat else json.dumps(sent).encode()


def _spelt(member: Any, name: str) -> str:
    return str(member.serialization.get("name") or name)


def _number(token: str) -> int:
    try:
        return int(token.removeprefix(OURS))
    except ValueError:
        raise Refusal("InvalidParameterValue", f"The token '{token}' is invalid", 400) from None


def filters(sent: Mapping[str, str]) -> dict[str, list[str]]:
    """The filters of a flat EC2 request by name."""
    found: dict[str, list[str]] = {}
    for key, name in sent.items():
        if re.fullmatch(r"Filters?\.\d+\.Name", key):
            stem = key.removesuffix("Name")
            found[name] = [
                value
                for other, value in sent.items()
                if re.fullmatch(rf"{re.escape(stem)}Values?\.\d+", other)
            ]
    return found


def _filters(sent: Mapping[str, str]) -> Tags:
    return {
        name: values
        for name, values in filters(sent).items()
        if name.startswith("tag:") or name == "tag-key"
    }
