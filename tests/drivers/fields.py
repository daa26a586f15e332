"""Every field of a cloud's profile model, and what may become of a value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from pydantic import BaseModel

from tests.drivers.world import Case, Edits, World


@dataclass(frozen=True)
class Turn:
    """A field's value, another one, and back.

    Both are changes to the profile of the case. Of what is refused, the words name both values.
    """

    case: Case
    field: str
    """dotted, without the indices: ``pools.disk.size``"""
    here: Edits
    there: Edits
    refused: Sequence[str] = ()
    """words of what refuses to go there"""
    back: Sequence[str] = ()
    """words of what refuses to come back"""
    invalid: Sequence[str] = ()
    """words of the profile's own refusal of ``there``"""
    quick: bool = False
    """in every run of the tests, with all others of its cloud at once"""
    prepare: Callable[[World], tuple[Edits, Edits]] | None = field(default=None, repr=False)
    """what must be there before, and what both values say of it"""

    @property
    def id(self) -> str:
        """How pytest calls it."""
        return f"{self.case.cloud}-{self.field}"


def paths(model: type[BaseModel], within: str = "") -> Iterator[str]:
    """The dotted path of every field; a section that is always there counts by its fields."""
    for name, info in model.model_fields.items():
        sections = [*_models(info.annotation)]
        if info.annotation not in sections:
            yield within + name
        for section in sections:
            yield from paths(section, f"{within}{name}.")


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)
