from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from asgcn_dgl.data import (
    SAMPLINGS,
    AlignSpine,
    Center,
    Clip,
    Compose,
    Crop,
    FitBox,
    LoopSample,
    PublishedView,
    RandomFlip,
    RandomLoss,
    RandomMove,
    RandomNoise,
    RandomRotate,
    RandomSample,
    RandomScale,
    RandomShear,
    RandomSpeed,
    RepeatPad,
    Resample,
    Shorten,
    UniformSample,
    ViewNormalize,
    ZeroPad,
    frame_sampler,
)
from asgcn_dgl.data.transforms import median_point
from asgcn_dgl.skeleton import get_layout

ALL = [
    Center(),
    AlignSpine(),
    ViewNormalize(),
    ViewNormalize(whole=True),
    FitBox(),
    RandomRotate(),
    RandomScale(),
    RandomFlip(1.0),
    RandomNoise(),
    RandomMove(),
    Crop(),
    UniformSample(7),
    RandomSample(7),
    Resample(7),
    RepeatPad(7),
    ZeroPad(7),
    Compose(Center(), RandomRotate()),
]


def random_clip(bodies: int, frames: int, seed: int, hole: float = 0.0) -> Clip:
    rng = np.random.default_rng(seed)
    pos = rng.normal(size=(bodies, frames, 25, 3))
    mask = rng.random(pos.shape[:3]) >= hole
    mask[0, 0] = True
    return Clip.from_positions("c", get_layout("ntu25"), pos, mask)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def distances(clip: Clip) -> np.ndarray:
    """Between all joints of all bodies in each frame."""
    pos = clip.pos.swapaxes(0, 1).reshape(clip.num_frames, -1, clip.num_dims)
    return np.linalg.norm(pos[:, :, None] - pos[:, None], axis=-1)


def numbered(frames: int, chain) -> Clip:
    """Clip whose every coordinate in frame t is t + 1."""
    pos = np.ones((1, frames, 4, 3)) * np.arange(1, frames + 1)[None, :, None, None]
    return Clip.from_positions("c", chain, pos)


def shown(clip: Clip) -> list[float]:
    return clip.pos[0, :, 0, 0].tolist()


clips = st.builds(
    random_clip,
    st.integers(1, 2),
    st.integers(1, 12),
    st.integers(0, 99),
    st.sampled_from([0.0, 0.4]),
)


@settings(deadline=None, max_examples=60)
@given(clips, st.sampled_from(ALL), st.integers(0, 99))
def test_every_transform_keeps_the_rules(clip, transform, seed):
    before, mask = clip.pos.copy(), clip.mask.copy()
    first, second = transform(clip, rng(seed)), transform(clip, rng(seed))
    np.testing.assert_array_equal(first.pos, second.pos)  # the generator decides all
    assert first.pos.dtype == np.float32
    assert (first.pos[~first.mask] == 0).all()
    assert np.isfinite(first.pos).all()
    assert first.layout is clip.layout
    np.testing.assert_array_equal(clip.pos, before)  # the clip stays as it was
    np.testing.assert_array_equal(clip.mask, mask)
    assert repr(transform) == repr(pickle.loads(pickle.dumps(transform)))


# Alignment


def test_center_by_hand(chain):
    pos = np.ones((2, 2, 4, 3))
    pos[0, 0, 0] = [1, 2, 3]
    clip = Center()(Clip.from_positions("c", chain, pos))
    assert clip.pos[0, 0, 0].tolist() == [0, 0, 0]
    assert clip.pos[1, 1, 2].tolist() == [0, -1, -2]  # one shift for all bodies and frames


def test_center_waits_for_the_joint_and_falls_back(chain):
    pos = np.ones((2, 3, 4, 3))
    pos[0, 1, 0] = 5
    mask = np.ones((2, 3, 4), dtype=bool)
    mask[0, 0, 0] = False
    clip = Center()(Clip.from_positions("c", chain, pos, mask))
    assert clip.pos[0, 2, 1].tolist() == [-4, -4, -4]
    mask[:, :, 0] = False  # never shown: the mean of hip's neighbours in the first frame
    pos[0, 0, 1:, 0] = [1, 2, 6]
    clip = Center()(Clip.from_positions("c", chain, pos, mask))
    assert clip.pos[0, 0, 1:, 0].tolist() == [-2, -1, 3]


