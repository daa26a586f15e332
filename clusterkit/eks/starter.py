"""The profile that ``clusterkit init --cloud eks`` writes."""

from __future__ import annotations

from importlib.resources import files
from string import Template

from clusterkit.core.errors import Finding, ProfileError
from clusterkit.core.profile import NAME
from clusterkit.core.refusal import Refused
from clusterkit.eks.rules import REGION


def starter(name: str, region: str) -> str:
    """A commented profile that validates; raises ``ProfileError`` for a name or region that cannot
    be."""
    findings = []
    for field, form, text in (("name", NAME, name), ("region", REGION, region)):
        try:
            form.check(text)
        except Refused as refused:
            findings += [Finding(p.what, where=field, hint=p.hint) for p in refused.problems]
    if findings:
        raise ProfileError(findings)
    template = (files("clusterkit.eks") / "starter.yaml").read_text("utf-8")
    return Template(template).substitute(name=name, region=region)
