from __future__ import annotations

import contextlib
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asgcn_dgl.data.formats.layout_file import find_layout, read_layout
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import get_layout

ARM = """
name: arm
joints: [shoulder, elbow, hand, thumb]
bones:
  - [shoulder, elbow]
  - [elbow, hand]
  - [hand, thumb]
center: shoulder
parts: {upper: [shoulder, elbow], lower: [hand, thumb]}
pose: [[0, 1], [0, 0], [0, -1], [0.3, -1]]
spine: [elbow, shoulder]
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="layout.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_all_entries(write):
    layout = read_layout(write(ARM))
    assert layout.name == "arm" and layout.joints[layout.center] == "shoulder"
    assert layout.bones == ((0, 1), (1, 2), (2, 3)) and layout.spine == (1, 0)
    assert dict(layout.parts) == {"upper": (0, 1), "lower": (2, 3)}
    assert layout.pose.tolist()[3] == [0.3, -1.0]


def test_json_says_the_same(write):
    facts = {"joints": ["a", "b"], "bones": [["a", "b"]]}
    path = write(json.dumps(facts), "layout.json")
    layout = read_layout(path)
    assert layout.joints == ("a", "b") and layout.name == path.parent.name
    yaml = read_layout(write("joints: [a, b]\nbones: [[a, b]]\n"))
    assert yaml == layout


def test_a_supplied_layout_by_name(write, tmp_path):
    assert read_layout(write("coco17\n")) is get_layout("coco17")
    assert find_layout(tmp_path) is get_layout("coco17")
    assert find_layout(tmp_path, "hand21") is get_layout("hand21")
    assert find_layout(tmp_path / "no", str(tmp_path / "layout.yaml")) is get_layout("coco17")


def test_there_must_be_one(tmp_path):
    with pytest.raises(InputError, match=r"no layout\.yaml in it; write one, or name a supplied"):
        find_layout(tmp_path)
    with pytest.raises(InputError, match="'coco18' is neither a file nor one of cmu25"):
        find_layout(tmp_path, "coco18")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("coco18", "name must be one of"),
        ("[1, 2]", "not a name of a layout, nor entries"),
        ("joints: [a, b]\nbones: [[a, b]]\ncentre: a", "unknown entry 'centre'; entries are name"),
        ("bones: [[a, b]]", "a layout needs 'joints'"),
        ("joints: [a, b]", "a layout needs 'bones'"),
        ("joints: [a, b, c]\nbones: [[a, b]]", "bones must connect all joints"),
        ("joints: [a, b]\nbones: [[a, d]]", "got 'd'"),
        ("joints: [a, b]\nbones: [[a, b], 3]", "bones must be given as pairs"),
        ("joints: [a, on]\nbones: [[a, on]]", "joints must be strings"),
        ("joints: [a, b]\nbones: [[a, b]]\nmirror: 5", "not iterable"),
        ("joints: [a, b]\nbones: [[a, b]]\nparts: 5", "parts|attribute"),
        ("joints: [a, b]\nbones: [[a, b]]\npose: [[x, y], [1, 2]]", "could not convert"),
        ("joints: [a, b]\nbones: [[a, b]]\nname: [a]", "name must be a string"),
        ("joints: &a [a, b]\nbones: [*a]", r"an alias \(\*name\); write the value out"),
        ("joints: [a, b\nbones:", "not YAML"),
        ("joints: !!python/object/apply:os.system [ls]\nbones: []", "not YAML"),
        ("a: " + "[" * 20000, "without end|not YAML"),
        ("x" * 200_000, "MB are read at once"),
    ],
)
def test_bad_layouts_are_named(write, text, told):
    path = write(text)
    start = time.process_time()
    with pytest.raises(InputError, match=told) as caught:
        read_layout(path)
    assert str(caught.value).startswith(str(path)) and len(str(caught.value)) < 1000
    assert time.process_time() - start < 5


def test_deep_json(write):
    with pytest.raises(InputError, match="without end"):
        read_layout(write("[" * 100_000, "layout.json"))


def test_a_million_laughs(write):
    text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    for last, name in zip("abcdefgh", "bcdefghi", strict=True):
        text += f"{name}: &{name} [{', '.join([f'*{last}'] * 10)}]\n"
    with pytest.raises(InputError, match="an alias"):
        read_layout(write(text + "joints: *i\nbones: *i\n"))


@settings(deadline=None)
@given(st.text(alphabet="jointsbones: [a,]{}&*!\n-'\"", max_size=60))
def test_any_text_is_a_layout_or_an_error(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text("joints: [a, b]\nbones: [[a, b]]\n" + text)
    with contextlib.suppress(InputError):
        assert read_layout(path).num_joints == 2


def test_a_file_takes_what_a_layout_takes(write):
    """Two hands that no bone joins, with a joint of their own in the middle."""
    text = "joints: [a, b, c, d]\nbones: [[a, b], [c, d]]\nvirtual_center: middle\n"
    layout = read_layout(write(text + "parts: {left: [a, b], right: [c, d]}\n"))
    assert layout.joints == ("a", "b", "c", "d", "middle") and layout.center == 4
    with pytest.raises(InputError, match="unknown entry 'centre'; entries are name, bones"):
        read_layout(write(text + "centre: a\n"))
