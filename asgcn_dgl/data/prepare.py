"""Make a store of a reader: in parallel, resumable, whole or not at all.

The store grows in a folder beside it (``.NAME.part``), shard by shard; a shard is done when its
list ``shard-00000.json`` is there, and is used when an interrupted work is begun again. Then the
folder takes the store's name, by an exchange if there is one of that name: it is always the old
store or the new.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from asgcn_dgl.data.clip import Clip, RecordingName
from asgcn_dgl.data.reader import Reader, kind_of_error, numbered_classes
from asgcn_dgl.data.store import (
    DROPPED_FILE,
    HEADER_FILE,
    INDEX,
    INDEX_FILE,
    KIND,
    NAMES,
    NAMES_FILE,
    SPLITS_FILE,
    VERSION,
    is_store,
    open_store,
    sha256,
    shard_file,
)
from asgcn_dgl.errors import InputError
from asgcn_dgl.files import atomic_path, locked, write_json
from asgcn_dgl.schema import read_json
from asgcn_dgl.workers import pool_of, submit

#: What an unfinished store is made of; there until the store is whole.
PLAN = "plan.json"

#: More frames a second are a mistake.
MAX_RATE = 1e6

#: Share of recordings whose loss has a line of its own.
MANY_LOST = 0.03

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Summary:
    """What was read, in all bodies and frames, and (name, reason) of what was dropped."""

    read: int
    dropped: tuple[tuple[str, str], ...]
    bodies: int
    frames: int
    megabytes: float

    def __str__(self) -> str:
        lines = [
            f"{self.read} recordings, {self.bodies} bodies, {self.frames} frames, "
            f"{self.megabytes:.1f} MB; {len(self.dropped)} dropped"
        ]
        alike: dict[str, list[str]] = {}
        for _, reason in self.dropped:
            alike.setdefault(kind_of_error(reason), []).append(reason)
        for reasons in sorted(alike.values(), key=len, reverse=True)[:10]:
            lines.append(f"  dropped {len(reasons)}, such as {reasons[0]}")
        lost = len(self.dropped) / (len(self.dropped) + self.read)
        if lost > MANY_LOST:
            lines.append(
                f"WARNING: {100 * lost:.0f} % of the recordings are lost; see why above, and "
                "repair them or give the option that takes them ('--strict' stops at the first)"
            )
        return "\n".join(lines)


def prepare(
    reader: Reader,
    out: str | Path,
    *,
    workers: int = 0,
    overwrite: bool = False,
    strict: bool = False,
    shard: int = 256,
    progress: Callable[[int, int], None] | None = None,
) -> Summary:
    """Make a store of recordings of any format.

    Parameters
    ----------
    reader
        The recordings.
    out
        Folder of the store.
    workers
        Processes that read; 0: only this one.
    overwrite
        Replace an existing store; else that is an error.
    strict
        Stop at a recording that cannot be used, instead of dropping it.
    shard
        Recordings of a shard: a worker's task, and the most that an interruption loses.
    progress
        Called with the recordings that are done, and all.
    """
    out = Path(os.path.realpath(out))  # a link leads to the new store too
    if not len(reader):
        raise InputError(f"{out}: the reader holds no recording; nothing is written")
    if workers < 0 or shard < 1:
        raise ValueError(f"workers must be >= 0 and shard >= 1, got {workers} and {shard}")
    _check_place(out, overwrite)
    part, whole = _beside(out, "part"), range(len(reader))
    shards = dict(enumerate(whole[first : first + shard] for first in whole[::shard]))
    with _written(out), locked(_beside(out, "lock"), out):
        _clear(out)
        _check_place(out, overwrite)
        _begin(part, reader, shard)
        missing = {n: s for n, s in shards.items() if not shard_file(part, n, "json").is_file()}
        finished = len(reader) - sum(map(len, missing.values()))
        if progress is not None:
            progress(finished, len(reader))
        for number in _work(reader, part, missing, workers, strict):
            finished += len(shards[number])
            if progress is not None:
                progress(finished, len(reader))
        summary = _finish(part, reader, len(shards))
        _move(part, out)
    return summary


def _beside(out: Path, what: str) -> Path:
    return out.parent / f".{out.name}.{what}"


def _check_place(out: Path, overwrite: bool) -> None:
    if out.exists() and not is_store(out):
        raise InputError(f"{out}: exists and is no store; give another folder")
    if out.exists() and not overwrite:
        raise InputError(f"{out}: exists; give another folder, or --overwrite to replace it")


@contextmanager
def _written(out: Path) -> Iterator[None]:
    """Say in a line why nothing can be written."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(
            f"{out.parent}: nothing can be written there ({reason}); give another folder as "
            "--out, or make room"
        ) from error


