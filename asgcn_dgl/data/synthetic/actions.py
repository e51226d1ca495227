"""The actions of the synthetic set: what a subject's body does over time.

An action is a function of a `Take` that returns one person or two. All that makes two performances
of one action differ is drawn from the generator of the take.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from asgcn_dgl.data.synthetic.body import (
    ANKLE,
    HEAD,
    HIP,
    KNEE,
    SIDE,
    SPINE_SHOULDER,
    Array,
    Body,
    Figure,
    rotation,
)

FRAME_RATE = 30.0
MIN_FRAMES, MAX_FRAMES = 40, 120

# How often somebody looks on while one person acts, so that the number of bodies is a hint only.
BYSTANDER_SHARE = 0.1

# Wrists at rest (out, up, forward from the shoulder in arm lengths): hanging, clasped, on the hips.
REST_POSTURES = ((0.13, -0.94, 0.1), (-0.24, -0.72, 0.42), (0.22, -0.64, 0.06))
REST_SHARES = (0.65, 0.23, 0.12)

# How far the trunk sways, in the units of `Figure.set_trunk`.
SWAY = dict(right=0.012, forward=0.012, bend=0.02, lean=0.015, twist=0.05, nod=0.07, look=0.12)


@dataclass(frozen=True)
class Subject:
    """A person: a body and the manner in which it moves.

    ``pace`` is the speed and ``reach`` the amplitude of movements, relative to the average;
    ``hand`` the preferred side, 0 right and 1 left; ``slouch`` radians by which the trunk is
    habitually bent; ``stance`` half the distance between the feet in meters; ``rest`` the habitual
    posture of the arms, an index into `REST_POSTURES`.
    """

    body: Body = field(default_factory=Body)
    pace: float = 1.0
    reach: float = 1.0
    hand: int = 0
    slouch: float = 0.06
    stance: float = 0.1
    rest: int = 0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Subject:
        """Draw a person at random."""
        height = rng.uniform(1.5, 1.92)
        return cls(
            body=Body(height, *rng.uniform((0.95, 0.93, 0.88), (1.05, 1.07, 1.12))),
            pace=rng.uniform(0.75, 1.3),
            reach=rng.uniform(0.76, 1.2),
            hand=int(rng.random() < 0.4),
            slouch=rng.uniform(0.0, 0.16),
            stance=height * rng.uniform(0.045, 0.085),
            rest=int(rng.choice(3, p=REST_SHARES)),
        )


class Limb(NamedTuple):
    """A limb of one of the persons of a clip: 'hand' or 'foot', 0 right and 1 left."""

    person: int
    kind: str
    side: int


class Take:
    """One performance of an action that typically takes ``seconds``: who acts, when, how fast.

    The partner stands by for actions of two.
    """

    def __init__(
        self, subject: Subject, partner: Subject, rng: np.random.Generator, seconds: float
    ) -> None:
        self.subject, self.partner, self.rng = subject, partner, rng
        self.pace = subject.pace * rng.uniform(0.85, 1.18)
        self.reach = subject.reach * rng.uniform(0.88, 1.12)
        duration = seconds / self.pace
        before, after = rng.uniform(-0.1, 1.1), rng.uniform(-0.1, 0.8)
        self.cut(round(FRAME_RATE * (before + duration + after)))
        self.since = self.clock - before  # seconds since the action began
        self.phase = self.since / duration  # 0 where the action begins, 1 where it ends
        # People sometimes use the other hand.
        self.hand = subject.hand if rng.random() < 0.8 else 1 - subject.hand
        self.pair: tuple[Limb, Limb] | None = None  # limbs that move together

    def cut(self, frames: int) -> None:
        """Set the length of the clip."""
        self.frames = min(max(frames, MIN_FRAMES), MAX_FRAMES)
        self.clock = np.arange(self.frames) / FRAME_RATE  # seconds since the clip began

    def ramp(self, start: float, stop: float) -> Array:
        """Smooth step (minimum jerk) from 0 to 1 between two phases, ``(T,)``."""
        u = np.clip((self.phase - start) / (stop - start), 0.0, 1.0)
        return u**3 * (10.0 + u * (6.0 * u - 15.0))

    def pulse(self, rise: float, top: float, fall: float, end: float) -> Array:
        """Smooth rise to 1 between two phases and fall back to 0 between two later ones."""
        return self.ramp(rise, top) - self.ramp(fall, end)

    def swing(self, hertz: float) -> Array:
        """Sine of the given frequency that drifts a little, at a random angle at first."""
        rate = hertz * self.pace * self.rng.uniform(0.9, 1.1)
        angle = self.rng.uniform(0.0, 2 * np.pi) + 0.4 * self.drift()
        return np.sin(2 * np.pi * rate * self.since + angle)

    def drift(self, *shape: int) -> Array:
        """Slow random wander of about unit size, ``shape + (T,)``: nobody stands still."""
        rate = self.rng.uniform(0.1, 0.7, (3, *shape, 1))
        angle = self.rng.uniform(0.0, 2 * np.pi, (3, *shape, 1))
        return 0.8 * np.sin(2 * np.pi * rate * self.clock + angle).sum(axis=0)

    def moment(self) -> Array:
        """Something brief at a random time, up to 1 and back, ``(T,)``."""
        middle = self.rng.uniform(0.0, self.clock[-1])
        width = self.rng.uniform(0.3, 0.8)
        return np.clip(
            1.5 * np.cos(np.clip((self.clock - middle) / width, -1, 1) * np.pi / 2), 0, 1
        )


class Person(Figure):
    """A subject on the stage of a take, `x` meters to the right, by default facing about the front.

    A habitual posture and sway are added to what the action asks for.
    """

    def __init__(
        self, take: Take, who: Subject, x: float = 0.0, heading: float | None = None
    ) -> None:
        rng = take.rng
        if heading is None:
            heading = rng.uniform(-0.9, 0.9)
        place = (x + rng.normal(0.0, 0.04), rng.normal(0.0, 0.1))
        super().__init__(who.body, take.frames, place, heading, who.stance)
        self.take, self.who = take, who
        if rng.random() < 0.3:  # shifts a foot at some time
            side, size = int(rng.integers(2)), who.body.height
            lift = rng.uniform(0.02, 0.07) * size * take.moment()
            self.move_foot(side, 0.0, lift, rng.uniform(-0.5, 1.0) * lift)

    def pose(self, **moves: Array | float) -> None:
        """Set the trunk to the moves of the action, see `Figure.set_trunk`, the arms at rest."""
        drift = zip(SWAY.items(), self.take.drift(len(SWAY)), strict=True)
        own = {name: size * sway for (name, size), sway in drift}
        own["bend"] = self.who.slouch + own["bend"]
        self.set_trunk(**{**moves, **{name: own[name] + moves.get(name, 0.0) for name in own}})
        # The arms rest in the habitual posture, or now and then in another.
        rng = self.take.rng
        rest = self.who.rest if rng.random() < 0.7 else int(rng.choice(3, p=REST_SHARES))
        place = np.array(REST_POSTURES[rest])[:, None] + rng.normal(0.0, 0.03, (3, 1))
        for side in (0, 1):
            self.move_hand(side, self.reach(side, *(place + 0.02 * self.take.drift(3))))
            if rest == 2:
                self.point_elbow(side, 0.9, -0.2, -0.4, np.ones(self.frames))
        for side in (0, 1):
            if rng.random() < 0.27:  # scratches, points, straightens the clothes
                where = rng.uniform((-0.35, -0.5, 0.15), (0.4, 0.6, 0.7))
                self.move_hand(side, self.reach(side, *where), self.take.moment())

    def step(self, distance: float, start: float, stop: float) -> Array:
        """Step forward with one foot and then the other; return the pelvis's way in meters."""
        lead = int(self.take.rng.integers(2))
        half = 0.5 * (stop - start)
        for side, begin in ((lead, start), (1 - lead, start + half)):
            way = self.take.ramp(begin, begin + half)
            self.move_foot(side, 0.0, 0.3 * abs(distance) * 4 * way * (1 - way), distance * way)
        return distance * self.take.ramp(start, stop)


