from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from asgcn_dgl.data import format_options, open_data, open_store, prepare
from asgcn_dgl.data.formats.ntu import (
    NTU60,
    NTU60_MISSING,
    NTU60_SUBJECTS,
    NTU120,
    NTU120_MISSING,
    NTU120_SUBJECTS,
    parse_ntu_name,
)
from asgcn_dgl.data.formats.nw_ucla import NW_UCLA
from asgcn_dgl.data.reader import Split
from asgcn_dgl.data.synthetic import write_synthetic
from asgcn_dgl.errors import InputError


@pytest.fixture
def folder(tmp_path, write_ntu):
    """Recordings of four subjects, three cameras, two setups."""
    root = tmp_path / "set"
    for setup in (1, 2):
        for subject in (1, 2, 3, 6):
            for camera in (1, 2, 3):
                write_ntu(f"S00{setup}C00{camera}P00{subject}R001A001", folder=root / f"s{setup}")
    return root


def test_counts_of_the_published_sets(folder):
    assert [len(each.class_names) for each in (NW_UCLA, NTU60, NTU120)] == [10, 60, 120]
    assert [len(set(each.class_names)) for each in (NW_UCLA, NTU60, NTU120)] == [10, 60, 120]
    assert len(open_data(folder, "synthetic").class_names) >= 10
    assert (len(NTU60_SUBJECTS), len(NTU120_SUBJECTS)) == (20, 53)
    assert NTU120.class_names[119].startswith("finger-guessing game")
    assert NTU60.class_names[59] == "walking apart from each other"


def test_files_are_found_at_any_depth_and_sorted(folder):
    reader = open_data(folder, "ntu60")
    assert len(reader) == 24 and list(reader.names) == sorted(reader.names)
    assert reader.read(7).name == reader.names[7]


def test_ntu60_leaves_the_setups_of_ntu120_alone(folder, write_ntu):
    write_ntu("S018C001P001R001A061", folder=folder)
    assert len(open_data(folder, "ntu60")) == 24
    assert len(open_data(folder, "ntu120")) == 25


def test_empty_absent_and_wrong_folders(tmp_path):
    with pytest.raises(InputError, match=r"no file \*\.skeleton of ntu60 in it; give the folder"):
        open_data(tmp_path, "ntu60")
    with pytest.raises(InputError, match="does not exist; give the folder that holds ntu60"):
        open_data(tmp_path / "absent", "ntu60")


def test_strange_and_double_names_are_refused(folder, write_ntu):
    write_ntu("S001C001P001R001A001", folder=folder)
    with pytest.raises(InputError, match=r"also in .*set; keep one of the two"):
        open_data(folder, "ntu60")
    write_ntu("copy", folder=folder)
    with pytest.raises(InputError, match=r"copy\.skeleton: the name is not of the form"):
        open_data(folder, "ntu60")


@pytest.mark.parametrize("place", ["", "meta", "..", "../meta"])
@pytest.mark.parametrize(
    "name", [NTU60_MISSING, NTU120_MISSING, "samples_with_missing_skeletons.txt"]
)
def test_listed_samples_are_dropped(folder, place, name, caplog):
    (folder / place).mkdir(exist_ok=True)
    text = "These samples have missing skeletons.\n\nS001C001P001R001A001\nS009C001P001R001A001\n"
    (folder / place / name).write_text(text)
    reader = open_data(folder, "ntu60")
    assert len(reader) == 23 and "S001C001P001R001A001" not in reader.names
    assert "no list of recordings" not in caplog.text


def test_a_list_of_ones_own(folder, tmp_path, write_nw_ucla):
    chosen = tmp_path / "mine.txt"
    chosen.write_text("S001C001P001R001A001\nS001C002P001R001A001\n")
    assert len(open_data(folder, "synthetic", drop=chosen)) == 22
    with pytest.raises(InputError, match="cannot be read"):
        open_data(folder, "ntu60", drop=tmp_path / "absent.txt")
    sequences = [write_nw_ucla(f"a08_s01_e00_v0{view}") for view in (1, 2)]
    chosen.write_text(sequences[0].name)
    assert open_data(sequences[0].parent, "nw_ucla", drop=chosen).names == (sequences[1].stem,)


def test_without_a_list_ntu_says_so_and_others_do_not(folder, caplog):
    with caplog.at_level(logging.WARNING):
        open_data(folder, "synthetic")
        assert not caplog.records
        open_data(folder, "ntu120")
    assert NTU120_MISSING in caplog.text


@pytest.mark.parametrize(
    ("name", "protocol", "field", "train"),
    [
        ("ntu60", None, "subject", {1, 2}),
        ("ntu60", "xsub", "subject", {1, 2}),
        ("ntu60", "xview", "camera", {2, 3}),
        ("ntu120", "xsub", "subject", {1, 2}),
        ("ntu120", "xset", "setup", {2}),
    ],
)
def test_splits(folder, name, protocol, field, train):
    reader = open_data(folder, name)
    first, second = reader.split(protocol)
    assert sorted([*first, *second]) == list(range(24))
    assert {getattr(reader.recording(number), field) for number in first} == train
    assert not {getattr(reader.recording(number), field) for number in second} & train


def test_nw_ucla_trains_on_views_1_and_2(tmp_path, write_nw_ucla):
    for view in (1, 2, 3):
        write_nw_ucla(f"a08_s01_e00_v0{view}")
    (tmp_path / "notes.json").write_text("{}")  # another JSON file is none of the set's
    reader = open_data(tmp_path, "nw_ucla")
    assert reader.split() == ([0, 1], [2]) and reader.names[2].endswith("v03")
    assert set(reader.labels) == {reader.read(0).label}


