"""Text of profiles, file names and clouds, made harmless for a terminal.

Control characters (C0, DEL, C1) could move the cursor, set the window's title or send answers to
the shell; bidirectional controls could show a text in another order than it is in (Unicode TR36,
"Bidirectional Text Spoofing"). Each is replaced by one visible character, so that widths hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderHook
from rich.segment import Segment

_PICTURES = {code: 0x2400 + code for code in range(0x20) if code not in (0x09, 0x0A)}
"""U+241B ␛ for ESC and so on; tabs and line ends stay"""
_REPLACED = [
    0x7F, *range(0x80, 0xA0), 0x061C, 0x200E, 0x200F, 0x2028, 0x2029, *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
]  # fmt: skip
_TABLE = _PICTURES | dict.fromkeys(_REPLACED, 0xFFFD)


def clean(text: str) -> str:
    """The text without control and bidirectional characters; its length stays."""
    return text.translate(_TABLE)


class SafeConsole(Console):
    """A console that prints no control characters but its own, from any thread.

    What is redrawn begins where rich has computed that the last frame did. ``Live.refresh`` holds
    its lock until it has written, ``Console.print`` does not: two threads would write in another
    order than they computed, and take lines of each other's.
    """

    _drawing: AbstractContextManager[object] = nullcontext()

    def push_render_hook(self, hook: RenderHook) -> None:
        """Remember the lock of what is redrawn from now on."""
        self._drawing = getattr(hook, "_lock", self._drawing)
        super().push_render_hook(hook)

    def print(self, *objects: Any, **options: Any) -> None:
        """As ``Console.print``, while nothing else is drawn."""
        with self._drawing:
            super().print(*objects, **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """As ``Console.render``, with clean text."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else clean(text), style, control)

    def on_broken_pipe(self) -> None:
        """Nobody reads it any more: results end the program, progress goes on in silence."""
        if not self.stderr:
            raise BrokenPipeError
        self.quiet = True
