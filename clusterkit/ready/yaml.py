"""YAML for people to read: text of several lines as a block."""

from __future__ import annotations

from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """PyYAML's own, which would write such text in quotes with ``\\n``."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def dump(document: Any) -> str:
    """A document, its keys in their own order."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=100)
