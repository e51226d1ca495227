"""Files are found, bounded, and their numbers parsed (``formats/files.py``)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asgcn_dgl.data.files import (
    by_name,
    check_memory,
    check_size,
    find_files,
    is_there,
    plain_name,
    read_lines,
    read_numbers,
    stamp_files,
)
from asgcn_dgl.errors import InputError


@pytest.mark.parametrize("name", ["a", "walk/a b", "Läufer_1", "x" * 200])
def test_plain_names(name):
    assert plain_name(name, "here") == name


@pytest.mark.parametrize(
    "name",
    ["", "../a", "a/../b", "/a", "a//b", "a\\..\\b", ".", "a\nb", "a\0", "\x1b[2J", "x" * 201],
)
def test_names_that_lead_astray(name):
    with pytest.raises(InputError, match=r"here: .* cannot be the name"):
        plain_name(name, "here")


def test_files_are_found_at_any_depth(tmp_path):
    for name in ("b.txt", "a/c.txt", "a/d.dat"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    found = find_files(tmp_path, "*.txt", "texts")
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["a/c.txt", "b.txt"]
    assert find_files(found[0], "*.txt", "texts") == found[:1]
    before = stamp_files(found)
    found[0].write_text("22")
    assert stamp_files(found) != before
    with pytest.raises(InputError, match=r"no file \*\.x in it; give the folder that holds texts"):
        find_files(tmp_path, "*.x", "texts")
    with pytest.raises(InputError, match="does not exist"):
        find_files(tmp_path / "no", "*.x", "texts")
    with pytest.raises(InputError, match=r"b\.txt: .*c\.txt is called x too"):
        by_name(["x", "x"], found)


def test_what_may_be_a_recording(tmp_path):
    """Folders and what macOS puts beside files are none; a link to nothing may have been one."""
    (tmp_path / "a.txt").mkdir()
    (tmp_path / "b.txt").write_text("1")
    (tmp_path / "._b.txt").write_text("1")
    (tmp_path / "c.txt").symlink_to("nowhere")
    found = find_files(tmp_path, "*.txt", "texts")
    assert [path.name for path in found] == ["b.txt", "c.txt"]
    assert [len(stamp) for stamp in stamp_files(found)] == [2, 0]
    assert [is_there(tmp_path / name) for name in ("b.txt", "c.txt", "d.txt")] == [
        True,
        True,
        False,
    ]
    with pytest.raises(InputError, match=r"c\.txt: cannot be read \(no such file"):
        read_lines(found[1])


def test_lines(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbf1 2\r\n3 4\r\n\r\n")
    assert read_lines(path) == ["1 2", "3 4"]
    path.write_bytes(b"1\n2\xff\n")
    with pytest.raises(InputError, match="line 2: not plain text"):
        read_lines(path)
    with pytest.raises(InputError, match="split the file"):
        check_size(path, 3)


def test_too_much_memory():
    check_memory("a", 2**29, "frames")
    with pytest.raises(InputError, match=r"a: frames would take 4\.0 GB at once"):
        check_memory("a", 4 * 10**9, "frames")


@settings(deadline=None)
@given(st.lists(st.lists(st.floats(-1e9, 1e9), min_size=3, max_size=3), min_size=1, max_size=5))
def test_numbers_come_back(rows):
    for delimiter in ("", ","):
        lines = [(delimiter or " ").join(repr(x) for x in row) for row in rows]
        np.testing.assert_array_equal(read_numbers("a", lines, 3, delimiter=delimiter), rows)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["1 2", "3"], "line 6: 1 numbers instead of 2"),
        (["1 2", ""], "line 6: 0 numbers"),
        (["1 2", "3 4 5"], "line 6: 3 numbers"),
        (["1 x", "3 4"], "line 5: 'x' in column 2 is not a finite number"),
        (["1 2", "inf 4"], "line 6: 'inf' in column 1"),
        (["1 2", "3 1e999"], "line 6: '1e999' in column 2"),
        (["1 2", "# 4"], "line 6: '#' in column 1"),
    ],
)
def test_a_bad_line_is_named(lines, told):
    with pytest.raises(InputError, match=f"a, {told}"):
        read_numbers("a", lines, 2, first=5)


def test_numbers_as_python_alone_writes_them():
    with pytest.raises(InputError, match="a: its numbers cannot be read"):
        read_numbers("a", ["1 2", "1_0 2"], 2)
