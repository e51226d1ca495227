"""Which bodies of a clip count: noise left out, broken tracks joined, the best ones kept.

A sensor takes furniture for bodies, loses a person and finds them again under another identity,
and sees onlookers. Each step here is a transform ``(clip, rng) -> clip`` that draws nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from asgcn_dgl.data.clip import Clip
from asgcn_dgl.data.files import check_choice, need


def energy(pos: np.ndarray, mask: np.ndarray) -> float:
    """Return how much a body (T, V, d) moves: the standard deviations of its coordinates, summed.

    Taken over all joints and frames where the mask (T, V) is True, as the published preparations of
    NTU RGB+D do; furniture that the sensor took for bodies hardly moves.
    """
    return float(pos[mask].std(axis=0, dtype=np.float64).sum()) if mask.any() else 0.0


def _energies(clip: Clip) -> np.ndarray:
    return np.array([energy(*body) for body in zip(clip.places, clip.mask, strict=True)])


def _tracked(clip: Clip) -> np.ndarray:
    return clip.mask.any(axis=2).sum(axis=1)


#: Rules by which bodies are ranked, see :func:`rank_bodies`.
BODY_RULES = ("energy", "confidence", "tracking")


def rank_bodies(clip: Clip, rule: str = "energy") -> np.ndarray:
    """Return the numbers of the bodies that are seen, best first; ties keep the clip's order.

    ``"energy"``: those that move most, by the summed standard deviations of their coordinates.
    ``"confidence"``: the highest mean score over all joints and frames, a missing one counting 0;
    without scores the share of joints seen. ``"tracking"``: those seen in most frames, among equals
    those that move most.
    """
    check_choice("rule", rule, BODY_RULES)
    seen = np.flatnonzero(clip.mask.any(axis=(1, 2)))
    if len(seen) < 2:
        return seen
    clip = _pick(clip, seen)
    if rule == "confidence":
        scores = clip.mask if clip.scores is None else clip.scores
        keys = [-scores.mean(axis=(1, 2), dtype=np.float64)]
    else:
        keys = [-_energies(clip)]
        if rule == "tracking":
            keys.append(-_tracked(clip))
    return seen[np.lexsort(keys)]


@dataclass(frozen=True)
class SelectBodies:
    """Keep the best ``max_bodies`` bodies (None: all) by a rule of :func:`rank_bodies`.

    A clip in which nothing is seen keeps its first body.
    """

    max_bodies: int | None = 2
    rule: str = "energy"

    def __post_init__(self) -> None:
        good = self.max_bodies is None or self.max_bodies >= 1
        need(good, f"max_bodies must be at least 1, got {self.max_bodies}")
        check_choice("rule", self.rule, BODY_RULES)

    def __call__(self, clip: Clip, rng: np.random.Generator | None = None) -> Clip:
        if clip.num_bodies == 1:
            return clip
        ranked = rank_bodies(clip, self.rule)
        return _pick(clip, ranked[: self.max_bodies] if len(ranked) else [0])


def _pick(clip: Clip, bodies: Sequence[int] | np.ndarray) -> Clip:
    index = np.asarray(bodies)
    if np.array_equal(index, np.arange(clip.num_bodies)):
        return clip
    return replace(clip, pos=clip.pos[index], mask=clip.mask[index])


# Noise -------------------------------------------------------------------------------------------

#: Rules by which a body is noise, see :class:`DropNoise`.
NOISE_RULES = ("length", "spread", "motion")


@dataclass(frozen=True)
class DropNoise:
    """Leave out bodies that are noise, by the rules of CTR-GCN's preparation of NTU RGB+D.

    Each rule acts on what the rule before it left, and only where there are several bodies. At
    least the body that moves most stays. The usual figures are those of the published preparation
    (Chen et al., ICCV 2021, which takes them from Zhang et al., TPAMI 2019).

    Parameters
    ----------
    rules
        Which of ``"length"``, ``"spread"`` and ``"motion"``.
    min_frames
        Length: a body that is there in fewer frames is noise.
    max_width
        Spread: in a frame that is wrong the body is wider (x) than this share of its height (y).
    max_wrong
        Spread: a body of which this share of the frames is wrong is noise.
    motion
        Motion: a body with a lower or higher sum of variances of its coordinates is noise, the
        liveliest one excepted; squared units of the positions.
    """

    rules: tuple[str, ...] = ("length", "spread")
    min_frames: int = 12
    max_width: float = 0.8
    max_wrong: float = 0.69754
    motion: tuple[float, float] = (0.089925, 2.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", tuple(self.rules))
        for rule in self.rules:
            known = ", ".join(NOISE_RULES)
            need(rule in NOISE_RULES, f"rules must be of {known}, got {rule!r}")

    def __call__(self, clip: Clip, rng: np.random.Generator | None = None) -> Clip:
        for rule in NOISE_RULES:
            if rule in self.rules and clip.num_bodies > 1:
                good = getattr(self, f"_{rule}")(clip)
                if not good.any():
                    good[int(_energies(clip).argmax())] = True
                clip = _pick(clip, np.flatnonzero(good))
        return clip

    def _length(self, clip: Clip) -> np.ndarray:
        return _tracked(clip) >= self.min_frames

    def _spread(self, clip: Clip) -> np.ndarray:
        """Whether the frames in which a body is too wide are few, for each body."""
        plane, seen = clip.pos[..., :2], clip.mask[..., None]
        high = np.where(seen, plane, -np.inf).max(axis=2)  # (M, T, 2)
        low = np.where(seen, plane, np.inf).min(axis=2)
        there = clip.mask.any(axis=2)
        with np.errstate(invalid="ignore", over="ignore"):
            width, height = np.moveaxis(high - low, -1, 0)
            wrong = there & (width > self.max_width * height)
        return wrong.sum(axis=1) < self.max_wrong * np.maximum(there.sum(axis=1), 1)

    def _motion(self, clip: Clip) -> np.ndarray:
        amount = np.array(
            [
                body[seen].var(axis=0, dtype=np.float64).sum() if seen.any() else 0.0
                for body, seen in zip(clip.places, clip.mask, strict=True)
            ]
        )
        good = (amount >= self.motion[0]) & (amount <= self.motion[1])
        good[int(amount.argmax())] = True
        return good


# Tracks ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class JoinTracks:
    """Join tracks of one person that the sensor lost and found again under another identity.

    Two tracks belong together where they share no frame, and wherever one follows the other the
    body is found about where it was lost: after at most ``max_gap`` frames, with joints that have
    moved on the whole by at most ``max_jump`` sizes of the body (the diagonal of the box around its
    joints). Tracks are taken in the order in which they begin; each goes to the fitting one whose
    jump is smallest.
    """

    max_gap: int = 30
    max_jump: float = 0.5

    def __post_init__(self) -> None:
        good = self.max_gap >= 0 and self.max_jump >= 0
        got = f"{self.max_gap} and {self.max_jump}"
        need(good, f"max_gap and max_jump must be at least 0, got {got}")

    def __call__(self, clip: Clip, rng: np.random.Generator | None = None) -> Clip:
        there: np.ndarray = np.asarray(clip.mask.any(axis=2))  # (M, T)
        if clip.num_bodies == 1 or there.all():
            return clip
        pos, mask = clip.pos.copy(), clip.mask.copy()
        places = pos[..., : clip.num_places]  # a view: what is joined is seen here too
        kept: list[int] = []
        for track in np.argsort(there.argmax(axis=1), kind="stable").tolist():
            if not there[track].any():
                continue
            free = [body for body in kept if not (there[body] & there[track]).any()]
            jumps = [self._jump(places, mask, body, track) for body in free]
            if not jumps or min(jumps) > self.max_jump:
                kept.append(track)
                continue
            body = free[int(np.argmin(jumps))]
            frames = there[track]
            pos[body, frames], mask[body, frames] = pos[track, frames], mask[track, frames]
            there[body] |= frames
        order = sorted(kept) or [0]
        return replace(clip, pos=pos[order], mask=mask[order])

    def _jump(self, pos: np.ndarray, mask: np.ndarray, one: int, other: int) -> float:
        """Largest move where one track follows the other, in sizes of the body; inf if too late."""
        when = [np.flatnonzero(mask[body].any(axis=1)) for body in (one, other)]
        frames = np.concatenate(when)
        owner = np.repeat([one, other], [len(each) for each in when])
        order = np.argsort(frames)
        frames, owner = frames[order], owner[order]
        jumps = []
        for at in np.flatnonzero(owner[1:] != owner[:-1]).tolist():
            before, after = (owner[at], frames[at]), (owner[at + 1], frames[at + 1])
            if after[1] - before[1] - 1 > self.max_gap:
                return np.inf
            ends = [(pos[end].astype(np.float64), mask[end]) for end in (before, after)]
            size = max(float(np.linalg.norm(np.ptp(joints[seen], axis=0))) for joints, seen in ends)
            jumps.append(_move(*ends) / size if size else np.inf)
        return max(jumps)


def _move(before: tuple[np.ndarray, np.ndarray], after: tuple[np.ndarray, np.ndarray]) -> float:
    """How far the joints seen both times moved on the whole; where there are none, those seen."""
    both = before[1] & after[1]
    first, second = (
        pos[both if both.any() else seen].mean(axis=0) for pos, seen in (before, after)
    )
    return float(np.linalg.norm(second - first))
