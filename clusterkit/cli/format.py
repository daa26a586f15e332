"""Words for operations, durations and reasons, as the renderers import them."""

from __future__ import annotations

from clusterkit.engine.words import NOTED, brief, clock, done_word, size, verb

__all__ = ["NOTED", "brief", "clock", "done_word", "size", "verb"]
