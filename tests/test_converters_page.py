"""The page of converters: each runs on generated files, and what it writes is read."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from estimated import walkers, write_alphapose, write_deeplabcut, write_openpose

from asgcn_dgl.data import open_data

PAGE = Path(__file__).resolve().parents[1] / "docs" / "data" / "converters.md"
COMMANDS = re.compile(r"^```sh\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
BLOCK = re.compile(r"^```(yaml|python)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
MOUSE = ["nose", "left_ear", "right_ear", "neck", "tail"]


@pytest.fixture
def page(tmp_path, monkeypatch):
    """What the page defines, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    found: dict = {}
    for kind, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if kind == "python":
            exec(compile(text, str(PAGE), "exec"), found)
        else:
            found["layout"] = text
    return found


def poses(frames=12, bodies=2, joints=5, dims=2, seed=0):
    rng = np.random.default_rng(seed)
    rest = (
        rng.uniform(0, 50, (bodies, 1, joints, dims)) + 300 * np.arange(bodies)[:, None, None, None]
    )
    return rest + rng.normal(size=(bodies, frames, joints, dims))


def write_layout(text):
    Path("layout.yaml").write_text(text)


def test_a_layout_of_deeplabcuts_configuration(page):
    bones = [["nose", "neck"], ["left_ear", "neck"], ["right_ear", "neck"], ["neck", "tail"]]
    for config in (
        {"Task": "mouse", "bodyparts": MOUSE, "skeleton": bones},
        {"Task": "m", "bodyparts": "MULTI!", "multianimalbodyparts": MOUSE, "skeleton": bones},
    ):
        Path("config.yaml").write_text(json.dumps(config))
        page["layout_of_config"]("config.yaml")
        np.savez("a.npz", keypoints=poses())
        assert open_data(".").layout.joints == tuple(MOUSE)


def test_sleap(page):
    write_layout(page["layout"])
    pos = poses()
    pos[1, 3:5, 2] = np.nan

    class Labels:
        def numpy(self):
            return pos.transpose(1, 0, 2, 3)

    page["from_sleap"](Labels(), "a.npz")
    clip = open_data(".").read(0)
    np.testing.assert_allclose(clip.pos, np.nan_to_num(pos), rtol=1e-6)
    assert not clip.mask[1, 3:5, 2].any() and clip.mask.sum() == clip.mask.size - 2
    for axes, array in (("TMVC", pos.transpose(1, 0, 2, 3)), ("MCVT", pos.transpose(0, 3, 2, 1))):
        np.savez("a.npz", keypoints=array)
        np.testing.assert_array_equal(open_data(".", axes=axes).read(0).pos, clip.pos)


def test_tables_of_sleap(page):
    pos = poses()
    head = [f"{node}.{axis}" for node in MOUSE for axis in ("x", "y", "score")]
    rows = [["track", "frame_idx", "instance.score", *head]]
    for frame in range(12):
        for body in range(2):
            cells = [f"{x},{y},0.9" for x, y in pos[body, frame]]
            cells[4] = ",," if frame == 7 else cells[4]
            rows.append([f"track_{body}", frame, 0.95, *cells])
    Path("video.csv").write_text("\n".join(",".join(map(str, row)) for row in rows))
    write_layout(page["layout"])
    clip = open_data(".").read(0)
    assert clip.pos.shape == (2, 12, 5, 3) and not clip.mask[:, 7, 4].any()
    np.testing.assert_allclose(clip.places[:, :7], pos[:, :7], rtol=1e-6)


def test_videopose3d(page):
    write_layout("h36m17\n")
    pos = poses(bodies=1, joints=17, dims=3)[0]
    np.save("poses.npy", pos)
    Path("set").mkdir()
    page["from_videopose3d"]("poses.npy", "set/a.npz")
    Path("layout.yaml").rename("set/layout.yaml")
    clip = open_data("set").read(0)
    assert clip.layout.name == "h36m17" and clip.meta["fps"] == 50
    np.testing.assert_allclose(clip.pos[0], pos, rtol=1e-6)


@pytest.mark.parametrize("video", [True, False])
def test_mmpose(page, video):
    pos = poses(joints=17)
    frames = [
        {
            "frame_id": frame,
            "instances": [
                {"keypoints": pos[body, frame].tolist(), "keypoint_scores": [0.5] * 17}
                for body in ((0, 1) if frame % 2 else (1, 0))
            ],
        }
        for frame in range(12)
    ]
    content = {"meta_info": {}, "instance_info": frames} if video else frames
    Path("results.json").write_text(json.dumps(content))
    Path("set").mkdir()
    page["from_mmpose"]("results.json", "set/video.json")
    clip = open_data("set").read(0)
    assert clip.layout.name == "coco17" and clip.name == "video"
    order = np.argsort(clip.pos[:, 0, 0, 0])
    np.testing.assert_allclose(clip.places[order], pos, rtol=1e-6)