Action = Callable[[Take], Sequence[Person]]


def facing_pair(take: Take, gap: float) -> tuple[Person, Person]:
    """Two persons who face each other across a gap in meters, the subject on either side."""
    side = take.rng.choice((-1.0, 1.0))
    turn = take.rng.normal(0.0, 0.08, 2)
    first = Person(take, take.subject, -side * gap / 2, heading=-side * np.pi / 2 + turn[0])
    second = Person(take, take.partner, side * gap / 2, heading=side * np.pi / 2 + turn[1])
    return first, second


def _stand_by(take: Take) -> Person:
    """Somebody who looks on, one to one and a half meters aside."""
    you = Person(take, take.partner, take.rng.choice((-1.0, 1.0)) * take.rng.uniform(1.0, 1.4))
    you.pose()
    return you


def _drink(take: Take) -> Sequence[Person]:
    me, hand = Person(take, take.subject), take.hand
    up = take.pulse(0.0, 0.3, 0.72, 1.0)
    tilt = take.pulse(0.28, 0.42, 0.62, 0.75)
    me.pose(nod=-0.35 * take.reach * tilt)
    sip = 1.0 - 0.12 * (1 - tilt) * up
    size = me.body.height
    mouth = me.near(HEAD, SIDE[hand] * 0.045 * size, -0.085 * size, 0.075 * size)
    me.point_elbow(hand, 0.7, -0.75 + 0.3 * take.rng.random(), 0.15, up)
    me.move_hand(hand, mouth, up * sip)
    return [me]


