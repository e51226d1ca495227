"""Stores of the formats with layouts of their own, and raw files of them for a trained model."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from asgcn_dgl.cli import main
from asgcn_dgl.data import read_ntu
from asgcn_dgl.data.formats.bvh import read_bvh
from asgcn_dgl.data.formats.mocap import CMU, H36M
from asgcn_dgl.data.reader import Origin
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import SkeletonLayout, get_layout
from asgcn_dgl.training.clips import RunClips
from asgcn_dgl.training.config import ClipsConfig, RunConfig
from asgcn_dgl.training.predict import read_clips

ARM = SkeletonLayout.from_bones("arm", [("a", "b"), ("b", "c")])

BVH = """HIERARCHY
ROOT hip { OFFSET 0 0 0 CHANNELS 3 Zrotation Xrotation Yrotation
JOINT knee { OFFSET 0 -40 0 CHANNELS 3 Zrotation Xrotation Yrotation
End Site { OFFSET 0 -45 0 } } }
MOTION
Frames: 20
Frame Time: 0.04
"""


@pytest.fixture(scope="module")
def captures(tmp_path_factory):
    """Eight files of two classes with a table."""
    root = tmp_path_factory.mktemp("captures")
    rng = np.random.default_rng(0)
    rows = ["clip,label,subject,split"]
    for number in range(8):
        angles = 40 * rng.normal(size=(20, 6))
        lines = (" ".join(f"{x:.3f}" for x in row) for row in angles)
        (root / f"{number}.bvh").write_text(BVH + "\n".join(lines) + "\n")
        part = "train" if number < 6 else "test"
        rows.append(f"{number},{'kick' if number % 2 else 'step'},{number // 2},{part}")
    (root / "clips.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture(scope="module")
def run(captures, tiny, tmp_path_factory):
    """A model of them; the store that it was trained from is gone."""
    folder = tmp_path_factory.mktemp("bvh")
    store = folder / "store"
    prepare = ["prepare", "--data=bvh", f"--root={captures}", f"--out={store}"]
    assert main([*prepare, "--options.scale=0.01"]) == 0
    options = [option for option in tiny if not option.startswith(("--data", "--root"))]
    command = [*options, "--data=bvh", f"--root={store}", f"--out={folder / 'run'}"]
    assert main(command) == 0
    shutil.rmtree(store)
    return folder / "run"


def test_predict_reads_what_was_prepared(run, captures, tmp_path, capsys):
    out = tmp_path / "found.json"
    command = ["predict", str(run), str(captures / "6.bvh"), f"--out={out}"]

    def predict(*options):
        assert main([*command, *options]) == 0
        (found,) = json.loads(out.read_text())["clips"]
        return found

    found = predict()
    assert found["class"] in ("kick", "step") and found["frames"] == 20
    future = np.array(found["future"])
    assert future.shape == (1, 10, 3, 3)
    assert np.abs(future).max() < 5  # metres: the store's scale was taken
    assert predict("--options.scale=0.01") == found
    assert np.abs(predict("--options.scale=1.0")["future"]).max() > 50
    assert predict("--options.step=2")["frames"] == 10
    command.append("--options.size=2")
    assert main(command) == 2
    assert "no option 'size' for BVH files; there are scale" in capsys.readouterr().err


def test_a_skeleton_that_the_model_does_not_know(run, captures, tmp_path, capsys):
    other = tmp_path / "other.bvh"
    other.write_text((captures / "0.bvh").read_text().replace("knee", "wing"))
    assert main(["predict", str(run), str(other)]) == 2
    assert "is not one that the model was trained on" in capsys.readouterr().err


def test_training_takes_the_files_of_any_format(captures):
    clips = RunClips(RunConfig(data="bvh", root=str(captures), clips=ClipsConfig(num_frames=8)))
    assert clips.set.origins[0].format == "bvh" and clips.num_dims == 3
    assert len(clips.train_clips) and len(clips.held_out_clips)


def test_raw_files_of_own_data(tmp_path):
    pos = np.random.default_rng(0).normal(size=(4, 3, 2)).round(3)
    np.savez(tmp_path / "a.npz", keypoints=pos)
    hand = get_layout("hand21")
    (clip,) = read_clips(tmp_path / "a.npz", [hand, ARM])
    assert clip.layout is ARM
    rows = [
        f"{name},{frame},{joint},{x},{y}"
        for name in ("one", "two")
        for frame in range(4)
        for joint, (x, y) in zip("abc", pos[frame], strict=True)
    ]
    (tmp_path / "a.csv").write_text("clip,frame,joint,x,y\n" + "\n".join(rows))
    clips = read_clips(tmp_path / "a.csv", [ARM])
    assert [clip.name for clip in clips] == ["one", "two"]
    np.testing.assert_array_equal(clips[1].pos, clip.pos)
    pos[0, 0] = np.nan
    np.savez(tmp_path / "b.npz", keypoints=pos)
    with pytest.raises(InputError, match="is nan"):
        read_clips(tmp_path / "b.npz", [ARM], {"nan": "error"})
    assert not read_clips(tmp_path / "b.npz", [ARM])[0].mask.all()


@pytest.mark.parametrize("recorder", [CMU, H36M], ids=lambda recorder: recorder.name)
def test_motion_capture_is_told_by_its_columns(tmp_path, recorder):
    path = tmp_path / "walking_1.txt"
    row = ",".join(["0.1"] * recorder.columns)
    path.write_text(f"{row}\n" * 6)
    (clip,) = read_clips(path, [recorder.layout], {"step": 2, "root_motion": "none"})
    assert clip.layout is recorder.layout and clip.num_frames == 3
    np.testing.assert_array_equal(clip.pos[0, :, 0], 0)


def test_a_video_of_utkinect_is_parted_by_its_labels(tmp_path):
    path = tmp_path / "joints_s01_e02.txt"
    path.write_text("".join(f"{n} " + "0.5 " * 60 + "\n" for n in range(2, 22, 2)))
    (clip,) = read_clips(path, [])
    assert clip.num_frames == 10 and clip.label == -1
    (tmp_path / "actionLabel.txt").write_text("s01_e02\nwalk: 2 8\npull: 10 20\n")
    walk, pull = read_clips(path, [])
    assert (walk.name, walk.num_frames, pull.num_frames) == ("s01_e02_walk", 4, 6)
    assert read_clips(path, [], {"gaps": "interpolate"})[1].num_frames == 6
    with pytest.raises(InputError, match="no option 'step' for UTKinect files"):
        read_clips(path, [], {"step": 2})


def test_other_text_is_refused(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("hello world\n")
    with pytest.raises(InputError, match=r"a\.txt: not recognized as any of store"):
        read_clips(path, [ARM])
    for name in ("absent.bvh", "absent.csv", "absent.npz", "absent.txt"):
        with pytest.raises(InputError, match="cannot be read"):
            read_clips(tmp_path / name, [ARM])
    (tmp_path / "a.xml").write_text("<a>")
    with pytest.raises(InputError, match=r"a\.xml: not recognized"):
        read_clips(tmp_path / "a.xml", [ARM])


def test_a_bvh_takes_the_layout_of_the_model(captures):
    own = read_bvh(captures / "0.bvh").layout
    known = SkeletonLayout.from_dict({**own.to_dict(), "name": "mine"})
    (clip,) = read_clips(captures / "0.bvh", [ARM, known])
    assert clip.layout is known


def test_files_are_read_as_the_models_clips_were(tmp_path):
    """What was given comes first; options of other formats, and of the whole set, do not count."""
    path = tmp_path / "joints_s01_e02.txt"
    path.write_text("".join(f"{n} " + "0.5 " * 60 + "\n" for n in range(2, 42, 4)))
    origins = [Origin.of("bvh", step=3), Origin.of("utkinect", gaps="interpolate", other=1)]
    assert read_clips(path, [], None, origins)[0].num_frames == 19
    assert read_clips(path, [], {"gaps": "keep"}, origins)[0].num_frames == 10
    assert read_clips(path, [], None, origins[:1])[0].num_frames == 10
    origins.append(Origin.of("utkinect", gaps="keep"))
    with pytest.raises(InputError, match="with gaps=interpolate and gaps=keep; say which by --opt"):
        read_clips(path, [], None, origins)
    assert read_clips(path, [], {"gaps": "keep"}, origins)[0].num_frames == 10


def test_ntu_files_are_read_as_the_models_clips_were(clips_root):
    path = next(
        path for path in sorted(clips_root.rglob("*.skeleton")) if read_ntu(path).num_bodies == 2
    )
    origins = [Origin.of("ntu60", max_bodies=1, noise=("length",), drop=None)]
    assert read_clips(path, [])[0].num_bodies == 2
    assert read_clips(path, [], None, origins)[0].num_bodies == 1
    assert read_clips(path, [], {"max_bodies": 2}, origins)[0].num_bodies == 2
    for options, told in (
        ({"min_state": 7}, "min_state must be 0, 1 or 2"),
        ({"noise": 5}, "options of ntu120: "),
        ({"bodies": 1}, "no option 'bodies' for NTU files; there are max_bodies"),
    ):
        with pytest.raises(InputError, match=told):
            read_clips(path, [], options)


def test_nw_ucla_files_have_no_options(tmp_path):
    path = tmp_path / "a01_s01_e00_v01.json"
    pose = [[0.1, 0.2, 0.3]] * 20
    path.write_text(json.dumps({"file_name": path.stem, "skeletons": [pose] * 3, "label": 1}))
    assert read_clips(path, [], None, [Origin.of("nw_ucla", drop=None)])[0].num_frames == 3
    with pytest.raises(InputError, match="no option 'scale' for NW-UCLA files; there are none"):
        read_clips(path, [], {"scale": 2})


def test_another_store_is_compared(run, captures, tmp_path, caplog):
    """Figures on clips that were read in another way are warned of."""
    for name, scale in (("same", 0.01), ("other", 1.0)):
        command = ["prepare", "--data=bvh", f"--root={captures}", f"--out={tmp_path / name}"]
        assert main([*command, f"--options.scale={scale}"]) == 0
        caplog.clear()
        assert main(["evaluate", str(run), f"--root={tmp_path / name}"]) == 0
        warned = "was read as bvh with scale=1.0" in caplog.text
        assert warned == (name == "other")
