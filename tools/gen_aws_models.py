"""Write ``clusterkit/eks/data/*.json.gz``: AWS's service models, as far as the driver uses them.

The source is what botocore carries (Apache-2.0), of which one service alone has 830 operations and
four megabytes: reading them was a fifth of what an empty plan computes. Kept are the operations
whose method is named anywhere in ``clusterkit/eks``, those that botocore calls by itself, and the
shapes that they refer to, without prose. One file per service, written the same way each time.

``--check`` compares what is checked in with what the installed botocore says.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from botocore import xform_name
from botocore.loaders import Loader

DRIVER = Path(__file__).resolve().parent.parent / "clusterkit" / "eks"
DATA = DRIVER / "data"
ITSELF: Mapping[str, tuple[str, ...]] = {
    "ec2": (),
    "ecr": (),
    "eks": (),
    "elb": (),
    "elbv2": (),
    "iam": (),
    "logs": (),
    "resourcegroupstaggingapi": (),
    "s3": ("HeadBucket", "CreateSession"),
    "service-quotas": (),
}
"""Services to the operations that botocore calls by itself (``botocore/utils.py``:
``S3RegionRedirectorv2``, ``S3ExpressIdentityResolver``). STS is read from botocore, whose
credentials use more of it than the driver does.
"""
PROSE = ("documentation", "documentationUrl")


def without_prose(value: Any) -> Any:
    """A copy without texts for people; a member may have such a name, but is no text."""
    if isinstance(value, dict):
        return {
            key: without_prose(inner)
            for key, inner in value.items()
            if not (key in PROSE and isinstance(inner, str))
        }
    return [without_prose(each) for each in value] if isinstance(value, list) else value


def references(value: Any) -> Iterator[str]:
    """The names of the shapes that something refers to."""
    if isinstance(value, dict):
        if isinstance(value.get("shape"), str):
            yield value["shape"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def reduced(
    model: Mapping[str, Any], methods: frozenset[str], itself: tuple[str, ...]
) -> dict[str, Any]:
    """One service's model with the operations of these methods."""
    operations = {
        name: operation
        for name, operation in model["operations"].items()
        if xform_name(name) in methods or name in itself
    }
    todo, shapes = list(references(operations)), set[str]()
    while todo:
        if (name := todo.pop()) not in shapes:
            shapes.add(name)
            todo += references(model["shapes"][name])
    kept = {name: shape for name, shape in model["shapes"].items() if name in shapes}
    # botocore reads the prose of what clients may be configured with
    rest = {name: value for name, value in model.items() if name not in PROSE}
    return rest | {"operations": without_prose(operations), "shapes": without_prose(kept)}


def written(model: Mapping[str, Any]) -> bytes:
    """What the file holds: the same bytes each time."""
    text = json.dumps(model, separators=(",", ":"))
    return gzip.compress(text.encode(), mtime=0)


def read(file: Path) -> Any:
    """What is checked in; None if it is not there."""
    return json.loads(gzip.decompress(file.read_bytes())) if file.exists() else None


def extract(service: str) -> dict[str, Any]:
    """What the file of a service is to hold."""
    return reduced(Loader().load_service_model(service, "service-2"), named(), ITSELF[service])


@cache
def named() -> frozenset[str]:
    """Every word of the driver, and what f-strings like ``f"delete_{kind}"`` make of them."""
    text = "\n".join(file.read_text() for file in sorted(DRIVER.glob("*.py")))
    words = set(re.findall(r"\w+", text)) | set(re.findall(r"\w+(?:-\w+)+", text))
    words = {word.replace("-", "_") for word in words}
    verbs = set(re.findall(r'f"([a-z]+_)\{', text))
    return frozenset(words | {verb + word for verb in verbs for word in words})


def main() -> int:
    """Write the files, or compare them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if they differ")
    check: bool = parser.parse_args().check
    stale = []
    for service in ITSELF:
        file, model = DATA / f"{service}.json.gz", extract(service)
        if read(file) == model:
            continue
        stale.append(file.name)
        if not check:
            DATA.mkdir(exist_ok=True)
            file.write_bytes(written(model))
    package = f"botocore {version('botocore')} and the driver: run tools/gen_aws_models.py"
    word = f"differs from {package}" if check else "written"
    sys.stderr.write("".join(f"{name}: {word}\n" for name in stale))
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