def test_center_uses_the_second_body_when_the_first_never_shows_it(chain):
    pos = np.ones((2, 3, 4, 3))
    pos[1, 0, 0] = 7
    mask = np.ones((2, 3, 4), dtype=bool)
    mask[0, :, 0] = False
    assert (Center()(Clip.from_positions("c", chain, pos, mask)).pos[0, 0, 1] == -6).all()


@pytest.mark.parametrize("spine", [[0, 0, 2], [0, 0, -2], [3, 0, 0], [1, -2, 0.5], [0, 1, -1e-7]])
def test_the_spine_points_up(chain, spine):
    pos = np.random.default_rng(0).normal(size=(1, 2, 4, 3))
    pos[0, 0, 1] = pos[0, 0, 0] + spine
    clip = AlignSpine()(Clip.from_positions("c", chain, pos))
    up = clip.pos[0, 0, 1] - clip.pos[0, 0, 0]
    np.testing.assert_allclose(up, [0, 0, np.linalg.norm(spine)], atol=1e-5)


def test_view_normalize_turns_the_shoulders_to_x(chain):
    pos = np.random.default_rng(0).normal(size=(1, 2, 4, 3))
    clip = ViewNormalize()(Clip.from_positions("c", chain, pos))
    spine = clip.pos[0, 0, 1] - clip.pos[0, 0, 0]
    shoulders = clip.pos[0, 0, 3] - clip.pos[0, 0, 2]
    np.testing.assert_allclose(spine[:2], 0, atol=1e-5)
    assert spine[2] > 0
    assert abs(shoulders[1]) < 1e-5
    assert shoulders[0] > 0


def test_the_shoulders_of_all_frames_outvote_those_of_a_few(chain):
    """Seven frames that face x, and two in which the shoulders are anywhere."""
    pos = np.zeros((1, 9, 4, 3))
    pos[0, :, 1:] = [[0, 0, 1], [-0.2, 0, 0.9], [0.2, 0, 0.9]]  # head, left and right shoulder
    turn = Rotation.from_euler("z", 70, degrees=True)
    pos = turn.apply(pos.reshape(-1, 3)).reshape(pos.shape)
    pos[0, 0, 2:] = [[0.3, 0.1, 0.9], [-0.3, -0.2, 0.9]]
    pos[0, 5, 2:] = [[0.1, 0.0, 0.9], [0.1, 0.1, 0.9]]
    clip = Clip.from_positions("c", chain, pos, np.ones((1, 9, 4), dtype=bool))
    across = (
        ViewNormalize(whole=True)(clip).pos[0, :, 3] - ViewNormalize(whole=True)(clip).pos[0, :, 2]
    )
    right = np.delete(across, [0, 5], axis=0)
    np.testing.assert_allclose(right, np.tile([0.4, 0, 0], (7, 1)), atol=1e-4)
    first = ViewNormalize()(clip).pos
    assert abs((first[0, 3, 3] - first[0, 3, 2])[1]) > 0.1  # one frame alone is taken in


