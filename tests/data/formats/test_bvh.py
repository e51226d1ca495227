from __future__ import annotations

import pickle

import numpy as np
import pytest
from fuzz import check_reader
from hypothesis import given, settings
from hypothesis import strategies as st
from members import members
from scipy.spatial.transform import Rotation

from asgcn_dgl.data.formats.bvh import open_bvh, read_bvh, read_hierarchy
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import get_layout

HEAD = """HIERARCHY
ROOT Hips
{
	OFFSET 0.0 0.0 0.0
	CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
	JOINT LeftArm
	{
		OFFSET 2 0 0
		CHANNELS 3 Yrotation Zrotation Xrotation
		End Site
		{
			OFFSET 1 0 0
		}
	}
	JOINT RightArm
	{
		OFFSET -2 0 0
		CHANNELS 3 Zrotation Xrotation Yrotation
		End Site
		{
			OFFSET -1 0 0
		}
	}
}
"""


def write(path, frames=4, head=HEAD, seed=0, count=None, seconds="0.0333333"):
    channels = sum(int(line.split()[1]) for line in head.splitlines() if "CHANNELS" in line)
    values = np.random.default_rng(seed).uniform(-90, 90, size=(frames, channels)).round(4)
    rows = "".join(" ".join(f"{x:g}" for x in row) + "\n" for row in values)
    motion = f"MOTION\nFrames: {frames if count is None else count}\nFrame Time: {seconds}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head + motion + rows)
    return values


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.bvh"
    write(path)
    return path


def test_layout_follows_the_hierarchy(path):
    hierarchy = read_hierarchy(path)
    assert hierarchy.joints == ("Hips", "LeftArm", "LeftArm_end", "RightArm", "RightArm_end")
    assert hierarchy.parents == (-1, 0, 1, 0, 3)
    layout = hierarchy.layout("mine")
    assert layout.name == "mine" and layout.center == 0
    assert layout.bones == ((0, 1), (0, 3), (1, 2), (3, 4))
    assert layout.mirror == ((1, 3), (2, 4))


def test_positions_follow_the_channels(path):
    """scipy's intrinsic rotations in the order in which the channels stand."""
    values = write(path)
    clip = read_bvh(path)
    for frame, row in enumerate(values):
        root = Rotation.from_euler("ZXY", row[3:6], degrees=True)
        left = root * Rotation.from_euler("YZX", row[6:9], degrees=True)
        right = root * Rotation.from_euler("ZXY", row[9:12], degrees=True)
        arm, other = row[:3] + root.apply([2, 0, 0]), row[:3] + root.apply([-2, 0, 0])
        expected = [
            row[:3],
            arm,
            arm + left.apply([1, 0, 0]),
            other,
            other + right.apply([-1, 0, 0]),
        ]
        np.testing.assert_allclose(clip.pos[0, frame], expected, atol=1e-4)
    assert clip.mask.all() and clip.label == -1
    assert clip.meta["fps"] == pytest.approx(30, abs=0.01)


def test_worked_by_hand(tmp_path):
    """A quarter about z, then the arm a quarter about y: it points along the turned body's -z."""
    path = tmp_path / "a.bvh"
    write(path, 1)
    lines = path.read_text().splitlines()
    lines[-1] = "1 2 3 90 0 0 90 0 0 0 0 0"
    path.write_text("\n".join(lines))
    expected = [[1, 2, 3], [1, 4, 3], [1, 4, 2], [1, 0, 3], [1, -1, 3]]
    np.testing.assert_allclose(read_bvh(path).pos[0, 0], expected, atol=1e-6)


