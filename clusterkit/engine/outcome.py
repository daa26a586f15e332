"""How a run ended."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Outcome:
    """What failed, what is still in progress, and whether the desired state is reached."""

    failed: dict[str, Exception] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)
    """key to what is still in progress in the cloud"""
    left_out: dict[str, Exception] = field(default_factory=dict)
    """optional steps that could not be carried out, and why"""
    interrupted: bool = False
    done: int = 0

    @property
    def ok(self) -> bool:
        """Whether the desired state is reached, but for what is optional."""
        return not (self.failed or self.stopped or self.interrupted)
