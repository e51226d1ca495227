from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from asgcn_dgl.cli import main
from asgcn_dgl.data import Batch, ClipList, open_data
from asgcn_dgl.data.formats.mocap import CMU, H36M, read_angles
from asgcn_dgl.data.rotations import expmap_to_matrix, matrix_to_euler
from asgcn_dgl.models import Forecaster
from asgcn_dgl.skeleton import get_layout
from asgcn_dgl.training.checkpoint import load_checkpoint, load_model
from asgcn_dgl.training.config import ForecastConfig, RunConfig
from asgcn_dgl.training.forecasting import forecast_loss
from asgcn_dgl.training.forecasts import (
    PROTOCOLS,
    ForecastScores,
    horizon_frames,
    make_windows,
    score_forecasts,
)
from asgcn_dgl.training.preparation import TakeLayout

TINY = [
    "--model.channels=[8,8]",
    "--trainer.epochs=2",
    "--trainer.batch_size=8",
    "--forecast.windows=32",
    "--trainer.accelerator=cpu",
    "--trainer.precision=32-true",
    "--trainer.progress=off",
]


def write(path, recorder, frames, seed):
    """A recording that swings: a pose, and sines of a few joints."""
    random = np.random.default_rng(seed)
    time = np.arange(frames)[:, None] / 50
    values = 0.2 * random.normal(size=(1, recorder.columns)) * np.sin(6 * time + 1)
    values[:, :6] = random.normal(size=6)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(",".join(f"{v:.6g}" for v in row) + "\n" for row in values))


@pytest.fixture(scope="module")
def cmu_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("cmu")
    for number, action in enumerate(("walking", "soccer")):
        for n in (1, 2, 3):
            write(root / "train" / action / f"{action}_{n}.txt", CMU, 90 + 10 * n, 7 * number + n)
        write(root / "test" / action / f"{action}_1.txt", CMU, 180, 100 + number)
    return root


@pytest.fixture(scope="module")
def run(cmu_root, tmp_path_factory):
    """A run that nobody changes."""
    folder = tmp_path_factory.mktemp("runs") / "cmu"
    arguments = ["train", "--data=cmu", f"--root={cmu_root}", f"--out={folder}", *TINY]
    assert main([*arguments, "--clips.validation=replication"]) == 0
    return folder


def weights(folder):
    return load_checkpoint(folder / "checkpoints" / "last.ckpt")["state_dict"]


def test_a_run_says_what_the_protocol_asks_for(run):
    found = json.loads((run / "metrics.json").read_text())
    assert found["dataset"] == "cmu" and found["protocol"] == "folders"
    assert found["joints"] == {"modeled": 25, "all": 38}
    assert found["horizons_ms"] == [80, 160, 320, 400, 560, 1000]
    assert set(found["actions"]) == {"walking", "soccer"}
    for row in found["actions"].values():
        assert row["windows"] == 90 - 34
        for kind in ("all_windows", "eight_windows"):
            share = np.divide(row[kind]["mpjpe"], row[kind]["mpjpe_modeled"])
            np.testing.assert_allclose(share, 25 / 38, rtol=1e-5)
    mean = np.mean([row["all_windows"]["mpjpe"] for row in found["actions"].values()], axis=0)
    np.testing.assert_allclose(found["average"]["mpjpe"], mean)
    held = json.loads((run / "validation.json").read_text())
    assert held["split"] == "validation" and held["clips"] == 2 and held["seconds"]["forecast"] > 0
    lines = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert all(line["val/mpjpe"] > 0 for line in lines)


