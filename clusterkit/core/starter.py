"""A driver's ``starter.yaml``, filled in."""

from __future__ import annotations

from importlib.resources import files
from string import Template

from clusterkit.core.errors import Finding, ProfileError
from clusterkit.core.forms import Form
from clusterkit.core.profile import NAME
from clusterkit.core.refusal import Refused


def fill(package: str, name: str, region: str, regions: Form) -> str:
    """``PACKAGE/starter.yaml`` for this cluster; ``ProfileError`` for a name or region that cannot
    be.
    """
    findings = []
    for field, form, text in (("name", NAME, name), ("region", regions, region)):
        try:
            form.check(text)
        except Refused as refused:
            findings += [Finding(p.what, where=field, hint=p.hint) for p in refused.problems]
    if findings:
        raise ProfileError(findings)
    template = (files(package) / "starter.yaml").read_text("utf-8")
    return Template(template).substitute(name=name, region=region)