def _wave(take: Take) -> Sequence[Person]:
    me, hand = Person(take, take.subject), take.hand
    up = take.pulse(0.0, 0.22, 0.8, 1.0)
    me.pose(lean=-0.04 * SIDE[hand] * up)
    height = take.rng.uniform(0.1, 0.65)
    out = take.rng.uniform(0.3, 0.5) + 0.24 * take.reach * take.swing(1.7)
    me.point_elbow(hand, 0.8, -0.6, 0.1, up)
    me.move_hand(hand, me.reach(hand, out, height, take.rng.uniform(0.2, 0.45)), up)
    return [me]


def _clap(take: Take) -> Sequence[Person]:
    me = Person(take, take.subject)
    up = take.pulse(0.0, 0.18, 0.84, 1.0)
    me.pose()
    open_ = 0.5 + 0.5 * take.swing(2.1)
    size, height = me.body.height, take.rng.uniform(-0.2, -0.02)
    for side in (0, 1):
        gap = (0.012 + 0.1 * take.reach * open_) * size * SIDE[side]
        middle = me.near(SPINE_SHOULDER, gap, height * size, 0.17 * size)
        me.point_elbow(side, 0.75, -0.7, 0.1, up)
        me.move_hand(side, middle, up)
    return [me]


def _throw(take: Take) -> Sequence[Person]:
    me, hand = Person(take, take.subject), take.hand
    back, release = take.pulse(0.0, 0.34, 0.42, 0.6), take.pulse(0.4, 0.54, 0.6, 0.78)
    follow = take.pulse(0.54, 0.68, 0.74, 1.0)
    way = me.step(0.16 * take.reach * me.body.height * take.rng.random(), 0.3, 0.6)
    turn = SIDE[hand] * take.reach
    me.pose(
        forward=0.6 * way + 0.03 * (release + follow - back),
        twist=turn * (-0.5 * back + 0.35 * release + 0.4 * follow),
        bend=-0.1 * back + 0.15 * release + 0.3 * follow,
    )
    other = 1 - hand
    me.move_hand(other, me.reach(other, 0.1, -0.15, 0.7), 0.7 * take.reach * back / 1.3)
    high = take.rng.uniform(0.15, 0.5)
    me.point_elbow(hand, 0.9, -0.1, -0.2, back)
    me.move_hand(hand, me.reach(hand, 0.35, high, -0.2), back)
    me.move_hand(hand, me.reach(hand, 0.05, high, 0.85), release)
    me.move_hand(hand, me.reach(hand, -0.3, -0.55, 0.6), follow)
    return [me]