def test_zero_velocity_by_hand(cmu_root, run):
    """From the files: every second frame from the first, the root held, 38 joints."""
    reader = open_data(cmu_root, "cmu", root_motion="none", rest_pose="keep")
    (place,) = (n for n, name in enumerate(reader.names) if name == "test_walking_1")
    pos = reader.read(place).pos[0, ::2].astype(np.float64)
    kept = [CMU.layout.joints.index(joint) for joint in get_layout("cmu25").joints]
    errors = [
        [np.linalg.norm(pos[s + 9 + t, kept] - pos[s + 9, kept], axis=-1).sum() / 38
         for t in (2, 4, 8, 10, 14, 25)]
        for s in range(len(pos) - 34)
    ]  # fmt: skip
    row = json.loads((run / "metrics.json").read_text())["actions"]["walking"]
    np.testing.assert_allclose(row["all_windows"]["zero_velocity"], np.mean(errors, 0), rtol=1e-4)
    random = np.random.RandomState(1234567890)
    eight = [random.randint(0, len(pos) - 75) + 40 for _ in range(8)]
    expected = np.mean([errors[start] for start in eight], axis=0)
    np.testing.assert_allclose(row["eight_windows"]["zero_velocity"], expected, rtol=1e-4)


def test_training_is_repeatable(cmu_root, run, tmp_path):
    arguments = ["train", "--data=cmu", f"--root={cmu_root}", *TINY]
    arguments += ["--clips.validation=replication", "--no-evaluate"]
    once = tmp_path / "once"
    assert main([*arguments, f"--out={once}"]) == 0
    for name, value in weights(run).items():
        assert torch.equal(value, weights(once)[name]), name
    other = tmp_path / "other"
    assert main([*arguments, f"--out={other}", "--trainer.seed=1"]) == 0
    assert any(not torch.equal(v, weights(other)[name]) for name, v in weights(run).items())


def test_a_resumed_run_is_that_of_one_sitting(cmu_root, tmp_path):
    """A constant rate, since the schedule of a run of one epoch is another."""
    arguments = ["train", "--data=cmu", f"--root={cmu_root}", *TINY, "--no-evaluate"]
    arguments += ["--optim.schedule=constant", "--optim.warmup_epochs=0", "--model.num_actional=1"]
    one, two = tmp_path / "one", tmp_path / "two"
    assert main([*arguments, f"--out={one}"]) == 0
    assert main([*arguments, f"--out={two}", "--trainer.epochs=1"]) == 0
    assert main(["train", "--resume", f"--out={two}", "--trainer.epochs=2", "--no-evaluate"]) == 0
    for name, value in weights(one).items():
        assert torch.equal(value, weights(two)[name]), name


def test_published_figures_stand_beside_ours(run, capsys):
    assert main(["evaluate", str(run), "--compare"]) == 0
    text = capsys.readouterr().out
    assert "zero velocity" in text and "8 samples" in text and "all windows" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["LTD", "6.6", "10.7", "17.4", "20.4", "34.4"] in rows
    assert ["MSR-GCN", "10.9", "19.5", "37.1", "46.4", "99.3"] in rows
    assert not any(row[:1] == ["basketball"] for row in rows)


def test_other_runs_have_no_published_figures(trained, capsys):
    assert main(["evaluate", str(trained), "--compare"]) == 2
    assert "--compare" in capsys.readouterr().err


def test_human36m_runs_the_same_way(tmp_path, capsys):
    root = tmp_path / "h36m"
    for subject in (1, 5, 6):
        for action in ("walking", "eating"):
            for n in (1, 2):
                write(root / f"S{subject}" / f"{action}_{n}.txt", H36M, 360, subject + n)
    out = tmp_path / "run"
    assert main(["train", "--data=h36m", f"--root={root}", f"--out={out}", *TINY]) == 0
    found = json.loads((out / "metrics.json").read_text())
    assert found["joints"] == {"modeled": 22, "all": 32} and found["protocol"] == "s5"
    for row in found["actions"].values():
        assert row["windows"] == 2 * (180 - 34)
        assert len(row["eight_windows"]["mpjpe"]) == 6
    assert main(["evaluate", str(out), "--compare"]) == 0
    assert "no published figures" in capsys.readouterr().out