def test_coco(page):
    pos = poses(joints=17)
    visible = np.full((2, 12, 17, 1), 2)
    content = {
        "images": [{"id": 100 + n, "file_name": f"v/{n:06d}.jpg"} for n in range(12)],
        "annotations": [
            {"image_id": 100 + n, "track_id": body, "keypoints": keypoints.ravel().tolist()}
            for n in range(12)
            for body, keypoints in enumerate(np.concatenate([pos, visible], axis=-1)[:, n])
        ],
    }
    Path("coco.json").write_text(json.dumps(content))
    Path("set").mkdir()
    page["from_coco"]("coco.json", "set/video.json")
    np.testing.assert_allclose(open_data("set").read(0).places, pos, rtol=1e-6)


def test_sbu(page):
    write_layout(page["SBU"])
    pos = np.random.default_rng(0).uniform(0, 1, (12, 2, 15, 3))
    rows = [",".join(map(str, [n, *frame.ravel()])) for n, frame in enumerate(pos, start=1)]
    Path("skeleton_pos.txt").write_text("\n".join(rows))
    Path("set").mkdir()
    page["from_sbu"]("skeleton_pos.txt", "set/a.npz")
    Path("layout.yaml").rename("set/layout.yaml")
    clip = open_data("set").read(0)
    x, y, z = pos[3, 1, 2]
    expected = [1280 - 2560 * x, 960 - 1920 * y, z * 10000 / 7.8125]
    np.testing.assert_allclose(clip.pos[1, 3, 2], expected, rtol=1e-5)


def test_pku_mmd(page):
    write_layout("ntu25\n")
    values = np.random.default_rng(0).normal(size=(40, 150))
    values[:, 75:] = 0  # nobody else
    Path("skeleton").mkdir()
    np.savetxt("skeleton/0002-L.txt", values)
    Path("labels.txt").write_text("3,2,11,2\n1,20,35,2\n")
    Path("set").mkdir()
    page["from_pku_mmd"]("skeleton/0002-L.txt", "labels.txt", "set")
    Path("layout.yaml").rename("set/layout.yaml")
    reader = open_data("set")
    assert reader.names == ("0002-L_0", "0002-L_1") and list(reader.labels) == [2, 0]
    clip = reader.read(0)
    assert clip.num_bodies == 1 and clip.num_frames == 10
    np.testing.assert_allclose(clip.pos[0, 0], values[2, :75].reshape(25, 3), rtol=1e-6)


def write_all(layout):
    """The folders that the page's commands name."""
    for number in range(8):
        who, label = ("anna", "ben", "carl")[number % 3], ("wave", "walk")[number % 2]
        name = f"{label}_{who if number else 'ben'}" if number < 2 else f"{label}_{who}_{number}"
        poses = walkers(frames=20, seed=number)
        write_openpose(Path("videos") / name, poses, name)
        write_alphapose(Path("results") / f"{name}.json", poses[..., :17, :])
        file = "m4DLC_resnet50.csv" if number == 0 else f"m{number + 9}DLC_resnet50.csv"
        write_deeplabcut(Path("mice") / file, poses[:1, :, :5], MOUSE)
    Path("mice/layout.yaml").write_text(layout)
    Path("tables").mkdir()
    Path("tables/layout.yaml").write_text(layout)
    head = ",".join(f"{joint}_x,{joint}_y" for joint in MOUSE)
    rows = [",".join(map(str, frame.ravel())) for frame in walkers(joints=5)[0, ..., :2]]
    Path("tables/a.csv").write_text("\n".join([head, *rows]))
    for folder in ("videos", "mice"):
        names = open_data(folder).names
        rows = [
            f"{name};{'ab'[n % 2]};{'test' if n > 5 else 'train'}" for n, name in enumerate(names)
        ]
        Path(folder, "clips.csv").write_text("\n".join(["sep=;", "clip;label;split", *rows]))


@pytest.mark.slow
def test_every_command_in_order(page, tiny, capsys):
    """From a folder of OpenPose's output, and from tables of DeepLabCut, to a trained model."""
    pytest.importorskip("pytorch_lightning")
    from asgcn_dgl.cli import main

    write_all(page["layout"])
    small = [option for option in tiny[1:] if not option.startswith(("--data", "--root"))]
    done = []
    for block in COMMANDS.findall(PAGE.read_text(encoding="utf-8")):
        for line in block.splitlines():
            program, command, *arguments = shlex.split(line)
            assert program == "asgcn-dgl"
            more = small if command == "train" else []
            assert main([command, *arguments, *more]) == 0, line
            done.append(command)
    assert done.count("train") == 2 and done.count("predict") == 2
    assert "0 dropped" in capsys.readouterr().out
    for run in ("openpose-1", "deeplabcut-1"):
        assert json.loads(Path("runs", run, "metrics.json").read_text())["clips"] == 2
