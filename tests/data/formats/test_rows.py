from __future__ import annotations

import numpy as np
import pytest
from fuzz import check_reader
from hypothesis import given, settings
from hypothesis import strategies as st

from asgcn_dgl.data.formats.own import open_own
from asgcn_dgl.data.formats.rows import clips_of_table, read_table
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import SkeletonLayout, get_layout, layout_names

ARM = SkeletonLayout.from_bones("arm", [("a", "b"), ("b", "c")])
SUPPLIED_ONES = [get_layout(name) for name in layout_names()]
HEAD = "clip,frame,body,joint,x,y,z,score\n"


def table(clips, seed=0):
    """Text of clips of (bodies, frames) and the positions in them."""
    rng = np.random.default_rng(seed)
    text, positions = HEAD, {}
    for name, (bodies, frames) in clips.items():
        pos = positions[name] = rng.normal(size=(bodies, frames, 3, 3)).round(5)
        for frame in range(frames):
            for body in range(bodies):
                for joint, (x, y, z) in zip("abc", pos[body, frame], strict=True):
                    text += f"{name},{frame + 7},{body},{joint},{x},{y},{z},0.5\n"
    return text, positions


def read(path, name=None, layout=ARM):
    return read_table(path, name or clips_of_table(path)[0], layout)


