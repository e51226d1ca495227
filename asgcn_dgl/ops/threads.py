"""Pieces of work that lie in one core's cache each, side by side on all cores.

An operation on a few hundred kilobytes is over before a second core has joined it, and what one
core has written the other must fetch. So the cores are given pieces of their own instead, all
operations of a piece on one core: torch lets go of Python's lock within an operation.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from itertools import pairwise
from typing import Any, TypeVar

import torch

__all__ = ["spread"]

Piece = TypeVar("Piece")


def spread(work: Callable[[Sequence[Piece]], Any], pieces: Sequence[Piece]) -> list[Any]:
    """Call ``work`` on runs of the pieces, one for each of torch's threads, at the same time.

    No gradients are recorded. With one thread, or one piece, the caller does it all.

    Parameters
    ----------
    work
        Takes some of the pieces, in order; different calls must not write to the same places.
    pieces
        What there is to do.

    Returns
    -------
    list
        What the calls returned, in the order of the pieces.
    """
    threads = torch.get_num_threads()
    parts = min(threads, len(pieces))
    if parts < 2 or torch.compiler.is_compiling():
        return [work(pieces)]
    bounds = [part * len(pieces) // parts for part in range(parts + 1)]
    mode = torch.inference_mode if torch.is_inference_mode_enabled() else torch.no_grad
    pool = _pool(os.getpid(), threads)
    running = [
        pool.submit(_within, mode, work, pieces[begin:end]) for begin, end in pairwise(bounds)
    ]
    wait(running)
    return [each.result() for each in running]


def _within(mode: Callable[[], Any], work: Callable[[Any], Any], pieces: Any) -> Any:
    with mode():
        return work(pieces)


@cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Threads whose operations take one core each; a forked process gets its own.

    The number of threads that an operation takes is kept by each thread. A thread settles it when
    it first asks, and setting it changes what later threads settle for, which is put back here.
    """
    started = threading.Barrier(threads)

    def begin() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()

    pool = ThreadPoolExecutor(threads, thread_name_prefix="asgcn_dgl", initializer=begin)
    first: list[Future[int]] = [pool.submit(started.wait) for _ in range(threads)]
    wait(first)
    torch.set_num_threads(threads)
    return pool