def _kick(take: Take) -> Sequence[Person]:
    me, leg = Person(take, take.subject), take.hand
    back, out = take.pulse(0.0, 0.3, 0.34, 0.52), take.pulse(0.32, 0.54, 0.6, 0.95)
    size, reach = me.body.height, max(take.reach, 0.85) * take.rng.uniform(0.9, 1.15)
    me.move_foot(
        leg,
        -SIDE[leg] * 0.03 * size * out,
        size * (0.09 * back + min(0.26 * reach, 0.36) * out),
        size * (-0.16 * reach * back + 0.36 * reach * out),
    )
    me.toes[leg] = -0.5 * back + 0.5 * out
    me.pose(
        right=-SIDE[leg] * 0.03 * size * take.pulse(-0.05, 0.2, 0.8, 1.05),
        bend=0.12 * back - 0.22 * reach * out,
        twist=SIDE[leg] * 0.25 * (out - back),
    )
    other = 1 - leg
    me.move_hand(other, me.reach(other, 0.3, -0.6, 0.5), 0.8 * out)
    me.move_hand(leg, me.reach(leg, 0.4, -0.75, -0.35), 0.8 * out)
    return [me]


def _chair(take: Take, seated: Array, effort: Array) -> Sequence[Person]:
    """Sit or stand: `seated` goes between 0 and 1, the trunk leans forward with the effort."""
    me = Person(take, take.subject)
    size = me.body.height
    # The seat stands where it must for the knees to bend at about right angles.
    drop = (me.body.leg - me.body.length(ANKLE[0])) * take.rng.uniform(0.8, 1.02)
    me.pose(
        up=-drop * seated,
        forward=-0.9 * me.body.length(KNEE[0]) * seated,
        bend=(0.6 + 0.35 * take.rng.random()) * effort - take.rng.uniform(-0.1, 0.15) * seated,
        nod=-0.25 * effort,
    )
    lap, gap = take.rng.uniform(0.3, 0.8), take.rng.uniform(-0.03, 0.03)
    for side in (0, 1):
        knee = me.points[:, HIP[side]] + lap * (0.3 * size) * (me.facing @ (0.0, 0.1, -0.9))
        knee = knee + me.facing @ (SIDE[side] * gap * size, 0.03 * size, 0.0)
        me.move_hand(side, knee, np.clip(seated + 0.5 * effort, 0.0, 1.0))
    return [me]


def _sit_down(take: Take) -> Sequence[Person]:
    return _chair(take, take.ramp(0.05, 0.85), take.pulse(0.0, 0.45, 0.5, 1.0))


def _stand_up(take: Take) -> Sequence[Person]:
    return _chair(take, 1.0 - take.ramp(0.15, 0.95), take.pulse(0.0, 0.45, 0.5, 1.0))


def _pick_up(take: Take) -> Sequence[Person]:
    me, hand = Person(take, take.subject), take.hand
    size = me.body.height
    down = take.pulse(0.0, 0.42, 0.52, 0.95)
    squat = take.rng.uniform(0.0, 1.0)  # how much comes from the knees, not from the back
    aside = take.rng.uniform(-0.05, 0.14)
    me.pose(
        up=-(0.1 + 0.17 * squat) * size * down,
        forward=-(0.1 - 0.02 * squat) * size * down,
        bend=(1.65 - 0.55 * squat) * down,
        nod=-0.35 * down,
        twist=SIDE[hand] * 0.2 * down,
    )
    floor = me.floor + me.facing @ (SIDE[hand] * aside * size, 0.1 * size, -0.22 * size)
    me.point_elbow(hand, 0.6, 0.2, -0.6, down)
    me.move_hand(hand, np.broadcast_to(floor, (take.frames, 3)), down)
    other = 1 - hand
    knee = me.near(HIP[other], 0.0, -0.08 * size, 0.24 * size)
    me.move_hand(other, knee, 0.9 * down * (take.rng.random() < 0.5))
    # What was picked up is held before the body for a while.
    carry = take.pulse(0.55, 0.9, 1.0, 1.3) * take.rng.uniform(0.2, 1.0)
    me.move_hand(hand, me.reach(hand, 0.0, -0.6, 0.5), carry)
    return [me]