@settings(deadline=None)
@given(
    st.permutations(["Xrotation", "Yrotation", "Zrotation", "Xposition", "Yposition", "Zposition"])
)
def test_channels_come_in_any_order(tmp_path_factory, channels):
    path = tmp_path_factory.getbasetemp() / "order.bvh"
    ordered = "Xposition Yposition Zposition Zrotation Xrotation Yrotation"
    values = write(path, 2, HEAD.replace(ordered, " ".join(channels)))
    clip = read_bvh(path)
    root = [channels.index(f"{axis}position") for axis in "XYZ"]
    order = [channel for channel in channels if "rotation" in channel]
    for frame, row in enumerate(values):
        angles = [row[channels.index(channel)] for channel in order]
        turn = Rotation.from_euler("".join(c[0] for c in order), angles, degrees=True)
        np.testing.assert_allclose(
            clip.pos[0, frame, 1], row[root] + turn.apply([2, 0, 0]), atol=1e-4
        )


def test_positions_of_inner_joints(tmp_path):
    head = HEAD.replace("CHANNELS 3 Yrotation", "CHANNELS 4 Xposition Yrotation", 1)
    head = head.replace("OFFSET 2 0 0", "OFFSET 2 5 0")
    values = write(tmp_path / "a.bvh", 1, head)
    root = Rotation.from_euler("ZXY", values[0, 3:6], degrees=True)
    for rule, bone in (("replace", [values[0, 6], 5, 0]), ("add", [2 + values[0, 6], 5, 0])):
        pos = read_bvh(tmp_path / "a.bvh", positions=rule).pos[0, 0]
        np.testing.assert_allclose(pos[1] - pos[0], root.apply(bone), atol=1e-4)


def test_scale_and_step(path):
    whole, small = read_bvh(path), read_bvh(path, scale=0.01, step=3)
    np.testing.assert_allclose(small.pos, 0.01 * whole.pos[:, ::3], rtol=1e-5)
    assert small.meta["fps"] == pytest.approx(10, abs=0.01)


@pytest.mark.parametrize(
    ("joints", "pairs"),
    [
        (("LeftArm", "RightArm"), 1),
        (("mixamorig:LeftArm", "mixamorig:RightArm"), 1),
        (("left_arm", "right_arm"), 1),
        (("lShldr", "rShldr"), 1),
        (("LArm", "RArm"), 1),
        (("arm_L", "arm_R"), 1),
        (("ArmLeft", "ArmRight"), 1),
        (("LowerBack", "RowerBack"), 0),
        (("leg", "reg"), 0),
        (("LeftArm", "LeftLeg"), 0),
    ],
)
def test_mirror_pairs_by_name(tmp_path, joints, pairs):
    head = HEAD.replace("LeftArm", joints[0]).replace("RightArm", joints[1])
    write(tmp_path / "a.bvh", head=head)
    layout = read_hierarchy(tmp_path / "a.bvh").layout()
    assert len(layout.mirror) == 2 * pairs  # with the ends
    if pairs:
        assert layout.joints[layout.mirror[0][0]] == joints[0]


def test_twins_under_other_parents_are_no_pair(tmp_path):
    head = HEAD.replace(
        "End Site\n\t\t{\n\t\t\tOFFSET -1 0 0", "JOINT LeftFoot\n\t\t{\n\t\t\tOFFSET -1 0 0"
    )
    head = head.replace(
        "End Site\n\t\t{\n\t\t\tOFFSET 1 0 0", "JOINT Spine\n\t\t{\n\t\t\tOFFSET 1 0 0"
    )
    head = head.replace("JOINT RightArm", "JOINT RightFoot")
    write(tmp_path / "a.bvh", head=head)
    assert read_hierarchy(tmp_path / "a.bvh").layout().mirror == ()


def test_odd_but_valid(tmp_path):
    """Braces on the line, names of two words, small letters, DOS line ends, blank lines."""
    head = HEAD.replace("ROOT Hips\n{", "ROOT Body Hips {").replace("JOINT", "joint")
    head = head.replace("Xrotation", "XROTATION")
    write(tmp_path / "a.bvh", head=head)
    text = (tmp_path / "a.bvh").read_text().replace("MOTION\n", "\nMOTION\n\n")
    (tmp_path / "a.bvh").write_bytes((text + "\n\n").replace("\n", "\r\n").encode())
    clip = read_bvh(tmp_path / "a.bvh")
    assert clip.layout.joints[0] == "Body Hips" and clip.num_frames == 4


