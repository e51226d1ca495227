from __future__ import annotations

import numpy as np
import pytest
from fuzz import check_reader

from asgcn_dgl.data import parse_ntu_name, read_ntu, read_sample_names
from asgcn_dgl.errors import InputError


def body(scale: float = 1.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(25, 3)) * scale + 2


def rounded(pos: np.ndarray) -> np.ndarray:
    return np.array([[float(f"{x:.6g}") for x in joint] for joint in pos], dtype=np.float32)


@pytest.fixture
def write(tmp_path, ntu_text):
    def write(frames, name="S001C002P003R002A013"):
        path = tmp_path / f"{name}.skeleton"
        path.write_text(ntu_text(frames))
        return path

    return write


def test_name():
    assert parse_ntu_name("d/S001C002P003R002A013.skeleton") == (13, 3, 2, 1, 2)


@pytest.mark.parametrize(
    "name", ["S001C002P003R002.skeleton", "S001C002P003R002A000", "s001c002p003r002a013", "x"]
)
def test_other_names_are_refused(name):
    with pytest.raises(InputError, match=f"{name}: the name is not of the form SsssCccc"):
        parse_ntu_name(name)


def test_reads_what_was_written(write):
    poses = [body(seed=seed) for seed in range(4)]
    path = write([[(7, pose, 2)] for pose in poses])
    clip = read_ntu(path)
    assert clip.pos.shape == (1, 4, 25, 3)
    np.testing.assert_array_equal(clip.pos[0], np.stack([rounded(pose) for pose in poses]))
    assert clip.mask.all()
    assert (clip.label, clip.name, clip.layout.name) == (12, "S001C002P003R002A013", "ntu25")
    assert {"setup": 1, "camera": 2, "subject": 3, "replication": 2}.items() <= clip.meta.items()


def test_windows_line_ends_and_trailing_blank_lines(write):
    path = write([[(7, body(), 2)]] * 2)
    expected = read_ntu(path).pos
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n \n")
    np.testing.assert_array_equal(read_ntu(path).pos, expected)


def test_another_name_has_no_label(write):
    clip = read_ntu(write([[(7, body(), 2)]], name="mine"))
    assert (clip.label, clip.name, "subject" in clip.meta) == (-1, "mine", False)


def test_bodies_are_told_apart_by_identity_and_come_and_go(write):
    moving = [body(5, seed) for seed in range(4)]
    still = body(1, 9)
    frames = [
        [(5, still, 2)],
        [(5, still, 2), (9, moving[1], 2)],
        [(9, moving[2], 2), (5, still, 2)],  # in another order
        [(9, moving[3], 2)],
    ]
    clip = read_ntu(write(frames))
    assert clip.mask.any(axis=2).tolist() == [
        [False, True, True, True],  # the energetic one comes first
        [True, True, True, False],
    ]
    np.testing.assert_array_equal(clip.pos[0, 2], rounded(moving[2]))
    np.testing.assert_array_equal(clip.pos[1, 2], rounded(still))
    assert (clip.pos[0, 0] == 0).all()
    assert read_ntu(write(frames), max_bodies=1).mask.any(axis=2).tolist() == [
        [False, True, True, True]
    ]


def test_the_most_energetic_bodies_are_kept(write):
    frames = [
        [(size, body(size, 10 * size + frame), 2) for size in (1, 4, 2, 3)] for frame in range(6)
    ]
    clip = read_ntu(write(frames))
    spread = clip.pos.std(axis=(1, 2)).sum(axis=1)
    assert clip.meta["tracks"] == 4
    assert spread.round().tolist() == pytest.approx([12, 9], abs=1.5)


def test_frames_without_bodies_stay_in_time(write):
    clip = read_ntu(write([[], [(5, body(), 2)], [], [(5, body(), 2)]]))
    assert clip.mask.any(axis=(0, 2)).tolist() == [False, True, False, True]


def test_an_identity_twice_in_a_frame_is_two_bodies(write):
    clip = read_ntu(write([[(5, body(1), 2), (5, body(3, 1), 2)], [(5, body(1), 2)]]))
    assert clip.mask.any(axis=2).tolist() == [[True, False], [True, True]]


def test_tracking_states(write):
    path = write([[(5, body(), 0)], [(5, body(), 1)], [(5, body(), 2)]])
    seen = {state: read_ntu(path, min_state=state).mask[0, :, 0].tolist() for state in (0, 1, 2)}
    assert seen == {0: [True] * 3, 1: [False, True, True], 2: [False, False, True]}


def test_joints_at_the_sensor_and_all_zero_bodies_are_missing(write):
    pose = body()
    pose[3] = 0
    clip = read_ntu(write([[(5, np.zeros((25, 3)), 2), (6, pose, 2)]]))
    assert clip.num_bodies == 1
    assert np.argwhere(~clip.mask).tolist() == [[0, 0, 3]]


