"""What Alibaba Cloud's CSI driver makes of the parameters of a StorageClass.

Source: kubernetes-sigs/alibaba-cloud-csi-driver v1.37.1, ``pkg/disk/category.go`` (least sizes),
``utils.go`` (``validateDiskType``, ``volumeSizeAutoAvailable``), ``cloud.go`` (an attempt for each
category and performance level, and the words when none is left).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

PROVISIONER = "diskplugin.csi.alibabacloud.com"
AUTO = 20
"""GiB to which ``volumeSizeAutoAvailable`` rounds up (``MinimumDiskSizeInGB``)"""
LEAST: Mapping[str, int] = {
    "cloud_efficiency": 20,
    "cloud_ssd": 20,
    "cloud_essd": 20,
    "cloud_essd_xc0": 40,
    "cloud_essd_xc1": 40,
    "cloud_auto": 1,
    "cloud_essd_entry": 10,
    "cloud_regional_disk_auto": 10,
    "elastic_ephemeral_disk_standard": 64,
    "elastic_ephemeral_disk_premium": 64,
}
"""GiB by category; others have no limit there"""
LEVELS: Mapping[str, int] = {"PL0": 1, "PL1": 20, "PL2": 461, "PL3": 1261}
"""GiB by performance level of ``cloud_essd``"""
Parameters = Mapping[str, str]


def categories(parameters: Parameters) -> list[str]:
    """The disk categories that are tried, in this order."""
    given = parameters.get("type") or "available"
    return ["cloud_ssd", "cloud_efficiency"] if given == "available" else given.split(",")


def refusal(parameters: Parameters, size: int) -> str:
    """Why no disk is made for a claim of ``size`` GiB, in the driver's words; empty if one is."""
    if parameters.get("volumeSizeAutoAvailable", "").lower() in ("yes", "true", "1"):
        size = max(size, AUTO)
    short = {attempt: least for attempt, least in _attempts(parameters) if size < least}
    if len(short) < len(list(_attempts(parameters))):
        return ""
    words = (
        f"{attempt}: requested size {size}GiB is less than minimum {least}GiB"
        for attempt, least in short.items()
    )
    return f"all attempts failed: {'; '.join(words)}"


def _attempts(parameters: Parameters) -> Iterator[tuple[str, int]]:
    levels = [level for level in parameters.get("performanceLevel", "").split(",") if level]
    for category in categories(parameters):
        if category == "cloud_essd" and levels:
            yield from ((f"{category}.{level}", LEVELS.get(level, AUTO)) for level in levels)
        else:
            yield category, LEAST.get(category, 0)