def test_a_folder_of_one_skeleton(tmp_path):
    for number, name in enumerate(("walk/a", "walk/b", "run/a")):
        write(tmp_path / f"{name}.bvh", 4 + number, seed=number)
    source = open_bvh(tmp_path)
    assert source.names == ("run/a", "walk/a", "walk/b") and source.class_names == ()
    assert source.read(0).num_frames == 6 and source.read(0).layout == source.layout
    assert pickle.loads(pickle.dumps(source)).read(1).label == -1
    (tmp_path / "clips.csv").write_text(
        "clip,label,subject,split\nwalk/a,walk,1,train\nwalk/b,walk,2,test\nrun/a,run,1,train\n"
    )
    source = open_bvh(tmp_path, scale=0.01)
    assert source.class_names == ("run", "walk") and members(source, "split")[1] == ("walk/b",)
    clip = source.read(2)
    assert (clip.label, clip.meta["subject"]) == (1, 2)
    write(tmp_path / "other.bvh", head=HEAD.replace("RightArm", "Tail"))
    (tmp_path / "clips.csv").unlink()
    source = open_bvh(tmp_path)
    with pytest.raises(InputError, match=r"is not 'bvh' of the other files"):
        list(source)
    assert len(open_bvh(tmp_path / "other.bvh")) == 1


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("HIERARCHY", "HIERARCH", "line 1: 'HIERARCH' instead of HIERARCHY"),
        ("ROOT", "JOINT", "line 2: 'JOINT' instead of ROOT"),
        ("OFFSET 2 0 0", "OFFSET 2 0", "line 9: 'CHANNELS' instead of a number"),
        ("OFFSET 2 0 0", "OFFSET 2 0 nan", "line 8: 'nan' instead of a number"),
        ("CHANNELS 6", "CHANNELS 7", "line 5: 7 channels where a joint has at most 6"),
        ("CHANNELS 6", "CHANNELS 2.5", "line 5: 2.5 channels"),
        ("CHANNELS 6", "CHANNELS 5", "line 5: 'YROTATION' instead of JOINT, End Site"),
        ("Zrotation", "Wrotation", "line 5: 'Wrotation' instead of a channel"),
        ("Zposition", "Xposition", "line 5: channel Xposition twice"),
        ("RightArm", "LeftArm", "line 15: a second joint 'LeftArm'"),
        ("End Site", "End", "line 11: '{' instead of SITE"),
        ("JOINT RightArm", "BONE RightArm", "line 15: 'BONE' instead of JOINT"),
        ("MOTION", "MOTIONS", "line 25: 'MOTIONS' instead of MOTION"),
        ("Frames: 4", "Frames: 0", "line 26: 'Frames: 0' instead of a line such as 'Frames: 100'"),
        ("Frames: 4", "Frames: -4", "line 26: 'Frames: -4' instead"),
        ("Frame Time: 0.0333333", "Frame Time: 0", "line 27: 'Frame Time: 0' instead"),
        ("Frame Time: 0.0333333", "Frame Time: x", "line 27"),
    ],
)
def test_bad_content_is_named(path, old, new, told):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=told) as caught:
        read_bvh(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s[: s.index("MOTION")], "'' instead of MOTION"),
        (lambda s: s[:60], "instead of .*"),
        (lambda s: s[: s.index("Frame Time")], "instead of a line such as 'Frame Time: 0.01'"),
        (lambda s: s.rstrip().rsplit(" ", 1)[0], "line 31: 11 numbers instead of 12"),
        (lambda s: s.replace("MOTION", "ROOT x { OFFSET 0 0 0 } MOTION"), "a second ROOT"),
        (lambda s: "HIERARCHY ROOT a " + "{ OFFSET 0 0 0 JOINT b " * 5000, "a second joint"),
        (
            lambda s: (
                "HIERARCHY ROOT a { OFFSET 0 0 0 "
                + "".join(f"JOINT b{n} {{ OFFSET 0 0 0 " for n in range(5000))
            ),
            "more than 1000 joints",
        ),
        (lambda s: "HIERARCHY ROOT a { OFFSET 0 0 0 } MOTION\n", "no joint has channels"),
    ],
)
def test_what_is_no_bvh_is_refused(path, change, told):
    path.write_text(change(path.read_text()))
    with pytest.raises(InputError, match=told):
        read_bvh(path)


