"""The synthetic set: bodies that move as bodies do, and files as the sensor writes them."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from asgcn_dgl.data import synthetic
from asgcn_dgl.data.formats.ntu import parse_ntu_name, read_ntu
from asgcn_dgl.data.synthetic import (
    CLASS_NAMES,
    MANIFEST,
    NUM_TWO_PERSON,
    PARENTS,
    TRAIN_CAMERAS,
    TRAIN_SUBJECTS,
    TWO_PERSON_CLASSES,
    Body,
    Subject,
    clip_name,
    draw_subject,
    make_clip,
    perform,
    write_synthetic,
)
from asgcn_dgl.data.synthetic.body import Figure, frame_along, rotation, two_bone_reach
from asgcn_dgl.data.synthetic.writer import plan_clips, write_atomically
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import get_layout

LABELS = range(len(CLASS_NAMES))
BONES = [(j, p) for j, p in enumerate(PARENTS) if p >= 0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic")
    write_synthetic(root, clips_per_class=6, subjects=3, seed=5)
    return root


def play(label: int, *seed: int) -> np.ndarray:
    rng = np.random.default_rng([label, *seed])
    return perform(label, Subject.draw(rng), Subject.draw(rng), rng)


def parse(path: Path) -> list[list[tuple[list[str], np.ndarray]]]:
    """Read a file by the format's description alone: for each frame its bodies."""
    raw = path.read_bytes()
    assert raw.endswith(b"\r\n") and raw.count(b"\r\n") == raw.count(b"\n")
    lines = iter(raw.decode("ascii").split("\r\n")[:-1])
    frames = []
    for _ in range(int(next(lines))):
        bodies = []
        for _ in range(int(next(lines))):
            info = next(lines).split(" ")
            joints = [next(lines).split(" ") for _ in range(int(next(lines)))]
            assert len(info) == 10 and {len(joint) for joint in joints} == {12}
            bodies.append((info, np.array(joints, dtype=np.float64)))
        frames.append(bodies)
    assert next(lines, None) is None
    return frames


# --- the classes and the splits -------------------------------------------------------------


def test_there_are_ten_classes_and_more_and_three_are_of_two_persons():
    assert len(set(CLASS_NAMES)) == len(CLASS_NAMES) >= 10
    assert NUM_TWO_PERSON == len(TWO_PERSON_CLASSES) == 3
    assert [CLASS_NAMES[k] for k in TWO_PERSON_CLASSES] == ["handshake", "push", "high five"]


def test_the_splits_leave_some_subjects_and_a_camera_for_the_test():
    plan = plan_clips(30, subjects=10, cameras=3)
    for train, column in ((TRAIN_SUBJECTS, 1), (TRAIN_CAMERAS, 2)):
        for label in LABELS:
            values = {clip[column] for clip in plan if clip[0] == label + 1}
            assert values & set(train) and values - set(train)


@pytest.mark.parametrize(("subjects", "cameras"), [(1, 1), (3, 3), (10, 3), (4, 2)])
def test_names_are_unique_and_their_numbers_in_range(subjects, cameras):
    plan = plan_clips(25, subjects, cameras)
    names = {clip_name(*numbers) for numbers in plan}
    assert len(names) == len(plan) == 25 * len(CLASS_NAMES)
    assert all(re.fullmatch(r"S\d{3}C\d{3}P\d{3}R\d{3}A\d{3}", name) for name in names)
    assert {n[1] for n in plan} == set(range(1, subjects + 1))
    assert {n[2] for n in plan} == set(range(1, cameras + 1))


def test_a_larger_set_holds_the_clips_of_a_smaller_one():
    assert set(plan_clips(7, 3, 3)) < set(plan_clips(20, 3, 3))


# --- the body --------------------------------------------------------------------------------


def test_parents_agree_with_the_layout():
    tree = {frozenset(bone) for bone in get_layout("ntu25").bones}
    hands = {21, 22, 23, 24}  # where published bone lists differ
    own = {frozenset(bone) for bone in BONES if bone[0] not in hands}
    assert own == {bone for bone in tree if not bone & hands}


