from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from PIL import Image

from asgcn_dgl import viz
from asgcn_dgl.skeleton import SkeletonLayout, get_layout
from asgcn_dgl.viz import animation
from asgcn_dgl.viz.figure import GREY, SECOND

SIDES = ("left", "right", "neither")
CHAIN = SkeletonLayout.from_bones(
    "chain", [("hip", "knee"), ("knee", "foot")], center="hip", pose=[[0, 2], [0, 1], [1, 0]]
)


def clip(**others):
    rng = np.random.default_rng(3)
    pos = rng.normal(size=(2, 6, 3, 3)) + np.asarray([[0, 2, 0], [0, 1, 0], [0, 0, 0]])
    return viz.Exhibit("walk", CHAIN, pos, np.ones((2, 6, 3), dtype=bool), 1, **others)


def full():
    rng = np.random.default_rng(4)
    links = np.zeros((2, 6, 6))
    links[0, 0, 2] = links[1, 5, 3] = 0.95
    future = rng.normal(size=(2, 2, 3, 3))
    future[1] = np.nan  # the second body has no prediction
    return clip(links=links, future=future, probabilities=np.array([0.7, 0.3]))


def test_gif_has_a_frame_for_each_of_the_clip(tmp_path):
    path = viz.animate(
        tmp_path / "new" / "a.gif", full(), class_names=["sit", "walk"], dpi=40, rate=25
    )
    with Image.open(path) as picture:
        assert picture.n_frames == 6
        assert picture.info["duration"] == 40
        first = np.asarray(picture.convert("RGB"))
        picture.seek(5)
        last = np.asarray(picture.convert("RGB"))
    assert (first != last).any()
    assert [file.name for file in path.parent.iterdir()] == ["a.gif"]


def test_gif_of_a_fast_clip_leaves_frames_out(tmp_path):
    with Image.open(viz.animate(tmp_path / "a.gif", clip(), rate=100, dpi=30)) as picture:
        assert picture.n_frames == 3
        assert picture.info["duration"] == 20


def test_frames_show_links_until_and_predictions_from_their_time():
    stage = animation.Stage(full(), ["sit", "walk"], 0.9, True, "y")
    stage.draw(0)
    bodies = len(stage.axis.collections)
    assert len(stage.axis.patches) == 2
    stage.draw(5)
    assert len(stage.axis.collections) == bodies + 4  # lines and joints of two predicted bodies
    assert stage.bar.texts[0].get_text() == "frame 5 of 5"


def test_sides_are_not_told_of_bodies_of_one_color():
    layout = get_layout("coco17")
    pos = np.asarray(layout.pose)[None, None] + np.zeros((2, 3, 1, 1))
    links = np.full((1, 34, 34), 0.5)
    clip = viz.Exhibit("pair", layout, pos, np.ones((2, 3, 17), dtype=bool), links=links)
    for drawn, told in ((True, ["body 2"]), (False, [*(f"body 1: {s}" for s in SIDES), "body 2"])):
        legend, _ = animation.Stage(clip, [], 0.9, drawn, "y").legends
        assert [text.get_text() for text in legend.get_texts()] == told


@pytest.mark.parametrize("links", [True, False])
def test_true_and_predicted_are_told_where_they_are_drawn(links):
    stage = animation.Stage(full(), ["sit", "walk"], 0.9, links, "y")

    def told():
        shown = [each for each in stage.fig.legends if each.get_visible()]
        return [text.get_text() for each in shown for text in each.get_texts()]

    def colors():
        bodies = [each for each in stage.axis.collections if isinstance(each, LineCollection)]
        return [to_hex(each.get_colors()[0]) for each in bodies if len(each.get_colors())]

    stage.draw(0)
    first, second = colors()
    assert told() == ["body 2"]
    assert second == SECOND.lower() and second not in (first, GREY.lower())
    stage.draw(5)
    assert told() == ["true", "predicted"]
    assert GREY.lower() in colors()
    assert "walk (walk), recognized as sit" in stage.fig.texts[0].get_text()
    without = animation.Stage(full(), (), 0.9, False, "y")
    without.draw(0)
    assert not without.axis.patches


def test_links_from_body_to_body_are_drawn_between_them():
    links = np.zeros((1, 6, 6))
    links[0, 4, 1] = 0.95  # the second body's knee hears from the first one's
    stage = animation.Stage(clip(links=links), (), 0.9, True, "y")
    stage.draw(0)
    (arc,) = stage.axis.patches
    start, end = arc._posA_posB
    np.testing.assert_allclose(start, stage.true[0, 0, 1])
    np.testing.assert_allclose(end, stage.true[1, 0, 1])


def test_mp4(tmp_path):
    try:
        animation.find_ffmpeg()
    except RuntimeError:
        pytest.skip("no ffmpeg on this machine")
    path = viz.animate(tmp_path / "a.mp4", clip(), dpi=31)
    assert path.read_bytes()[4:8] == b"ftyp"


def test_ffmpeg_of_a_package_comes_first(monkeypatch):
    package = SimpleNamespace(get_ffmpeg_exe=lambda: "/packaged/ffmpeg")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", package)
    assert animation.find_ffmpeg() == "/packaged/ffmpeg"
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    monkeypatch.setattr(animation.shutil, "which", lambda name: "/usr/bin/ffmpeg")
    assert animation.find_ffmpeg() == "/usr/bin/ffmpeg"


def test_mp4_without_ffmpeg_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    monkeypatch.setattr(animation.shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match="pip install imageio-ffmpeg, or install ffmpeg"):
        viz.animate(tmp_path / "a.mp4", clip())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "rate", "message"),
    [("a.avi", 30, r"must end in .gif or .mp4"), ("a.gif", 0, "rate must be positive")],
)
def test_misuse_is_named(tmp_path, name, rate, message):
    with pytest.raises(ValueError, match=message):
        viz.animate(tmp_path / name, clip(), rate=rate)
