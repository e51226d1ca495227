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
    assert table.facts("a") == (1, {"subject": 1, "camera": 2})
    assert table.facts("b") == (0, {"subject": 2})
    assert table.facts("c/d") == (-1, {"subject": 3, "camera": 0})
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


def test_a_folder_without_a_table(tmp_path):
    assert find_table(tmp_path, NAMES) is None


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("clip,", "name,", "line 1: unknown column 'name'"),
        ("camera", "subject", "line 1: a table needs a column 'clip', and each column once"),
        ("split_cross", "split_a b", "line 1: unknown column 'split_a b'"),
        ("b,run", "a,run", "line 3: 'a' stands here twice"),
        ("b,run", "e,run", "line 3: 'e' is not among the recordings"),
        ("b,run", "../b,run", "line 3: '../b' cannot be the name"),
        ("b,run,2,,test,train\n", "", r"no line of 'b'; add one"),
        ("b,run,2,,", "b,run,2,", "line 3: 5 fields where the first line has 6"),
        (",1,", ",x,", "line 2: subject is 'x', not a whole number"),
        (",1,", ",-1,", "line 2: subject is '-1'"),
        ("train,test", "Train,test", "line 2: 'Train' where train, test or nothing"),
        ("run", "3", "labels are numbers and names"),
        ("b,run", 'b,"run', "not a CSV table"),
        ("b,run", 'b,"r\nun"', "holds a line break"),
    ],
)
def test_bad_tables_are_named(tmp_path, old, new, told):
    path = tmp_path / "clips.csv"
    assert old in TABLE
    path.write_text(TABLE.replace(old, new, 1))
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
    with pytest.raises(InputError, match="'walk' stands there twice"):
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
