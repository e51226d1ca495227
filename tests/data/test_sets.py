from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import pytest

from asgcn_dgl.data import SET_NAMES, get_set
from asgcn_dgl.data.formats.folder import open_folder
from asgcn_dgl.data.sets import NTU60_MISSING, NTU60_SUBJECTS, NTU120_MISSING, NTU120_SUBJECTS
from asgcn_dgl.errors import InputError


@pytest.fixture
def folder(tmp_path, write_ntu):
    """Recordings of four subjects, three cameras, two set-ups."""
    root = tmp_path / "set"
    for setup in (1, 2):
        for subject in (1, 2, 3, 6):
            for camera in (1, 2, 3):
                write_ntu(f"S00{setup}C00{camera}P00{subject}R001A001", folder=root / f"s{setup}")
    return root


@pytest.mark.parametrize("name", SET_NAMES)
def test_each_set_is_complete(name):
    chosen = get_set(name)
    assert chosen.name == name
    assert chosen.num_classes == len(set(chosen.class_names))
    assert chosen.default_protocol in chosen.protocols
    assert chosen.layout.num_joints in (20, 25)


def test_counts_of_the_published_sets():
    assert [get_set(name).num_classes for name in ("nw_ucla", "ntu60", "ntu120")] == [10, 60, 120]
    assert get_set("synthetic").num_classes >= 10
    assert (len(NTU60_SUBJECTS), len(NTU120_SUBJECTS)) == (20, 53)
    assert get_set("ntu120").class_names[119].startswith("finger-guessing game")
    assert get_set("ntu60").class_names[59] == "walking apart from each other"


def test_unknown_set():
    with pytest.raises(InputError, match="unknown data set 'ntu'; choose one of nw_ucla, ntu60"):
        get_set("ntu")


def test_files_are_found_at_any_depth_and_sorted(folder):
    files = get_set("ntu60").list_files(folder)
    assert len(files) == 24
    assert [path.name for path in files] == sorted(path.name for path in files)


def test_ntu60_leaves_the_set_ups_of_ntu120_alone(folder, write_ntu):
    write_ntu("S018C001P001R001A061", folder=folder)
    assert len(get_set("ntu60").list_files(folder)) == 24
    assert len(get_set("ntu120").list_files(folder)) == 25


def test_empty_absent_and_wrong_folders(tmp_path, write_nw_ucla):
    with pytest.raises(InputError, match=r"no file \*\.skeleton of ntu60 in it; give the folder"):
        get_set("ntu60").list_files(tmp_path)
    with pytest.raises(InputError, match="does not exist; give the folder that holds ntu60"):
        get_set("ntu60").list_files(tmp_path / "absent")
    with pytest.raises(InputError, match="is a file; give the folder that holds nw_ucla"):
        get_set("nw_ucla").list_files(write_nw_ucla())


def test_strange_and_double_names_are_refused(folder, write_ntu):
    write_ntu("S001C001P001R001A001", folder=folder)
    with pytest.raises(InputError, match=r"stands in .* too; keep one of the two"):
        get_set("ntu60").list_files(folder)
    write_ntu("copy", folder=folder)
    with pytest.raises(InputError, match=r"copy\.skeleton: the name is not of the form"):
        get_set("ntu60").list_files(folder)


@pytest.mark.parametrize("place", ["", "meta", "..", "../meta"])
@pytest.mark.parametrize("name", [NTU60_MISSING, NTU120_MISSING])
def test_listed_samples_are_dropped(folder, place, name, caplog):
    (folder / place).mkdir(exist_ok=True)
    (folder / place / name).write_text("S001C001P001R001A001\nS009C001P001R001A001\n")
    files = get_set("ntu60").list_files(folder)
    assert len(files) == 23
    assert not any(path.stem == "S001C001P001R001A001" for path in files)
    assert "no list of recordings" not in caplog.text


def test_a_list_of_ones_own(folder, tmp_path):
    chosen = tmp_path / "mine.txt"
    chosen.write_text("S001C001P001R001A001\nS001C002P001R001A001\n")
    assert len(get_set("synthetic").list_files(folder, drop=chosen)) == 22
    with pytest.raises(InputError, match="cannot be read"):
        get_set("ntu60").list_files(folder, drop=tmp_path / "absent.txt")


def test_without_a_list_ntu_says_so_and_others_do_not(folder, caplog):
    with caplog.at_level(logging.WARNING):
        get_set("synthetic").list_files(folder)
        assert not caplog.records
        get_set("ntu120").list_files(folder)
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
    chosen = get_set(name)
    files = chosen.list_files(folder)
    first, second = chosen.split(files, protocol)
    assert sorted([*first, *second]) == sorted(files)
    assert {getattr(chosen.parse(path), field) for path in first} == train
    assert not {getattr(chosen.parse(path), field) for path in second} & train


def test_nw_ucla_trains_on_views_1_and_2(tmp_path, write_nw_ucla):
    for view in (1, 2, 3):
        write_nw_ucla(f"a08_s01_e00_v0{view}")
    (tmp_path / "notes.json").write_text("{}")  # another JSON file is none of the set's
    ucla = get_set("nw_ucla")
    train, test = ucla.split(ucla.list_files(tmp_path))
    assert [path.stem[-1] for path in train] == ["1", "2"]
    assert [path.stem[-1] for path in test] == ["3"]


