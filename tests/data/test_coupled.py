import numpy as np
import pytest

from asgcn_dgl.data.coupled import COUPLINGS, coupled_motion, smooth_noise
from asgcn_dgl.skeleton import get_layout


def draw(num_clips=200, joints=6, seed=0, **options):
    return coupled_motion(num_clips, joints, rng=np.random.default_rng(seed), **options)


def test_shapes_and_pairs():
    motion = draw(30, get_layout("coco17"), num_frames=12, num_dims=2, num_links=5)
    assert motion.positions.shape == (30, 17, 12, 2)
    assert motion.positions.dtype == np.float32
    assert (motion.links.sum(axis=(1, 2)) == 5).all()
    partners = (motion.links | motion.links.transpose(0, 2, 1)).sum(axis=2)
    assert partners.max() == 1  # no joint is in two pairs
    assert ((motion.kinds >= 0) == motion.links).all()


def test_links_differ_from_clip_to_clip_and_draws_from_seed_to_seed():
    motion = draw()
    assert len({links.tobytes() for links in motion.links}) > 100
    np.testing.assert_array_equal(motion.positions, draw().positions)
    assert not np.array_equal(motion.positions, draw(seed=1).positions)


FOLLOWED = {
    "plain": lambda x: x,
    "turned": lambda x: np.stack([-x[..., 2], x[..., 0], x[..., 1]], axis=-1),
    "square": lambda x: (x**2 - 1) / np.sqrt(2),
    "absolute": lambda x: (np.abs(x) - np.sqrt(2 / np.pi)) / np.sqrt(1 - 2 / np.pi),
    "product": lambda x: x * x[..., [2, 0, 1]],
}


@pytest.mark.parametrize("kind", FOLLOWED)
def test_followers_follow_one_frame_later(kind):
    motion = draw(5, couplings=[kind], noise=0.0, amplitude=1.0)
    clip, follower, leader = np.nonzero(motion.links)
    expected = FOLLOWED[kind](motion.positions[clip, leader, :-1].astype(float))
    np.testing.assert_allclose(motion.positions[clip, follower, 1:], expected, atol=1e-5)


def test_lagged_followers_follow_two_to_four_frames_later():
    motion = draw(100, couplings=["lagged"], noise=0.0)
    lags = set()
    for clip, follower, leader in zip(*np.nonzero(motion.links), strict=True):
        x = motion.positions[clip]
        fits = [lag for lag in range(1, 9) if np.array_equal(x[follower, lag:], x[leader, :-lag])]
        assert len(fits) == 1
        lags.update(fits)
    assert lags == {2, 3, 4}


@pytest.mark.parametrize("kind", COUPLINGS)
def test_all_joints_have_the_mean_and_deviation_asked_for(kind):
    motion = draw(2000, couplings=[kind], noise=0.0, amplitude=0.3, num_frames=4)
    assert motion.positions.mean() == pytest.approx(0.0, abs=0.01)
    assert motion.positions.std() == pytest.approx(0.3, rel=0.05)


def test_a_joint_alone_does_not_tell_whether_it_follows():
    """Unpaired joints look like followers as often as paired ones do."""
    motion = draw(4000, couplings=["square"], noise=0.0, num_frames=30)
    follows = motion.links.any(axis=2)
    unpaired = ~(follows | motion.links.any(axis=1))
    least = motion.positions.min(axis=(2, 3))
    bound = -0.3 / np.sqrt(2.0) - 1e-6  # no squared coordinate lies below
    squared = least >= bound
    assert squared[follows].all()
    assert squared[unpaired].mean() == pytest.approx(0.5, abs=0.03)


def test_smooth_noise_is_stationary_and_smooth():
    noise = smooth_noise((3000, 40, 1), 5.0, np.random.default_rng(0))[..., 0]
    np.testing.assert_allclose(noise.std(axis=0), 1.0, atol=0.06)
    np.testing.assert_allclose(noise.mean(axis=0), 0.0, atol=0.09)
    assert (noise[:, 1:] * noise[:, :-1]).mean() > 0.95


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_clips": 0}, "num_clips must be at least 1"),
        ({"joints": 0}, "joints must be at least 1"),
        ({"num_links": 4}, "num_links must be between 0 and half of the 6 joints"),
        ({"couplings": ["twisted"]}, "couplings must be some of"),
        ({"couplings": []}, "couplings must be some of"),
        ({"num_dims": 1}, "num_dims must be at least 2 for the coupling 'product'"),
        ({"max_lag": 0}, "max_lag must be at least 1"),
        ({"noise": -1.0}, "noise must be at least 0"),
        ({"smoothness": 0.0}, "smoothness must be above 0"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        draw(**{"num_clips": 2, **options})
