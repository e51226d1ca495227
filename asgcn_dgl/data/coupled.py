"""Motions in which it is known who follows whom, to test the inference of A-links on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from asgcn_dgl.data.files import need
from asgcn_dgl.skeleton import SkeletonLayout

Floats = npt.NDArray[np.float64]


def _turned(leader: Floats) -> Floats:
    turned = np.roll(leader, 1, axis=-1)
    turned[..., 0] *= -1.0
    return turned


_MEAN = np.sqrt(2.0 / np.pi)  # of the absolute value of a standard normal number

# Each maps standard normal coordinates (..., d) to others of mean 0 and variance 1.
_MAPS: dict[str, Callable[[Floats], Floats]] = {
    "plain": np.asarray,
    "lagged": np.asarray,
    "turned": _turned,
    "square": lambda leader: (leader**2 - 1.0) / np.sqrt(2.0),
    "absolute": lambda leader: (np.abs(leader) - _MEAN) / np.sqrt(1.0 - 2.0 / np.pi),
    "product": lambda leader: leader * np.roll(leader, 1, axis=-1),
}
COUPLINGS = tuple(_MAPS)


class CoupledMotion(NamedTuple):
    """B clips of V joints, some of which follow others.

    ``positions`` (B, V, T, d) float32, meters; ``links`` (B, V, V) bool, where joint i follows
    joint j; ``kinds`` (B, V, V) int8, the coupling's place in ``couplings``, -1 for no link.
    """

    positions: npt.NDArray[np.float32]
    links: npt.NDArray[np.bool_]
    kinds: npt.NDArray[np.int8]


def coupled_motion(
    num_clips: int,
    joints: int | SkeletonLayout,
    num_frames: int = 50,
    *,
    num_dims: int = 3,
    num_links: int = 2,
    couplings: Sequence[str] = COUPLINGS,
    max_lag: int = 4,
    smoothness: float = 5.0,
    amplitude: float = 0.3,
    noise: float = 0.01,
    rng: np.random.Generator,
) -> CoupledMotion:
    """Return random motions with planted links.

    Every joint moves as smooth noise: white noise through two leaky integrators. In each clip
    ``num_links`` disjoint pairs of joints are drawn, and the second of each pair follows the first:

    ========== =====================================================================
    plain      the same motion one frame later
    lagged     the same motion 2 to ``max_lag`` frames later
    turned     coordinates change places, the first its sign too, one frame later
    square     squared coordinates, one frame later
    absolute   absolute values of the coordinates, one frame later
    product    products of one coordinate and the next, one frame later
    ========== =====================================================================

    A joint alone reveals nothing: joints in no pair lead nobody or, as often as there are followers
    among the paired, follow a joint outside the clip. All have the same mean and variance.

    Parameters
    ----------
    num_clips, num_frames, num_dims
        B, T and d.
    joints
        V, or a layout that has V joints; its bones are not used.
    num_links
        Pairs in each clip, at most V / 2.
    couplings
        Names out of ``COUPLINGS``, equally likely.
    max_lag
        Longest delay, frames.
    smoothness
        Time constant of the integrators, frames.
    amplitude, noise
        Standard deviation of a coordinate and of the observation noise, meters.
    rng
        Source of all randomness.

    Examples
    --------
    >>> import numpy as np
    >>> motion = coupled_motion(4, joints=6, rng=np.random.default_rng(0))
    >>> motion.positions.shape, motion.links.sum(axis=(1, 2)).tolist()
    ((4, 6, 50, 3), [2, 2, 2, 2])
    """
    size = joints.num_joints if isinstance(joints, SkeletonLayout) else joints
    fits, known = (
        0 <= num_links <= size // 2,
        len(couplings) > 0 and all(each in COUPLINGS for each in couplings),
    )
    for name, value, good, limits in (
        ("num_clips", num_clips, num_clips >= 1, "at least 1"),
        ("joints", size, size >= 1, "at least 1"),
        ("num_frames", num_frames, num_frames >= 1, "at least 1"),
        ("num_dims", num_dims, num_dims >= 1, "at least 1"),
        ("max_lag", max_lag, max_lag >= 1, "at least 1"),
        ("num_links", num_links, fits, f"between 0 and half of the {size} joints"),
        ("couplings", tuple(couplings), known, f"some of {COUPLINGS}"),
        ("smoothness", smoothness, smoothness > 0, "above 0"),
        ("amplitude", amplitude, amplitude > 0, "above 0"),
        ("noise", noise, noise >= 0, "at least 0"),
    ):
        need(good, f"{name} must be {limits}, got {value!r}")
    flat = "product" in couplings and num_dims < 2
    need(not flat, f"num_dims must be at least 2 for the coupling 'product', got {num_dims}")
    # Joints in a random order: leader, follower, leader, follower, ... and then the unpaired.
    order = rng.permuted(np.tile(np.arange(size), (num_clips, 1)), axis=1)
    free = smooth_noise((num_clips, size, num_frames + max_lag, num_dims), smoothness, rng)
    pose = free[:, :, max_lag:].copy()
    links = np.zeros((num_clips, size, size), dtype=bool)
    kinds = np.full((num_clips, size, size), -1, dtype=np.int8)
    clips = np.arange(num_clips)
    for pair in range(num_links):
        leader, follower = order[:, 2 * pair], order[:, 2 * pair + 1]
        kind = rng.integers(len(couplings), size=num_clips)
        pose[clips, follower] = _follow(free[clips, leader], kind, couplings, max_lag, rng)
        links[clips, follower, leader] = True
        kinds[clips, follower, leader] = kind
    for place in range(2 * num_links, size):
        # Half of them follow a joint outside the clip: their own free motion, now unseen.
        kind = rng.integers(len(couplings), size=num_clips)
        away = _follow(free[clips, order[:, place]], kind, couplings, max_lag, rng)
        pose[clips, order[:, place]] = np.where(
            rng.random((num_clips, 1, 1)) < 0.5, away, pose[clips, order[:, place]]
        )
    positions = amplitude * pose + noise * rng.standard_normal(pose.shape)
    return CoupledMotion(positions.astype(np.float32), links, kinds)


def smooth_noise(shape: tuple[int, ...], smoothness: float, rng: np.random.Generator) -> Floats:
    """Return stationary standard normal noise (..., T, d), twice leakily integrated over T."""
    from scipy.signal import lfilter  # here: it is slow to import

    keep = np.exp(-1.0 / smoothness)
    burn_in = int(np.ceil(12 * smoothness))
    out = rng.standard_normal((*shape[:-2], burn_in + shape[-2], shape[-1]))
    for _ in range(2):
        out = lfilter([1.0], [1.0, -keep], out, axis=-2)
    return out[..., burn_in:, :] * np.sqrt((1.0 - keep**2) ** 3 / (1.0 + keep**2))


def _follow(
    leader: Floats,
    kind: npt.NDArray[np.int64],
    couplings: Sequence[str],
    max_lag: int,
    rng: np.random.Generator,
) -> Floats:
    """Return the motion (B, T, d) of followers of leaders (B, max_lag + T, d), by kind (B,)."""
    frames = leader.shape[1] - max_lag
    out = np.empty((len(leader), frames, leader.shape[2]))
    for number, name in enumerate(couplings):
        chosen = np.flatnonzero(kind == number)
        lags = (min(2, max_lag), max_lag) if name == "lagged" else (1, 1)
        lag = rng.integers(*lags, size=len(chosen), endpoint=True)
        frame = max_lag - lag[:, None] + np.arange(frames)
        out[chosen] = _MAPS[name](leader[chosen[:, None], frame])
    return out