def test_any_set_can_be_forecast(clips_root, tmp_path):
    """Two bodies, other layouts, no protocol."""
    out = tmp_path / "run"
    assert main(["train", "--data=synthetic", f"--root={clips_root}", f"--out={out}",
                 "--model.name=forecaster", "--model.past_frames=6", "--model.future_frames=10",
                 "--model.num_actional=2", *TINY]) == 0  # fmt: skip
    found = json.loads((out / "metrics.json").read_text())
    assert found["joints"]["modeled"] == found["joints"]["all"]
    assert found["average"]["mpjpe"] == pytest.approx(found["average"]["mpjpe_modeled"])


@pytest.mark.parametrize(
    ("name", "part", "whole", "twins"),
    [
        # Joints 16, 20, 23, 24, 28 and 31 lie on these.
        ("h36m", "h36m22", "h36m32", (13, 19, 22, 13, 27, 30)),
        # Joints 16, 20, 29, 24, 27, 33 and 36.
        ("cmu", "cmu25", "cmu38", (15, 15, 15, 23, 23, 32, 32)),
    ],
)
def test_joints_on_a_forecast_one_have_its_error_in_published_means(name, part, whole, twins):
    layout, whole = get_layout(part), get_layout(whole)
    recorded, published = PROTOCOLS[name].weights(layout.joints)
    expected = {joint: 1 for joint in layout.joints}
    for twin in twins:
        expected[whole.joints[twin]] += 1
    size = whole.num_joints
    assert published == pytest.approx([expected[joint] / size for joint in layout.joints])
    assert recorded == pytest.approx([1 / size] * layout.num_joints)


def test_loss_by_hand():
    random = np.random.default_rng(0)
    future, target = random.normal(size=(2, 2, 4, 3))
    last = random.normal(size=(2, 3))
    mask = np.array([[1, 1, 1, 1], [1, 0, 1, 1]], dtype=bool)
    weight = np.arange(1, 5) ** -0.5
    weight /= weight.mean()
    total = 0.0
    for n in range(2):
        for t in range(4):
            if not mask[n, t]:
                continue
            total += weight[t] * np.linalg.norm(future[n, t] - target[n, t])
            if t and not mask[n, t - 1]:
                continue
            before = (last[n], last[n]) if t == 0 else (future[n, t - 1], target[n, t - 1])
            speeds = (future[n, t] - before[0]) - (target[n, t] - before[1])
            total += 2.0 * weight[t] * np.linalg.norm(speeds)
    options = ForecastConfig(speed_weight=2.0, horizon_power=0.5)
    tensors = [torch.from_numpy(each) for each in (future, target, mask, last)]
    tensors[1][1, 1] = torch.nan  # unknown
    assert float(forecast_loss(*tensors, options)) == pytest.approx(total / 7)


def test_loss_has_a_gradient_where_nothing_is_wrong():
    target, mask = torch.randn(2, 4, 3), torch.ones(2, 4, dtype=torch.bool)
    future = target.clone().requires_grad_()
    forecast_loss(future, target, mask, torch.zeros(2, 3)).backward()
    assert bool(torch.isfinite(future.grad).all())


def test_scores_leave_out_what_is_unknown():
    layout = get_layout("hand21")
    structure = Forecaster(layout, 2, channels=[4]).graph_builder.structure(layout, [1, 2])
    target, last = torch.zeros(63, 2, 2), torch.ones(63, 2)
    mask = torch.ones(63, 2, dtype=torch.bool)
    mask[5:21, 1] = False
    future = torch.zeros(63, 2, 2)
    future[:5, 1, 0] = 3.0
    batch = Batch(
        structure,
        torch.zeros(63, 1, 2),
        None,
        torch.tensor([0, 1]),
        last,
        target,
        mask,
        ["a", "b"],
        torch.tensor([1, 2]),
    )
    scores = ForecastScores(np.full((2, 21), 1 / 21))
    scores.update(batch, future)
    errors = scores.errors()
    np.testing.assert_allclose(errors[0, :3], [[0, 3]] * 3, atol=1e-6)
    np.testing.assert_allclose(errors[:, 3:], 2**0.5, rtol=1e-6)


