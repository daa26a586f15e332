"""Which cluster is meant: its name and region, checked alike wherever they come from."""

from __future__ import annotations

from typing import Annotated

from clusterkit.errors import Finding, ProfileError
from clusterkit.profile.fields import Form
from clusterkit.profile.problems import Refused

NAME = Form(
    r"[a-z0-9]([a-z0-9-]*[a-z0-9])?",
    "lower-case letters, digits and '-', beginning and ending with a letter or digit",
    40,
)
Name = Annotated[str, NAME]
"""a cluster's name: valid in the tags and labels of all clouds, and short enough to be a prefix"""


def check(name: str, region: str, regions: Form) -> None:
    """``ProfileError`` with what is wrong with a name, and a region of the cloud's form."""
    findings = []
    for field, form, text in (("name", NAME, name), ("region", regions, region)):
        try:
            form.check(text)
        except Refused as refused:
            findings += [Finding(p.what, where=field, hint=p.hint) for p in refused.problems]
    if findings:
        raise ProfileError(findings)
