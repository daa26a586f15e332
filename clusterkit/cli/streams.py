"""When what is printed cannot be written."""

from __future__ import annotations

import errno

_CODES = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""what a write to a stream is refused with; errors with files are other classes by then"""


def unwritable(error: BaseException) -> bool:
    """Whether it says that nobody reads the output any more, or that there is no room for it."""
    broken = isinstance(error, BrokenPipeError)  # ours has no errno
    return isinstance(error, OSError) and (broken or error.errno in _CODES)
