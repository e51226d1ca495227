"""The page holds what it was given, in few bytes, and asks nothing of the network."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import sys

import numpy as np
import pytest

from asgcn_dgl import viz
from asgcn_dgl.skeleton import get_layout
from asgcn_dgl.viz import page as module

LAYOUT = get_layout("coco17")


def exhibit(name="wave", bodies=2, frames=40, dims=3, steps=4, seed=0):
    rng = np.random.default_rng(seed)
    pos = np.asarray(LAYOUT.pose)[None, None] + 0.1 * rng.normal(size=(bodies, frames, 17, 2))
    if dims == 3:
        pos = np.concatenate([pos, 3 + 0.1 * rng.normal(size=pos[..., :1].shape)], axis=-1)
    mask = rng.uniform(size=pos.shape[:3]) < 0.9
    future = pos[:, frames - steps :] + 0.05
    future[-1] = np.nan
    links = np.zeros((2, 17 * bodies, 17 * bodies))
    for body in range(bodies):
        own = slice(17 * body, 17 * body + 17)
        links[:, own, own] = rng.dirichlet([1, 1, 1], size=(17, 17))[..., 1:].transpose(2, 0, 1)
    return viz.Exhibit(
        name, LAYOUT, pos, mask, 0, np.array([0.25, 0.75]), links,
        rng.uniform(size=(bodies, 5, 17)), np.linspace(0, frames - 1, 5), future if steps else None,
    )  # fmt: skip


def written(tmp_path, exhibits, **others):
    rows = [viz.Row(each.name, 0, 1, 0.75, 0.25) for each in exhibits]
    page = viz.Page("title", "subtitle", rows, exhibits, **others)
    return viz.write_page(tmp_path / "page.html", page).read_text(encoding="utf-8")


def data_of(text):
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(found.group(1))


def unpack(text):
    return np.frombuffer(gzip.decompress(base64.b64decode(text)), dtype=np.uint8)


def positions(text, bodies, unit):
    """What the page's own script makes of packed positions: (T, M, V, 3), NaN where missing."""
    raw = unpack(text).astype(np.uint16)
    low, high = raw.reshape(2, -1)
    change = (low | high << 8).reshape(-1, bodies * 17 * 3)
    whole = np.cumsum(change, axis=0, dtype=np.uint16).view(np.int16)
    points = whole.reshape(-1, bodies, 17, 3).astype(float)
    points[points[..., 0] == -32768] = np.nan
    return points * unit


def test_positions_come_back_within_a_step(tmp_path):
    clip = exhibit()
    facts = data_of(written(tmp_path, [clip], class_names=["wave", "clap"]))["clips"][0]
    points = positions(facts["pos"], 2, facts["unit"]).swapaxes(0, 1)
    assert (np.isfinite(points).all(axis=-1) == clip.mask).all()
    # x right (seen from the sensor), y away, z up, from a middle of the page's choice.
    expected = np.stack([-clip.pos[..., 0], clip.pos[..., 2], clip.pos[..., 1]], axis=-1)
    offset = (points - expected)[clip.mask]
    assert np.ptp(offset, axis=0).max() < 2 * facts["unit"]
    assert facts["unit"] < 1e-3
    future = positions(facts["models"][0]["future"], 2, facts["unit"]).swapaxes(0, 1)
    assert np.isnan(future[1]).all()
    moved = np.stack([-clip.future[0, ..., 0], clip.future[0, ..., 2], clip.future[0, ..., 1]], -1)
    assert future[0] - moved == pytest.approx(np.broadcast_to(offset[0], moved.shape), abs=1e-3)
    assert (facts["total"], facts["steps"], facts["frames"]) == (40, 4, list(range(40)))