def test_split_errors(folder):
    ntu = get_set("ntu60")
    files = ntu.list_files(folder)
    with pytest.raises(InputError, match="ntu60 has no protocol 'xset'; choose one of xsub, xview"):
        ntu.split(files, "xset")
    others = [path for path in files if ntu.parse(path).subject in (3, 6)]
    with pytest.raises(InputError, match=r"none of the 12 files is for training .* subjects 1, 2,"):
        ntu.split(others)
    synthetic = get_set("synthetic")
    with pytest.raises(InputError, match=r"trains on subjects 1, 2, 4, .*\.\.\.; add such files"):
        synthetic.split(others)


@pytest.mark.parametrize("by", ["subject", "camera", "setup"])
def test_validation_by_group(folder, by):
    ntu = get_set("ntu60")
    files = ntu.list_files(folder)
    train, held = ntu.validation_split(files, share=0.1, by=by)
    groups = [{getattr(ntu.parse(path), by) for path in part} for part in (train, held)]
    assert sorted([*train, *held]) == sorted(files)
    assert not groups[0] & groups[1]
    assert len(groups[1]) == 1


def test_validation_reaches_its_share_but_leaves_something(folder):
    ntu = get_set("ntu60")
    files = ntu.list_files(folder)
    assert len(ntu.validation_split(files, share=0.25)[1]) == 6
    assert len(ntu.validation_split(files, share=0.3)[1]) == 12
    assert len(ntu.validation_split(files, share=0.99)[1]) == 18
    assert len(ntu.validation_split(files, share=0.3, by="random")[1]) == 8
    assert len(ntu.validation_split(files[:2], share=0.01, by="random")[1]) == 1


def test_validation_depends_on_its_seed_only(folder):
    ntu = get_set("ntu60")
    files = ntu.list_files(folder)
    parts = [ntu.validation_split(files, by="random", seed=seed) for seed in (3, 3, 4)]
    assert parts[0] == parts[1]
    assert parts[0] != parts[2]


def test_validation_errors(folder):
    ntu = get_set("ntu60")
    files = ntu.list_files(folder)
    one = [path for path in files if ntu.parse(path).subject == 1]
    with pytest.raises(InputError, match=r"6 training files of 1 subject\(s\): none can be held"):
        ntu.validation_split(one)
    with pytest.raises(InputError, match=r"1 training files of 1 random\(s\)"):
        ntu.validation_split(one[:1], by="random")
    with pytest.raises(ValueError, match=r"share must be within \(0, 1\), got 1"):
        ntu.validation_split(files, share=1)
    with pytest.raises(ValueError, match="by must be subject, camera, setup or random, got 'x'"):
        ntu.validation_split(files, by="x")


def test_reading_checks_the_label(write_ntu):
    path = write_ntu("S001C001P001R001A061")
    assert get_set("ntu120").read(path).label == 60
    with pytest.raises(InputError, match=r"label 60 is not one of 0\.\.59; give the data set"):
        get_set("ntu60").read(path)
    assert get_set("ntu60").read(write_ntu("mine")).label == -1


def test_the_published_lists(shared_data):
    for name in ("ntu60", "ntu120"):
        files = get_set(name).list_files(shared_data / "ntu" / "raw")
        assert len(files) == 3


def whole_ntu60():
    """Names of as many files as the whole set has, parted as published: made up, not the set's."""
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
    files = whole_ntu60()
    assert len(set(files)) == 56_880
    ntu = get_set("ntu60")
    assert [len(part) for part in ntu.split(files)] == [40_320, 16_560]
    moved = [*files[:-1], Path("S017C003P001R099A060.skeleton")]
    with pytest.raises(InputError, match=r"40320 training and 16560 test .* into 40321 and 16559"):
        ntu.split(moved)
    with pytest.raises(InputError, match="parts into 37920 training and 18960 test"):
        ntu.split(files, "xview")  # made-up cameras
    assert len(ntu.split(files[1:])[0]) == 40_319  # a part of the set is no whole one


def test_published_counts_add_up():
    for name in ("nw_ucla", "ntu60", "ntu120"):
        chosen = get_set(name)
        for files, protocols in chosen.counts.items():
            assert set(protocols) <= set(chosen.protocols)
            assert all(sum(parts) == files for parts in protocols.values())


def test_a_part_of_a_set_says_so(folder, caplog):
    get_set("ntu60").list_files(folder)
    assert "24 files of ntu60, where the whole set has 56880 or 56578" in caplog.text
    caplog.clear()
    get_set("synthetic").list_files(folder)
    assert not caplog.records


def test_what_else_lies_in_the_folder(write_nw_ucla, tmp_path):
    """What macOS adds and folders are passed over; a link to nothing is a recording."""
    path = write_nw_ucla("a01_s01_e00_v01", label=1)
    (tmp_path / f"._{path.name}").write_bytes(b"\0\5\26\7")
    (tmp_path / "a01_s01_e00_v02.json").mkdir()
    (tmp_path / "a01_s01_e00_v03.json").symlink_to("nowhere")
    source = open_folder("nw_ucla", tmp_path)
    assert source.names == ("a01_s01_e00_v01", "a01_s01_e00_v03")
    assert len(source.stamp()[0][0]) == 2 and source.stamp()[0][1] == []
    with pytest.raises(InputError, match=r"v03\.json: cannot be read \(no such file"):
        source.read(1)