@settings(deadline=None, max_examples=40)
@example(11, 75, 0.0)  # the coordinates' medians lie at one of the points
@given(st.integers(1, 15), st.integers(0, 99), st.sampled_from([0.0, 2.0]))
def test_the_median_point_has_the_least_sum_of_distances(count, seed, outlier):
    points = rng(seed).normal(size=(count, 2))
    points[: count // 3] += 50 * outlier
    median = median_point(points)

    def total(point):
        return np.linalg.norm(points - point, axis=1).sum()

    steps = [median + 0.01 * np.array([np.cos(a), np.sin(a)]) for a in np.arange(0, 6.3, 0.3)]
    assert total(median) <= min(total(step) for step in steps) + 1e-4 * (1 + total(median))


def test_alignment_over_the_clip_goes_by_the_first_body_that_shows_shoulders(make_clip, chain):
    clip = make_clip(2, 6, seed=4)
    right, left = clip.layout.shoulders
    mask = np.ones(clip.mask.shape, dtype=bool)
    mask[0, :, right] = False
    alone = Clip.from_positions("c", clip.layout, clip.pos[1:])
    hidden = ViewNormalize(whole=True)(clip.with_pos(clip.pos, mask))
    spine = AlignSpine()(clip).pos
    across = spine[1, :, right, :2] - spine[1, :, left, :2]
    yaw = np.arctan2(*median_point(across.astype(np.float64))[::-1])
    expected = Rotation.from_euler("z", -yaw).apply(spine[1].reshape(-1, 3))
    np.testing.assert_allclose(hidden.pos[1].reshape(-1, 3), expected, atol=1e-4)
    assert alone.num_bodies == 1
    gone = clip.with_pos(clip.pos, clip.mask & (np.arange(25) != left))
    np.testing.assert_array_equal(ViewNormalize(whole=True)(gone).pos, AlignSpine()(gone).pos)


def test_the_published_preparation_of_nw_ucla_equals_its_formula(make_clip):
    """Moved to joint 1 of frame 0, turned about y, then x, scaled, then each axis by itself."""
    raw = make_clip(1, 12, seed=3)
    prepare = Compose(Center(), RandomRotate((60, 60, 0), "zyx"), RandomScale(0.5, 1.5), FitBox())
    ours = prepare(raw, rng(5)).pos[0]
    draws = rng(5)
    x, y, _ = draws.uniform(-np.radians([60, 60, 0]), np.radians([60, 60, 0]))
    size = draws.uniform(0.5, 1.5, size=1)
    pos = raw.pos[0].astype(np.float64)
    pos = pos - pos[0, 1]
    pos = Rotation.from_euler("y", y).apply(pos.reshape(-1, 3))
    pos = size * Rotation.from_euler("x", x).apply(pos).reshape(12, 25, 3)
    low, high = pos.min(axis=(0, 1)), pos.max(axis=(0, 1))
    np.testing.assert_allclose(ours, 2 * (pos - low) / (high - low) - 1, atol=1e-5)


def test_the_box_leaves_out_what_is_missing_and_keeps_flat_axes(chain):
    pos = np.ones((1, 2, 4, 3))
    pos[0, :, :, 0] = [[0, 1, 2, 90], [1, 1, 1, 4]]
    pos[0, :, :, 2] = [[-1, 0, 0, 0], [0, 0, 0, 0.5]]
    mask = np.ones((1, 2, 4), dtype=bool)
    mask[0, 0, 3] = False
    clip = FitBox()(Clip.from_positions("c", chain, pos, mask))
    assert clip.pos[0, 0, :, 0].tolist() == [-1, -0.5, 0, 0]
    assert clip.pos[0, 1, :, 0].tolist() == [-0.5, -0.5, -0.5, 1]
    assert (clip.pos[..., 1] == 0).all()  # no extent
    np.testing.assert_allclose(clip.pos[0, 1, :, 2], [1 / 3, 1 / 3, 1 / 3, 1], rtol=1e-6)
    empty = clip.with_pos(clip.pos, np.zeros_like(mask))
    assert FitBox()(empty) is empty


def test_alignment_does_not_look_at_the_future():
    clip = random_clip(2, 8, 0)
    longer = Clip.from_positions(
        "c", clip.layout, np.concatenate([clip.pos, 9 + random_clip(2, 3, 1).pos], axis=1)
    )
    for transform in (Center(), AlignSpine(), ViewNormalize()):
        np.testing.assert_array_equal(
            transform(clip, rng()).pos, transform(longer, rng()).pos[:, :8]
        )


def test_alignment_needs_three_coordinates_and_an_axis(make_clip, chain):
    with pytest.raises(ValueError, match="AlignSpine needs clips of 3 coordinates, clip0 has 2"):
        AlignSpine()(make_clip(dims=2))
    clip = Clip.from_positions("c", chain, np.ones((1, 2, 4, 3)))  # all joints in one place
    assert AlignSpine()(clip) is clip
    assert ViewNormalize()(clip) is clip


# Augmentation


@settings(deadline=None, max_examples=40)
@given(
    clips,
    st.sampled_from(
        [
            *(Center(), AlignSpine(), ViewNormalize(), ViewNormalize(whole=True)),
            *(RandomRotate(180), RandomRotate(180, "zyx"), RandomFlip(1)),
        ]
    ),
)
def test_rigid_transforms_keep_distances(clip, transform):
    full = clip.with_pos(clip.pos, np.ones_like(clip.mask))
    after = transform(full, rng(3))
    expected = distances(full)
    if isinstance(transform, RandomFlip):  # the joints change places
        order = np.concatenate(
            [25 * body + full.layout.mirror_index for body in range(full.num_bodies)]
        )
        expected = expected[:, order][:, :, order]
    np.testing.assert_allclose(distances(after), expected, atol=1e-4)


def test_rotation_is_proper_and_within_its_limits(chain):
    pos = np.zeros((1, 1, 4, 3))
    pos[0, 0, :3] = np.eye(3)
    clip = Clip.from_positions("c", chain, pos)
    for seed in range(20):
        axes = RandomRotate(60)(clip, rng(seed)).pos[0, 0, :3].astype(np.float64)
        np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-6)
        assert np.linalg.det(axes) == pytest.approx(1, abs=1e-6)
        x, y, z = RandomRotate((0, 0, 60))(clip, rng(seed)).pos[0, 0, :3]
        np.testing.assert_allclose(z, [0, 0, 1], atol=1e-6)  # turned about z alone
        assert x[0] >= 0.5 - 1e-6
        assert x[0] == pytest.approx(y[1])
    assert RandomRotate(0)(clip, rng()).pos.tolist() == clip.pos.tolist()