@pytest.mark.parametrize("turned", [0.0, 0.9, 2.5, -1.5])
def test_the_first_view_is_from_the_front(tmp_path, turned):
    """The eye stands where the bodies face: their left appears on the viewer's right."""
    left, right = LAYOUT.index("left_shoulder"), LAYOUT.index("right_shoulder")
    pos = np.zeros((1, 5, 17, 3))
    pos[..., :2] = np.asarray(LAYOUT.pose) * [-1, 1]  # faces a Kinect, whose x grows to its left
    cos, sin = np.cos(turned), np.sin(turned)
    pos = pos @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    clip = viz.Exhibit("x", LAYOUT, pos, np.ones((1, 5, 17), dtype=bool))
    facts = data_of(written(tmp_path, [clip], up="y"))["clips"][0]
    points = positions(facts["pos"], 1, facts["unit"])[0, 0]
    eye = np.array([-np.sin(facts["turn"]), -np.cos(facts["turn"])])
    to_the_right = np.array([-eye[1], eye[0]])
    across = points[left, :2] - points[right, :2]
    assert across @ to_the_right == pytest.approx(np.linalg.norm(across), rel=1e-3)


def test_links_and_responses_come_back(tmp_path):
    clip = exhibit()
    facts = data_of(written(tmp_path, [clip], class_names=["wave", "clap"]))["clips"][0]
    (model,) = facts["models"]
    links = model["links"]
    values = unpack(links["values"]).reshape(links["blocks"], links["types"], 17, 17) / 255
    for body in range(2):
        assert values[body] == pytest.approx(clip.body_links(body), abs=0.003)
    response = unpack(model["response"]["values"]).reshape(5, 2, 17) / 255
    assert response.swapaxes(0, 1) == pytest.approx(clip.response / clip.response.max(), abs=0.003)
    assert model["probabilities"] == [[1, 0.75], [0, 0.25]]


def test_links_between_bodies_are_one_block(tmp_path):
    links = np.zeros((1, 34, 34))
    links[0, 3, 20] = 0.5
    clip = viz.Exhibit(
        "x", LAYOUT, np.zeros((2, 3, 17, 3)), np.ones((2, 3, 17), dtype=bool), links=links
    )
    (model,) = data_of(written(tmp_path, [clip]))["clips"][0]["models"]
    packed = model["links"]
    assert (packed["blocks"], packed["types"], packed["size"]) == (1, 1, 34)
    assert unpack(packed["values"]).reshape(34, 34)[3, 20] == 128


def test_flat_clips_stand_upright(tmp_path):
    clip = exhibit(dims=2, steps=0)
    image = viz.Exhibit("x", LAYOUT, clip.pos * [1, -1], clip.mask)
    for each in (clip, image):
        facts = data_of(written(tmp_path, [each]))["clips"][0]
        points = positions(facts["pos"], 2, facts["unit"])
        assert (np.nan_to_num(points[..., 1]) == 0).all() and facts["flat"]
        nose, ankle = LAYOUT.index("nose"), LAYOUT.index("left_ankle")
        assert np.nanmean(points[..., nose, 2]) > np.nanmean(points[..., ankle, 2]) + 1