def test_forecasts_do_not_depend_on_the_size_of_batches(run, cmu_root):
    restored = load_model(run / "checkpoints" / "last.ckpt")
    clips = open_data(cmu_root, "cmu", root_motion="none")
    windows = make_windows(ClipList.load(clips, [0]), restored.config)
    found = []
    for size in (7, 64):
        config = RunConfig.from_dict(restored.config.to_dict())
        config.trainer.eval_batch_size = size
        found.append(score_forecasts(restored.model, windows, config, "test").errors())
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)


def test_horizons():
    assert horizon_frames(25, 25.0) == {80: 2, 160: 4, 320: 8, 400: 10, 560: 14, 1000: 25}
    assert horizon_frames(10, 30.0) == {80: 2, 160: 5, 320: 10}


def test_layouts_of_some_joints(cmu_root):
    clip = open_data(cmu_root, "cmu", root_motion="none").read(0)
    part = TakeLayout(get_layout("cmu25"))(clip)
    kept = [clip.layout.joints.index(joint) for joint in part.layout.joints]
    assert len(kept) == 25 and np.array_equal(part.pos, clip.pos[:, :, kept])


def test_mistakes_are_named(cmu_root, tmp_path, capsys):
    base = ["train", "--data=cmu", f"--root={cmu_root}", f"--out={tmp_path / 'run'}", *TINY]
    for extra, text in (
        ("--trainer.accumulate=2", "accumulate"),
        ("--trainer.devices=2", "devices"),
        ("--model.future_frames=400", "400"),
        ("--clips.layout=ntu25", "ntu25"),
        ("--forecast.slow=0", "forecast.slow"),
    ):
        assert main([*base, extra]) == 2
        assert text in capsys.readouterr().err


def test_predict_goes_on_from_the_last_frames(run, cmu_root, tmp_path, capsys):
    file = cmu_root / "test" / "walking" / "walking_1.txt"
    out = tmp_path / "found.json"
    for wanted in (None, 3, 40):
        extra = [] if wanted is None else ["--future", str(wanted)]
        assert main(["predict", str(run), str(file), "--out", str(out), *extra]) == 0
        (clip,) = json.loads(out.read_text())["clips"]
        assert np.shape(clip["future"]) == (1, wanted or 25, 25, 3) and clip["class"] is None
    restored = load_model(run / "checkpoints" / "last.ckpt")
    recorded = TakeLayout(get_layout("cmu25"))(
        open_data(file, "cmu", root_motion="none", rest_pose="drop").read(0)
    )
    seen = recorded.pos[0, 1::2][-10:] if recorded.num_frames % 2 == 0 else recorded.pos[0, ::2]
    feat = torch.from_numpy(seen[-10:].swapaxes(0, 1).copy())
    graph = restored.model.graph_builder.structure("cmu25")
    expected = restored.model(graph, feat, frames=40).future.detach().numpy()
    np.testing.assert_allclose(clip["future"][0], expected.swapaxes(0, 1), atol=1e-4)
    assert main(["predict", str(run), str(file), "--future", "0"]) == 2
    assert "--future" in capsys.readouterr().err


def test_a_prediction_head_predicts_what_it_was_trained_for(trained, clips_root, tmp_path, capsys):
    file = next(iter(sorted(clips_root.rglob("*.npz"))), None) or next(
        each for each in sorted(clips_root.rglob("*")) if each.is_file() and each.suffix != ".json"
    )
    out = tmp_path / "found.json"
    assert main(["predict", str(trained), str(file), "--out", str(out), "--future", "4"]) == 0
    assert np.shape(json.loads(out.read_text())["clips"][0]["future"])[1] == 4
    assert main(["predict", str(trained), str(file), "--future", "99"]) == 2
    assert "--future" in capsys.readouterr().err