@pytest.fixture
def write(tmp_path):
    def write(text, name="rows.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def to_parquet(path, **options):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import csv, parquet

    convert = csv.ConvertOptions(column_types={"clip": pyarrow.string()})
    other = path.with_suffix(".parquet")
    parquet.write_table(csv.read_csv(path, convert_options=convert), other, **options)
    return other


def test_rows_find_their_places(write):
    text, positions = table({"one": (1, 4), "two": (2, 3), "three": (1, 1)})
    path = write(text)
    assert clips_of_table(path) == ["one", "two", "three"]
    for name, expected in positions.items():
        pos, mask, score = read(path, name)
        np.testing.assert_array_equal(pos, expected)
        assert mask.all() and (score == 0.5).all()


def test_order_within_a_clip_means_nothing(write):
    text, positions = table({"one": (2, 3)})
    rows = text.splitlines()[1:]
    np.random.default_rng(0).shuffle(rows)
    np.testing.assert_array_equal(read(write(HEAD + "\n".join(rows)))[0], positions["one"])


def test_what_no_row_tells_is_missing(write):
    path = write("clip,frame,joint,x,y\nk,5,a,1,2\nk,5,2,3,4\nk,8,b,5,6\nk,8,c,,\n")
    pos, mask, score = read(path)
    assert pos.shape == (1, 4, 3, 2) and score is None
    assert np.argwhere(mask).tolist() == [[0, 0, 0], [0, 0, 2], [0, 3, 1]]
    assert pos[mask].tolist() == [[1, 2], [3, 4], [5, 6]]


def test_rows_of_clips_may_interleave(write):
    text, positions = table({"one": (1, 4), "two": (1, 4)})
    rows = sorted(text.splitlines()[1:], key=lambda row: row.split(",")[1])
    path = write(HEAD + "\n".join(rows))
    for name in positions:
        np.testing.assert_array_equal(read(path, name)[0], positions[name])


@pytest.mark.parametrize("cell", ["", "nan", "NaN", "NA", " n/a ", "null", "#N/A", "<NA>"])
def test_cells_that_hold_no_number_are_missing_joints(write, cell):
    path = write(f" clip,frame , joint,x,y\n k,0,a , 1,2\nk,0,b,{cell},{cell}\n")
    pos, mask, _ = read(path)
    assert mask.tolist() == [[[True, False, False]]] and pos[0, 0, 0].tolist() == [1, 2]


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\r\nClip;Frame;Joint;X;Y;;\r\nk;0;a;1,5;-2,25;;\r\nk;1,0;b;3E-01;#N/A;;\r\n",
        "clip\tframe\tjoint\tx\ty\nk\t0\ta\t1,5\t-2,25\nk\t1\tb\t0.3\t\n",
        '"clip","frame","joint","x","y"\n"k","0.0","a","1.5","-2.25"\n"k","1.0","b","0.3","NA"\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_rows_as_spreadsheet_programs_write_them(tmp_path, text, encoding):
    path = tmp_path / "rows.csv"
    path.write_bytes(text.encode(encoding))
    assert clips_of_table(path) == ["k"]
    pos, mask, _ = read(path)
    assert pos[0, 0, 0].tolist() == [1.5, -2.25] and mask.tolist() == [[[1, 0, 0], [0, 0, 0]]]


def test_names_that_are_not_unicode(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes("clip,frame,joint,x,y,likelihood\nLäufer,0,a,1,2,0.5\n".encode("cp1252"))
    assert clips_of_table(path) == ["Läufer"] and read(path)[2][0, 0, 0] == 0.5


def test_a_cell_beyond_the_columns_is_refused(write):
    with pytest.raises(InputError, match="line 3: a cell more than the 5 columns"):
        read(write("clip,frame,joint,x,y,\nk,0,a,1,2,\nk,0,b,3,4,5\n"))


def test_bodies_by_number_and_by_name(write):
    text = "clip,frame,joint,body,x,y\n"
    pos, _, _ = read(write(text + "k,0,a,10,1,1\nk,0,a,9,2,2\n"))
    assert pos[:, 0, 0, 0].tolist() == [2, 1]
    pos, _, _ = read(write(text + "k,0,a,rex,1,1\nk,0,a,ann,2,2\n"))
    assert pos[:, 0, 0, 0].tolist() == [1, 2]


def test_dos_line_ends_blank_lines_and_quotes(write, tmp_path):
    path = tmp_path / "dos.csv"
    path.write_bytes(
        b'\xef\xbb\xbfclip,frame,joint,x,y\r\n"k, 1",0,a,1,2\r\n\r\n"k, 1",0,b,3,4\r\n'
    )
    assert clips_of_table(path) == ["k, 1"]
    assert read(path)[0][0, 0, :2].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("k,0,a,1,2,3\n", r"rows.csv: not a usable table"),
        ("k,0,a,1,2\nk,0,b,1,2,3\n", "Expected 5 fields in line 3, saw 6"),
        ("k,x,a,1,2\n", "line 2: 'x' where a frame number"),
        ("k,1.5,a,1,2\n", "line 2: '1.5' where a frame number"),
        ("k,99999999999999,a,1,2\n", "line 2: '99999999999999' where a frame number"),
        ("k,0,d,1,2\n", "line 2: 'd' is no joint of layout 'arm'"),
        ("k,0,3,1,2\n", "line 2: '3' is no joint"),
        ("k,0,a,1,two\n", "line 2: 'two' where a number"),
        ("k,0,a,1,1_0\n", "line 2: '1_0' where a number"),
        ("k,0,a,1,2\nk,0,a,3,4\n", "line 3: joint 'a' of frame 0 is repeated"),
        ("../k,0,a,1,2\n", "line 2: '../k' cannot be the name"),
        (",0,a,1,2\n", "line 2: '' cannot be the name"),
        ("k,0,a,1,2\nk,100000000000,a,1,2\n", "100000000001 frames from 0 on would take"),
        ('k,0,"a,1,2\n', "not a usable table"),
        ("k,0,a,1,2\n" + "x" * 20000 + ",,,,", "line 3: '' where a frame number"),
        ("k,0,a,1,2\nk,0,a\n", r"line 3: the last row has 3 of 5 cells; is the file cut off\?"),
        ("k,0,a,1,2\nk", "line 3: the last row has 1 of 5 cells"),
        ("k,0,a,1,inf\n", "line 2: 'inf' where a number"),
        ("", "no row in it"),
    ],
)
def test_bad_rows_are_named(write, rows, told):
    path = write("clip,frame,joint,x,y\n" + rows)
    with pytest.raises(InputError, match=told) as caught:
        read(path)
    assert str(caught.value).startswith(str(path)) and len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ("clip,frame,joint,x", "no column 'y'"),
        ("clip,frame,joint,x,y,w", "unknown column 'w'; columns are frame, joint"),
        ("clip,frame,joint,x,y,y", "a column twice"),
        ("", "no column 'frame'"),
    ],
)
def test_bad_heads_are_named(write, head, told):
    with pytest.raises(InputError, match=told):
        clips_of_table(write(head + "\n1,2,3,4,5,6\n"))


def test_a_file_without_clip_holds_one_of_its_name(write):
    path = write("frame,joint,x,y\n0,a,1,2\n1,b,3,4\n")
    assert clips_of_table(path) == [path.stem]
    pos, mask, _ = read_table(path, path.stem, ARM)
    assert pos[0, 1, 1].tolist() == [3, 4] and mask.sum() == 2