@pytest.mark.parametrize("label", LABELS)
def test_bones_keep_their_length(label):
    for seed in range(4):
        joints = play(label, seed)
        assert np.isfinite(joints).all()
        for a, b in [*BONES, (22, 21), (24, 23)]:  # a hand is rigid
            length = np.linalg.norm(joints[:, :, a] - joints[:, :, b], axis=-1)
            assert np.ptp(length, axis=1).max() < 1e-9


def test_bones_are_as_long_as_the_body_says():
    rng = np.random.default_rng(1)
    body = Body(1.8, 1.04, 0.95, 1.1)
    joints = perform(0, Subject(body), Subject(), rng)[0]
    for a, b in BONES:
        np.testing.assert_allclose(
            np.linalg.norm(joints[:, a] - joints[:, b], axis=-1), body.length(a)
        )


@pytest.mark.parametrize("label", LABELS)
def test_feet_stay_near_the_floor_and_heads_above_hips(label):
    for seed in range(6):
        joints = play(label, seed)
        assert joints[:, :, [15, 19], 1].min() > -0.1
        if CLASS_NAMES[label] != "jumping jack":
            lowest = joints[:, :, [14, 15, 18, 19], 1].min(axis=-1)
            assert lowest.max() < 0.25  # one foot at least is down
        if CLASS_NAMES[label] != "pick up":
            assert (joints[:, :, 3, 1] > joints[:, :, 0, 1] + 0.2).all()


@pytest.mark.parametrize("label", LABELS)
def test_nobody_jumps_from_frame_to_frame(label):
    for seed in range(6):
        step = np.linalg.norm(np.diff(play(label, seed), axis=1), axis=-1)
        assert step.max() < 0.6  # 18 m/s: a thrower's fastest hand is below
        assert step[:, :, 0].max() < 0.12


@pytest.mark.parametrize("label", LABELS)
def test_clips_have_40_to_120_frames_and_the_persons_of_their_class(label):
    shapes = [play(label, seed).shape for seed in range(12)]
    assert all(40 <= shape[1] <= 120 and shape[2:] == (25, 3) for shape in shapes)
    assert len({shape[1] for shape in shapes}) > 3
    bodies = [shape[0] for shape in shapes]
    if label in TWO_PERSON_CLASSES:
        assert set(bodies) == {2}
    else:
        assert np.mean(bodies) < 1.5  # now and then somebody looks on


