"""What import-linter cannot say: the shared layers name no cloud, and imports stay light."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from clusterkit import clouds
from clusterkit.alibaba import MINUTES
from clusterkit.alibaba.access import LIFETIME

PACKAGE = Path(clouds.__file__).parent
CLOUD = re.compile(r"\b(aws|eks|alibaba|ack|gke|google|aks|azure)\b", re.IGNORECASE)
SOURCE = re.compile(r"https?://\S+|\(terraform-provider-aws[^)]*\)")
"""where a number comes from"""


@pytest.mark.parametrize("layer", ["engine", "profile", "kube", "cli"])
def test_shared_layers_name_no_cloud(layer: str) -> None:
    named = [
        f"{file.relative_to(PACKAGE)}:{number}: {line.strip()}"
        for file in sorted((PACKAGE / layer).rglob("*.py"))
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if CLOUD.search(SOURCE.sub("", line))
    ]
    assert named == []


def test_the_package_and_the_library_import_no_sdk_and_no_profile_language() -> None:
    code = (
        "import sys, clusterkit\n"
        "assert 'clusterkit.cluster' not in sys.modules\n"
        "clusterkit.Cluster\n"
        "heavy = {'boto3', 'botocore', 'aliyunsdkcore', 'pydantic', 'rich', 'typer', 'urllib3'}\n"
        "sys.exit(','.join(heavy & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_words_for_examples_are_true() -> None:
    assert clouds.EXAMPLES.cloud in clouds.CLOUDS
    words = f"{MINUTES[0]} to {MINUTES[-1]} on alibaba, default {LIFETIME}"
    assert clouds.EXAMPLES.minutes == words
