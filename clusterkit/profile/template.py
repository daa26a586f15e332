"""A driver's ``template.yaml``, filled in."""

from __future__ import annotations

from importlib.resources import files
from string import Template

from clusterkit.errors import Finding, ProfileError
from clusterkit.profile.fields import Form
from clusterkit.profile.model import NAME
from clusterkit.profile.problems import Refused


def fill(package: str, name: str, region: str, regions: Form) -> str:
    """``PACKAGE/template.yaml`` for this cluster; ``ProfileError`` for an invalid name or
    region."""
    findings = []
    for field, form, text in (("name", NAME, name), ("region", regions, region)):
        try:
            form.check(text)
        except Refused as refused:
            findings += [Finding(p.what, where=field, hint=p.hint) for p in refused.problems]
    if findings:
        raise ProfileError(findings)
    template = (files(package) / "template.yaml").read_text("utf-8")
    return Template(template).substitute(name=name, region=region)
