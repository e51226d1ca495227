from __future__ import annotations

import json
import pickle
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from asgcn_dgl.cli import main
from asgcn_dgl.data import Clip, open_data, open_store, prepare
from asgcn_dgl.errors import InputError
from asgcn_dgl.experiments.gallery import error_options
from asgcn_dgl.experiments.report import (
    _errors,
    _split,
    draw_clip,
    read_raw,
    write_report,
    write_view,
)
from asgcn_dgl.metrics import link_use
from asgcn_dgl.skeleton import get_layout
from asgcn_dgl.training.units import Unit
from asgcn_dgl.viz.charts import curve_panels


def data_of(path):
    text = path.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(found.group(1))


@pytest.fixture(scope="module")
def store(clips_root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores") / "store"
    prepare(open_data(clips_root, "synthetic"), folder)
    return folder


def test_report_of_a_run(run_dir, tmp_path, capsys):
    out = tmp_path / "new" / "report.html"
    assert main(["report", str(run_dir), f"--out={out}", "--clips=5"]) == 0
    assert re.search(
        rf"written: {out} \(\d\.\d MB\); open it in a browser", capsys.readouterr().out
    )
    data = data_of(out)
    scores = np.load(run_dir / "scores.npz")
    metrics = json.loads((run_dir / "metrics.json").read_text())
    assert [row["name"] for row in data["rows"]] == scores["names"].tolist()
    assert sum(row["clip"] >= 0 for row in data["rows"]) == len(data["clips"]) == 5
    for row in data["rows"]:
        if row["clip"] >= 0:
            assert data["clips"][row["clip"]]["name"] == row["name"]
    right = sum(row["label"] == row["results"][0]["predicted"] for row in data["rows"])
    assert 100 * right / 13 == pytest.approx(metrics["top1"], abs=1e-3)
    (run,) = data["runs"]
    assert np.trace(run["confusion"]) == right and np.sum(run["confusion"]) == 13
    assert run["cards"][0]["value"] == f"{metrics['top1']:.1f} %"
    titles = {"A-link inference: reconstruction loss", "recognition loss", "top-1 (%)"}
    assert set(run["curves"]) == titles
    assert dict(run["facts"])["Seed"] == "0"
    commands = dict(data["commands"])
    assert commands["Score the test clips again"] == f"asgcn-dgl evaluate {run_dir}"
    again = f"asgcn-dgl report {run_dir} --clips 5 --out {out}"
    assert commands["Make this page again"] == again
    clip = data["clips"][0]
    (model,) = clip["models"]
    assert model["links"]["types"] == 2 and clip["steps"] == 10 and model["response"]


def test_report_of_two_runs(run_dir, baseline_dir, tmp_path, capsys):
    out = tmp_path / "both.html"
    assert (
        main(["report", str(run_dir), str(baseline_dir), "--up=y", f"--out={out}", "--clips=3"])
        == 0
    )
    data = data_of(out)
    assert [run["name"] for run in data["runs"]] == ["tiny", "baseline"]
    for place, folder in enumerate((run_dir, baseline_dir)):
        scores = np.load(folder / "scores.npz")
        found = [row["results"][place]["predicted"] for row in data["rows"]]
        assert found == scores["probabilities"].argmax(axis=1).tolist()
    for clip in data["clips"]:
        ours, other = clip["models"]
        assert ours["links"] and other["links"] is None and ours["future"] and not other["future"]
    commands = dict(data["commands"])
    again = f"asgcn-dgl report {run_dir} {baseline_dir} --clips 3 --up=y --out {out}"
    assert commands["Make this page again"] == again
    both = [f"asgcn-dgl evaluate {folder}" for folder in (run_dir, baseline_dir)]
    assert commands["Score the test clips again"].split("\n") == both
    trained = commands["Train it again"].split("\n")
    assert len(trained) == 2 and all(line.endswith("_again") for line in trained)
    lines = data["subtitle"].split("\n")
    assert [line.split(":")[0] for line in lines] == ["tiny", "baseline"]
    assert all("checkpoint, epoch" in line for line in lines)


def test_errors_have_one_unit_and_few_digits():
    config = SimpleNamespace(clips=SimpleNamespace(unit=260.0))
    restored = SimpleNamespace(config=config)
    runs = [
        SimpleNamespace(
            restored=restored,
            history={"joint": {"val/mpjpe": {1: 0.05}}},
            metrics={"prediction": prediction},
        )
        for prediction in ({"mpjpe": 8.597, "zero_velocity": 18.59}, None)
    ]
    options = error_options(runs[0].restored.config, Unit("", 1.0))
    curves = curve_panels(runs[0].history, **options)
    assert curves == {"prediction error (unit of the recordings)": {"validation": {1: 13.0}}}
    assert error_options(runs[0].restored.config, Unit("mm", 10.0))["unit"] == "mm"
    assert _errors(runs, Unit("", 1.0)) == [("8.6", "18.6"), ()]


def test_runs_of_one_name_are_told_by_their_folders(run_dir, tmp_path):
    copy = shutil.copytree(run_dir, tmp_path / run_dir.name)
    page = write_report(run_dir, tmp_path / "both.html", other=copy, clips=1)
    assert [run["name"] for run in data_of(page)["runs"]] == [str(run_dir), str(copy)]


def test_a_forecaster_is_reported_alone(run_dir, tmp_path, monkeypatch):
    monkeypatch.setattr("asgcn_dgl.experiments.report.is_forecaster", lambda folder: True)
    with pytest.raises(InputError, match="a forecaster is reported alone; leave other out"):
        write_report(run_dir, tmp_path / "a.html", other="other")


def test_splits_are_told_in_words():
    assert _split("split") == "its own split"
    assert _split("xsub") == "split xsub (tested on other people)"
    assert _split("five_1") == "split five_1"


def test_types_that_link_everything_are_warned_of(run_dir, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(
        "asgcn_dgl.experiments.links.metrics.link_use",
        lambda chunks: link_use(np.full_like(each, [0.02, 0.95]) for each in chunks),
    )
    out = tmp_path / "report.html"
    assert main(["report", str(run_dir), f"--out={out}", "--clips=2"]) == 0
    (notice,) = data_of(out)["notices"]
    assert "type 2 links 100 % of all pairs" in notice and notice in caplog.text


def test_report_of_a_run_without_links_and_prediction(baseline_dir, tmp_path):
    own = shutil.copytree(baseline_dir, tmp_path / "own")
    assert main(["report", str(own), "--clips=1"]) == 0
    page = own / "report.html"
    (clip,) = data_of(page)["clips"]
    (model,) = clip["models"]
    assert model["links"] is None and model["future"] is None and model["response"]


def test_view_of_files_and_stores(clips_root, store, tmp_path, capsys):
    files = sorted(map(str, clips_root.glob("*P003*A01*.skeleton")))
    out = tmp_path / "view.html"
    assert main(["view", *files, str(store), f"--out={out}", "--clips=7"]) == 0
    assert f"7 of {39 + len(files)} clips, more with --clips" in capsys.readouterr().out
    data = data_of(out)
    assert data["kind"] == "clips"
    assert [row["name"] for row in data["rows"]][:2] == [file[-29:-9] for file in files[:2]]
    assert len({row["name"] for row in data["rows"]}) == 7
    assert data["clips"][0]["models"][0]["links"] is None
    assert data["rows"][0]["frames"] == data["clips"][0]["total"]


def test_view_of_a_format_by_name(clips_root, tmp_path):
    out = tmp_path / "view.html"
    arguments = ["view", str(clips_root), "--data=synthetic", f"--out={out}", "--clips=2"]
    assert main(arguments) == 0
    assert len(data_of(out)["clips"]) == 2


def test_clips_of_one_name_get_numbers(tmp_path):
    pos = np.random.default_rng(0).normal(size=(1, 4, 17, 2))
    clips = [Clip.from_positions("same", get_layout("coco17"), pos) for _ in range(3)]
    names = [clip["name"] for clip in data_of(write_view(clips, tmp_path / "a.html"))["clips"]]
    assert names == ["same", "same (2)", "same (3)"]


def test_real_recordings_pass(shared_data, tmp_path):
    files = sorted((shared_data / "ntu" / "raw").glob("*.skeleton"))
    clips, found = read_raw(files)
    assert found == len(clips) == 3
    data = data_of(write_view(clips, tmp_path / "a.html"))
    assert [clip["bodies"] for clip in data["clips"]].count(2) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["report", "RUN", "--out=x.pdf"], "x.pdf: give a name that ends in .html"),
        (["report", "RUN", "--clips=0"], "--clips must be at least 1, got 0"),
        (["report", "nowhere"], "nowhere: not the folder of a run"),
        (["report", "RUN", "--up=w"], "--up must be one of x, y, z, -x, -y, -z, got 'w'"),
        (["view", "nowhere.json"], "nowhere.json: cannot be read"),
        (["view", "nowhere.json", "--clips=0"], "--clips must be at least 1"),
        (["view", "nowhere", "--data=film"], "unknown format 'film'"),
        (["animate", "RUN", "--out=x.avi"], "x.avi: give a name that ends in .gif or .mp4"),
        (["animate", "RUN", "--out=x.gif"], "--clip is needed: a test clip's name, such as S00"),
        (["animate", "RUN", "--out=x.gif", "--clip=nobody"], "no test clip 'nobody'"),
        (["animate", "STORE", "--out=x.gif"], "--clip is needed: a recording's name"),
        (["animate", "STORE", "--out=x.gif", "--clip=nobody"], "no recording 'nobody'"),
        (["animate", "RUN", "--out=x.gif", "--rate=0"], "--rate must be above 0"),
        (["animate", "RUN", "--out=x.gif", "--threshold=1"], "--threshold must be from 0"),
    ],
)
def test_mistakes_give_one_line(run_dir, store, tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    places = {"RUN": str(run_dir), "STORE": str(store)}
    assert main([places.get(word, word) for word in arguments]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_animation_of_a_file(tmp_path):
    file = tmp_path / "a01_s01_e00_v03.json"
    poses = np.random.default_rng(0).normal(size=(4, 20, 3)).tolist()
    file.write_text(json.dumps({"file_name": file.stem, "skeletons": poses, "label": 1}))
    assert main(["animate", str(file), f"--out={tmp_path / 'file.gif'}"]) == 0
    assert (tmp_path / "file.gif").read_bytes().startswith(b"GIF8")


def test_a_film_without_ffmpeg_names_the_remedy(run_dir, tmp_path, monkeypatch, capsys):
    def missing():
        raise RuntimeError("an MP4 needs ffmpeg: pip install imageio-ffmpeg")

    monkeypatch.setattr("asgcn_dgl.viz.animation.find_ffmpeg", missing)
    name = np.load(run_dir / "scores.npz")["names"][1]
    assert main(["animate", str(run_dir), f"--clip={name}", f"--out={tmp_path / 'a.mp4'}"]) == 2
    assert "pip install imageio-ffmpeg" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_animation_of_a_clip_of_a_run(run_dir, store, tmp_path):
    name = np.load(run_dir / "scores.npz")["names"][1]
    for place in (run_dir, store):
        out = tmp_path / f"{place.name}.gif"
        assert main(["animate", str(place), f"--clip={name}", f"--out={out}"]) == 0
        assert out.read_bytes().startswith(b"GIF8")


def test_no_clip_is_refused(tmp_path):
    with pytest.raises(InputError, match="at least one clip"):
        write_view([], tmp_path / "a.html")


STANDING = """\
name: standing
joints: [hip, head, left_foot, right_foot, left_hand, right_hand]
bones: [[hip, head], [hip, left_foot], [hip, right_foot], [head, left_hand], [head, right_hand]]
"""


@pytest.fixture(scope="module")
def upright_set(tmp_path_factory):
    """An own set in metres with z up, of a layout without pose, spine or mirror."""
    folder = tmp_path_factory.mktemp("own") / "set"
    folder.mkdir()
    (folder / "layout.yaml").write_text(STANDING)
    rest = np.array(
        [[0.01, 0, 0.9], [0, 0, 1.7], [0.1, 0, 0.1], [-0.1, 0, 0.1], [0.5, 0, 0.8], [-0.5, 0, 0.8]]
    )
    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        pos = rest + 0.02 * rng.normal(size=(20, 6, 3))
        np.savez(folder / f"{name}.npz", keypoints=pos.astype(np.float32))
    (folder / "clips.csv").write_text("clip,label,split\none,wave,train\ntwo,walk,test\n")
    return folder


def test_people_stand_upright_in_every_picture(upright_set, tmp_path, monkeypatch):
    """In the page z is up; in drawings and animations the second coordinate is."""
    files = [str(upright_set / "one.npz")]
    page = tmp_path / "view.html"
    assert main(["view", *files, f"--out={page}"]) == 0
    (clip,) = data_of(page)["clips"]
    (_, _, z) = clip["whole"]
    assert z[1] > 1.6
    store = tmp_path / "own.store"
    assert main(["prepare", "--data=own", f"--root={upright_set}", f"--out={store}"]) == 0
    figure = draw_clip(open_store(store).read(0))
    (bones,) = (c for c in figure.axes[0].collections if isinstance(c, LineCollection))
    heights = np.array([segment[:, 1] for segment in bones.get_segments()])
    assert heights[0, 1] == heights.max()  # the bone from hip to head
    assert main(["inspect", str(store), "--plot=0", f"--out={tmp_path / 'a.png'}"]) == 0
    found = []
    monkeypatch.setattr(
        "asgcn_dgl.experiments.report.animate",
        lambda path, exhibit, **options: found.append(options["up"]) or path,
    )
    for option in ([], ["--up=-y"]):
        assert main(["animate", *files, f"--out={tmp_path / 'a.gif'}", *option]) == 0
    assert found == ["z", "-y"]


def test_view_of_what_predict_reads(upright_set, tmp_path, capsys):
    rows = ["clip,frame,joint,x,y,z"]
    rows += [
        f"rows,{t},{name},{k},{k},{t}" for t in range(5) for k, name in enumerate(["hip", "head"])
    ]
    (upright_set / "rows.csv").write_text("\n".join(rows) + "\n")
    pickled = {
        "frame_dir": "a", "label": 0, "total_frames": 9, "img_shape": (480, 640),
        "keypoint": np.random.default_rng(0).uniform(1, 400, size=(1, 9, 17, 2)),
        "keypoint_score": np.ones((1, 9, 17)),
    }  # fmt: skip
    (tmp_path / "set.pkl").write_bytes(
        pickle.dumps({"split": {"train": ["a"]}, "annotations": [pickled]})
    )
    places = [upright_set / "one.npz", upright_set / "rows.csv", tmp_path / "set.pkl"]
    clips, found = read_raw(places)
    (upright_set / "rows.csv").unlink()
    assert found == 3
    assert [clip.layout.name for clip in clips] == ["standing", "standing", "coco17"]


def test_an_own_file_without_layout_has_the_supplied_one_that_fits(tmp_path, capsys):
    pos = np.random.default_rng(0).normal(size=(9, 21, 3))
    file = tmp_path / "hand.npz"
    np.savez(file, keypoints=pos.astype(np.float32))
    ((clip,), _) = read_raw([file])
    assert clip.layout is get_layout("hand21")
    (tmp_path / "layout.yaml").write_text("coco17\n")
    out = tmp_path / "view.html"
    assert main(["view", str(file), f"--out={out}"]) == 2  # the layout beside it holds
    assert "layout" in capsys.readouterr().err and not out.exists()
    assert main(["view", str(file), f"--out={out}", "--options.layout=hand21"]) == 0
    assert data_of(out)["rows"][0]["frames"] == 9
