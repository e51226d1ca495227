"""Raw NTU text to a store: ``python -m benchmarks.prepare``.

The rival is the reader that the field's projects share, which takes a line, a field and a float at
a time, and its reading alone: it writes nothing. The files are the synthetic set's, with as many
characters as the sensor writes (seven digits, orientations that are not zero). Ours with workers
stands beside the rival in as many processes; both start them anew in each timing. Ours import
torch when they start, some seconds that weigh on a small set and not on one of many thousand files.
"""

from __future__ import annotations

import atexit
import functools
import multiprocessing
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from asgcn_dgl.data import open_data, prepare, read_ntu
from asgcn_dgl.data.synthetic.sensor import Recording
from asgcn_dgl.data.synthetic.writer import clip_name, make_clip
from benchmarks.measure import Call, Work, run
from benchmarks.rivals.skeleton_text import read_fields

ACTIONS = 13
JOINT_LINE = "%.7g %.7g %.7g %.7g %.7g %.7g %.7g %.7g %.7g %.7g %.7g %d\r\n" * 25


def sensor_text(recording: Recording, rng: np.random.Generator) -> str:
    """Write a recording as long as the sensor would, about a hundred characters a joint."""
    bodies, frames = recording.body_id.shape
    rest = rng.normal(size=(bodies, frames, 25, 8)) * ([400] * 2 + [1000] * 2 + [0.5] * 4)
    table = np.concatenate([recording.joints, rest, recording.state[..., None]], axis=-1)
    lines = [f"{frames}\r\n"]
    for frame in range(frames):
        seen = np.flatnonzero(recording.body_id[:, frame])
        lines.append(f"{len(seen)}\r\n")
        for body in seen:
            lines.append(f"{recording.body_id[body, frame]} 0 1 1 1 1 0 0.0111 -0.256 2\r\n25\r\n")
            lines.append(JOINT_LINE % tuple(table[body, frame].ravel()))
    return "".join(lines)


def write_files(folder: Path, copies: int) -> list[Path]:
    """Write ACTIONS recordings, each under as many names (hard links) as there are copies."""
    rng = np.random.default_rng(0)
    paths = []
    for action in range(1, ACTIONS + 1):
        first = folder / f"{clip_name(action, 1, 1, 1)}.skeleton"
        first.write_bytes(sensor_text(make_clip(action, 1, 1, 1), rng).encode("ascii"))
        others = [
            folder / f"{clip_name(action, 1, 1, copy)}.skeleton" for copy in range(2, copies + 1)
        ]
        for path in others:
            os.link(first, path)
        paths += [first, *others]
    return paths


@functools.lru_cache(maxsize=1)
def files(copies: int) -> tuple[Path, tuple[Path, ...]]:
    """Folder and files, kept until the process ends."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "raw").mkdir()
    return folder, tuple(write_files(folder / "raw", copies))


def reading(copies: int) -> Call:
    """Read all files."""
    _, paths = files(copies)
    return lambda: [read_ntu(path) for path in paths]


def preparing(copies: int, workers: int) -> Call:
    """Make a store of all files."""
    folder, _ = files(copies)
    source = open_data(folder / "raw", "synthetic")
    out = folder / f"store-{os.getpid()}"
    return lambda: prepare(source, out, workers=workers, overwrite=True)


def rival(copies: int, workers: int = 0) -> Call:
    """Read all files field by field."""
    _, paths = files(copies)
    if not workers:
        return lambda: [read_fields(path) for path in paths]

    def call() -> None:
        with multiprocessing.get_context("spawn").Pool(workers) as pool:
            pool.map(read_fields, paths, chunksize=256)

    return call


def _work(copies: int, workers: int) -> Work:
    count = ACTIONS * copies
    return Work(
        f"prepare {count} files" + (f", {workers} workers" if workers else ""),
        "the field-by-field reader in as many processes, reading alone",
        lambda: preparing(copies, workers),
        lambda: rival(copies, workers),
        count,
    )


def _read(copies: int) -> Work:
    return Work(
        f"read {ACTIONS * copies} files",
        "the field-by-field reader",
        lambda: reading(copies),
        lambda: rival(copies),
        ACTIONS * copies,
    )


WORKS = [_read(20), _work(20, 0), _work(200, 2)]
QUICK = [_work(4, 0)]


if __name__ == "__main__":
    run("benchmarks.prepare", __doc__ or "", WORKS, QUICK)