def _march(take: Take) -> Sequence[Person]:
    me = Person(take, take.subject)
    size = me.body.height
    go = take.pulse(-0.05, 0.12, 0.88, 1.05)
    stride = take.swing(1.0)
    lift = take.rng.uniform(0.07, 0.17) * take.reach * size
    swing = take.rng.uniform(0.25, 0.55) * take.reach
    for side in (0, 1):
        raised = go * np.maximum(SIDE[side] * stride, 0.0)
        me.move_foot(side, 0.0, lift * raised, 0.5 * lift * raised)
        me.toes[side] = -0.5 * raised
    me.pose(right=-0.02 * size * go * stride, twist=0.12 * go * stride)
    elbow = take.rng.uniform(0.0, 0.3)
    for side in (0, 1):
        ahead = -SIDE[side] * stride  # an arm swings with the opposite leg
        hand = me.reach(side, 0.13, -0.92 + elbow + 0.1 * ahead, elbow + swing * ahead)
        me.move_hand(side, hand, go)
    return [me]


def _jumping_jack(take: Take) -> Sequence[Person]:
    me = Person(take, take.subject)
    size = me.body.height
    go = take.pulse(-0.05, 0.1, 0.92, 1.05)
    rate = 0.95 * take.pace * take.rng.uniform(0.9, 1.1)
    angle = 2 * np.pi * rate * take.since + take.rng.uniform(-0.5, 0.5)
    spread = go * (0.5 - 0.5 * np.cos(angle))
    hop = go * np.sin(angle) ** 2  # in the air while the feet go apart and while they close
    air = 0.045 * take.reach * size * hop
    wide = min(0.13 * take.reach, 0.16) * size * spread
    for side in (0, 1):
        me.move_foot(side, SIDE[side] * wide, 0.0, 0.0)
    me.pose(jump=air, up=-0.02 * size * go * (1 - hop))
    me.feet[:, :, 1] += air
    me.toes[:] = -0.4 * hop
    top = take.rng.uniform(2.3, 2.95) * min(max(take.reach, 0.85), 1.05)
    arm = 0.18 + (min(top, 2.95) - 0.18) * spread
    for side in (0, 1):
        me.point_elbow(side, 0.3, -0.2, -0.9, go)
        hand = me.reach(side, 0.95 * np.sin(arm), -0.95 * np.cos(arm), 0.1)
        me.move_hand(side, hand, np.maximum(go, 0.0))
    return [me]


def _meet(take: Take) -> tuple[Person, Person, float]:
    """Two persons within reach of each other, and the share of the action by which one is late."""
    gap = 0.62 * (take.subject.body.arm + take.partner.body.arm) + take.rng.uniform(0.28, 0.45)
    return *facing_pair(take, gap), take.rng.uniform(0.0, 0.1)


def _between(me: Person, you: Person, up: Array | float) -> Array:
    """Return the middle of two persons ``(T, 3)``, at the height of their shoulders or above."""
    middle = 0.5 * (me.points[:, SPINE_SHOULDER] + you.points[:, SPINE_SHOULDER])
    middle[:, 1] += up
    return middle


def _handshake(take: Take) -> Sequence[Person]:
    me, you, late = _meet(take)
    pump = take.swing(2.2) * take.pulse(0.25, 0.35, 0.7, 0.82) * 0.045 * take.reach
    arms = take.pulse(0.0, 0.28, 0.75, 1.0), take.pulse(late, 0.3, 0.75, 1.0)
    for who, arm in zip((me, you), arms, strict=True):
        who.pose(forward=who.step(0.07, 0.0, 0.3), bend=0.12 * arm, twist=0.2 * arm)
    middle = _between(me, you, pump - take.rng.uniform(0.2, 0.27) * me.body.height)
    for who, arm in zip((me, you), arms, strict=True):
        short = 0.16 * (who.points[:, SPINE_SHOULDER] - middle)  # wrists stay a hand's length apart
        who.point_elbow(0, 0.3, -0.9, 0.0, arm)
        who.move_hand(0, middle + short * [1.0, 0.0, 1.0], arm)
    return [me, you]


