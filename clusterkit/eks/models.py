"""AWS's service models, found and read with less work than botocore does.

Of the services that the driver calls, its own extracts of botocore's models are read
(``tools/gen_aws_models.py``): that of EC2 has a sixteenth of the operations. Everything else, the
rules for endpoints too, is botocore's. Imports botocore: ``client.py`` imports this when a client
is made.
"""

from __future__ import annotations

import gzip
import json
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from botocore.loaders import JSONFileLoader, Loader

_DATA = Path(__file__).parent / "data"


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
    model. Which types a service has, ``determine_latest_version`` finds out. Shared by all threads.
    """

    def __init__(self) -> None:
        super().__init__(file_loader=_Files())
        folders = [each for each in map(Path, self.search_paths) if each.is_dir()]
        self._services = sorted({each.name for folder in folders for each in folder.iterdir()})

    def list_available_services(self, type_name: str) -> list[str]:
        """The services that have any model, whatever ``type_name``."""
        return self._services

    def load_service_model(
        self, service_name: str, type_name: str, api_version: str | None = None
    ) -> Any:
        """The driver's extract, or botocore's whole model."""
        if type_name == "service-2" and api_version is None and (own := _extract(service_name)):
            return own
        return super().load_service_model(service_name, type_name, api_version)


@cache
def _extract(service: str) -> Any:
    """What ``data`` holds of a service; None if it holds nothing."""
    return _Files().load_file(str(_DATA / service))