def test_rotations_are_right_handed():
    np.testing.assert_allclose(rotation(2, np.pi / 2) @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(rotation(0, np.pi / 2) @ [0, 1, 0], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(rotation(1, np.pi / 2) @ [0, 0, 1], [1, 0, 0], atol=1e-12)


def test_frame_along_is_a_rotation_whose_y_axis_is_up_the_bone():
    rng = np.random.default_rng(0)
    down, forward = rng.normal(size=(2, 9, 3))
    frames = frame_along(down, forward)
    np.testing.assert_allclose(np.linalg.det(frames), 1.0)
    np.testing.assert_allclose(
        frames.swapaxes(1, 2) @ frames, np.tile(np.eye(3), (9, 1, 1)), atol=1e-12
    )
    cosine = -(frames[:, :, 1] * down).sum(-1) / np.linalg.norm(down, axis=-1)
    np.testing.assert_allclose(cosine, 1.0)


def test_a_limb_reaches_what_it_can_and_stretches_towards_the_rest():
    start, pole = np.zeros((2, 3)), np.array([[0.0, -1, 0], [0, -1, 0]])
    target = np.array([[0.3, 0.1, -0.2], [3.0, 0, 0]])
    upper, lower = two_bone_reach(start, target, 0.3, 0.25, pole)
    end = 0.3 * upper + 0.25 * lower
    np.testing.assert_allclose(np.linalg.norm([upper, lower], axis=-1), 1.0)
    np.testing.assert_allclose(end[0], target[0])
    np.testing.assert_allclose(end[1], [0.995 * 0.55, 0, 0], atol=1e-12)
    assert (upper[:, 1] < lower[:, 1]).all()  # the elbow points at the pole


def test_a_person_who_faces_the_camera_has_the_left_side_at_smaller_x():
    figure = Figure(Body(), frames=2)
    figure.set_trunk()
    for side in (0, 1):
        figure.move_hand(side, figure.reach(side, 0.1, -0.9, 0.1))
    joints = figure.positions()
    for left, right in get_layout("ntu25").mirror:
        assert (joints[:, left, 0] < joints[:, right, 0]).all()
    assert (joints[:, 15, 2] < joints[:, 14, 2]).all()  # toes point to the camera


# --- what the actions are named for ----------------------------------------------------------


def body_of(label_name: str, seed: int) -> np.ndarray:
    return play(CLASS_NAMES.index(label_name), seed)


@pytest.mark.parametrize("seed", range(4))
def test_actions_do_what_they_are_named_for(seed):
    def gap(joints, a, b):
        return np.linalg.norm(joints[..., a, :] - joints[..., b, :], axis=-1)

    drink = body_of("drink", seed)[0]
    assert min(gap(drink, 11, 3).min(), gap(drink, 7, 3).min()) < 0.2
    clap = body_of("clap", seed)[0]
    assert gap(clap, 7, 11).min() < 0.2
    kick = body_of("kick", seed)[0]
    assert max(np.ptp(kick[:, 14, 1]), np.ptp(kick[:, 18, 1])) > 0.2
    sit, stand = body_of("sit down", seed)[0], body_of("stand up", seed)[0]
    assert sit[0, 0, 1] - sit[-1, 0, 1] > 0.2
    assert stand[-1, 0, 1] - stand[0, 0, 1] > 0.2
    pick = body_of("pick up", seed)[0]
    assert pick[:, [7, 11, 21, 23], 1].min() < 0.35
    jack = body_of("jumping jack", seed)[0]
    assert np.ptp(gap(jack, 14, 18)) > 0.2 and np.ptp(gap(jack, 6, 10)) > 0.6
    for name in ("handshake", "high five"):
        me, you = body_of(name, seed)
        assert np.linalg.norm(me[:, 11] - you[:, 11], axis=-1).min() < 0.25
    me, you = body_of("push", seed)
    assert np.linalg.norm(me[:, :, None] - you[:, None], axis=-1).min() < 0.2


# --- the recording ---------------------------------------------------------------------------


def test_without_noise_and_losses_the_recording_is_the_performance_seen_from_elsewhere():
    clip = make_clip(11, 1, 1, 1, noise=0.0, losses=0.0)
    assert (clip.state == 2).all() and (clip.body_id > 0).all()
    for a, b in BONES:
        length = np.linalg.norm(clip.joints[:, :, a] - clip.joints[:, :, b], axis=-1)
        assert np.ptp(length, axis=1).max() < 1e-9


def test_people_stand_two_to_four_metres_away():
    depth = [
        make_clip(a, p, c, 1).joints[..., 0, 2]
        for a in (2, 9, 12)
        for p in (1, 2, 3, 4)
        for c in (1, 2, 3)
    ]
    for clip in depth:
        clip = clip[clip != 0]
        assert clip.min() > 1.7 and clip.max() < 4.7


def test_noise_grows_with_the_argument():
    clean, low, high = (
        make_clip(2, 1, 2, 1, noise=n, losses=0.0).joints for n in (0.0, 0.01, 0.03)
    )
    spread = np.array([(low - clean).std(), (high - clean).std()])
    assert 0.008 < spread[0] < 0.025
    np.testing.assert_allclose(spread[1] / spread[0], 3.0)


def test_joints_and_bodies_get_lost():
    clips = [make_clip(a, p, 2, 1, seed=3) for a in (1, 5, 11, 12) for p in range(1, 21)]
    for value in (0, 1):
        share = np.mean([(c.state == value).any() for c in clips])
        assert 0.15 < share < 0.98
    assert all((c.joints[c.state == 0] == 0).all() for c in clips)
    gaps = [c for c in clips if (c.body_id == 0).any()]
    assert 0.1 < len(gaps) / len(clips) < 0.6
    tracks = [[len(set(ids[ids > 0])) for ids in c.body_id] for c in clips]
    renamed = [max(t) > 1 for t in tracks]
    assert 0 < sum(renamed) < len(gaps)
    assert all((c.body_id > 0).mean() > 0.7 for c in clips)


def test_subjects_differ_and_are_the_same_in_every_clip():
    people = [draw_subject(0, p) for p in range(1, 11)]
    for name in ("pace", "reach", "stance"):
        assert np.ptp([getattr(p, name) for p in people]) > 0.02
    assert np.ptp([p.body.height for p in people]) > 0.15
    for joint in (1, 5, 17):
        lengths = [
            np.linalg.norm(c.joints[0, 0, joint] - c.joints[0, 0, PARENTS[joint]])
            for c in (make_clip(a, 4, 2, 1, noise=0.0, losses=0.0) for a in (1, 5, 6))
            if len(c.joints) == 1
        ]
        assert np.ptp(lengths) < 1e-9


# --- the files -------------------------------------------------------------------------------


def test_files_are_in_the_format_line_by_line(folder):
    paths = sorted(folder.glob("*.skeleton"))
    assert len(paths) == 6 * len(CLASS_NAMES)
    counts = []
    for path in paths:
        frames = parse(path)
        assert 40 <= len(frames) <= 120
        assert all(len({info[0] for info, _ in bodies}) == len(bodies) for bodies in frames)
        counts.append([len(bodies) for bodies in frames])
        for _, joints in (body for bodies in frames for body in bodies):
            assert joints.shape == (25, 12) and np.isfinite(joints).all()
            state = joints[:, 11]
            assert set(state) <= {0, 1, 2}
            assert (joints[state == 0, :7] == 0).all()
            seen = joints[state > 0]
            assert (seen[:, 2] > 0.5).all()
            # The pixels lie where a pinhole camera sees the point.
            for focal, x, y, column in ((365, 256, 212, 3), (1060, 960, 540, 5)):
                u = x + focal * seen[:, 0] / seen[:, 2]
                v = y - focal * seen[:, 1] / seen[:, 2]
                np.testing.assert_allclose(seen[:, column : column + 2], np.c_[u, v], atol=0.02)
    assert any(len(set(count)) > 1 for count in counts)  # a body comes and goes
    for path, count in zip(paths, counts, strict=True):
        if int(path.stem[-3:]) - 1 in TWO_PERSON_CLASSES:
            assert max(count) == 2


def test_the_reader_reads_every_file(folder):
    for path in folder.glob("*.skeleton"):
        clip = read_ntu(path)
        frames = parse(path)
        name = parse_ntu_name(path)
        assert clip.layout == get_layout("ntu25") and clip.label == name.action - 1
        assert clip.pos.shape[1:] == (len(frames), 25, 3) and 1 <= len(clip.pos) <= 2
        if clip.label in TWO_PERSON_CLASSES:
            assert len(clip.pos) == 2
        tracked = clip.mask.any(axis=(0, 2))
        present = np.array([any((j[:, 11] > 0).any() for _, j in bodies) for bodies in frames])
        assert not (tracked & ~present).any()
        assert (clip.pos[~clip.mask] == 0).all()


def test_the_reader_gets_back_what_was_recorded(tmp_path):
    [path, *_] = write_synthetic(tmp_path, clips_per_class=1, subjects=1, cameras=1, losses=0)
    clip, recording = read_ntu(path), make_clip(1, 1, 1, 1, losses=0)
    order = np.argsort(clip.pos[:, 0, 0, 0]), np.argsort(recording.joints[:, 0, 0, 0])
    np.testing.assert_allclose(clip.pos[order[0]], recording.joints[order[1]], atol=1e-5)
    assert clip.mask.all()


def test_the_same_seed_gives_the_same_bytes_whatever_the_size_of_the_set(folder, tmp_path):
    paths = write_synthetic(tmp_path, clips_per_class=2, subjects=3, seed=5)
    assert len(paths) == 2 * len(CLASS_NAMES)
    for path in paths:
        assert path.read_bytes() == (folder / path.name).read_bytes()


def test_another_seed_gives_other_people_and_other_takes():
    assert draw_subject(0, 1) != draw_subject(1, 1)
    one, two = (make_clip(1, 1, 1, 1, seed=s).joints for s in (0, 1))
    assert one.shape != two.shape or not np.allclose(one, two)


def test_writing_again_changes_nothing_and_progress_is_reported(tmp_path):
    calls: list[tuple[int, int]] = []
    options = {"clips_per_class": 1, "subjects": 1, "cameras": 1}
    before = {p: p.read_bytes() for p in write_synthetic(tmp_path, **options)}
    after = write_synthetic(tmp_path, **options, progress=lambda *a: calls.append(a))
    assert {p: p.read_bytes() for p in after} == before
    total = len(CLASS_NAMES)
    assert calls == [(k, total) for k in range(1, total + 1)]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        [p.name for p in after] + [MANIFEST]
    )
    assert json.loads((tmp_path / MANIFEST).read_text())["clips_per_class"] == 1


def test_an_interrupted_write_leaves_no_half_file_and_is_completed_by_the_next(tmp_path):
    class StoppedError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise StoppedError

    options = {"clips_per_class": 1, "subjects": 1, "cameras": 1}
    with pytest.raises(StoppedError):
        write_synthetic(tmp_path, **options, progress=stop)
    assert len(list(tmp_path.glob("*.skeleton"))) == 3
    assert not list(tmp_path.glob("*.part"))
    assert len(write_synthetic(tmp_path, **options)) == len(list(tmp_path.glob("*.skeleton")))


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.skeleton"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\N{SNOWMAN}")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_recordings_of_others_are_never_overwritten(tmp_path):
    theirs = tmp_path / "S001C001P001R001A001.skeleton"
    theirs.write_text("real")
    with pytest.raises(InputError, match="choose an empty folder") as error:
        write_synthetic(tmp_path)
    assert str(tmp_path) in str(error.value)
    assert theirs.read_text() == "real" and list(tmp_path.iterdir()) == [theirs]


