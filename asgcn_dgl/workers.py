"""Processes that work for this one, and end with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any

from asgcn_dgl.errors import InputError

__all__ = ["begin_worker", "pool_of", "submit"]


@contextmanager
def pool_of(
    count: int, initializer: Callable[..., None] | None = None, *arguments: Any
) -> Iterator[ProcessPoolExecutor]:
    """Give a pool of processes, each of which first calls ``initializer``; report a killed one.

    Each is a fresh interpreter: a fork would take torch's threads in an undefined state.
    """
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    try:
        with ProcessPoolExecutor(count, context, begin_worker, (initializer, *arguments)) as pool:
            try:
                yield pool
            except BaseException as error:
                pool.shutdown(wait=False, cancel_futures=True)
                if not isinstance(error, Exception):  # Ctrl-C waits for nobody
                    for process in set(multiprocessing.active_children()) - others:
                        process.terminate()
                raise
    except BrokenProcessPool as error:
        raise InputError(
            "a worker process was killed, perhaps for want of memory; the same command continues, "
            "with fewer workers if it happens again"
        ) from error


def submit(pool: ProcessPoolExecutor, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
    """Submit work; processes that start for it do not see Ctrl-C, which the parent answers."""
    if not hasattr(signal, "pthread_sigmask"):
        return pool.submit(work, *arguments)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return pool.submit(work, *arguments)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def begin_worker(initializer: Callable[..., None] | None = None, *arguments: Any) -> None:
    """Begin in a process of a pool: end when the parent does, even when that is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    if initializer is not None:
        initializer(*arguments)


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
