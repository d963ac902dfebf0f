"""Memory that large arrays leave is kept for the next ones.

The C library gives freed blocks of more than 32 MB back to the system at once, and the
system clears each page of a new one when it is first written: 10 ms of the 12 that a
compiled `abs` of 1e7 float32 takes. It is told here to keep them, as it does smaller
blocks: docs/decisions/0012-memory-is-kept.md, `benchmarks/wide.py`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os

from pullback.config import config

#: In bytes: up to which size blocks are kept, and how much free memory in a row is.
KEPT = 2**27

# Options of the C library's `mallopt`, in malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
#: A user who has set one of these knows better.
_SETTINGS = (
    "MALLOC_TRIM_THRESHOLD_",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_MMAP_MAX_",
    "GLIBC_TUNABLES",
)


def keep_freed_memory() -> bool:
    """Let the C library keep freed memory, and say whether it does.

    It does not where it is another library than glibc, where `config.keep_memory` is
    off, or where the user has set up its `malloc`.
    """
    if not config.keep_memory:
        return False
    if any(name in os.environ for name in _SETTINGS):
        return False
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        done = [mallopt(option, KEPT) for option in (_MMAP_THRESHOLD, _TRIM_THRESHOLD)]
        return all(done)
    return False