def test_two_settings_are_not_mixed_in_one_folder(tmp_path):
    options = {"clips_per_class": 1, "subjects": 1, "cameras": 1}
    write_synthetic(tmp_path, **options)
    with pytest.raises(InputError, match="not made with these settings"):
        write_synthetic(tmp_path, **options, seed=1)


def test_a_file_is_no_folder(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(InputError, match="is a file"):
        write_synthetic(path)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("clips_per_class", 0),
        ("clips_per_class", 10**8),
        ("subjects", 0),
        ("subjects", 1000),
        ("cameras", 0),
        ("cameras", 4),
        ("seed", -1),
        ("noise", -0.1),
        ("noise", float("nan")),
        ("losses", float("inf")),
    ],
)
def test_numbers_out_of_range_are_named(tmp_path, argument, value):
    with pytest.raises(ValueError, match=rf"^{argument} must be .*, got {re.escape(str(value))}"):
        write_synthetic(tmp_path / "new", **{argument: value})
    assert not (tmp_path / "new").exists()


def test_records_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Subject().pace = 2.0
    assert Subject() == Subject() and Body(1.6) != Body(1.7)


# --- how hard it is --------------------------------------------------------------------------


def descriptor(numbers: tuple[int, int, int, int]) -> np.ndarray:
    """The clip's first two bodies, centred, scaled by the trunk, at twelve times."""
    clip = make_clip(*numbers, losses=0.0)
    joints = clip.joints - clip.joints[:1, :1, :1]
    joints /= np.linalg.norm(joints[0, :, 20] - joints[0, :, 0], axis=-1).mean()
    times = np.linspace(0, joints.shape[1] - 1, 12).astype(int)
    out = np.zeros((2, 12, 25, 3))
    out[: len(joints)] = joints[:, times]
    return out.ravel()


def test_classes_can_be_told_apart_but_not_by_the_nearest_mean():
    plan = plan_clips(18, subjects=9, cameras=3)
    feat = np.stack([descriptor(numbers) for numbers in plan])
    label = np.array([numbers[0] - 1 for numbers in plan])
    train = np.array([numbers[1] in TRAIN_SUBJECTS for numbers in plan])
    means = np.stack([feat[train & (label == k)].mean(axis=0) for k in LABELS])
    dist = ((feat[~train, None] - means) ** 2).sum(axis=-1)
    accuracy = (dist.argmin(axis=1) == label[~train]).mean()
    assert 3 / len(CLASS_NAMES) < accuracy < 0.85


def test_the_public_names_are_there():
    assert all(hasattr(synthetic, name) for name in synthetic.__all__)