def test_rotation_in_the_plane(make_clip):
    clip = make_clip(dims=2)
    turned = RandomRotate((0, 0, 90))(clip, rng())
    np.testing.assert_allclose(distances(turned), distances(clip), atol=1e-4)
    assert not np.allclose(turned.pos, clip.pos)


def test_scaling(make_clip):
    clip = make_clip()
    factors = RandomScale(0.5, 1.5)(clip, rng()).pos / clip.pos
    assert np.ptp(factors) < 1e-5
    assert 0.5 <= factors[0, 0, 0, 0] <= 1.5
    factors = RandomScale(0.5, 1.5, per_axis=True)(clip, rng()).pos / clip.pos
    assert (np.ptp(factors, axis=(0, 1, 2)) < 1e-5).all()
    assert np.ptp(factors) > 0.01


def test_flip_by_hand(chain):
    pos = np.arange(1.0, 13.0).reshape(1, 1, 4, 3)
    mask = np.array([[[True, True, True, False]]])
    clip = RandomFlip(1.0)(Clip.from_positions("c", chain, pos, mask), rng())
    assert clip.pos[0, 0].tolist() == [[-1, 2, 3], [-4, 5, 6], [0, 0, 0], [-7, 8, 9]]
    assert clip.mask[0, 0].tolist() == [True, True, False, True]


@settings(deadline=None, max_examples=30)
@given(clips)
def test_flip_twice_is_nothing(clip):
    flip = RandomFlip(1.0)
    twice = flip(flip(clip, rng()), rng())
    np.testing.assert_array_equal(twice.pos, clip.pos)
    np.testing.assert_array_equal(twice.mask, clip.mask)
    assert RandomFlip(0.0)(clip, rng()) is clip


def test_noise_has_its_size(make_clip):
    clip = make_clip(frames=200, hole=0.3)
    noise = (RandomNoise(0.05)(clip, rng()).pos - clip.pos)[clip.mask]
    assert noise.std() == pytest.approx(0.05, rel=0.05)
    assert (RandomNoise(0)(clip, rng()).pos == clip.pos).all()


