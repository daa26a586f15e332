"""AWS's service models as botocore brings them, found and read with less work than botocore does.

Imports botocore: ``client.py`` imports this when a client is made.
"""

from __future__ import annotations

import gzip
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from botocore.loaders import JSONFileLoader, Loader


class _Files(JSONFileLoader):
    """Reads models into dicts, which keep their order and take half the time of botocore's
    ``OrderedDict``.
    """

    def load_file(self, file_path: str) -> Any:
        """The file of this path without its extension; None if there is none."""
        with suppress(FileNotFoundError):
            return json.loads(Path(f"{file_path}.json").read_bytes())
        with suppress(FileNotFoundError), gzip.open(f"{file_path}.json.gz", "rb") as file:
            return json.load(file)
        return None


class Models(Loader):
    """Knows a service by its folder; botocore looks into every version of all 400 for each type of
    model. Which types a service has, ``determine_latest_version`` finds out.
    """

    def __init__(self) -> None:
        super().__init__(file_loader=_Files())
        folders = [each for each in map(Path, self.search_paths) if each.is_dir()]
        self._services = sorted({each.name for folder in folders for each in folder.iterdir()})

    def list_available_services(self, type_name: str) -> list[str]:
        """Those with any model."""
        return self._services
