from __future__ import annotations

import logging
import pickle

import numpy as np
import pytest
from fuzz import check_reader
from members import members
from scipy.spatial.transform import Rotation

from asgcn_dgl.data.formats.mocap import (
    CMU,
    H36M,
    angles_to_positions,
    open_cmu,
    open_h36m,
    read_angles,
    read_mocap,
)
from asgcn_dgl.errors import InputError

BOTH = pytest.mark.parametrize("recorder", [CMU, H36M], ids=lambda recorder: recorder.name)


def text(values):
    return "".join(",".join(f"{value:.9g}" for value in row) + "\n" for row in values)


def random_angles(recorder, frames=6, seed=0):
    values = 0.8 * np.random.default_rng(seed).normal(size=(frames, recorder.columns))
    values[:, :3] *= 10
    return values


def write(path, recorder, frames=6, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text(random_angles(recorder, frames, seed)))
    return path


@pytest.fixture
def cmu_root(tmp_path):
    for part in ("train", "test"):
        for number, action in enumerate(("walking", "soccer")):
            for n in (1, 2):
                write(tmp_path / part / action / f"{action}_{n}.txt", CMU, 5 + n, number)
        write(tmp_path / part / "walking_extra" / "walking_13.txt", CMU)
    return tmp_path


@BOTH
def test_columns_and_bones_belong_to_the_layout(recorder):
    layout = recorder.layout
    assert recorder.columns == 3 + 3 * layout.num_joints
    length = np.linalg.norm(recorder.offsets, axis=1)
    for left, right in layout.mirror:
        assert length[left] == pytest.approx(length[right], abs=40)  # a wrist of H36M differs
    assert list(recorder.actions) == sorted(recorder.actions)


@BOTH
def test_positions_follow_the_published_order(recorder, tmp_path):
    """Rows times matrices: x = x_p + o G_p, G = R G_p, with scipy's rotations, joint by joint."""
    values = random_angles(recorder)
    clip = read_mocap(write(tmp_path / "a.txt", recorder), recorder)
    parents, offsets = recorder.layout.parents, np.array(recorder.offsets)
    for frame, row in enumerate(values):
        turned, place = {}, {}
        for joint, parent in enumerate(parents):
            own = Rotation.from_rotvec(row[3 + 3 * joint : 6 + 3 * joint]).as_matrix()
            if parent < 0:
                turned[joint], place[joint] = own, row[:3] * recorder.unit
                continue
            turned[joint] = own @ turned[parent]
            place[joint] = place[parent] + offsets[joint] @ turned[parent]
        expected = np.stack([place[joint] for joint in range(len(parents))]) / 1000
        np.testing.assert_allclose(clip.pos[0, frame], expected, atol=1e-4)
    assert clip.mask.all() and clip.layout is recorder.layout


@BOTH
def test_bones_are_constant(recorder):
    pos = angles_to_positions(random_angles(recorder, 50), recorder)
    joint = np.arange(1, len(recorder.offsets))
    length = np.linalg.norm(pos[:, joint] - pos[:, recorder.layout.parents[joint]], axis=-1)
    expected = np.linalg.norm(recorder.offsets, axis=1)[1:] / 1000
    np.testing.assert_allclose(length, np.tile(expected, (50, 1)), atol=1e-9)


def test_the_root_may_be_held(tmp_path):
    values = random_angles(CMU)
    kept, turned, held = (angles_to_positions(values, CMU, root) for root in
                          ("keep", "turn", "none"))  # fmt: skip
    np.testing.assert_allclose(kept - kept[:, :1], turned, atol=1e-9)
    np.testing.assert_array_equal(turned[:, 0], 0)
    back = Rotation.from_rotvec(values[:, 3:6]).as_matrix()  # turned = held @ R
    np.testing.assert_allclose(held @ back, turned, atol=1e-9)
    clip = read_mocap(write(tmp_path / "a.txt", CMU), CMU, root_motion="none")
    assert clip.mask.all()  # at the origin, but seen


def test_every_second_frame(tmp_path):
    path = write(tmp_path / "a.txt", CMU, frames=7)
    whole, half = read_mocap(path, CMU), read_mocap(path, CMU, step=2)
    np.testing.assert_array_equal(half.pos, whole.pos[:, ::2])
    assert whole.meta["fps"] == 50 and half.meta["fps"] == 25


def test_the_pose_of_calibration_is_dropped(tmp_path):
    values = random_angles(CMU, 5)
    values[0, 3:] = 0
    values[0, [11, 29]] = 0.366519143
    path = tmp_path / "a.txt"
    path.write_text(text(values))
    dropped, kept = read_mocap(path, CMU), read_mocap(path, CMU, rest_pose="keep")
    assert (dropped.num_frames, kept.num_frames) == (4, 5)
    np.testing.assert_array_equal(dropped.pos, kept.pos[:, 1:])


def test_cmu_folders(cmu_root, caplog):
    with caplog.at_level(logging.WARNING):
        source = open_cmu(cmu_root)
    assert "2 files of walking_extra are left out" in caplog.text
    assert len(source) == 8 and source.layout.name == "cmu38"
    train, test = members(source, "folders")
    assert len(train) == len(test) == 4
    assert set(train) | set(test) == set(source.names)
    clip = source.read(source.names.index("test_walking_2"))
    assert source.class_names[clip.label] == "walking"
    assert clip.meta["replication"] == 2 and clip.num_frames == 7
    assert pickle.loads(pickle.dumps(source)).read(0).name == source.names[0]
    more = open_cmu(cmu_root, extra=True, step=2)
    assert len(more) == 10 and "train_extra_walking_13" in members(more, "folders")[0]
    assert more.stamp() != source.stamp()