def test_moving_drifts_linearly_between_keys(chain):
    still = Clip.from_positions("c", chain, np.ones((1, 5, 4, 3)))
    moved = RandomMove(max_degrees=0, scale=(1, 1), max_shift=1, keys=2)(still, rng())
    steps = np.diff(moved.pos[0, :, 0], axis=0)
    np.testing.assert_allclose(steps, np.tile(steps[:1], (4, 1)), atol=1e-6)
    assert (moved.pos[..., 2] == 1).all()
    np.testing.assert_allclose(RandomMove(0, (1, 1), 0)(still, rng()).pos, still.pos, atol=1e-6)
    turned = RandomMove(max_degrees=90, scale=(1, 1), max_shift=0)(still, rng())
    np.testing.assert_allclose(np.linalg.norm(turned.pos, axis=-1), np.sqrt(3), atol=1e-5)


# Choice of frames


def test_uniform_by_hand(chain):
    assert shown(UniformSample(3, random=False)(numbered(9, chain), rng())) == [2, 5, 8]
    assert shown(UniformSample(6, random=False)(numbered(3, chain), rng())) == [1, 1, 2, 2, 3, 3]


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 100), st.integers(0, 99), st.booleans())
def test_uniform_takes_one_frame_of_each_segment(length, num_frames, seed, random):
    index = UniformSample(num_frames, random).index(length, rng(seed))
    assert index.shape == (num_frames,)
    assert (np.diff(index) >= 0).all()
    assert index[0] >= 0
    assert index[-1] < length
    if length >= num_frames:
        low = np.floor(np.arange(num_frames) * length / num_frames)
        high = np.ceil((np.arange(num_frames) + 1) * length / num_frames)
        assert ((index >= low) & (index < high)).all()
    elif not random:
        assert set(index.tolist()) == set(range(length))  # every frame is shown


def test_random_frames_repeat_and_rise(chain):
    assert shown(RandomSample(4, random=False)(numbered(10, chain), rng())) == [1, 4, 7, 10]
    assert shown(RandomSample(4, random=False, place=0.9)(numbered(10, chain), rng())) == [
        1,
        4,
        7,
        10,
    ]
    assert shown(RandomSample(3, random=False)(numbered(1, chain), rng())) == [1, 1, 1]
    drawn = [RandomSample(8)(numbered(10, chain), rng(seed)) for seed in range(50)]
    frames = np.array([shown(clip) for clip in drawn])
    assert (np.diff(frames, axis=1) >= 0).all()
    assert set(frames.flatten()) == set(range(1, 11))
    assert (np.diff(frames, axis=1) == 0).any(axis=1).mean() > 0.8  # with repetition
    assert len({tuple(row) for row in frames}) > 45


def test_resample_by_hand(chain):
    assert shown(Resample(5)(numbered(3, chain))) == [1, 1.5, 2, 2.5, 3]
    assert shown(Resample(2)(numbered(5, chain))) == [1, 5]
    assert shown(Resample(3)(numbered(1, chain))) == [1, 1, 1]


def test_resample_bridges_missing_joints_by_the_nearer_frame(chain):
    mask = np.ones((1, 3, 4), dtype=bool)
    mask[0, 1, 0] = False
    clip = Resample(9)(Clip.from_positions("c", chain, numbered(3, chain).pos, mask))
    assert clip.mask[0, :, 0].astype(int).tolist() == [1, 1, 0, 0, 0, 0, 1, 1, 1]
    assert shown(clip) == [1, 1, 0, 0, 0, 0, 3, 3, 3]
    assert clip.pos[0, :, 1, 0].tolist() == [1, 1.25, 1.5, 1.75, 2, 2.25, 2.5, 2.75, 3]


def test_repeat_and_pad_by_hand(chain):
    assert shown(RepeatPad(5)(numbered(2, chain), rng())) == [1, 2, 1, 2, 1]
    padded = ZeroPad(5)(numbered(2, chain), rng())
    assert shown(padded) == [1, 2, 0, 0, 0]
    assert padded.mask[0, :, 0].tolist() == [True, True, False, False, False]


@pytest.mark.parametrize("kind", [RepeatPad, ZeroPad])
def test_longer_clips_are_cut(chain, kind):
    clip = numbered(7, chain)
    assert shown(kind(3, "middle")(clip, rng())) == [3, 4, 5]
    assert shown(kind(3, "end")(clip, rng())) == [5, 6, 7]
    starts = {shown(kind(3, "random")(clip, rng(seed)))[0] for seed in range(60)}
    assert starts == {1, 2, 3, 4, 5}
    assert kind(7)(clip, rng()) is clip


