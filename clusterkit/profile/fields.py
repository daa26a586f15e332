"""Building blocks for the fields of a profile: text of a given form, a choice of shapes, lists.

Each gives one clear error for a wrong value, and the same rule in the JSON Schema for editors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from clusterkit.profile.problems import Problem, Refused, refuse, seen_again, shown

T = TypeVar("T")

Many = Annotated[tuple[T, ...], Field(strict=False)]
"""a YAML list as a tuple; its items are still validated strictly"""


def choice(words: str, **kinds: type | tuple[type, ...]) -> Discriminator:
    """Selects a member of a union by the value's Python type, so that only that member's errors are
    reported.

    The members carry ``Tag("<kind>")``; ``words`` is the error for a value of no kind.
    """

    def kind_of(value: object) -> str | None:
        for kind, types in kinds.items():
            if isinstance(value, types) and not isinstance(value, bool):
                return f"<{kind}>"
        return None

    return Discriminator(
        kind_of,
        custom_error_type="choice",
        custom_error_message="{words}",
        custom_error_context={"words": words},
    )


def every(check: Callable[[T], Iterable[Problem]]) -> AfterValidator:
    """An annotation for a field: ``check`` yields every problem with its value."""

    def refuse_all(value: T) -> T:
        if found := tuple(check(value)):
            raise Refused(*found)
        return value

    return AfterValidator(refuse_all)


def unique(word: str) -> AfterValidator:
    """An annotation for a list without duplicates; errors call an item ``word``."""

    def repeated(values: tuple[object, ...]) -> Iterator[Problem]:
        for index in seen_again(values):
            yield Problem(f"{word} {shown(values[index])} is listed twice", place=(index,))

    return every(repeated)


@dataclass(frozen=True)
class Form:
    """An annotation for ``str`` fields: the whole text must match ``pattern`` and fit ``limit``
    characters.

    ``words`` completes "must be …". ``cure`` looks at a refused text and says what to write
    instead, or nothing. The pattern is for Python's ``re`` and for JSON Schema (ECMA 262) alike;
    write it without anchors.
    """

    pattern: str
    words: str
    limit: int = 255
    cure: Callable[[str], str] | None = None

    def check(self, text: str) -> str:
        """``text``, or ``Refused``."""
        if re.fullmatch(self.pattern, text[: self.limit + 1], re.ASCII) is None:
            hint = self.cure(text) if self.cure else ""
            raise refuse(f"must be {self.words}, is {shown(text)}", hint)
        if len(text) > self.limit:
            raise refuse(f"must be at most {self.limit} characters, has {len(text)}")
        return text

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "pattern": f"^(?:{self.pattern})$", "maxLength": self.limit}


def lower_case(text: str) -> str:
    """The cure of a ``Form`` without capital letters."""
    return f"write {text.lower()}" if text != text.lower() else ""


class Strict(BaseModel):
    """The base of all parts of a profile."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)
    outdated: ClassVar[Mapping[str, str]] = {}
    """outdated keys, and what to write today"""

    def problems(self) -> Iterator[Problem]:
        """Problems between fields that are valid on their own; subclasses add to ``super()``'s."""
        yield from ()

    @model_validator(mode="after")
    def _refuse_problems(self) -> Self:
        found = tuple(self.problems())
        if found:
            raise Refused(*found)
        return self


ImageName = Annotated[
    str,
    Form(
        r"[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*",
        "an image name: lower-case letters and digits, joined by '-', '_', '.' or '/'",
        128,
        lower_case,
    ),
]
"""the name of a repository (distribution/reference, ``reference.go``)"""