def test_options_are_checked(path):
    for options in ({"scale": 0}, {"scale": True}, {"step": 0}, {"positions": "x"}):
        with pytest.raises(InputError, match="must be"):
            open_bvh(path.parent, **options)
    with pytest.raises(InputError, match="is not 'coco17' of the other files"):
        read_bvh(path, get_layout("coco17"))


@settings(deadline=None)
@given(st.lists(st.sampled_from(HEAD.split()), max_size=40).map(" ".join))
def test_any_words_give_an_error(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "words.bvh"
    path.write_text(f"HIERARCHY ROOT a {{ {text}")
    with pytest.raises(InputError, match=r"words\.bvh"):
        read_bvh(path)


@pytest.mark.slow
def test_mutants():
    def make(folder):
        write(folder / "a.bvh")
        return [folder / "a.bvh"]

    good, bad = check_reader(make, open_bvh, 20_000, seed=4)
    assert good > 1000 and bad > 1000


@pytest.mark.parametrize(("announced", "frames"), [(3, 3), (5, 4)])
def test_more_or_fewer_lines_than_announced(tmp_path, caplog, announced, frames):
    write(tmp_path / "a.bvh", count=announced)
    assert read_bvh(tmp_path / "a.bvh").num_frames == frames
    assert f"{announced} frames announced, 4 lines follow" in caplog.text


def test_ends_of_chains_beside_joints_of_such_names(tmp_path):
    """A joint may be called like an end, and have several ends."""
    head = HEAD.replace("JOINT LeftArm", "JOINT Head_end")
    end = "\t\tEnd Site\n\t\t{\n\t\t\tOFFSET 0 5 0\n\t\t}\n"
    first = head.index("\t\tEnd Site")
    write(tmp_path / "a.bvh", head=head[:first] + end + head[first:])
    layout = read_bvh(tmp_path / "a.bvh").layout
    assert layout.joints[1:4] == ("Head_end", "Head_end_end", "Head_end_end2")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: text.replace("\n", "\r\n").encode("utf-16"),
        lambda text: text.replace(".", ",").encode(),
        lambda text: text.replace("LeftArm", "Bras_côté").encode("cp1252"),
        lambda text: text.replace(
            "OFFSET 2 0 0\n\t\tCHANNELS 3 Yrotation Zrotation Xrotation",
            "CHANNELS 3 Yrotation Zrotation Xrotation OFFSET 2 0 0",
        ).encode(),
    ],
    ids=["cr", "utf-16", "decimal commas", "cp1252", "channels first"],
)
def test_files_as_programs_write_them(path, change):
    expected = read_bvh(path)
    text = path.read_text()
    path.write_bytes(change(text))
    assert path.read_bytes() != text.encode()
    clip = read_bvh(path)
    np.testing.assert_array_equal(clip.pos, expected.pos)
    assert clip.meta["fps"] == expected.meta["fps"]


def test_an_end_before_a_joint_of_its_name(tmp_path):
    head = HEAD.replace("LeftArm", "Hips_end").replace(
        "\tJOINT Hips_end", "\tEnd Site { OFFSET 0 1 0 }\n\tJOINT Hips_end"
    )
    write(tmp_path / "a.bvh", head=head)
    assert read_hierarchy(tmp_path / "a.bvh").joints[:3] == ("Hips", "Hips_end2", "Hips_end")