def test_crop(chain):
    clip = numbered(10, chain)
    assert shown(Crop(0.5, 0.6, random=False)(clip, rng())) == [3, 4, 5, 6, 7, 8]
    lengths = {Crop(0.5, 1.0)(clip, rng(seed)).num_frames for seed in range(60)}
    assert lengths == {5, 6, 7, 8, 9, 10}
    assert Crop(0.01, 0.01)(clip, rng()).num_frames == 1


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("frames", [1, 5, 20])
def test_samplers_give_their_length(chain, sampling, frames):
    for random in (False, True):
        clip = frame_sampler(sampling, 8, random)(numbered(frames, chain), rng())
        assert clip.num_frames == (min(frames, 8) if sampling == "own" else 8)
    fixed = frame_sampler(sampling, 8, random=False)
    clip = numbered(frames, chain)
    assert shown(fixed(clip, rng(1))) == shown(fixed(clip, rng(2)))


def test_before_a_future_the_end_is_kept(chain):
    for sampling in ("repeat", "pad"):
        for random in (False, True):
            sampler = frame_sampler(sampling, 4, random, keep_end=True)
            assert shown(sampler(numbered(9, chain), rng())) == [6, 7, 8, 9]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: RandomRotate(-1), r"max_degrees must be within 0\.\.180, got -1"),
        (lambda: RandomRotate((0, 0, 181)), "max_degrees must be within"),
        (lambda: RandomScale(0, 1), "RandomScale needs 0 < low <= high, got 0 and 1"),
        (lambda: RandomScale(2, 1), "RandomScale needs"),
        (lambda: RandomFlip(1.5), r"probability must be within 0\.\.1, got 1.5"),
        (lambda: RandomNoise(-1), "sigma must be at least 0, got -1"),
        (lambda: RandomMove(keys=1), "keys must be at least 2, got 1"),
        (lambda: RandomMove(scale=(2, 1)), "RandomMove needs"),
        (lambda: Crop(0, 1), "Crop needs 0 < low <= high <= 1, got 0 and 1"),
        (lambda: Crop(0.5, 2), "Crop needs"),
        (lambda: UniformSample(0), "num_frames must be at least 1, got 0"),
        (lambda: Resample(0), "num_frames must be"),
        (lambda: RandomSample(0), "num_frames must be"),
        (lambda: RandomSample(4, place=2), "place must be"),
        (lambda: RandomRotate(order="yxz"), "order must be one of xyz, zyx, got 'yxz'"),
        (lambda: ViewNormalize(published=True, whole=True), "whole must be False"),
        (lambda: RepeatPad(4, "start"), "keep must be middle, end, random, or within"),
        (lambda: ZeroPad(4, "start"), "keep must be"),
        (lambda: RepeatPad(4, 1.5), r"within 0\.\.1, got 1.5"),
        (lambda: UniformSample(4, place=2), r"place must be within 0\.\.1, got 2"),
        (lambda: Shorten(0), "num_frames must be"),
        (lambda: RandomShear(-1), "amount must be at least 0, got -1"),
        (lambda: RandomLoss(1.5), "RandomLoss needs 0 <= probability <= 1"),
        (lambda: RandomLoss(0.5, 0), "RandomLoss needs"),
        (lambda: RandomSpeed(2, 1), "RandomSpeed needs 0 < low <= high"),
        (lambda: RandomSpeed(keys=0), "RandomSpeed needs"),
        (lambda: frame_sampler("spiral", 4, True), "sampling must be one of uniform, random"),
    ],
)
def test_bad_options_are_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_places_choose_frames_and_windows(chain):
    clip = numbered(12, chain)
    for sampling, place, frames in (
        ("uniform", 0.0, [1, 4, 7, 10]),
        ("uniform", 0.99, [3, 6, 9, 12]),
        ("pad", 0.0, [1, 2, 3, 4]),
        ("repeat", 1.0, [9, 10, 11, 12]),
        ("own", 0.5, [5, 6, 7, 8]),
    ):
        sampler = frame_sampler(sampling, 4, random=False, place=place)
        assert shown(sampler(clip, rng())) == frames, sampling


