"""Output of OpenPose, AlphaPose and DeepLabCut, written here as those programs write it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from estimated import walkers, write_alphapose, write_deeplabcut, write_openpose
from fuzz import check_reader
from members import members

from asgcn_dgl.data import open_data, open_file, prepare
from asgcn_dgl.data.formats.estimators import FORMATS
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import get_layout

open_openpose, open_alphapose, open_deeplabcut, open_wide = (each.open for each in FORMATS)

MOUSE = """joints: [nose, left_ear, right_ear, tail]
bones: [[nose, left_ear], [nose, right_ear], [nose, tail]]
"""


def same(clip, poses):
    """Whether a clip shows these bodies, in whatever order."""
    order = np.argsort(clip.pos[:, 0, 0, 0])
    np.testing.assert_allclose(clip.pos[order], poses, rtol=1e-6)
    assert clip.mask.all() and clip.scored


def test_openpose_keeps_identities_by_overlap(tmp_path):
    poses = walkers()
    write_openpose(tmp_path / "a", poses)
    reader = open_data(tmp_path)
    assert reader.origin.format == "openpose" and reader.names == ("a",)
    assert reader.layout is get_layout("openpose25")
    same(reader.read(0), poses)
    assert not open_openpose(tmp_path, score=False).read(0).scored


def test_openpose_folders_frames_and_joints(tmp_path):
    poses = walkers(joints=18)
    write_openpose(tmp_path / "one", poses, first=7)
    write_openpose(tmp_path / "both", poses[:1], "left", key="pose_keypoints")
    write_openpose(tmp_path / "both", poses[1:], "right")
    reader = open_openpose(tmp_path)
    assert reader.names == ("both/left", "both/right", "one")
    assert reader.layout is get_layout("openpose18")
    same(reader.read(0), poses[:1])
    same(open_openpose(tmp_path / "one").read(0), poses)
    assert open_openpose(tmp_path / "one").names == ("video",)
    (tmp_path / "one" / "video_000000000009_keypoints.json").unlink()
    frame = tmp_path / "one" / "video_000000000010_keypoints.json"
    frame.write_text('{"version": 1.3, "people": []}')
    clip = open_openpose(tmp_path / "one").read(0)
    assert clip.num_bodies == 2 and clip.num_frames == 6
    assert clip.mask.all(axis=(0, 2)).tolist() == [True, True, False, False, True, True]


def test_openpose_frames_come_by_number(tmp_path):
    poses = walkers(frames=12, bodies=1)
    write_openpose(tmp_path, poses)
    for path in sorted(tmp_path.iterdir()):
        number = int(path.name.split("_")[1])
        path.rename(tmp_path / f"frame{number}_keypoints.json")
    reader = open_openpose(tmp_path)
    assert reader.names == ("frame",)
    same(reader.read(0), poses)


def test_openpose_joints_that_were_not_found(tmp_path):
    poses = walkers(bodies=1)
    poses[0, 2, 4] = 0
    poses[0, 3, 4, 2] = 0.01
    write_openpose(tmp_path, poses)
    clip = open_openpose(tmp_path, min_score=0.05).read(0)
    assert np.argwhere(~clip.mask).tolist() == [[0, 2, 4], [0, 3, 4]]
    with pytest.raises(InputError, match=r"no joint has a score above 2, .*--options\.min_score"):
        open_openpose(tmp_path, min_score=2.0).read(0)


def test_openpose_in_space(tmp_path):
    poses = np.concatenate(
        [walkers(bodies=1)[..., :2], walkers(bodies=1, seed=1)[..., 1:]], axis=-1
    )
    write_openpose(tmp_path, poses, key="pose_keypoints_3d")
    assert open_openpose(tmp_path).read(0).num_dims == 4


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "not valid JSON"),
        ("[]", "no list 'people'"),
        ('{"people": [5]}', "person 1: no object"),
        ('{"people": [{"pose_keypoints_2d": [1, 2]}]}', "is not 3 numbers for each joint"),
        ('{"people": [{"pose_keypoints_2d": [1, 2, 1]}]}', "bodies of several numbers of joints"),
    ],
)
def test_bad_frames_are_named(tmp_path, text, told):
    write_openpose(tmp_path, walkers())
    (tmp_path / "video_000000000003_keypoints.json").write_text(text)
    with pytest.raises(InputError, match=told):
        open_openpose(tmp_path)


def test_labels_stand_beside_the_folders(tmp_path):
    for number in range(4):
        write_openpose(tmp_path / f"clip{number}", walkers(seed=number))
    rows = [
        f"clip{n},{'wave' if n % 2 else 'walk'},{'train' if n < 3 else 'test'}" for n in range(4)
    ]
    (tmp_path / "clips.csv").write_text("\n".join(["clip,label,split", *rows]))
    reader = open_data(tmp_path)
    assert reader.class_names == ("walk", "wave") and reader.read(1).label == 1
    assert members(reader, "split")[1] == ("clip3",)
    store = tmp_path / "store"
    prepare(reader, store)
    found = open_file(tmp_path / "clip2", origins=[open_data(store).origin])
    np.testing.assert_array_equal(found.read(0).pos, open_data(store).read(2).pos)


@pytest.mark.parametrize("idx", [True, False])
@pytest.mark.parametrize("ids", ["{}.jpg", "frame_{:06d}.png", "video1/{:03d}.jpg"])
def test_alphapose(tmp_path, idx, ids):
    poses = walkers(frames=12, joints=26)
    write_alphapose(tmp_path / "a.json", poses, idx, ids)
    reader = open_data(tmp_path / "a.json")
    assert reader.origin.format == "alphapose" and reader.layout is get_layout("halpe26")
    same(reader.read(0), poses)


def test_alphapose_with_one_identity_for_all(tmp_path):
    poses = walkers(joints=17)
    write_alphapose(tmp_path / "v1" / "alphapose-results.json", poses)
    text = (tmp_path / "v1" / "alphapose-results.json").read_text().replace("[1.0]", "[0.0]")
    for name in ("v1", "v2"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "alphapose-results.json").write_text(text)
    reader = open_alphapose(tmp_path)
    assert reader.names == ("v1", "v2") and reader.layout is get_layout("coco17")
    same(reader.read(1), poses)


def test_bad_results_of_alphapose_are_named(tmp_path):
    path = tmp_path / "a.json"
    for text, told in (
        ('[{"image_id": "1.jpg"}]', "entry 1: no 'image_id' and 'keypoints'"),
        ('[{"image_id": "x.jpg", "keypoints": [1, 2, 3]}]', "does not end in the number"),
        ('[{"image_id": "1.jpg", "keypoints": []}]', "is not 3 numbers for each joint"),
        ('{"image_id": 1}', "no list of persons of image 'image_id'"),
        ('["image_id", 5]', "entry 1: no 'image_id' and 'keypoints'"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=told):
            open_alphapose(path)


def test_deeplabcut_of_one_animal(tmp_path):
    poses = walkers(joints=5, bodies=1)
    joints = ["nose", "tail", "food", "right_ear", "left_ear"]
    write_deeplabcut(tmp_path / "m1DLC_resnet50_mouseMay1shuffle1_1000.csv", poses, joints)
    with pytest.raises(InputError, match=r"no layout\.yaml in it.*'joints: \[nose, tail, food"):
        open_data(tmp_path)
    (tmp_path / "layout.yaml").write_text(MOUSE)
    reader = open_data(tmp_path)
    assert reader.origin.format == "deeplabcut" and reader.names == ("m1",)
    same(reader.read(0), poses[:, :, [0, 4, 3, 1]])
    assert open_file(tmp_path / "m1DLC_resnet50_mouseMay1shuffle1_1000.csv").layout == reader.layout


def test_deeplabcut_of_several_animals(tmp_path):
    poses = walkers(joints=4)
    poses[1, 2, :, :2] = np.nan  # not found, though its likelihood is 1
    poses[1, 2, :, 2] = 1
    poses[0, 3, 1] = np.nan
    joints = ["nose", "left_ear", "right_ear", "tail"]
    path = tmp_path / "m1DLC_x.csv"
    write_deeplabcut(path, poses, joints, ("ann", "bob"))
    (tmp_path / "layout.yaml").write_text(MOUSE)
    clip = open_deeplabcut(tmp_path).read(0)
    assert clip.num_bodies == 2 and clip.num_frames == 6
    missing = [[0, 3, 1], *([1, 2, joint] for joint in range(4))]
    assert np.argwhere(~clip.mask).tolist() == missing
    path.write_text(path.read_text().replace("nose", "snout"))
    with pytest.raises(InputError, match="no 'nose' of layout"):
        open_deeplabcut(tmp_path).read(0)


def test_labels_of_deeplabcut_have_no_likelihood(tmp_path):
    poses = walkers(joints=4, bodies=1)
    write_deeplabcut(
        tmp_path / "a.csv", poses, ["nose", "left_ear", "right_ear", "tail"], scored=False
    )
    (tmp_path / "layout.yaml").write_text(MOUSE)
    clip = open_deeplabcut(tmp_path).read(0)
    np.testing.assert_allclose(clip.pos, poses[..., :2], rtol=1e-6)


def test_bad_rows_of_deeplabcut_are_named(tmp_path):
    path = tmp_path / "a.csv"
    write_deeplabcut(path, walkers(joints=4, bodies=1), ["nose", "left_ear", "right_ear", "tail"])
    (tmp_path / "layout.yaml").write_text(MOUSE)
    good = path.read_text()
    first = good.splitlines()[3].split(",")[1]
    path.write_text(good.replace(first, "much", 1))
    with pytest.raises(InputError, match="line 4: 'much' where a number should be"):
        open_deeplabcut(tmp_path)
    path.write_text("\n".join(good.splitlines()[:3]))
    with pytest.raises(InputError, match="no row of numbers"):
        open_deeplabcut(tmp_path)


def test_alphapose_in_other_formats(tmp_path):
    poses = walkers(joints=18)
    for name, people, joints in (
        ("open", "people", "pose_keypoints_2d"),
        ("cmu", "bodies", "joints"),
    ):
        content = {
            f"{frame}.jpg": {
                "version": 0.1,
                people: [{joints: each.ravel().tolist()} for each in poses[:, frame]],
            }
            for frame in range(6)
        }
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(content))
        reader = open_data(path)
        assert reader.origin.format == "alphapose" and reader.layout is get_layout("openpose18")
        same(reader.read(0), poses)


def test_frames_without_anybody_are_missing_and_empty_results_dropped(tmp_path):
    poses = walkers(frames=10, joints=17, bodies=1)
    write_alphapose(tmp_path / "a.json", poses)
    found = json.loads((tmp_path / "a.json").read_text())
    kept = [each for each in found if each["image_id"] not in ("3.jpg", "4.jpg")]
    (tmp_path / "a.json").write_text(json.dumps(kept))
    (tmp_path / "b.json").write_text("[]")
    reader = open_data(tmp_path)
    clip = reader.read(0)
    assert np.flatnonzero(~clip.mask.any(axis=(0, 2))).tolist() == [3, 4] and clip.num_frames == 10
    summary = prepare(reader, tmp_path / "store")
    assert (summary.read, [name for name, _ in summary.dropped]) == (1, ["b"])


@pytest.mark.parametrize(
    ("cell", "bodies"),
    [("{}_x,{}_y", 1), ("{}.x,{}.y,{}.score", 2), ("{} X,{} Y,{} likelihood", 1)],
)
def test_wide_tables(tmp_path, cell, bodies):
    poses = walkers(joints=4, bodies=bodies)
    joints = ["nose", "left_ear", "right_ear", "tail"]
    scored = cell.count(",") == 2
    head = ",".join(cell.replace("{}", joint) for joint in joints)
    rows = [("track,frame_idx,instance.score," if bodies == 2 else "") + head]
    for frame in range(6):
        for body in range(bodies):
            values = poses[body, frame, :, : 2 + scored].ravel()
            start = f"mouse{body},{frame + 5},0.9," if bodies == 2 else ""
            rows.append(start + ",".join(map(str, values)))
    (tmp_path / "m1.csv").write_text("\n".join(rows))
    with pytest.raises(InputError, match=r"no layout\.yaml in it"):
        open_data(tmp_path)
    (tmp_path / "layout.yaml").write_text(MOUSE)
    reader = open_data(tmp_path)
    assert reader.origin.format == "wide" and reader.names == ("m1",)
    clip = reader.read(0)
    np.testing.assert_allclose(clip.pos, poses[..., : 2 + scored], rtol=1e-6)
    assert clip.scored == scored and clip.mask.all()


def test_wide_tables_with_gaps(tmp_path):
    (tmp_path / "layout.yaml").write_text(MOUSE)
    head = "frame;nose_x;nose_y;left_ear_x;left_ear_y;right_ear_x;right_ear_y;tail_x;tail_y"
    (tmp_path / "a.csv").write_text(head + "\n0;1,5;2;3;4;5;6;7;8\n2;1;2;;;5;6;7;8\n")
    clip = open_wide(tmp_path).read(0)
    assert clip.pos[0, 0, 0].tolist() == [1.5, 2] and clip.num_frames == 3
    assert np.argwhere(~clip.mask[0]).tolist() == [*([1, joint] for joint in range(4)), [2, 1]]
    (tmp_path / "a.csv").write_text(head + "\n0;much;2;3;4;5;6;7;8\n")
    with pytest.raises(InputError, match="line 2: 'much' where a number should be"):
        open_wide(tmp_path)


def test_a_folder_for_each_class(tmp_path):
    for number in range(4):
        write_openpose(tmp_path / ("wave", "walk")[number % 2] / f"v{number}", walkers(seed=number))
    reader = open_data(tmp_path, labels="folder")
    assert reader.class_names == ("walk", "wave") and list(reader.labels) == [0, 0, 1, 1]
    assert set(open_data(tmp_path).labels) == {-1}
    write_openpose(tmp_path / "v9", walkers())
    with pytest.raises(InputError, match=r"'v9' is in no folder.*--options\.labels"):
        open_data(tmp_path, labels="folder")
    with pytest.raises(InputError, match="labels must be one of table, folder"):
        open_data(tmp_path, labels="names")


@pytest.mark.slow
def test_mutants():
    def make(folder):
        write_openpose(folder / "o", walkers(frames=2))
        return sorted((folder / "o").iterdir())

    good, bad = check_reader(make, open_openpose, 4000, seed=1)
    assert good > 100 and bad > 1000


@pytest.mark.parametrize("name", ["x.json", "x.csv", "x_keypoints.json"])
def test_a_folder_that_holds_itself_holds_no_results(tmp_path, name):
    (tmp_path / name).symlink_to(".")
    with pytest.raises(InputError):
        open_data(tmp_path)
