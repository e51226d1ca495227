from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asgcn_dgl.data.formats.table import find_table
from asgcn_dgl.data.reader import Split
from asgcn_dgl.errors import InputError

TABLE = """clip,label,subject,camera,split,split_cross
a,walk,1,2,train,test
b,run,2,,test,train
c/d,,3,0,,train
"""
NAMES = ("a", "b", "c/d")


def test_all_columns(tmp_path):
    (tmp_path / "clips.csv").write_text(TABLE)
    table = find_table(tmp_path, NAMES)
    assert table.class_names == ("run", "walk")
    assert table.labels == {"a": 1, "b": 0, "c/d": -1}
    assert table.facts["a"] == {"subject": 1, "camera": 2} and table.facts["b"] == {"subject": 2}
    assert table.facts["c/d"] == {"subject": 3, "camera": 0}
    assert table.splits["split"] == Split((0,), (1,))
    assert table.splits["cross"] == Split((1, 2), (0,))


def test_classes_have_an_order_of_their_own(tmp_path):
    (tmp_path / "clips.csv").write_text(TABLE)
    (tmp_path / "classes.txt").write_text("walk\nsit\nrun\n")
    table = find_table(tmp_path, NAMES)
    assert table.class_names == ("walk", "sit", "run") and table.labels["b"] == 2
    (tmp_path / "clips.csv").write_text("clip,label\na,2\nb,walk\nc/d,\n")
    assert find_table(tmp_path, NAMES).labels == {"a": 2, "b": 0, "c/d": -1}


def test_labels_by_number(tmp_path):
    (tmp_path / "clips.csv").write_text("clip,label\na,2\nb,0\nc/d,\n")
    table = find_table(tmp_path, NAMES)
    assert table.class_names == ("class 0", "class 1", "class 2")
    assert table.labels == {"a": 2, "b": 0, "c/d": -1}


def as_written(text, how):
    """Bytes of a table as spreadsheet programs write it."""
    if how == "excel":  # of a language with decimal commas
        rows = "".join(f"{line};;\r\n" for line in text.replace(",", ";").splitlines())
        return b"\xef\xbb\xbfsep=;\r\n" + rows.encode()
    if how == "unicode text":
        return text.replace(",", "\t").encode("utf-16")
    if how == "ansi":
        return text.replace("walk", "Läufer").encode("cp1252")
    return "".join(
        ",".join(f'"{cell}"' for cell in line.split(",")) + "\r" for line in text.splitlines()
    ).encode()


@pytest.mark.parametrize("how", ["excel", "unicode text", "ansi", "quoted"])
def test_tables_as_spreadsheet_programs_write_them(tmp_path, how):
    (tmp_path / "clips.csv").write_text(TABLE)
    expected = find_table(tmp_path, NAMES)
    (tmp_path / "clips.csv").write_bytes(as_written(TABLE, how))
    table = find_table(tmp_path, NAMES)
    assert table.facts == expected.facts and table.splits == expected.splits
    assert set(table.class_names) == {"run", "Läufer" if how == "ansi" else "walk"}


def test_cells_that_say_nothing_and_numbers_with_a_fraction(tmp_path):
    rows = "clip,Label,subject,fps\na,1.0,3.0,25\nb,NA,#N/A,\nc/d,0,12,29.97\n"
    (tmp_path / "clips.csv").write_text(rows)
    table = find_table(tmp_path, NAMES)
    assert table.labels == {"a": 1, "b": -1, "c/d": 0}
    assert table.facts["c/d"] == {"subject": 12, "fps": 29.97} and table.facts["b"] == {}


def test_subjects_by_name(tmp_path):
    (tmp_path / "clips.csv").write_text("clip,label,subject\na,x,Rex\nb,y,Bella\nc/d,x,Rex\n")
    table = find_table(tmp_path, NAMES)
    assert [table.facts[name]["subject"] for name in NAMES] == [2, 1, 2]


def test_names_as_files_are_called(tmp_path):
    (tmp_path / "clips.csv").write_text("clip,label\na.npz,x\nb.NPZ,y\nc\\d.csv,x\n")
    assert find_table(tmp_path, NAMES).labels == {"a": 0, "b": 1, "c/d": 0}