def test_published_view_turns_shoulders_onto_x_by_the_shortest_way(make_clip):
    clip = Center()(make_clip(2, 6, seed=4))
    layout = clip.layout
    upright, published = ViewNormalize()(clip), ViewNormalize(published=True)(clip)
    right, left = (published.pos[0, 0, joint] for joint in layout.shoulders)
    across = right - left
    np.testing.assert_allclose(across[1:], 0, atol=1e-5)
    assert across[0] > 0
    np.testing.assert_allclose(distances(published), distances(clip), atol=1e-4)
    bottom, top = (upright.pos[0, 0, joint] for joint in layout.spine)
    np.testing.assert_allclose((top - bottom)[:2], 0, atol=1e-5)
    # By hand, as published: the shortest turn from the shoulders once the spine is upright.
    aligned = AlignSpine()(clip).pos
    ends = [aligned[0, 0, joint].astype(float) for joint in layout.shoulders]
    unit = (ends[0] - ends[1]) / np.linalg.norm(ends[0] - ends[1])
    axis = np.cross(unit, [1, 0, 0])
    turn = Rotation.from_rotvec(axis / np.linalg.norm(axis) * np.arccos(unit[0]))
    by_hand = turn.apply(aligned.reshape(-1, 3)).reshape(aligned.shape)
    np.testing.assert_allclose(published.pos, by_hand, atol=1e-5)


def test_shoulders_that_point_the_other_way(chain):
    pos = np.zeros((1, 1, 4, 3))
    pos[0, 0, 1:] = [[0, 0, 1], [1, 0, 0], [-1, 0, 0]]  # head up; left on the right
    clip = Clip.from_positions("c", chain, pos, np.ones((1, 1, 4), dtype=bool))
    for published in (False, True):
        turned = ViewNormalize(published)(clip)
        np.testing.assert_allclose(distances(turned), distances(clip), atol=1e-6)
        right, left = (turned.pos[0, 0, joint] for joint in chain.shoulders)
        np.testing.assert_allclose(right - left, [2, 0, 0], atol=1e-6)


def test_shear_mixes_axes_and_keeps_each_axis_share(make_clip):
    clip = make_clip(2, 5)
    sheared = RandomShear(0.3)(clip, rng())
    matrix, *_ = np.linalg.lstsq(clip.pos.reshape(-1, 3), sheared.pos.reshape(-1, 3), rcond=None)
    np.testing.assert_allclose(np.diag(matrix), 1, atol=1e-4)
    off = matrix[~np.eye(3, dtype=bool)]
    assert (np.abs(off) <= 0.3001).all() and np.ptp(off) > 0.1
    np.testing.assert_array_equal(RandomShear(0.0)(clip, rng()).pos, clip.pos)


def test_joints_are_lost_for_one_stretch_at_the_rate_asked_for(make_clip):
    clip = make_clip(1, 20, seed=1)
    lost = [RandomLoss(0.3, span=0.5)(clip, rng(seed)) for seed in range(200)]
    share = np.mean([(~each.mask).any(axis=1) for each in lost])
    assert 0.27 < share < 0.33
    for each in lost[:20]:
        gone = ~each.mask[0]
        assert gone.sum(axis=0).max() <= 10
        assert (np.abs(np.diff(gone.astype(int), axis=0)).sum(axis=0) <= 2).all()
        assert (each.pos[0][gone] == 0).all()
    alone = clip.with_pos(clip.pos, clip.mask & (np.arange(25) == 3))
    assert RandomLoss(1.0, span=1.0)(alone.frames(slice(0, 1)), rng()).mask.any()
    assert RandomLoss(0.0)(clip, rng()).mask.all()


