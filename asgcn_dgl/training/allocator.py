"""Let the C library keep the memory of large tensors for reuse."""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # names of parameters in glibc's malloc.h


def reuse_memory() -> bool:
    """Let glibc keep freed memory, for the life of the process; False without glibc.

    By default glibc maps buffers over 32 MB for each use and returns them after it. Every page is
    then fetched and cleared again, which takes longer than much of the arithmetic of a training
    step on a CPU. The settings are those of ``MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=-1``.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, -1))
