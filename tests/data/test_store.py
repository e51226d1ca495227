from __future__ import annotations

import contextlib
import itertools
import json
import os
import pathlib
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np
import pytest

from asgcn_dgl.data import Clip, Joined, Origin, Reader, Subset, open_data, open_store, prepare
from asgcn_dgl.data.store import HEADER_FILE, INDEX_FILE, NAMES_FILE, shard_file
from asgcn_dgl.data.synthetic import write_synthetic
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import get_layout


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Synthetic recordings, 26 of them, one of which is cut short."""
    folder = tmp_path_factory.mktemp("raw")
    write_synthetic(folder, clips_per_class=2, subjects=4)
    spoilt = sorted(folder.rglob("*.skeleton"))[5]
    spoilt.write_bytes(spoilt.read_bytes()[:500])
    return folder


@pytest.fixture(scope="module")
def source(root):
    return open_data(root, "synthetic")


@pytest.fixture
def store(source, tmp_path):
    prepare(source, tmp_path / "store", shard=7)
    return open_store(tmp_path / "store")


def same_clips(store, source):
    for place, name in enumerate(store.names):
        mine, given = store.read(place), source.read(source.names.index(name))
        assert mine.name == name and mine.label == given.label
        assert np.array_equal(mine.pos, given.pos) and np.array_equal(mine.mask, given.mask)
        assert mine.meta["subject"] == given.meta["subject"]


def test_clips_come_back_as_they_were(store, source):
    assert len(store) == len(source) - 1
    assert store.layout == source.layout and store.class_names == source.class_names
    same_clips(store, source)
    store.verify()
    assert sorted(path.name for path in store.path.iterdir()) == sorted(
        ["dropped.json", "header.json", "index.npy", "names.txt", "splits.npy"]
        + [f"shard-{n:05d}.{what}" for n in range(4) for what in ("mask", "pos")]
    )


def test_what_is_dropped_is_told(source, tmp_path):
    steps = []
    summary = prepare(
        source, tmp_path / "store", shard=10, progress=lambda done, of: steps.append((done, of))
    )
    assert steps == [(0, 26), (10, 26), (20, 26), (26, 26)]
    assert summary.read == 25 and [name for name, _ in summary.dropped] == [source.names[5]]
    assert "dropped 1, such as" in str(summary)
    dropped = json.loads((tmp_path / "store" / "dropped.json").read_text())
    assert dropped[0][0] == source.names[5] and "skeleton" in dropped[0][1]
    with pytest.raises(InputError, match=source.names[5]):
        prepare(source, tmp_path / "strict", strict=True)
    assert not (tmp_path / "strict").exists()


def test_splits_are_kept_without_what_was_dropped(store, source):
    assert list(store.splits) == list(source.splits) == ["xsub", "xview"]
    for name, split in source.splits.items():
        for mine, theirs in (
            (store.splits[name].train, split.train),
            (store.splits[name].test, split.test),
        ):
            kept = [source.names[number] for number in theirs if number != 5]
            assert [store.names[number] for number in mine] == kept


def test_workers_change_nothing(source, store, tmp_path):
    prepare(source, tmp_path / "other", shard=7, workers=2)
    for path in store.path.iterdir():
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes()


def test_a_worker_opens_the_store_anew(store):
    again = pickle.loads(pickle.dumps(store))
    assert again == store and hash(again) == hash(store) and again is not store
    assert np.array_equal(again.read(3).pos, store.read(3).pos)
    assert len(pickle.dumps(store)) < 1000


def test_an_interruption_loses_one_shard_at_most(source, tmp_path):
    def stop(done, of):
        if done == 14:
            raise KeyboardInterrupt

    out = tmp_path / "store"
    with pytest.raises(KeyboardInterrupt):
        prepare(source, out, shard=7, progress=stop)
    assert not out.exists()
    steps = []
    prepare(source, out, shard=7, progress=lambda done, of: steps.append(done))
    assert steps == [14, 21, 26]
    same_clips(open_store(out), source)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_what_was_begun_with_other_recordings_is_begun_anew(source, root, tmp_path):
    def stop(done, of):
        if done:
            raise KeyboardInterrupt

    changed = tmp_path / "raw"
    shutil.copytree(root, changed)
    with pytest.raises(KeyboardInterrupt):
        prepare(open_data(changed, "synthetic"), tmp_path / "store", shard=7, progress=stop)
    os.utime(next(changed.rglob("*.skeleton")), (0, 0))
    steps = []
    prepare(
        open_data(changed, "synthetic"),
        tmp_path / "store",
        shard=7,
        progress=lambda done, of: steps.append(done),
    )
    assert steps[0] == 0


@pytest.mark.slow
def test_killed_at_any_moment_there_is_no_store_or_a_whole_one(root, tmp_path):
    out, script = tmp_path / "store", (
        "import sys\n"
        "from asgcn_dgl.data import open_data, prepare\n"
        "print('begun', flush=True)\n"
        "prepare(open_data(sys.argv[1], 'synthetic'), sys.argv[2], shard=2)\n"
    )  # fmt: skip
    draw, kills = random.Random(0), 0
    for _ in range(60):
        with subprocess.Popen(
            [sys.executable, "-c", script, str(root), str(out)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None and process.stdout.readline() == b"begun\n"
            time.sleep(draw.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
        kills += process.returncode == -signal.SIGKILL
        if out.exists():
            break
    assert kills >= 1
    if not out.exists():
        prepare(open_data(root, "synthetic"), out, shard=2)
    open_store(out).verify()
    same_clips(open_store(out), open_data(root, "synthetic"))


def test_a_store_is_replaced_only_when_asked_for(source, store, tmp_path):
    with pytest.raises(InputError, match="exists; give another folder, or --overwrite"):
        prepare(source, store.path)
    prepare(source, store.path, overwrite=True)
    assert len(open_store(store.path).header["files"]) == 6
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match="exists and is no store"):
        prepare(source, tmp_path / "mine", overwrite=True)


def spoil_header(folder):
    (folder / HEADER_FILE).write_text("{")


def deep_header(folder):
    (folder / HEADER_FILE).write_text("[" * 10**6)


def other_version(folder):
    header = json.loads((folder / HEADER_FILE).read_text())
    (folder / HEADER_FILE).write_text(json.dumps({**header, "version": 99}))


def cut_index(folder):
    (folder / INDEX_FILE).write_bytes((folder / INDEX_FILE).read_bytes()[:-4])


def other_origin(folder):
    header = json.loads((folder / HEADER_FILE).read_text())
    (folder / HEADER_FILE).write_text(json.dumps({**header, "origin": {"format": 5}}))


def options_of_a_list(folder):
    header = json.loads((folder / HEADER_FILE).read_text())
    header["origin"] = {"format": "bvh", "options": [1]}
    (folder / HEADER_FILE).write_text(json.dumps(header))


def text_as_version(folder):
    header = json.loads((folder / HEADER_FILE).read_text())
    (folder / HEADER_FILE).write_text(json.dumps({**header, "version": [[2]]}))


def swap_index(folder):
    np.save(folder / INDEX_FILE, np.zeros(3))


def join_names(folder):
    names = (folder / NAMES_FILE).read_bytes()
    (folder / NAMES_FILE).write_bytes(names.replace(b"\n", b"x", 1))


def lose_names(folder):
    (folder / NAMES_FILE).unlink()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (spoil_header, "not the header of a store"),
        (deep_header, "not the header of a store"),
        (other_version, "of version 99"),
        (cut_index, "bytes where"),
        (swap_index, "index.npy"),
        (join_names, "index, names and splits do not fit together"),
        (lose_names, "cannot be read"),
        (other_origin, "no format by name"),
        (options_of_a_list, "no options of the format 'bvh'"),
        (text_as_version, "of version a list"),
    ],
)
def test_a_damaged_store_is_refused(store, spoil, told):
    spoil(store.path)
    with pytest.raises(InputError, match=told) as caught:
        open_store(store.path)
    assert "asgcn-dgl prepare" in str(caught.value)


def test_a_cut_shard_and_a_changed_one_are_refused(store):
    path = shard_file(store.path, 1, "pos")
    content = path.read_bytes()
    path.write_bytes(content[:-4])
    store.read(0)
    with pytest.raises(InputError, match=r"shard-00001\.pos: has \d+ bytes where"):
        store.read(8)
    path.write_bytes(content[:-4] + b"\0\0\0\1")
    with pytest.raises(InputError, match=r"shard-00001\.pos: its checksum is another"):
        store.verify()


def test_a_place_where_nothing_can_be_written(source, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(
        InputError, match=r"file: nothing can be written there \(.*\); give another"
    ):
        prepare(source, tmp_path / "file" / "store")


def test_a_store_says_what_it_was_read_as(root, tmp_path):
    options = {"max_bodies": 1, "noise": ("length",), "drop": None}
    source = open_data(root, "synthetic", **options)
    prepare(source, tmp_path / "store")
    store = open_store(tmp_path / "store")
    wanted = {"min_state": 1, "select": "energy", "join": False, **options, "noise": ["length"]}
    assert store.origin == source.origin == Origin("synthetic", wanted)
    assert pickle.loads(pickle.dumps(store)).origin == store.origin
    assert open_data(tmp_path / "store", "synthetic").origins == (store.origin,)
    assert str(store.origin).startswith("synthetic with drop=None, max_bodies=1, min_state=1")
    assert Joined.of([store, store]).origins == (store.origin,)


def test_a_store_of_version_1_is_refused_with_the_remedy(store):
    header = json.loads((store.path / HEADER_FILE).read_text())
    (store.path / HEADER_FILE).write_text(json.dumps({**header, "version": 1}))
    with pytest.raises(InputError, match=r"of version 1, .* reads version 2; make the store again"):
        open_store(store.path)


def test_frames_a_second_are_kept(tmp_path):
    layout = get_layout("coco17")
    rates = (25, 29.97, 0, float("inf"), float("nan"), 1e9, None)

    @dataclass(frozen=True)
    class Rated(Reader):
        def read(self, index):
            meta = {} if rates[index] is None else {"fps": rates[index]}
            pos = np.ones((1, 5, 17, 2))
            return Clip.from_positions(self.names[index], layout, pos, meta=meta)

    prepare(Rated(tuple("abcdefg"), layout), tmp_path / "store")
    store = open_store(tmp_path / "store")
    assert [clip.meta.get("fps") for clip in store] == [25, 29.97, None, None, None, None, None]
    assert store.rate(1) == 29.97 and store.rate(2) is None


def test_what_cannot_be_prepared(source, tmp_path):
    with pytest.raises(InputError, match="holds no recording; nothing is written"):
        prepare(Subset.of(source, []), tmp_path / "store")
    with pytest.raises(ValueError, match="workers must be >= 0 and shard >= 1, got 0 and 0"):
        prepare(source, tmp_path / "store", shard=0)
    with pytest.raises(InputError, match="none of the 1 recordings can be used; the first: "):
        prepare(Subset.of(source, [5]), tmp_path / "cut")
    broken = Scored(("a\nb",), get_layout("coco17"))
    with pytest.raises(InputError, match="its name holds a line break; rename it"):
        prepare(broken, tmp_path / "broken", strict=True)


def test_what_was_begun_and_damaged(source, tmp_path):
    def stop(done, of):
        if done:
            raise KeyboardInterrupt

    part = tmp_path / ".store.part"
    with pytest.raises(KeyboardInterrupt):
        prepare(source, tmp_path / "store", shard=20, progress=stop)
    (part / "shard-00000.json").write_text("{}")
    with pytest.raises(InputError, match=f"list of a shard is damaged; remove {part} and"):
        prepare(source, tmp_path / "store", shard=20)
    (part / "plan.json").write_text("[" * 200_000)
    prepare(source, tmp_path / "store", shard=20)
    assert len(open_store(tmp_path / "store")) == 25


def test_no_store_and_no_recording(source, tmp_path):
    with pytest.raises(InputError, match="not a store"):
        open_store(tmp_path)
    with pytest.raises(IndexError):
        prepare(source, tmp_path / "s")
        open_store(tmp_path / "s").read(999)


def test_a_store_splits_as_the_files_do(store, source):
    assert store.layouts == source.layouts and store.class_names == source.class_names
    for protocol in (None, "xview"):
        for mine, theirs in zip(store.split(protocol), source.split(protocol), strict=True):
            kept = [source.names[number] for number in theirs if number != 5]
            assert [store.names[number] for number in mine] == kept
    train, _ = store.split()
    subjects = {store.recording(number).subject for number in train}
    assert subjects == {source.recording(number).subject for number in source.split()[0]}
    assert len({store.recording(number).subject for number in store.hold_out(train)[1]}) == 1
    assert store.labels.tolist() == [clip.label for clip in store]
    with pytest.raises(InputError, match="no split 'xset'; its splits are xsub, xview"):
        store.split("xset")


@dataclass(frozen=True)
class Scored(Reader):
    """Clips of which the last coordinate is a score, the last one perhaps not."""

    mixed: bool = False

    def read(self, index):
        pos = np.random.default_rng(index).uniform(0.1, 1, size=(1, 5, 17, 3))
        scored = not (self.mixed and index)
        return Clip.from_positions(self.names[index], self.layout, pos, scored=scored)


def test_a_store_says_that_scores_are_scores(tmp_path):
    source = Scored(("a", "b"), get_layout("coco17"))
    prepare(source, tmp_path / "store")
    store = open_store(tmp_path / "store")
    assert store.read(1).scored and store.num_dims == 3
    np.testing.assert_array_equal(store.read(1).pos, source.read(1).pos)
    mixed = Scored(("a", "b"), get_layout("coco17"), mixed=True)
    with pytest.raises(InputError, match="3 coordinates and 3 coordinates, a score cannot share"):
        prepare(mixed, tmp_path / "mixed")


def another(source):
    """The same recordings, but the last two: another store."""
    return Subset.of(source, range(len(source) - 2))


def test_a_replaced_store_serves_no_clip_to_whoever_opened_the_old_one(source, store):
    copied = pickle.dumps(store)
    store.read(0)
    prepare(source, store.path, shard=7, overwrite=True)
    assert store.read(1).name == store.names[1]  # the same recordings: the same store
    assert pickle.loads(copied) == store == open_store(store.path)
    prepare(another(source), store.path, shard=7, overwrite=True)
    assert open_store(store.path) != store
    for number in (1, 20):  # of a shard that was mapped before, and of one that was not
        with pytest.raises(InputError, match=f"{store.path}: the store was replaced or removed"):
            store.read(number)
    with pytest.raises(InputError, match="the store was replaced or removed"):
        pickle.loads(copied)
    shutil.rmtree(store.path)
    with pytest.raises(InputError, match=r"header\.json: cannot be read"):
        store.read(2)


def test_a_store_behind_a_link_is_replaced_and_the_link_stays(source, store, tmp_path):
    link = tmp_path / "link"
    link.symlink_to("store")
    prepare(another(source), link, overwrite=True)
    assert link.is_symlink() and len(open_store(link)) == len(source) - 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "store"]
    link.unlink()
    link.symlink_to("elsewhere")
    prepare(source, link)  # a link to nothing yet
    assert len(open_store(tmp_path / "elsewhere")) == len(source) - 1


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("exchanges", [True, False])
def test_replacing_can_stop_before_any_step(tmp_path, monkeypatch, exchanges):
    """No store is lost, and what was left goes with the next prepare."""
    making = sys.modules["asgcn_dgl.data.prepare"]
    new, old = (Scored(tuple(names), get_layout("coco17")) for names in ("ab", "a"))
    out, lost = tmp_path / "store", 0

    def stopping_after(steps):
        for place, name in (
            *((os, "replace"), (shutil, "rmtree"), (pathlib.Path, "unlink")),
            *((making, "_exchange"), (making, "open_store"), (making, "write_json")),
        ):
            real = getattr(place, name)

            def step(*given, real=real, name=name, **options):
                if next(steps, None) is None:
                    raise Killed
                return real(*given, **options) if exchanges or name != "_exchange" else False

            yield place, name, step

    for number in itertools.count():
        prepare(old, out, overwrite=True)
        before = {path.name: path.read_bytes() for path in out.iterdir()}
        with monkeypatch.context() as patch:
            for step in list(stopping_after(iter(range(1, 1 + number)))):
                patch.setattr(*step)
            with contextlib.suppress(Killed):
                prepare(new, out, shard=1, overwrite=True)
                break
        if not exchanges and not out.exists():  # between two steps, on a disk that needs them
            lost += 1
        else:
            open_store(out).verify()
            now = {path.name: path.read_bytes() for path in out.iterdir()}
            assert now == before or open_store(out).names == ("a", "b")
        prepare(new, out, shard=1, overwrite=True)
        assert open_store(out).names == ("a", "b")
        assert [path.name for path in tmp_path.iterdir()] == ["store"]
        assert len(list(out.iterdir())) == 9
    assert number > 10 and lost == (0 if exchanges else 1)


def test_two_that_prepare_one_store(source, tmp_path, hold_lock):
    with hold_lock(tmp_path / ".store.lock") as process:  # noqa: SIM117
        with pytest.raises(InputError, match=f"process {process.pid} is writing there"):
            prepare(source, tmp_path / "store")
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_no_text(tmp_path):
    name = os.fsdecode(b"odd\xff")
    prepare(Scored((name, "b"), get_layout("coco17")), tmp_path / "store")
    assert open_store(tmp_path / "store").names == (name, "b")


@pytest.mark.parametrize("column", ["pos_at", "mask_at", "bodies", "frames", "shard"])
@pytest.mark.parametrize("value", [-1, 2**31 - 1])
def test_a_row_that_leads_out_of_its_shard(store, column, value):
    table = np.load(store.path / INDEX_FILE)
    table[column][3] = value
    np.save(store.path / INDEX_FILE, table)
    damaged = open_store(store.path)
    damaged.read(2)
    with pytest.raises(InputError, match="prepare"):
        damaged.read(3)