def test_h36m_folders(tmp_path):
    for subject in (1, 5, 6, 11):
        for n in (1, 2):
            write(tmp_path / f"S{subject}" / f"sittingdown_{n}.txt", H36M)
    source = open_h36m(tmp_path)
    assert len(source) == 8
    assert members(source, "s5")[1] == ("S5_sittingdown_1", "S5_sittingdown_2")
    assert members(source, "s11")[1] == ("S11_sittingdown_1", "S11_sittingdown_2")
    assert source.splits["s5"].train == source.splits["s11"].train
    clip = source.read(0)
    assert source.class_names[clip.label] == "sittingdown"
    assert clip.pos.shape == (1, 6, 32, 3) and clip.meta["subject"] in (1, 11)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s.replace(",", " ", 1), "line 1: 116 numbers instead of 117"),
        (lambda s: s + "1,2,3\n", "line 7: 3 numbers instead of 117"),
        (lambda s: "\n" + s, "line 1: .*numbers instead of 117"),
        (lambda s: s.replace(s.split(",")[5], "nan", 1), "'nan' in column 6 is not a finite"),
        (lambda s: s.replace(s.split(",")[5], "x", 1), "'x' in column 6"),
        (lambda s: s.replace(s.split(",")[5], "90", 1), "line 1, column 6: 90 is no exponential"),
        (lambda s: "", "the file is empty"),
    ],
)
def test_bad_content_is_named(tmp_path, change, told):
    path = write(tmp_path / "a.txt", CMU)
    path.write_text(change(path.read_text()))
    with pytest.raises(InputError, match=told) as caught:
        read_angles(path, CMU)
    assert str(caught.value).startswith(str(path))


def test_other_files_are_refused(cmu_root):
    with pytest.raises(InputError, match=r"99 numbers|117 numbers|numbers instead of 99"):
        read_angles(next(cmu_root.rglob("*_1.txt")), H36M)
    for options in ({"step": 0}, {"step": True}, {"root_motion": "x"}, {"rest_pose": "x"}):
        with pytest.raises(InputError, match="must be"):
            open_cmu(cmu_root, **options)
    write(cmu_root / "train" / "juggling" / "juggling_1.txt", CMU)
    with pytest.raises(InputError, match="not of the form train/ACTION"):
        open_cmu(cmu_root)
    with pytest.raises(InputError, match="give the folder that holds the set's train recordings"):
        open_cmu(cmu_root / "nowhere")


def test_names_come_once(tmp_path):
    for place in ("a", "b"):
        write(tmp_path / place / "S1" / "eating_1.txt", H36M)
    with pytest.raises(InputError, match="is called S1_eating_1 too"):
        open_h36m(tmp_path)


@pytest.mark.slow
@BOTH
def test_mutants(recorder):
    def make(folder):
        return [write(folder / "a.txt", recorder, frames=3)]

    good, bad = check_reader(make, lambda f: [read_mocap(f / "a.txt", recorder)], 20_000, seed=1)
    assert good > 1000 and bad > 1000


def test_the_real_cmu(shared_data):
    root = shared_data / "cmu_mocap"
    source = open_cmu(root)
    assert (len(source), len(open_cmu(root, extra=True))) == (38, 96)
    train, test = members(source, "folders")
    for action in ("basketball", "jumping", "running", "soccer", "walking"):
        assert sum(f"_{action}_" in name and "signal" not in name for name in train) == 5
        assert sum(f"_{action}_" in name and "signal" not in name for name in test) == 1
    sliding = {unit: [] for unit in ("70 mm", "56 mm", "columns")}
    for name in ("train_walking_1", "train_walking_2", "train_walking_3", "train_soccer_1"):
        path = source.files[source.names.index(name)]
        values = read_angles(path, CMU)[1:]
        pos = angles_to_positions(values, CMU)
        joint = np.arange(1, 38)
        length = np.linalg.norm(pos[:, joint] - pos[:, CMU.layout.parents[joint]], axis=-1)
        assert np.ptp(length, axis=0).max() < 1e-9
        small = pos - pos[:, :1] + pos[:, :1] * 56.44 / 70
        inverse = values.copy()
        inverse[:, 3:] *= -1  # rows taken for columns, and the other way round
        sliding["70 mm"].append(_slide(pos))
        sliding["56 mm"].append(_slide(small))
        sliding["columns"].append(_slide(angles_to_positions(inverse, CMU)))
    # The foot that carries stands still with the right unit and convention.
    right = np.mean(sliding["70 mm"])
    assert right < 0.15
    assert np.mean(sliding["56 mm"]) > 1.3 * right
    assert np.mean(sliding["columns"]) > 3 * right
    # Frame 1 of every file is the same pose of calibration.
    for path in source.files:
        first = read_angles(path, CMU)[0, 3:]
        assert np.count_nonzero(first) == 7 and np.abs(first).max() == pytest.approx(0.3665191)


def _slide(pos):
    """Speed of the slower foot, m/s."""
    feet = pos[:, [CMU.layout.index("left_toe_base"), CMU.layout.index("right_toe_base")]]
    return float(np.median(np.linalg.norm(np.diff(feet, axis=0), axis=-1).min(axis=1)) * 50)