def test_split_errors(folder):
    with pytest.raises(InputError, match="no split 'xset'; its splits are xsub, xview"):
        open_data(folder, "ntu60").split("xset")
    for path in [*folder.rglob("*P001*"), *folder.rglob("*P002*")]:
        path.unlink()
    with pytest.raises(InputError, match=r"split 'xsub' holds nothing to train on"):
        open_data(folder, "ntu60").split()


def test_reading_checks_the_label(write_ntu, tmp_path):
    path = write_ntu("S001C001P001R001A061")
    assert open_data(tmp_path, "ntu120").read(0).label == 60
    with pytest.raises(InputError, match=r"label 60 is not one of 0\.\.59; give the data set"):
        open_data(tmp_path, "ntu60").read(0)
    assert open_data(path, "ntu120").read(0).label == 60
    assert open_data(write_ntu("mine"), "ntu60").read(0).label == -1


def test_the_published_lists(shared_data):
    for name in ("ntu60", "ntu120"):
        assert len(open_data(shared_data / "ntu" / "raw", name)) == 3


def whole_ntu60():
    """Names of as many files as the whole set has, split as published: made up, not the set's."""
    train, test = sorted(NTU60_SUBJECTS), sorted(set(range(1, 41)) - NTU60_SUBJECTS)
    counted = Counter()
    names = []
    for subjects, count in ((train, 40_320), (test, 16_560)):
        for number in range(count):
            subject = subjects[number % 20]
            counted[subject] += 1
            setup, rest = divmod(counted[subject], 60 * 99)
            names.append(
                f"S{setup + 1:03d}C{1 + number % 2:03d}P{subject:03d}R{rest // 60 + 1:03d}"
                f"A{rest % 60 + 1:03d}.skeleton"
            )
    return [Path(name) for name in names]


def test_a_whole_set_must_have_the_published_counts():
    def split(files, protocol="xsub"):
        trains = NTU60.protocols[protocol].trains
        found = Split.of("train" if trains(parse_ntu_name(each)) else "test" for each in files)
        NTU60.check_counts(protocol, found)
        return found

    files = whole_ntu60()
    assert len(set(files)) == 56_880 and len(split(files).train) == 40_320
    moved = [*files[:-1], Path("S017C003P001R099A060.skeleton")]
    with pytest.raises(InputError, match=r"40320 training and 16560 test .* 40321 and 16559"):
        split(moved)
    with pytest.raises(InputError, match="into 37920 training and 18960 test"):
        split(files, "xview")  # made-up cameras
    assert len(split(files[1:]).train) == 40_319  # a part of the set is no whole one


def test_published_counts_add_up():
    for chosen in (NW_UCLA, NTU60, NTU120):
        for files, protocols in chosen.counts.items():
            assert set(protocols) <= set(chosen.protocols)
            assert all(sum(parts) == files for parts in protocols.values())


def test_a_part_of_a_set_says_so(folder, caplog):
    open_data(folder, "ntu60")
    assert "24 files of ntu60, where the whole set has 56880 or 56578" in caplog.text
    caplog.clear()
    open_data(folder, "synthetic")
    assert not caplog.records


def test_what_else_lies_in_the_folder(write_nw_ucla, tmp_path):
    """What macOS adds and folders are passed over; a link to nothing is a recording."""
    path = write_nw_ucla("a01_s01_e00_v01", label=1)
    (tmp_path / f"._{path.name}").write_bytes(b"\0\5\26\7")
    (tmp_path / "a01_s01_e00_v02.json").mkdir()
    (tmp_path / "a01_s01_e00_v03.json").symlink_to("nowhere")
    reader = open_data(tmp_path, "nw_ucla")
    assert reader.names == ("a01_s01_e00_v01", "a01_s01_e00_v03")
    assert len(reader.stamp()[0][0]) == 2 and reader.stamp()[0][1] == []
    with pytest.raises(InputError, match=r"v03\.json: cannot be read \(no such file"):
        reader.read(1)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    write_synthetic(folder, clips_per_class=1, subjects=1)
    return folder


def test_ntu_formats_have_the_readers_options():
    known = {"drop", "max_bodies", "min_state", "select", "noise", "join"}
    for name in ("ntu60", "ntu120", "synthetic"):
        assert set(format_options(name)) == known
    assert set(format_options("nw_ucla")) == {"drop"}


def test_options_reach_the_reader_and_the_workers(root, tmp_path):
    plain = open_data(root, "synthetic")
    strict = open_data(root, "synthetic", max_bodies=1, min_state=2, noise="length", join=True)
    assert {clip.num_bodies for clip in plain} == {1, 2}
    assert {clip.num_bodies for clip in strict} == {1}
    assert any(not clip.mask.all() for clip in strict)
    tracked = open_data(root, "synthetic", max_bodies=1, noise="length", join=True)
    assert sum(clip.mask.sum() for clip in strict) < sum(clip.mask.sum() for clip in tracked)
    assert plain.stamp() != strict.stamp()
    prepare(strict, tmp_path / "store", shard=5, workers=2)
    store = open_store(tmp_path / "store")
    for place in (0, len(strict) - 1):
        np.testing.assert_array_equal(store.read(place).mask, strict.read(place).mask)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"min_state": 5}, "options of synthetic: min_state must be 0, 1 or 2, got 5"),
        ({"noise": ["length", "x"]}, "rules must be of length, spread, motion, got 'x'"),
        ({"max_bodies": 0}, "max_bodies must be at least 1, got 0"),
        ({"max_bodies": "two"}, "options of synthetic"),
        ({"bodies": 2}, "format synthetic has no option 'bodies'; its options are drop, max"),
    ],
)
def test_bad_options_are_told(root, options, told):
    with pytest.raises(InputError, match=told):
        open_data(root, "synthetic", **options)
