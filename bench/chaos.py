"""Forty CloudClusters on four emulated clouds while three replicas are killed at random.

    python bench/chaos.py [--clusters 40] [--every 20] [--kube envtest]

``--kube envtest`` keeps them on a real API server, which ``KUBEBUILDER_ASSETS`` names. Prints one
line for bench/RESULTS.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.operator import chaos


def main() -> int:
    """Run it once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clusters", type=int, default=40)
    parser.add_argument("--every", type=float, default=20.0, help="seconds between two kills")
    parser.add_argument("--kube", default="embedded", choices=("embedded", "envtest"))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clusterkit-bench-") as folder:
        found = chaos.run(
            Path(folder), asked.clusters, every=asked.every, within=3600.0, kube=asked.kube
        )
    wrong = len(found.twice) + len(found.left) + len(found.touched)
    print(
        f"| {found.clusters} | {found.kills} | {found.up:.0f} s | {found.mended:.0f} s | "
        f"{found.gone:.0f} s | {len(found.twice)} | {len(found.left)} | {len(found.touched)} |"
    )
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
