"""charts/clusterkit-operator, made from what ``clusterkit operator manifests`` prints; ``--check``
only compares.

The templates are the manifests with Helm's values in their places, so that there is one truth.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import yaml

from clusterkit.operator import manifests
from clusterkit.operator.crd import crd
from clusterkit.version import __version__

CHART = Path(__file__).parent.parent / "charts" / "clusterkit-operator"
VALUES = """\
# The operator's image. None is published: docs/operator.md says how to build it.
image: clusterkit-operator:latest
# Replicas share the work by themselves.
replicas: 1
# More options of `clusterkit operator run`.
options: []
# The operator's own identity in a cloud, where the vendor asks for an annotation, as
# eks.amazonaws.com/role-arn or azure.workload.identity/client-id.
serviceAccount:
  annotations: {}
"""
ACCOUNT = "kind: ServiceAccount\nmetadata:\n  name: clusterkit-operator\n  namespace: $namespace\n"
ANNOTATIONS = """\
  {{- with .Values.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
"""


def chart() -> dict[str, str]:
    """File to text."""
    text = (Path(manifests.__file__).parent / "install.yaml").read_text()
    parts = text.split("---\n")
    kept = "---\n".join(part for part in parts if "\nkind: Namespace\n" not in part)
    kept = kept.replace(ACCOUNT, ACCOUNT + ANNOTATIONS)
    kept = kept.replace("$namespace", "{{ .Release.Namespace | quote }}")
    kept = kept.replace("image: $image", "image: {{ .Values.image | quote }}")
    kept = kept.replace("$replicas", "{{ .Values.replicas }}")
    args = "args: [operator, run, --namespace, {{ .Release.Namespace | quote }}"
    more = "{{- range .Values.options }}, {{ . | quote }}{{- end }}"
    kept = kept.replace(f"{args}]", f"{args}{more}]")
    about = {
        "apiVersion": "v2",
        "name": "clusterkit-operator",
        "description": "Manages Kubernetes clusters on four clouds by CloudCluster objects",
        "type": "application",
        "version": __version__,
        "appVersion": __version__,
    }
    return {
        "Chart.yaml": yaml.safe_dump(about, sort_keys=False),
        "values.yaml": VALUES,
        "crds/cloudcluster.yaml": yaml.safe_dump(crd(), sort_keys=False, width=100),
        "templates/operator.yaml": kept,
    }


def main() -> int:
    """Write or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = []
    for name, text in chart().items():
        file = CHART / name
        if file.exists() and file.read_text() == text:
            continue
        stale.append(name)
        if not check:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    if check and stale:
        sys.stdout.write(f"out of date, run tools/gen_chart.py: {', '.join(stale)}\n")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
