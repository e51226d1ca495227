"""Actions that differ by which limbs move together, and how.

In all of them both hands and the left foot of a person rise and fall again and again. Two limbs
keep the same tempo, and their phases make the action; every other limb has a tempo of its own. So
a limb by itself moves alike in all actions: only the pair tells them apart.
"""

from __future__ import annotations

import numpy as np

from asgcn_dgl.data.synthetic.actions import ACTIONS, Action, Limb, Take, facing_pair
from asgcn_dgl.data.synthetic.body import (
    ANKLE,
    ELBOW,
    FOOT,
    HAND,
    KNEE,
    THUMB,
    TIP,
    WRIST,
    Array,
    Figure,
)

LIMBS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "hand": tuple(  # type: ignore[dict-item]
        (ELBOW[k], WRIST[k], HAND[k], TIP[k], THUMB[k]) for k in (0, 1)
    ),
    "foot": tuple((KNEE[k], ANKLE[k], FOOT[k]) for k in (0, 1)),  # type: ignore[dict-item]
}
"""Joints of a limb: the right one, the left one."""

WAYS = {"together": 0.0, "by turns": np.pi, "one after the other": 0.5 * np.pi}
"""By what phase the second limb follows the first."""

FRAMES = (72, 89)  # of a clip, not including the last
TEMPO = 1.0  # how often limbs rise in a second, at an average pace


class _Tempo:
    """Movements of the limbs of one clip, up and down between 0 and 1."""

    def __init__(self, take: Take) -> None:
        self.take = take
        self.rate = TEMPO * take.pace * take.rng.uniform(0.9, 1.1)  # hertz
        self.wander = self._wander()

    def _wander(self) -> Array:
        return self.take.rng.uniform(0.0, 2 * np.pi) + 0.35 * self.take.drift()

    def shared(self, phase: float) -> Array:
        """Movement of a limb of the pair."""
        return 0.5 + 0.5 * np.sin(2 * np.pi * self.rate * self.take.clock + self.wander - phase)

    def own(self) -> Array:
        """Movement of any other limb: slower or faster than the pair."""
        rng = self.take.rng
        ratio = rng.uniform(0.5, 0.7) if rng.random() < 0.5 else rng.uniform(1.4, 1.8)
        angle = 2 * np.pi * self.rate * ratio * self.take.clock + self._wander()
        return 0.5 + 0.5 * np.sin(angle)


def _raise_hand(take: Take, figure: Figure, side: int, height: Array) -> None:
    """Raise a hand from beside the hip to shoulder height and over."""
    rng, reach = take.rng, min(take.reach, 1.1)
    low = np.array([rng.uniform(0.2, 0.45), rng.uniform(-0.8, -0.6), rng.uniform(0.15, 0.4)])
    high = np.array([rng.uniform(0.15, 0.6), rng.uniform(-0.1, 0.5) * reach, 0.5])
    place = low[:, None] + (high - low)[:, None] * height
    figure.point_elbow(side, 0.8, -0.5, 0.1, np.ones(take.frames))
    figure.move_hand(side, figure.reach(side, *place))


def _lift_foot(take: Take, figure: Figure, side: int, height: Array) -> None:
    """Lift a knee, the other foot stays on the floor."""
    up = take.rng.uniform(0.1, 0.17) * min(take.reach, 1.1) * figure.body.height * height
    figure.move_foot(side, 0.0, up, 0.6 * up)
    figure.toes[side] = -0.5 * height


def _dance(
    take: Take, pair: tuple[Limb, Limb], phase: float, figures: tuple[Figure, ...]
) -> list[Array]:
    """Let every person move both hands and the left foot, the pair of limbs at one tempo."""
    tempo = _Tempo(take)
    take.pair = pair
    moves = {pair[0]: tempo.shared(0.0), pair[1]: tempo.shared(phase)}
    if take.rng.random() < 0.5:  # either may lead
        moves = {pair[0]: moves[pair[1]], pair[1]: moves[pair[0]]}
    people = (take.subject, take.partner)
    for person, figure in enumerate(figures):
        limbs = [Limb(person, "foot", 1), Limb(person, "hand", 0), Limb(person, "hand", 1)]
        heights = [moves[limb] if limb in moves else tempo.own() for limb in limbs]
        _lift_foot(take, figure, 1, heights[0])
        take.trunk(figure, people[person], right=0.02 * figure.body.height)
        for side in (0, 1):
            _raise_hand(take, figure, side, heights[1 + side])
    return [figure.positions() for figure in figures]


def _action(pair: tuple[Limb, Limb], phase: float) -> Action:
    """Return the action in which two limbs move together."""

    def act(take: Take) -> list[Array]:
        # They were at it before the clip begins, and do not stop where it ends.
        take.cut(int(take.rng.integers(*FRAMES)))
        figures: tuple[Figure, ...] = (take.figure(take.subject),)
        if any(limb.person for limb in pair):
            figures = facing_pair(take, take.rng.uniform(1.3, 1.8))
        return _dance(take, pair, phase, figures)

    return act


_PAIRS = {
    "hands": (Limb(0, "hand", 0), Limb(0, "hand", 1)),
    "hand and foot": (Limb(0, "hand", 0), Limb(0, "foot", 1)),
    "hands of two": (Limb(0, "hand", 0), Limb(1, "hand", 0)),
}

# Class name, number of persons, typical duration in seconds, function.
COORDINATED: tuple[tuple[str, int, float, Action], ...] = tuple(
    (f"{who} {how}", 1 + max(limb.person for limb in pair), 2.7, _action(pair, phase))
    for who, pair in _PAIRS.items()
    for how, phase in WAYS.items()
)
"""Actions that differ by which limbs move together, and how."""

_SINGLE = ("wave", "kick", "sit down", "handshake")
MIXED = (*(action for action in ACTIONS if action[0] in _SINGLE), *COORDINATED)
"""Those, beside some that single limbs tell apart."""