def _clear(out: Path) -> None:
    """Remove what a killed process left when it moved a store to its place."""
    old, part = _beside(out, "old"), _beside(out, "part")
    if old.is_dir() and not out.exists():
        os.replace(old, out)  # it was killed between the two steps of _move
    for folder in (old, part):
        if folder.is_dir() and not (folder / PLAN).is_file():
            shutil.rmtree(folder)


def _begin(part: Path, reader: Reader, shard: int) -> None:
    """Make the folder, or continue in it if it was begun with the same recordings."""
    # kind, skeleton and names of the recordings, and the files' sizes and times
    facts = (type(reader).__name__, reader.layout.to_dict(), reader.names, reader.stamp())
    source = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    plan = {"version": VERSION, "shard": shard, "source": source}
    file = part / PLAN
    if file.is_file():
        with suppress(ValueError, RecursionError):
            if json.loads(file.read_bytes()) == plan:
                return
    if part.exists():
        shutil.rmtree(part)  # of other recordings, or of another version
    part.mkdir(parents=True)
    write_json(file, plan)


def _work(
    reader: Reader, part: Path, missing: Mapping[int, range], workers: int, strict: bool
) -> Iterator[int]:
    """Make the missing shards; yields each when it is done."""
    if workers < 1 or len(missing) < 2:
        for number, places in missing.items():
            yield _make_shard(reader, part, number, places, strict)
        return
    with pool_of(min(workers, len(missing)), _begin_worker, reader) as pool:
        pending = {
            submit(pool, _make_mine, part, number, places, strict)
            for number, places in missing.items()
        }
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()


_reader: Reader | None = None  # of this worker process


def _begin_worker(reader: Reader) -> None:
    global _reader
    _reader = reader


def _make_mine(part: Path, number: int, places: range, strict: bool) -> int:
    assert _reader is not None
    return _make_shard(_reader, part, number, places, strict)


def _make_shard(reader: Reader, part: Path, number: int, places: range, strict: bool) -> int:
    """Read the recordings of a shard and write its three files, the list last."""
    rows: list[Any] = []
    names: list[Any] = []
    dropped: list[Any] = []
    dims: set[tuple[int, bool]] = set()
    floats = octets = 0
    with (
        atomic_path(shard_file(part, number, "pos")) as pos_path,
        atomic_path(shard_file(part, number, "mask")) as mask_path,
        pos_path.open("wb") as pos_file,
        mask_path.open("wb") as mask_file,
    ):
        for index in places:
            try:
                clip = _usable(reader, index)
            except InputError as error:
                if strict:
                    raise
                dropped.append((reader.names[index], str(error)))
                continue
            bits = np.packbits(clip.mask)
            pos_file.write(np.ascontiguousarray(clip.pos, dtype="<f4").tobytes())
            mask_file.write(bits.tobytes())
            known = (int(clip.meta.get(name, -1)) for name in RecordingName._fields)
            size = (clip.num_bodies, clip.num_frames)
            rate = float(clip.meta.get("fps", 0))
            rate = rate if 0 < rate < MAX_RATE else 0.0
            rows.append((number, floats, octets, *size, clip.label, *known, rate))
            names.append(reader.names[index])
            dims.add((clip.num_dims, clip.scored))
            floats += clip.pos.size
            octets += bits.size
    found = _List(rows=rows, names=names, dropped=dropped, dims=sorted(dims))
    write_json(shard_file(part, number, "json"), found)
    return number


class _List(TypedDict):
    """What is in a shard, and what was dropped from it; ``dims`` are coordinates and scored."""

    rows: list[Any]
    names: list[Any]
    dropped: list[Any]
    dims: list[Any]


def _usable(reader: Reader, index: int) -> Clip:
    clip = reader.read(index)
    if "\n" in reader.names[index]:
        raise InputError(f"{clip.source}: its name holds a line break; rename it")
    known = reader.class_names and clip.label >= 0
    return clip.check(len(reader.class_names)) if known else clip