def test_speed_is_that_of_the_range_and_order_is_kept(chain):
    clip = numbered(41, chain)
    for seed in range(20):
        played = shown(RandomSpeed(0.5, 2.0)(clip, rng(seed)))
        assert (played[0], played[-1]) == (1, 41)
        steps = np.diff(played)
        assert 0.48 < steps.min() <= steps.max() < 2.08
    faster = RandomSpeed(2.0, 2.0)(clip, rng())
    np.testing.assert_allclose(shown(faster), np.arange(1, 42, 2), rtol=1e-6)
    slower = RandomSpeed(0.5, 0.5, keys=1)(clip, rng())
    np.testing.assert_allclose(shown(slower), np.arange(1, 41.1, 0.5), rtol=1e-6)
    assert shown(RandomSpeed()(numbered(1, chain), rng())) == [1]
    assert RandomSpeed(4, 4)(numbered(2, chain), rng()).num_frames >= 1


SCORED = [
    Center(), FitBox(), RandomRotate(), RandomScale(), RandomShear(), RandomFlip(1.0),
    RandomNoise(), RandomMove(),
]  # fmt: skip


@pytest.mark.parametrize("transform", SCORED, ids=lambda transform: type(transform).__name__)
def test_scores_are_no_places(transform):
    layout = get_layout("coco17")
    pos = rng().uniform(0.1, 1, size=(2, 9, 17, 3))
    plain = Clip.from_positions("c", layout, pos[..., :2])
    scored = Clip.from_positions("c", layout, pos, scored=True)
    expected, given = transform(plain, rng(3)), transform(scored, rng(3))
    np.testing.assert_array_equal(given.places, expected.pos)
    scores = scored.scores
    if isinstance(transform, RandomFlip):
        scores = scores[:, :, layout.mirror_index]
    np.testing.assert_array_equal(given.scores, scores)
    assert given.scored


def test_scores_make_no_third_dimension():
    clip = Clip.from_positions("c", get_layout("coco17"), np.ones((1, 2, 17, 3)), scored=True)
    with pytest.raises(ValueError, match="AlignSpine needs clips of 3 coordinates, c has 2"):
        AlignSpine()(clip)


def published_view(pos, every_frame):
    """What 2s-AGCN's preparation of NTU RGB+D does, and PYSKL's, step by step; (M, T, 25, 3)."""
    pos = pos.astype(np.float64)
    if not every_frame:
        pos = pos[:, (pos[0] != 0).any(axis=(1, 2))]
    seen = (pos != 0).any(axis=-1, keepdims=True)
    middle = pos[0, :, 1:2] if every_frame else pos[0, :1, 1:2]
    pos = (pos - middle) * seen
    for (end, start), goal in (((1, 0), [0, 0, 1]), ((8, 4), [1, 0, 0])):
        line = pos[0, 0, end] - pos[0, 0, start]
        line = line / np.linalg.norm(line)
        axis = np.cross(line, goal)
        sine, cosine = np.linalg.norm(axis), line @ goal
        x, y, z = axis / sine
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        turn = np.eye(3) + sine * cross + (1 - cosine) * cross @ cross
        pos = pos @ turn.T
    return pos


@pytest.mark.parametrize("every_frame", [False, True])
def test_the_published_view_is_that_of_the_published_codes(every_frame):
    pos = np.random.default_rng(0).normal(size=(2, 12, 25, 3)) + 3
    pos[0, 3:5] = pos[1, 8:] = 0
    clip = Clip.from_positions("c", get_layout("ntu25"), pos)
    got = PublishedView(every_frame)(clip)
    np.testing.assert_allclose(got.pos, published_view(pos, every_frame), atol=2e-6)
    assert got.num_frames == (12 if every_frame else 10)


def test_a_short_clip_goes_round():
    assert LoopSample(6, random=False, place=0.5).index(4, None).tolist() == [2, 3, 0, 1, 2, 3]
    rng = np.random.default_rng(0)
    assert {LoopSample(3).index(2, rng)[0] for _ in range(20)} == {0, 1}
    drawn = frame_sampler("loop", 4, random=False).index(8, None)
    assert drawn.tolist() == UniformSample(4, random=False).index(8, None).tolist()


def test_nothing_to_do(chain):
    nothing = Clip("c", chain, np.zeros((1, 3, 4, 3), np.float32), np.zeros((1, 3, 4), bool))
    assert Center()(nothing) is nothing and Resample(3)(nothing) is nothing