def test_figures_and_report_show_forecasts(run, tmp_path, capsys):
    assert main(["figures", str(run), "--out", str(tmp_path)]) == 0
    names = {path.stem for path in tmp_path.glob("*.png")}
    assert names == {"prediction", "errors", "curves"}
    page = tmp_path / "report.html"
    assert main(["report", str(run), "--out", str(page), "--clips", "4"]) == 0
    text = page.read_text()
    assert "test_walking_1@" in text and "80 ms" in text
    assert main(["figures", str(run), "--only", "fig8"]) == 2
    assert "fig8" in capsys.readouterr().err


def test_weights_leave_and_come_back(run, cmu_root, tmp_path):
    assert main(["export", str(run), "--to", "pretrained", "--out", str(tmp_path / "model")]) == 0
    file = str(cmu_root / "test" / "walking" / "walking_1.txt")
    found = []
    for number, source in enumerate((run, tmp_path / "model")):
        out = tmp_path / f"{number}.json"
        assert main(["predict", str(source), file, "--out", str(out)]) == 0
        found.append(json.loads(out.read_text())["clips"][0]["future"])
    assert found[0] == found[1]
    assert Forecaster.from_pretrained(tmp_path / "model").class_names[0] == "basketball"


def test_angles_are_scored_by_euler_error(cmu_root, tmp_path, capsys):
    """The root zeroed, constant angles dropped, the length over all angles of a frame."""
    out = tmp_path / "run"
    arguments = ["train", "--data=cmu", f"--root={cmu_root}", f"--out={out}", *TINY]
    arguments += ["--forecast.form=angles", "--clips.layout=cmu38"]
    assert main([*arguments, "--clips.flip=0.5"]) == 2
    assert "clips.flip" in capsys.readouterr().err
    assert main([*arguments, "--clips.flip=0"]) == 0
    assert "Euler" in capsys.readouterr().out
    found = json.loads((out / "metrics.json").read_text())
    values = read_angles(cmu_root / "test" / "walking" / "walking_1.txt", CMU)[::2, 3:]
    values[:, :3] = 0
    euler = matrix_to_euler(expmap_to_matrix(values.reshape(len(values), -1, 3)))
    euler = euler.reshape(len(values), -1)
    errors = [
        [np.linalg.norm(euler[s + 9 + t] - euler[s + 9]) for t in (2, 4, 8, 10, 14, 25)]
        for s in range(len(values) - 34)
    ]
    row = found["actions"]["walking"]
    np.testing.assert_allclose(
        row["all_windows"]["zero_velocity_euler"], np.mean(errors, axis=0), rtol=1e-4
    )
    random = np.random.RandomState(1234567890)
    eight = [random.randint(0, len(values) - 75) + 40 for _ in range(8)]
    expected = np.mean([errors[start] for start in eight], axis=0)
    np.testing.assert_allclose(row["eight_windows"]["zero_velocity_euler"], expected, rtol=1e-4)


def test_commands_that_recognize_say_so(run, cmu_root, tmp_path, capsys):
    base = ["--data=cmu", f"--root={cmu_root}"]
    for command in (
        ["find-lr", *base],
        ["tables", "links", *base, f"--out={tmp_path / 'tables'}"],
        ["live", str(run)],
    ):
        assert main(command) == 2
        assert "recogni" in capsys.readouterr().err


def test_a_head_that_sees_the_last_frames_trains_and_predicts(tiny, clips_root, tmp_path):
    """Through warm-up, joint training, an average of the weights, evaluation and prediction."""
    run, out = tmp_path / "run", tmp_path / "found.json"
    options = ["--model.future_head=dct", "--model.past_frames=4", "--prediction.loss=distance"]
    assert main([*tiny, *options, "--optim.ema=0.9", f"--out={run}"]) == 0
    found = json.loads((run / "metrics.json").read_text())["prediction"]
    # It begins near the last pose repeated, and two epochs change little.
    assert found["mpjpe"] < 2 * found["zero_velocity"]
    file = min(clips_root.rglob("*.skeleton"))
    assert main(["predict", str(run), str(file), "--out", str(out), "--future", "4"]) == 0
    assert np.shape(json.loads(out.read_text())["clips"][0]["future"])[1] == 4