def _push(take: Take) -> Sequence[Person]:
    gap = 0.75 * take.subject.body.arm + take.rng.uniform(0.28, 0.42)
    me, you = facing_pair(take, gap)
    shove, hit = take.pulse(0.05, 0.42, 0.5, 0.85), 0.36
    strength = take.rng.uniform(0.12, 0.32) * take.reach
    way = me.step(take.rng.uniform(0.05, 0.18), 0.1, 0.5)
    me.pose(forward=way, bend=0.25 * take.reach * shove)
    back = you.step(-strength, hit, 0.75)
    struck = take.pulse(hit, 0.5, 0.6, 1.0)
    you.pose(forward=back, bend=-0.35 * take.reach * struck, nod=0.3 * struck)
    hands = (0, 1) if take.rng.random() < 0.7 else (take.hand,)
    for side in hands:
        spread = -SIDE[side] * 0.07  # my right hand meets the other's left side
        chest = you.near(SPINE_SHOULDER, spread, -0.08 * you.body.height, 0.12)
        me.point_elbow(side, 0.6, -0.7, 0.2, shove)
        me.move_hand(side, me.reach(side, -0.05, -0.25, 0.35), take.pulse(0.0, 0.22, 0.24, 0.4))
        me.move_hand(side, chest, shove)
    for side in (0, 1):
        you.move_hand(side, you.reach(side, 0.55, -0.35, 0.45), 0.9 * struck)
    return [me, you]


def _high_five(take: Take) -> Sequence[Person]:
    me, you, late = _meet(take)
    arms = take.pulse(0.0, 0.38, 0.62, 1.0), take.pulse(late, 0.4, 0.62, 1.0)
    for who, arm in zip((me, you), arms, strict=True):
        way = who.step(0.07, 0.0, 0.3)
        who.pose(forward=way, bend=0.1 * arm, twist=0.25 * arm, nod=-0.15 * arm)
    middle = _between(me, you, take.rng.uniform(0.03, 0.17) * take.reach * me.body.height)
    # The hands swing back before they meet once.
    apart = 0.3 * (1.0 - take.pulse(0.36, 0.48, 0.5, 0.62)) + 0.12
    for who, arm in zip((me, you), arms, strict=True):
        away = (who.points[:, SPINE_SHOULDER] - middle) * [1.0, 0.0, 1.0]
        who.point_elbow(0, 0.7, -0.7, 0.1, arm)
        who.move_hand(0, middle + apart[:, None] * away, arm)
    return [me, you]


# Class name, number of persons, typical duration in seconds, function.
ActionList = Sequence[tuple[str, int, float, Action]]
ACTIONS: ActionList = (
    ("drink", 1, 2.2, _drink),
    ("wave", 1, 2.1, _wave),
    ("clap", 1, 2.0, _clap),
    ("throw", 1, 1.6, _throw),
    ("kick", 1, 1.5, _kick),
    ("sit down", 1, 1.6, _sit_down),
    ("stand up", 1, 1.6, _stand_up),
    ("pick up", 1, 1.9, _pick_up),
    ("march in place", 1, 2.4, _march),
    ("jumping jack", 1, 2.4, _jumping_jack),
    ("handshake", 2, 2.0, _handshake),
    ("push", 2, 1.5, _push),
    ("high five", 2, 1.6, _high_five),
)


def perform(
    action: int,
    subject: Subject,
    partner: Subject,
    rng: np.random.Generator,
    actions: ActionList = ACTIONS,
) -> Array:
    """Perform the action of an index into ``actions``, from 0.

    Return joints ``(M, T, 25, 3)`` in meters, the floor at y = 0, of 1 or 2 bodies over 40 to 120
    frames at 30 frames a second. In an action of one the partner is absent, or now and then looks
    on. ``rng`` is the source of all that varies.
    """
    return stage(action, subject, partner, rng, actions)[0]


def stage(
    action: int,
    subject: Subject,
    partner: Subject,
    rng: np.random.Generator,
    actions: ActionList = ACTIONS,
) -> tuple[Array, tuple[Limb, Limb] | None]:
    """Perform as :func:`perform`, and also say which limbs move together, if any."""
    _, _, seconds, act = actions[action]
    take = Take(subject, partner, rng, seconds)
    bodies = [person.positions() for person in act(take)]
    if len(bodies) == 1 and rng.random() < BYSTANDER_SHARE:
        bodies.append(_stand_by(take).positions())
    elif len(bodies) == 2:  # seen from any side
        turn = rotation(1, rng.uniform(-0.6, 0.6))
        bodies = [joints @ turn.T for joints in bodies]
    return np.stack(bodies), take.pair
