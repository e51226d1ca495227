"""A recognizer gives what predict gives on the same window, whatever comes in."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from live.conftest import NAMES, walk

from asgcn_dgl import Recognizer
from asgcn_dgl.data import Clip
from asgcn_dgl.data.formats.estimates import estimated_clip
from asgcn_dgl.errors import InputError
from asgcn_dgl.live.engines import METADATA, OnnxEngine, TorchEngine
from asgcn_dgl.models import ASGCN
from asgcn_dgl.training import ClipsConfig, RunConfig
from asgcn_dgl.training.checkpoint import Restored
from asgcn_dgl.training.predict import predict_clip


def same(answer, expected):
    np.testing.assert_allclose(answer.probabilities, expected.probabilities, atol=1e-5)
    if answer.future is not None:
        assert answer.future.shape == expected.future.shape
        np.testing.assert_allclose(answer.future, expected.future, atol=1e-5)


@pytest.mark.parametrize(
    "clips",
    [
        {},
        {"sampling": "resize"},
        {"sampling": "pad"},
        {"sampling": "loop", "align": "pyskl"},
        {"align": "as-gcn", "stream": "bone"},
        {"missing": "interpolate", "sampling": "own", "stream": "joint_motion"},
        {"max_bodies": 1, "unit": 2.0},
    ],
    ids=str,
)
def test_a_growing_clip_is_what_predict_sees(restored, clips):
    held = restored(**clips)
    recognizer = Recognizer(TorchEngine(held), window=24, future=True)
    poses = walk(32, people=2)
    poses[5:9, 0, 3] = np.nan  # a joint is lost
    poses[20:23, 1] = np.nan  # and a person
    for number, frame in enumerate(poses):
        answer = recognizer.update(frame, ids=["a", "b"])
        assert answer.frame == number and answer.label in NAMES
        if number not in (0, 10, 22, 31):
            continue
        window = poses[max(0, number - 23) : number + 1].swapaxes(0, 1)
        clip = estimated_clip("window", held.model.layouts[0], window)
        same(answer, predict_clip(held, clip))
        assert set(answer.people) <= {"a", "b"} and len(answer.people) == len(answer.future)


def test_scores_are_coordinates_where_the_model_has_them(restored):
    held = restored("coco17", 3, scored=True)
    poses, scores = walk(20, 17, 2)[:, 0], np.random.default_rng(0).random((20, 17))
    scores[4, 2] = 0
    clip = estimated_clip("window", held.model.layouts[0], poses[None], scores[None])
    expected = predict_clip(held, clip)
    apart, together = (Recognizer(TorchEngine(held), window=20) for _ in range(2))
    for frame, score in zip(poses, scores, strict=True):
        one = apart.update(frame, score)
        two = together.update(np.concatenate([frame, score[:, None]], axis=1))
    same(one, expected)
    same(two, expected)


def test_answers_come_every_so_many_frames(engine):
    recognizer = Recognizer(engine(), every=5)
    given = [recognizer.update(frame) is not None for frame in walk(17)]
    assert np.flatnonzero(given).tolist() == [4, 9, 14]


def test_smoothing_is_a_mean_of_answers(engine):
    plain, smooth = Recognizer(engine(), window=8), Recognizer(engine(), window=8, smooth=0.5)
    expected = None
    for frame in walk(12):
        odds = plain.update(frame).probabilities
        expected = odds if expected is None else (expected + odds) / 2
        np.testing.assert_allclose(smooth.update(frame).probabilities, expected, atol=1e-6)


def test_nobody_is_no_answer(engine):
    recognizer = Recognizer(engine(), window=3)
    frame = walk(1)[0]
    assert recognizer.update(None) is None
    assert recognizer.update(np.full((25, 3), np.nan)) is None
    assert recognizer.update(frame) is not None
    assert recognizer.update([]) is not None  # still in the window
    recognizer.update([])
    assert recognizer.update(None) is None


def test_any_rate_of_frames_is_brought_to_that_of_training(restored):
    held = restored(future=0)
    times = np.sort(np.random.default_rng(1).uniform(0, 3, size=120))

    def pose(time):
        rest = walk(1)[0, 0]
        return rest + np.sin(time + np.arange(75).reshape(25, 3)) * 0.1

    recognizer = Recognizer(TorchEngine(held), window=20, rate=10.0)
    for time in times:
        answer = recognizer.update(pose(time), time=float(time))
    wanted = times[-1] - np.arange(20)[::-1] / 10
    window = np.stack([pose(time) for time in wanted])[None]
    clip = Clip.from_positions("window", held.model.layouts[0], window)
    # Interpolation is linear between frames 25 ms apart.
    np.testing.assert_allclose(
        answer.probabilities, predict_clip(held, clip).probabilities, atol=2e-3
    )
    regular = Recognizer(TorchEngine(held), window=20, rate=10.0)
    for number in range(30):
        answer = regular.update(pose(number / 10), time=number / 10)
    window = np.stack([pose(number / 10) for number in range(10, 30)])[None]
    clip = Clip.from_positions("window", held.model.layouts[0], window)
    same(answer, predict_clip(held, clip))


def test_a_pause_starts_the_window_anew(engine):
    recognizer, fresh = (Recognizer(engine(), max_pause=1.0, smooth=0.3) for _ in range(2))
    poses = walk(20)
    for number in range(10):
        recognizer.update(poses[number], time=number / 30)
    for number in range(10, 20):
        answer = recognizer.update(poses[number], time=5 + number / 30)
        expected = fresh.update(poses[number], time=number / 30)
    np.testing.assert_allclose(answer.probabilities, expected.probabilities, atol=1e-6)
    assert answer.frame == 19


def test_people_are_followed_where_nobody_names_them(restored):
    held = restored()
    named, tracked = (Recognizer(TorchEngine(held), window=20) for _ in range(2))
    rng = np.random.default_rng(0)
    for number, frame in enumerate(walk(20, people=3)):
        order = rng.permutation(3) if number else [0, 1, 2]
        one = named.update(frame, ids=[0, 1, 2])
        two = tracked.update(frame[order])
    assert set(two.people) == {0, 1, 2}
    np.testing.assert_allclose(one.probabilities, two.probabilities, atol=1e-5)


def test_frames_that_cannot_be_used_change_nothing(engine):
    recognizer, clean = Recognizer(engine()), Recognizer(engine())
    poses = walk(6)
    bad = [
        ({"keypoints": np.zeros((24, 3))}, "25 joints"),
        ({"keypoints": np.zeros((25, 2))}, "3 coordinates"),
        ({"keypoints": [["a"] * 3] * 25}, "numbers"),
        ({"keypoints": np.full((25, 3), np.inf)}, "finite"),
        ({"keypoints": poses[0], "scores": np.ones(3)}, "scores"),
        ({"keypoints": poses[0], "ids": [1, 2]}, "ids"),
        ({"keypoints": poses[0], "time": 0.0}, "time must rise"),
        ({"keypoints": poses[0], "time": float("nan")}, "time must be a number"),
        ({"keypoints": poses[0]}, "time must be given"),
    ]
    for number, frame in enumerate(poses):
        answer = recognizer.update(frame, time=1 + number / 30)
        expected = clean.update(frame, time=1 + number / 30)
        for given, text in bad:
            with pytest.raises(InputError, match=text):
                recognizer.update(**given)
    assert answer.frame == expected.frame
    np.testing.assert_array_equal(answer.probabilities, expected.probabilities)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"window": 0}, "window"),
        ({"every": 0}, "every"),
        ({"rate": 0.0}, "rate"),
        ({"smooth": 1.0}, "smooth"),
        ({"max_pause": 0.0}, "max_pause"),
        ({"layout": "coco17"}, "layout"),
    ],
)
def test_wrong_options_are_named(engine, options, name):
    with pytest.raises(ValueError, match=name):
        Recognizer(engine(), **options)


def test_future_is_refused_where_there_is_none(engine):
    with pytest.raises(ValueError, match="future"):
        Recognizer(engine(future=0), future=True)


def test_loads_what_predict_loads(restored, tmp_path):
    pytest.importorskip("safetensors")
    held = restored().described()
    held.model.save_pretrained(tmp_path / "model")
    one, two = (
        Recognizer.load(tmp_path / "model", window=9),
        Recognizer(TorchEngine(held), window=9),
    )
    for frame in walk(9):
        got, expected = one.update(frame), two.update(frame)
    np.testing.assert_array_equal(got.probabilities, expected.probabilities)
    assert one.class_names == tuple(NAMES)
    with pytest.raises(InputError, match=r"none\.onnx"):
        OnnxEngine(tmp_path / "none.onnx")


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from asgcn_dgl.models import STGCN
    from asgcn_dgl.models.exporting import ClipProgram, write_onnx
    from asgcn_dgl.training import ClipsConfig, RunConfig
    from asgcn_dgl.training.checkpoint import Restored

    torch.manual_seed(0)
    model = STGCN("ntu25", len(NAMES), 3, channels=(6,), strides=(1,)).eval()
    with torch.no_grad():
        model.recognition.linear.weight.normal_(std=2.0)
    config = RunConfig(clips=ClipsConfig(num_frames=12, align="view"))
    held = Restored(model, NAMES, config, 0, (), False).described()
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    write_onnx(ClipProgram(model, bodies=2), path)
    return path, held


def test_an_onnx_file_answers_as_the_model(onnx_file):
    path, held = onnx_file
    one, two = Recognizer.load(path, threads=1), Recognizer(TorchEngine(held))
    for frame in walk(14, people=2):
        got, expected = one.update(frame, ids=[1, 2]), two.update(frame, ids=[1, 2])
    np.testing.assert_allclose(got.probabilities, expected.probabilities, atol=1e-5)
    more = walk(3, people=4)
    for frame in more:  # more people than the file is for
        answer = one.update(frame, ids=[1, 2, 3, 4])
    assert len(answer.people) == 2


def test_an_onnx_file_needs_numpy_and_onnxruntime_alone(onnx_file, tmp_path):
    poses = tmp_path / "poses.npy"
    np.save(poses, walk(6))
    code = (
        "import sys, numpy as np; from asgcn_dgl import Recognizer\n"
        "recognizer = Recognizer.load(sys.argv[1])\n"
        "for frame in np.load(sys.argv[2]): answer = recognizer.update(frame)\n"
        "assert abs(answer.probabilities.sum() - 1) < 1e-5\n"
        "others = {'torch', 'dgl', 'scipy', 'networkx', 'pandas', 'yaml', 'jsonargparse'}\n"
        "assert not others & set(sys.modules), others & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(onnx_file[0]), str(poses)], check=True)


def test_scores_may_come_where_it_is_not_known_and_lack_where_they_are_needed(restored):
    poses, scores = walk(6, 17, 2)[:, 0], np.random.default_rng(0).random((6, 17))
    known, unknown = (
        restored("coco17", 3, scored=True),
        restored("coco17", 3, scored=None, align="center"),
    )
    one, two, bare = (Recognizer(TorchEngine(held)) for held in (known, unknown, known))
    for frame, score in zip(poses, scores, strict=True):
        same(two.update(frame, score), one.update(frame, score))
        answer = bare.update(frame)
    sure = Recognizer(TorchEngine(known))
    for frame in poses:
        expected = sure.update(frame, np.ones(17))
    same(answer, expected)


def test_a_rate_needs_times(engine):
    with pytest.raises(InputError, match="time must be given, since the recognizer has a rate"):
        Recognizer(engine(), rate=10.0).update(walk(1)[0])


def test_who_is_seen_between_the_frames_of_the_rate_alone_is_no_answer(engine):
    recognizer, nobody = Recognizer(engine(), rate=1.0, max_pause=9.0), np.full((25, 3), np.nan)
    assert recognizer.update(nobody, time=0.0, ids=None) is None
    assert recognizer.update(walk(1)[0], time=0.4) is not None
    for time in (0.6, 1.0):
        answer = recognizer.update(nobody, time=time)
    assert answer is None or not answer.people


def test_the_last_poses_of_a_head_of_coefficients_are_those_of_the_window():
    torch.manual_seed(0)
    sizes = {"channels": (6,), "strides": (1,), "num_actional": 0, "future_frames": 3}
    model = ASGCN("coco17", 3, 2, future_head="dct", past_frames=4, **sizes).eval()
    config = RunConfig(model=model.config, clips=ClipsConfig(num_frames=8, align="center"))
    held = Restored(model, NAMES, config, 0, (), False)
    recognizer = Recognizer(TorchEngine(held, threads=1), window=12, future=True)
    assert torch.get_num_threads() == 1
    poses = walk(12, 17, 2)[:, 0]
    for frame in poses:
        answer = recognizer.update(frame)
    same(answer, predict_clip(held, estimated_clip("window", model.layouts[0], poses[None])))


def test_an_onnx_file_that_cannot_be_used_is_named(onnx_file, tmp_path, monkeypatch):
    import onnx

    (tmp_path / "bad.onnx").write_bytes(b"none")
    with pytest.raises(InputError, match=r"bad\.onnx: not an ONNX file"):
        OnnxEngine(tmp_path / "bad.onnx")
    for change, text in (({"outputs": ["future"]}, "gives no logits"), (None, "does not say how")):
        held = onnx.load(onnx_file[0])
        (entry,) = (each for each in held.metadata_props if each.key == METADATA)
        entry.value = "{}" if change is None else json.dumps(json.loads(entry.value) | change)
        onnx.save(held, tmp_path / "other.onnx")
        with pytest.raises(InputError, match=rf"other\.onnx: {text}"):
            OnnxEngine(tmp_path / "other.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match="needs onnxruntime: pip install onnxruntime"):
        OnnxEngine(onnx_file[0])