def test_noise_and_tracks_are_options(write):
    person = [body(1, 3) + np.array([0.05 * frame, 0, 0]) for frame in range(30)]
    far = body(1, 4) + np.array([9, 0, 0])
    frames = [[(5 if frame < 20 else 6, person[frame], 2)] for frame in range(30)]
    for frame in range(4, 9):
        frames[frame].append((7, far + frame, 2))
    path = write(frames)
    assert read_ntu(path).num_bodies == 2
    assert read_ntu(path, max_bodies=None).meta["tracks"] == 3
    assert read_ntu(path, max_bodies=None).num_bodies == 3
    assert read_ntu(path, max_bodies=None, noise="length").num_bodies == 1  # 20, 10 and 5 frames
    clip = read_ntu(path, join=True, noise=("length",))
    assert clip.num_bodies == 1 and clip.mask.all()
    assert read_ntu(path, select="tracking").mask[0].any(axis=1).sum() == 20


def test_long_recordings_read_whole(write):
    poses = [body(seed=seed % 7) for seed in range(420)]
    clip = read_ntu(write([[(7, pose, 2)] for pose in poses]))
    assert clip.num_frames == 420 and clip.mask.all()


def test_numbers_beyond_all_bounds_are_refused_or_taken_without_a_warning(write):
    def two(number):
        poses = [body(seed=seed) for seed in range(2)]
        poses[1][4, 2] = number
        return write([[(7, poses[0], 2), (9, poses[1], 2)], [(7, poses[0], 2)]])

    with pytest.raises(InputError, match=r"of joint 5 .* of body 2 in frame 1 is inf"):
        read_ntu(two(1e300))
    options = {"join": True, "noise": ("length", "spread", "motion")}
    with pytest.raises(InputError, match=r"of joint 5 .* is -3\.0"):
        read_ntu(two(-3e38), **options)
    assert np.isfinite(read_ntu(two(-1e11), **options).pos).all()


def test_more_bodies_than_a_sensor_reports_are_refused(write, monkeypatch):
    monkeypatch.setattr("asgcn_dgl.data.formats.ntu.MAX_PLACES", 100)
    path = write([[(frame, body(), 2)] for frame in range(11)])
    with pytest.raises(InputError, match="11 bodies of different identity in 11 frames are more"):
        read_ntu(path)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"min_state": 3}, "min_state must be 0, 1 or 2, got 3"),
        ({"noise": "size"}, "rules must be of length, spread, motion, got 'size'"),
        ({"select": "first"}, "rule must be one of energy, confidence, tracking"),
    ],
)
def test_bad_options_are_refused(write_ntu, options, text):
    with pytest.raises(ValueError, match=text):
        read_ntu(write_ntu(), **options)


@pytest.mark.slow
def test_mutants_read_or_are_refused(ntu_text):
    rng = np.random.default_rng(0)

    def make_files(folder):
        for name, ids in (("S001C001P001R001A001", (7,)), ("S001C001P002R001A050", (7, 9))):
            path = folder / f"{name}.skeleton"
            text = ntu_text([[(who, rng.normal(size=(25, 3)), 2) for who in ids]] * 2)
            path.write_text(text.replace("\n", "\r\n") if len(ids) == 2 else text)
        return sorted(folder.iterdir())

    good, bad = check_reader(
        make_files, lambda folder: map(read_ntu, sorted(folder.iterdir())), 20_000, seed=1
    )
    assert good > 1000 and bad > 1000


# Where the lines of a one-body recording of two frames stand, counted from 1: 1 frames, 2 bodies,
# 3 head, 4 joints, 5-29 joint lines, 30 bodies, 31 head, 32 joints, 33-57 joint lines.
def nan(lines):
    lines[5 + 4 - 1] = "nan" + lines[5 + 4 - 1][lines[5 + 4 - 1].index(" ") :]


def infinite(lines):
    fields = lines[40 - 1].split()
    lines[40 - 1] = " ".join([*fields[:2], "-Infinity", *fields[3:]])


def put(line, text):
    def change(lines):
        lines[line - 1] = text

    return change