def test_long_clips_leave_frames_out_but_none_of_the_future(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MOTION_BUDGET", 60 * 2 * 17 * 6)
    clip = exhibit(frames=300, steps=10)
    facts = data_of(written(tmp_path, [clip], class_names=["wave", "clap"]))["clips"][0]
    frames = facts["frames"]
    assert len(frames) <= 60 and frames[0] == 0
    assert frames[-10:] == list(range(290, 300))
    assert np.ptp(np.diff(frames[:-10])) <= 1
    assert len(positions(facts["pos"], 2, facts["unit"])) == len(frames)


def test_two_hundred_clips_stay_under_ten_megabytes(tmp_path):
    clips = [exhibit(f"clip{n}", frames=120, steps=10, seed=n) for n in range(200)]
    text = written(tmp_path, clips, class_names=["wave", "clap"], confusion=np.eye(2, dtype=int))
    assert len(text.encode()) < 10_000_000


def test_nothing_is_asked_of_the_network(tmp_path):
    text = written(tmp_path, [exhibit()])
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text).group(1)
    assert "default-src 'none'" in policy and "unsafe-eval" not in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
    script = text.rpartition("<script>")[2].partition("</script>")[0]
    library = re.search(r'id="library">(.*?)</script>', text, re.DOTALL).group(1)
    for code in (script.encode(), unpack(library).tobytes()):
        digest = base64.b64encode(hashlib.sha256(code).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", text.replace(library, ""))
    assert not re.findall(r"https?://|fetch\(|XMLHttpRequest|import\(|@import|url\(", script)
    assert "url(" not in text.partition("<style>")[2].partition("</style>")[0]


def test_what_is_shown_cannot_become_code(tmp_path):
    name = "</script><img src=x onerror=alert(1)>@script@"
    row = viz.Row(name, bodies=1, frames=3)
    path = viz.write_page(tmp_path / "page.html", viz.Page(name, name, [row], []))
    text = path.read_text(encoding="utf-8")
    assert "<img" not in text
    assert text.count("</script>") == 3
    data = data_of(text)
    assert data["title"] == data["rows"][0]["name"] == name
    assert data["kind"] == "clips"


def test_without_plotly_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    module._plotly.cache_clear()
    with pytest.raises(ImportError, match=r"pip install 'asgcn_dgl\[viz\]'"):
        written(tmp_path, [exhibit()])
    assert not list(tmp_path.iterdir())


def test_same_page_gives_same_bytes(tmp_path):
    assert written(tmp_path, [exhibit()]) == written(tmp_path, [exhibit()])


def test_clips_that_are_not_in_the_table_are_refused(tmp_path):
    with pytest.raises(ValueError, match="exhibits must be among the rows, got 'wave'"):
        viz.write_page(tmp_path / "page.html", viz.Page("t", "s", [], [exhibit()]))
    assert not list(tmp_path.iterdir())


def test_a_body_that_travels_is_followed(tmp_path):
    """The box is that of the body, and its path leads from end to end."""
    still = exhibit(bodies=1, steps=0)
    away = np.linspace(0, 20, 40)[None, :, None, None] * [1, 0, 0]
    walking = viz.Exhibit("walk", LAYOUT, still.pos + away, still.mask)
    facts = data_of(written(tmp_path, [still, walking]))["clips"]
    assert facts[0]["path"] is None and facts[0]["near"] == facts[0]["whole"]
    (low, high), (near, far) = facts[1]["whole"][0], facts[1]["near"][0]
    assert high - low > 20 and far - near < 5
    path = np.array(facts[1]["path"])
    points = positions(facts[1]["pos"], 1, facts[1]["unit"])[:, 0, :, 0]
    assert np.abs(points - path[:, :1])[walking.mask[0]].max() < far + 1
    assert np.ptp(path[:, 0]) > 15


def test_two_runs_on_the_same_clips(tmp_path):
    clips = [exhibit(f"clip{n}", seed=n) for n in range(2)]
    bare = [viz.Exhibit(each.name, LAYOUT, each.pos, each.mask, 0) for each in clips]
    rows = [viz.Row(each.name, 0, 0, 0.9, 0.9) for each in clips]
    confusion = np.eye(2, dtype=int)
    other = viz.Page("other", "", rows, bare, ["wave", "clap"], confusion=confusion)
    text = written(tmp_path, clips, class_names=["wave", "clap"], confusion=confusion, other=other)
    data = data_of(text)
    assert data["title"] == "title and other"
    assert [run["name"] for run in data["runs"]] == ["title", "other"]
    assert [result["predicted"] for result in data["rows"][0]["results"]] == [1, 0]
    first, second = data["clips"][0]["models"]
    assert first["links"] and second["links"] is None
    with pytest.raises(ValueError, match="other must be of the same clips"):
        written(tmp_path, clips[::-1], class_names=["wave", "clap"], other=other)