def _finish(part: Path, reader: Reader, shards: int) -> Summary:
    """Write what is common to all shards, the header last."""
    remedy = f"the list of a shard is damaged; remove {part} and begin again"
    lists = [read_json(shard_file(part, n, "json"), _List, remedy) for n in range(shards)]
    rows = [tuple(row) for each in lists for row in each["rows"]]
    names = [name for each in lists for name in each["names"]]
    dropped = tuple((name, reason) for each in lists for name, reason in each["dropped"])
    dims = sorted({tuple(dim) for each in lists for dim in each["dims"]})
    if not rows:
        raise InputError(
            f"none of the {len(reader)} recordings can be used; the first: {dropped[0][1]}"
        )
    if len(dims) > 1:
        raise InputError(
            "recordings of "
            + " and ".join(f"{n} coordinates{', a score' * scored}" for n, scored in dims)
            + " cannot share a store; prepare each separately"
        )
    table = np.array(rows, dtype=INDEX)
    with atomic_path(part / INDEX_FILE) as path:
        np.save(path, table, allow_pickle=False)
    with atomic_path(part / NAMES_FILE) as path:
        # names of files may be no text
        path.write_bytes("".join(f"{name}\n" for name in names).encode(**NAMES))
    with atomic_path(part / SPLITS_FILE) as path:
        np.save(path, _parts(reader, names), allow_pickle=False)
    write_json(part / DROPPED_FILE, [list(each) for each in dropped])
    class_names = reader.class_names or numbered_classes(table["label"].tolist())
    kept = [part / name for name in (INDEX_FILE, NAMES_FILE, SPLITS_FILE, DROPPED_FILE)]
    kept += [shard_file(part, n, what) for n in range(len(lists)) for what in ("pos", "mask")]
    write_json(
        part / HEADER_FILE,
        {
            "kind": KIND,
            "version": VERSION,
            "layout": reader.layout.to_dict(),
            "num_dims": dims[0][0],
            "scored": dims[0][1],
            "class_names": list(class_names),
            "origin": None if reader.origin is None else reader.origin.to_dict(),
            "recordings": len(names),
            "splits": list(reader.splits),
            "files": {
                path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)} for path in kept
            },
        },
    )
    _warn_of_classes(table["label"].tolist(), class_names)
    size = sum(path.stat().st_size for path in kept)
    return Summary(
        len(names), dropped, int(table["bodies"].sum()), int(table["frames"].sum()), size / 1e6
    )


def _warn_of_classes(labels: Sequence[int], class_names: Sequence[str]) -> None:
    """Warn where classes are missing that training will need."""
    counts = Counter(labels)
    if set(counts) == {-1}:
        logger.warning("no recording has a label: training to recognize needs classes")
    once = [class_names[label] for label, count in counts.items() if label >= 0 and count == 1]
    if once and max(counts.values()) > 1:
        logger.warning(
            "one recording alone of %s: it cannot be both learned from and tested", ", ".join(once)
        )


def _parts(reader: Reader, names: Sequence[str]) -> np.ndarray:
    """Return (splits, recordings) what each recording that is kept is for."""
    place = {name: number for number, name in enumerate(names)}
    kept = np.array([place.get(name, -1) for name in reader.names])
    parts = np.zeros((len(reader.splits), len(names)), dtype=np.int8)
    for row, split in zip(parts, reader.splits.values(), strict=True):
        for value, members in ((1, split.train), (2, split.test)):
            places = kept[np.array(members, dtype=int)]
            row[places[places >= 0]] = value
    return parts


def _move(part: Path, out: Path) -> None:
    """Give the folder the store's name; the one that had it goes."""
    store = open_store(part)  # what cannot be opened does not take the place of what can
    for path in set(part.iterdir()) - {*store.paths(), part / PLAN}:
        path.unlink()  # lists of shards, and what a killed process was writing
    (part / PLAN).unlink()
    if not out.exists():
        os.replace(part, out)
    elif _exchange(part, out):
        shutil.rmtree(part)
    else:  # a process killed between the next two lines is made good by _clear
        os.replace(out, _beside(out, "old"))
        os.replace(part, out)
        shutil.rmtree(_beside(out, "old"))


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where the system or the disk cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    here, exchange = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux
    return renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0
