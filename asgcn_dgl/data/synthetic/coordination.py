"""Actions that differ by which limbs move together, and how.

In all of them both hands and both feet of a person swing up and down, pushed at random. One limb
follows another, and how it follows makes the action; every other limb moves by itself. So a limb
alone moves alike in all actions: only the pair tells them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.signal import lfilter

from asgcn_dgl.data.synthetic import body
from asgcn_dgl.data.synthetic.actions import (
    ACTIONS,
    FRAME_RATE,
    Action,
    ActionList,
    Limb,
    Person,
    Take,
    facing_pair,
)
from asgcn_dgl.data.synthetic.body import Array

LIMBS: dict[str, tuple[tuple[int, ...], ...]] = {
    "hand": tuple(zip(body.ELBOW, body.WRIST, body.HAND, body.TIP, body.THUMB, strict=True)),
    "foot": tuple(zip(body.KNEE, body.ANKLE, body.FOOT, strict=True)),
}
"""Joints of a limb: the right one, the left one."""

WAYS = ("together", "by turns", "in sequence")
"""How the second limb of a pair follows the first."""

FRAMES = (110, 120)  # of a clip, not including the last
SWING = 0.95  # seconds of a swing of a limb, at an average pace
DAMPING = 0.42  # of the swings, a share of the damping at which there would be none
REACTION = (0.09, 0.12)  # seconds by which people are late who move together
LATE = (0.18, 0.23)  # seconds by which one moves after the other


def pushed_swings(frames: int, period: float, damping: float, rng: np.random.Generator) -> Array:
    """Return ``(T,)`` places of a damped pendulum that is pushed at random, of unit variance.

    ``period`` is in frames; ``damping`` is a share of the critical one, below 1.
    """
    keep = np.exp(-2 * np.pi * damping / period)
    turn = 2 * np.pi * np.sqrt(1 - damping**2) / period
    last, before = 2 * keep * np.cos(turn), -(keep**2)  # x_t = last x_t-1 + before x_t-2 + push
    burn_in = round(4 * period)
    swings = lfilter([1.0], [1.0, -last, -before], rng.normal(size=burn_in + frames))[burn_in:]
    variance = (1 - before) / ((1 + before) * ((1 - before) ** 2 - last**2))
    return np.asarray(swings / np.sqrt(variance))


def _drive(take: Take) -> Callable[[Array], Array]:
    """Make a movement up and down between 0 and 1 that cannot be predicted for long.

    It is a function of seconds, from one before the clip on.
    """
    frames = take.frames + int(FRAME_RATE)
    noise = pushed_swings(frames, SWING * FRAME_RATE / take.pace, DAMPING, take.rng)
    times, heights = np.arange(frames) / FRAME_RATE - 1.0, 0.5 + 0.5 * np.tanh(0.7 * noise)
    return lambda clock: np.interp(clock, times, heights)


def _raise_hand(person: Person, side: int, height: Array) -> None:
    """Raise a hand from beside the hip to the height of the chest."""
    rng, reach = person.take.rng, min(person.take.reach, 1.1)
    low = np.array([0.35, -0.7, 0.3]) + rng.uniform(-0.07, 0.07, 3)
    high = np.array([0.4, 0.1 * reach, 0.5]) + rng.uniform(-0.07, 0.07, 3)
    place = low[:, None] + (high - low)[:, None] * height
    person.point_elbow(side, 0.8, -0.5, 0.1, np.ones(person.frames))
    person.move_hand(side, person.reach(side, *place))


def _lift_foot(person: Person, side: int, height: Array) -> None:
    """Lift a knee and its foot."""
    take = person.take
    up = take.rng.uniform(0.19, 0.22) * min(take.reach, 1.1) * person.body.height * height
    person.move_foot(side, 0.0, up, 0.6 * up)
    person.toes[side] = -0.5 * height


def _action(partner: int, kind: str, way: str) -> Action:
    """Return the action in which a hand and a limb of a kind, of a person, move together."""

    def act(take: Take) -> Sequence[Person]:
        # They were at it before the clip begins, and do not stop where it ends.
        take.cut(int(take.rng.integers(*FRAMES)))
        both = not partner and kind == "hand"  # of one person, the right one and the left one
        sides = (0, 1) if both else take.rng.integers(2, size=2)
        pair = take.pair = Limb(0, "hand", int(sides[0])), Limb(partner, kind, int(sides[1]))
        persons: Sequence[Person]
        if partner:
            persons = facing_pair(take, take.rng.uniform(1.3, 1.8))
        else:
            persons = (Person(take, take.subject),)
        drive = _drive(take)
        lead = int(take.rng.integers(2))
        late = take.rng.uniform(*(LATE if way == "in sequence" else REACTION))
        moved = drive(take.clock - late)
        follow = 1.0 - moved if way == "by turns" else moved
        moves = {pair[lead]: drive(take.clock), pair[1 - lead]: follow}

        def height(*limb: Any) -> Array:
            return moves[limb] if limb in moves else _drive(take)(take.clock)

        for number, person in enumerate(persons):
            for side in (0, 1):
                _lift_foot(person, side, height(number, "foot", side))
            person.pose()
            for side in (0, 1):
                _raise_hand(person, side, height(number, "hand", side))
        return persons

    return act


_PAIRS = {"hands": (0, "hand"), "hand and foot": (0, "foot"), "hands of two": (1, "hand")}

COORDINATED: ActionList = tuple(
    (f"{who} {way}", partner + 1, 2.7, _action(partner, kind, way))
    for who, (partner, kind) in _PAIRS.items()
    for way in WAYS
)
"""Actions that differ by which limbs move together, and how."""

_SINGLE = ("wave", "kick", "sit down", "handshake")
MIXED = (*(action for action in ACTIONS if action[0] in _SINGLE), *COORDINATED)
"""Those, beside some that single limbs tell apart."""
