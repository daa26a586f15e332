"""The ``filter`` of lists of Compute Engine (vendor: the parameter's description).

Two grammars, as documented: ``(name = a) AND (labels.b:*)`` with ``=``, ``!=``, ``<``, ``>``,
``<=``, ``>=`` and ``:`` (is there, contains, begins with); and ``name eq RE2``, ``name ne RE2``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from clusterkit_sandbox.google.failure import Failure, invalid

Test = Callable[[Any], bool]
_WORD = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'[^']*'|[()]|!=|<=|>=|[=<>:]|[^\s()=<>:!"']+)""")
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_OPERATORS = ("=", "!=", ":", "eq", "ne", *_COMPARE)


def parsed(text: str) -> Test:
    """What a filter keeps; 400 for one that cannot be read."""
    parser = _Parser(text)
    test = parser.alternatives()
    if parser.words:
        raise parser.unreadable()
    return test


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self.words: list[str] = []
        at = 0
        while text[at:].strip():
            found = _WORD.match(text, at)
            if found is None:
                raise self.unreadable()
            self.words.append(found[1])
            at = found.end()

    def unreadable(self) -> Failure:
        return invalid("filter", self._text, "Invalid list filter expression.")

    def _next(self, *wanted: str) -> str:
        """The next word, if it is one of those that are wanted."""
        return self.words.pop(0) if self.words and self.words[0] in wanted else ""

    def alternatives(self) -> Test:
        """Expressions joined by ``OR``."""
        tests = [self._together()]
        while self._next("OR"):
            tests.append(self._together())
        return lambda value: any(test(value) for test in tests)

    def _together(self) -> Test:
        """Expressions joined by ``AND`` or by nothing."""
        tests = [self._one()]
        while self.words and self.words[0] not in (")", "OR"):
            self._next("AND")
            tests.append(self._one())
        return lambda value: all(test(value) for test in tests)

    def _one(self) -> Test:
        if self.words and self.words[0].startswith("-"):
            self.words[:1] = ["NOT", self.words[0][1:]]
        if self._next("NOT"):
            test = self._one()
            return lambda value: not test(value)
        if self._next("("):
            inner = self.alternatives()
            if not self._next(")"):
                raise self.unreadable()
            return inner
        name, sign, wanted, self.words = *(*self.words, "", "", "")[:3], self.words[3:]
        marks = {"(", ")", *_OPERATORS}
        if sign not in _OPERATORS or not wanted or {name, wanted} & marks:
            raise self.unreadable()
        path, wanted = _unquoted(name).split("."), _unquoted(wanted)
        if sign in ("eq", "ne"):
            try:
                re.compile(wanted)
            except re.error:
                raise self.unreadable() from None
        return lambda value: (
            any(_holds(one, sign, wanted) for one in _members(value, path))
            is not sign.startswith(("!", "ne"))
        )


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] in "\"'" and text[-1] == text[0]:
        # every other backslash belongs to an expression
        return text[1:-1].replace('\\"', '"')
    return text


def _members(value: Any, path: list[str]) -> Iterator[Any]:
    if isinstance(value, list):
        for one in value:
            yield from _members(one, path)
    elif not path:
        yield value
    elif isinstance(value, dict) and path[0] in value:
        yield from _members(value[path[0]], path[1:])


def _holds(value: Any, sign: str, wanted: str) -> bool:
    """For ``!=`` and ``ne`` what they are the opposite of."""
    if isinstance(value, dict):
        return sign == ":" and (wanted == "*" or wanted in value)
    text, wanted_too = str(value).lower(), wanted.lower()
    if sign in ("eq", "ne"):
        return re.fullmatch(wanted, str(value)) is not None
    if sign in _COMPARE:
        try:
            return _COMPARE[sign](float(value), float(wanted))
        except ValueError:
            return _COMPARE[sign](str(value), wanted)
    if wanted.endswith("*"):
        return text.startswith(wanted_too[:-1])
    return wanted_too in text if sign == ":" else text == wanted_too
