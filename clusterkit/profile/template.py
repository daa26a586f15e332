"""A driver's ``template.yaml``, filled in."""

from __future__ import annotations

from importlib.resources import files
from string import Template

from clusterkit.profile.fields import Form
from clusterkit.profile.identity import check


def fill(package: str, name: str, region: str, regions: Form) -> str:
    """``PACKAGE/template.yaml`` for this cluster; ``ProfileError`` for an invalid name or
    region."""
    check(name, region, regions)
    template = (files(package) / "template.yaml").read_text("utf-8")
    return Template(template).substitute(name=name, region=region)