def test_a_misspelt_joint_is_answered_with_one_that_looks_like_it(write):
    path = write("frame,joint,x,y\n0,left_fhoof,1,2\n")
    layout = SkeletonLayout.from_bones("horse", [("croup", "left_hoof")], center="croup")
    with pytest.raises(InputError, match=r"line 2: 'left_fhoof'.*did you mean 'left_hoof'"):
        read_table(path, path.stem, layout)


def test_a_file_without_a_layout_has_a_supplied_one_of_its_joints_or_says_so(write):
    names = get_layout("coco17").joints
    rows = "".join(f"0,{name},1,2\n" for name in names)
    assert open_own(write("frame,joint,x,y\n" + rows), SUPPLIED_ONES).read(0).layout.joints == names
    path = write("frame,joint,x,y\n0,fetlock,1,2\n")
    with pytest.raises(InputError, match=r"no layout.yaml is beside it, .* \(fetlock, \.\.\.\)"):
        open_own(path, SUPPLIED_ONES).read(0)


def test_what_is_missing_is_told_as_in_arrays(write):
    """Empty coordinates, one or all, empty scores, and zeros where no score is told."""
    rows = "k,0,a,1,2,1\nk,0,b,,,\nk,0,c,1,2,\nk,1,a,0,0,1\nk,1,b,1,,1\n"
    _, mask, score = read(write("clip,frame,joint,x,y,score\n" + rows))
    assert mask.tolist() == [[[True, False, True], [True, False, False]]]
    assert score.tolist() == [[[1, 0, 0], [1, 1, 0]]]
    _, mask, score = read(write("clip,frame,joint,x,y\nk,0,a,0,0\nk,0,c,1,2\n"))
    assert score is None and mask.tolist() == [[[False, False, True]]]


@pytest.mark.parametrize("group", [5, 10_000])
def test_parquet_says_the_same(write, group):
    text, _ = table({"one": (1, 4), "two": (2, 3), "three": (1, 1)})
    text += "three,9,0,a,,,,\n"
    path = write(text)
    other = to_parquet(path, row_group_size=group)
    assert clips_of_table(other) == clips_of_table(path)
    for name in ("one", "two", "three"):
        for here, there in zip(read(path, name), read(other, name), strict=True):
            np.testing.assert_array_equal(here, there)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("k,0,d,1,2\n", "row 1: 'd' is no joint"),
        ("k,0,a,1,2\nk,0,a,3,4\n", "row 2: joint 'a' of frame 0 is repeated"),
        ("k,0.5,a,1,2\n", "row 1: '0.5' where a frame number"),
    ],
)
def test_bad_parquet_is_named(write, rows, told):
    path = to_parquet(write("clip,frame,joint,x,y\n" + rows))
    with pytest.raises(InputError, match=told):
        read(path)


def test_what_is_no_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    for data in (b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1", b"x" * 1000):
        (tmp_path / "a.parquet").write_bytes(data)
        with pytest.raises(InputError, match=r"a\.parquet: not a usable Parquet file"):
            clips_of_table(tmp_path / "a.parquet")


@settings(deadline=None)
@given(st.text(alphabet='kab,0123.\n"-', max_size=80))
def test_any_rows_make_a_clip_or_an_error(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text("clip,frame,joint,x,y\n" + text)
    try:
        pos, mask, _ = read(path)
        assert pos.shape[2:] == (3, 2) and mask.shape == pos.shape[:3]
    except InputError:
        pass


def _folder(folder, parquet=False):
    (folder / "layout.json").write_text('{"joints": ["a","b","c"], "bones": [["a","b"],["b","c"]]}')
    path = folder / "rows.csv"
    path.write_text(table({"one": (1, 2), "two": (2, 1)})[0])
    if not parquet:
        return [path]
    other = to_parquet(path, use_dictionary=False)
    path.unlink()
    return [other]


@pytest.mark.slow
def test_mutants_of_csv():
    good, bad = check_reader(_folder, open_own, 3_000, seed=6)
    assert good > 200 and bad > 200


@pytest.mark.slow
def test_mutants_of_parquet():
    pytest.importorskip("pyarrow")
    good, bad = check_reader(lambda folder: _folder(folder, True), open_own, 20_000, seed=7)
    assert good > 100 and bad > 1000