def cut(line, characters=None):
    def change(lines):
        del lines[line:]
        if characters:
            lines[-1] = lines[-1][:characters]

    return change


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (cut(1), "line 1: the file ends where the number of bodies of frame 1 of 2 should"),
        (cut(2), "line 2: the file ends where a body of frame 1 of 2 should follow"),
        (cut(3), "line 3: the file ends where the number of joints of a body of frame 1 of 2"),
        (cut(20), "line 20: the file ends where joint lines of frame 1 of 2 should follow"),
        (cut(29), "line 29: the file ends where the number of bodies of frame 2 of 2"),
        (cut(57, 30), "line 57: 4 numbers where a joint has 12; the file is truncated"),
        (put(1, "three"), "line 1: 'three' instead of the number of frames"),
        (put(1, "-1"), "line 1: '-1' instead of the number of frames"),
        (put(1, "0"), "line 1: the recording has no frame"),
        (put(1, "1"), "line 30: more lines after the last of its 1 frames"),
        (put(1, "3"), "line 57: the file ends where the number of bodies of frame 3 of 3"),
        (put(2, "1.5"), "line 2: '1.5' instead of the number of bodies of frame 1 of 2"),
        (put(2, "0"), "line 3: .* instead of the number of bodies of frame 2 of 2"),
        (put(3, "1 2 3"), "line 3: '1 2 3' instead of the 10 fields of a body of frame 1 of 2"),
        (put(4, "20"), "line 4: 20 joints where NTU RGB.D has 25"),
        (put(12, ""), "line 12: 0 numbers where a joint has 12"),
        (put(12, "0 1 2"), "line 12: 3 numbers where a joint has 12"),
        (put(12, "0 1 x 0 0 0 0 0 0 0 0 2"), "line 12: 'x' is not a number"),
        (put(12, "0 1 1.2.3 0 0 0 0 0 0 0 0 2"), r"line 12: '1\.2\.3' is not a number"),
        (put(12, "0 1 2 0 0 0 0 0 0 0 0 7"), "line 12: tracking state 7 is not 0, 1 or 2"),
        (put(12, "0 1 2 0 0 0 0 0 0 0 0 nan"), "line 12: tracking state nan is not 0, 1 or 2"),
        (infinite, "line 40: coordinates .* -Infinity are not finite"),
    ],
)
def test_bad_lines_are_named(write_ntu, change, text):
    path = write_ntu(frames=2)
    lines = path.read_text().splitlines()
    change(lines)
    path.write_text("\n".join(lines))
    with pytest.raises(InputError, match=text) as caught:
        read_ntu(path)
    assert str(caught.value).startswith(f"{path}")
    assert "\n" not in str(caught.value)


def test_joints_that_are_nan_are_missing(write_ntu):
    path = write_ntu()
    lines = path.read_text().split("\n")
    nan(lines)
    path.write_text("\n".join(lines))
    clip = read_ntu(path)
    assert np.argwhere(~clip.mask).tolist() == [[0, 0, 4]] and np.isfinite(clip.pos).all()


def test_bytes_that_are_no_text_are_named(write_ntu):
    path = write_ntu()
    data = bytearray(path.read_bytes())
    data[data.index(b"\n") + 3] = 0xFF
    path.write_bytes(data)
    with pytest.raises(InputError, match="line 3: not plain text"):
        read_ntu(path)


def test_no_body_and_all_zero_bodies_are_refused(write):
    with pytest.raises(InputError, match="no body in any of the 3 frames; remove the file or list"):
        read_ntu(write([[], [], []]))
    with pytest.raises(InputError, match="all joints of all bodies are zero or missing"):
        read_ntu(write([[(5, np.zeros((25, 3)), 2)]]))


def test_max_bodies_must_be_positive(write_ntu):
    with pytest.raises(ValueError, match="max_bodies must be at least 1, got 0"):
        read_ntu(write_ntu(), max_bodies=0)


def test_lists_of_samples(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("S001C001P001R001A001\n\nS001C001P001R001A002.skeleton \n")
    assert read_sample_names(path) == {"S001C001P001R001A001", "S001C001P001R001A002"}
    path.write_text("Samples that miss skeletons:\n\n- S001C001P001R001A001, and others\n")
    assert read_sample_names(path) == {"S001C001P001R001A001"}
    path.write_text("Samples that miss skeletons\n")
    with pytest.raises(InputError, match=r"list\.txt: no name of the form"):
        read_sample_names(path)


@pytest.mark.parametrize(
    ("name", "bodies", "frames"),
    [
        ("S001C001P001R001A011", 1, 82),
        ("S001C003P008R002A058", 2, 70),
        ("S002C001P003R001A003", 1, 100),
    ],
)
def test_the_real_files_read(shared_data, name, bodies, frames):
    clip = read_ntu(shared_data / "ntu" / "raw" / f"{name}.skeleton")
    assert clip.pos.shape == (bodies, frames, 25, 3)
    assert clip.mask.all()
    heights = np.ptp(clip.pos[..., 1], axis=2)  # metres, from foot to head
    assert 1.2 < heights.mean() < 2.0


def test_line_ends_that_were_made_windows_twice(write_ntu):
    path = write_ntu()
    plain = read_ntu(path)
    for end in (b"\r\n", b"\r\r\n"):
        path.write_bytes(path.read_bytes().replace(b"\r", b"").replace(b"\n", end))
        np.testing.assert_array_equal(read_ntu(path).pos, plain.pos)
