"""Mutations of good files: a reader gives a clip or an InputError, soon and in bounded memory."""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from asgcn_dgl.data import Clip
from asgcn_dgl.errors import InputError

TOKENS = (b"nan", b"-1", b"0", b"1e999", b"99999999999999999999", b'"', b",", b"{", b"}", b"\n")
TOKENS += (b"\r", b" ", b"\0", b"\xff", b"../..", b"-", b".", b":", b"[", b"]", b"*a", b"&a ", b"_")
SECONDS = 5.0
HANG = 20  # of the process's own time: the machine may be busy, or stop it for a while
MEGABYTES = 500


def check_reader(
    make_files: Callable[[Path], Iterable[Path]],
    read: Callable[[Path], Iterable[Clip]],
    count: int,
    seed: int,
) -> tuple[int, int]:
    """Read ``count`` mutants and return how many gave clips, and how many an error.

    ``make_files(folder)`` writes good files and returns those to mutate, one at a time;
    ``read(folder)`` reads them all.
    """
    # In a process of its own: what this one has taken before says nothing of the reader.
    receiver, sender = multiprocessing.Pipe(duplex=False)
    sys.stdout.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks where there are threads
        pid = os.fork()
    if pid == 0:
        try:
            signal.signal(signal.SIGPROF, _hangs)
            sender.send(_check(make_files, read, count, random.Random(seed)))
        except BaseException:
            sender.send(traceback.format_exc())
        finally:
            os._exit(0)
    sender.close()
    try:
        found = receiver.recv()
    except EOFError:
        found = "the process was killed"
    os.waitpid(pid, 0)
    assert not isinstance(found, str), found
    return found


def _hangs(*_: object) -> None:
    raise AssertionError(f"no end after {HANG} seconds")


def _check(
    make_files: Callable[[Path], Iterable[Path]],
    read: Callable[[Path], Iterable[Clip]],
    count: int,
    rng: random.Random,
) -> tuple[int, int]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    good = bad = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = list(make_files(folder))
        content = {path: path.read_bytes() for path in paths}
        for clip in read(folder):
            clip.check()
        for number in range(count):
            path = rng.choice(paths)
            mutant = mutate(content[path], rng)
            path.write_bytes(mutant)
            signal.setitimer(signal.ITIMER_PROF, HANG)
            start = time.process_time()
            try:
                for clip in read(folder):
                    clip.check()
                    assert np.abs(clip.pos[~clip.mask]).sum() == 0
                good += 1
            except InputError as error:
                assert str(error) and len(str(error)) < 2000
                bad += 1
            except BaseException as error:
                error.add_note(f"mutant {number} of {path.name}: {mutant[:2000]!r}")
                raise
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            assert time.process_time() - start < SECONDS, mutant[:2000]
            path.write_bytes(content[path])
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < MEGABYTES, f"{grown:.0f} MB"
    return good, bad


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Change a few bytes: flip, take out, double, cut off, put in, exchange."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        at = rng.randrange(len(out) + 1)
        span = rng.choice((1, 1, 2, 4, 16, 200))
        kind = rng.randrange(7)
        if kind == 0 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del out[at : at + span]
        elif kind == 2:
            out[at:at] = out[at : at + span]
        elif kind == 3 and rng.random() < 0.3:
            del out[at:]
        elif kind == 4:
            out[at:at] = rng.choice(TOKENS)
        elif kind == 5:
            out[at : at + span] = rng.randbytes(span)
        else:
            out[at : at + rng.randrange(1, 4)] = rng.choice(TOKENS)
    return bytes(out)
