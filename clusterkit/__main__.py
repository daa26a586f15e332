"""``python -m clusterkit``."""

from clusterkit.cli.main import run

if __name__ == "__main__":
    run()