def test_further_columns_are_passed_over_with_a_word(tmp_path, caplog):
    (tmp_path / "clips.csv").write_text("clip,label,age\na,x,3\nb,y,4\nc/d,x,5\n")
    assert find_table(tmp_path, NAMES).labels == {"a": 0, "b": 1, "c/d": 0}
    assert "columns that are not used: age" in caplog.text


@pytest.mark.parametrize(
    ("parts", "splits"),
    [
        (("Train", "val", ""), {"split": Split((0,), (1,))}),
        (
            ("train", "test", "valid"),
            {"split": Split((0,), (1,)), "split_val": Split((0,), (2,))},
        ),
        (("", "", ""), {}),
    ],
)
def test_clips_for_validation(tmp_path, parts, splits):
    rows = [f"{name},{part}" for name, part in zip(NAMES, parts, strict=True)]
    (tmp_path / "clips.csv").write_text("\n".join(["clip,split", *rows]))
    assert find_table(tmp_path, NAMES).splits == splits


def test_classes_that_differ_in_capitals_are_warned_of(tmp_path, caplog):
    (tmp_path / "clips.csv").write_text("clip,label\na,Walk\nb,walk\nc\\d/,run\n")
    assert find_table(tmp_path, NAMES).class_names == ("Walk", "run", "walk")
    assert "capital letters alone: Walk, walk" in caplog.text


def test_a_folder_without_a_table(tmp_path):
    assert find_table(tmp_path, NAMES) is None


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("clip,", "name,", "line 1: a table needs a column 'clip'"),
        ("camera", "subject", "line 1: a table needs a column 'clip', and each column once"),
        ("split_cross", "split_a b", "line 1: 'split_a b' cannot be the name of a split"),
        ("camera", "fps", r"clips\.csv \(a\): fps is '-2', no number of frames a second"),
        ("b,run", "a,run", "line 3: 'a' is repeated"),
        ("b,run", "e,run", "line 3: 'e' is not among the recordings"),
        ("b,run", "../b,run", "line 3: '../b' cannot be the name"),
        ("b,run,2,,test,train\n", "", r"no line of 'b'; add one"),
        ("b,run,2,,", "b,run,2,", "line 3: 5 fields where the first line has 6"),
        ("train,test", "trial,test", "split is 'trial', not train, val, test or nothing"),
        ("run", "3", "labels are numbers and names"),
        ("b,run", 'b,"run', "not a CSV table"),
        ("b,run", 'b,"r\nun"', "holds a line break"),
    ],
)
def test_bad_tables_are_named(tmp_path, old, new, told):
    path = tmp_path / "clips.csv"
    text = TABLE.replace("1,2,", "1,-2,") if new == "fps" else TABLE
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=told) as caught:
        find_table(tmp_path, NAMES)
    assert str(caught.value).startswith(str(path))


def test_labels_that_are_no_classes(tmp_path):
    (tmp_path / "clips.csv").write_text("clip,label\na,99999\nb,\nc/d,\n")
    with pytest.raises(InputError, match="label 99999 is no class"):
        find_table(tmp_path, NAMES)
    (tmp_path / "clips.csv").write_text(TABLE)
    (tmp_path / "classes.txt").write_text("walk\nsit\n")
    with pytest.raises(InputError, match="label 'run' is none of the 2 classes"):
        find_table(tmp_path, NAMES)
    (tmp_path / "classes.txt").write_text("walk\nwalk\n")
    with pytest.raises(InputError, match="duplicate class 'walk'"):
        find_table(tmp_path, NAMES)


@settings(deadline=None)
@given(st.text(alphabet='abclip,label\n"d/ 01split', max_size=80))
def test_any_table_is_whole_or_refused(tmp_path_factory, text):
    folder = tmp_path_factory.getbasetemp() / "table"
    folder.mkdir(exist_ok=True)
    (folder / "clips.csv").write_text("clip,label\n" + text)
    try:
        table = find_table(folder, NAMES)
        assert set(table.labels) == set(NAMES)
    except InputError:
        pass
