"""A sliding window over poses that come in, and what a model says of it."""

from __future__ import annotations

import math
import numbers
from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from asgcn_dgl.data.clip import Clip, lacks_center
from asgcn_dgl.data.formats.estimates import estimated_clip
from asgcn_dgl.data.persons import rank_bodies
from asgcn_dgl.data.transforms import blended
from asgcn_dgl.errors import InputError
from asgcn_dgl.live.engines import Engine, load_engine
from asgcn_dgl.live.tracks import Tracker
from asgcn_dgl.options import check
from asgcn_dgl.training.preparation import BY_FRAME, prepared, undo_alignment

#: Frames of a window that nobody chose, at most.
LONGEST = 300


@dataclass(frozen=True)
class Answer:
    """What the model says after a frame.

    Attributes
    ----------
    frame
        Number of the frame, from 0.
    time
        Its time, as it was given; None where none was.
    label
        Name of the likeliest class.
    probabilities
        (K,) probability of each class, smoothed if that was asked for.
    people
        Identities of those whom the model saw, M of them.
    future
        (M, T', V, d) poses that follow, in the coordinates that came in; None if not asked for.
    """

    frame: int
    time: float | None
    label: str
    probabilities: np.ndarray
    people: tuple[Hashable, ...]
    future: np.ndarray | None = None


@dataclass(frozen=True)
class _Frame:
    time: float
    ids: tuple[Hashable, ...]
    places: np.ndarray  # (M, V, d)
    scores: np.ndarray  # (M, V), 1 for what is seen where none came
    scored: bool


class Recognizer:
    """Recognize actions in poses that come in one frame at a time.

    The last frames are a clip, which is prepared as ``asgcn-dgl predict`` prepares a file's: the
    answer is that of ``predict`` on a file of these frames.

    Parameters
    ----------
    engine
        What computes, see :meth:`load`.
    window
        Frames of the window, about as many as the clips had that the model was trained on; None:
        as many as the model sees of a clip.
    every
        Frames from one answer to the next.
    rate
        Frames a second of the clips that the model was trained on. Frames that come with a time
        are then brought to this rate by linear interpolation, whatever rate they come at. None:
        frames count as they come.
    smooth
        Weight of the answer before in each one, from 0 (none) to below 1.
    future
        Predict poses too.
    min_score
        Joints whose score is not above this are missing.
    max_pause
        Seconds without a frame after which the window starts again.
    layout
        Which layout, of a model that serves several.
    tracker
        Tells who is who where no identities are given; None: a :class:`Tracker` that waits for a
        lost person as long as ``max_pause``, or 30 frames without times.

    Raises
    ------
    ValueError
        If an option is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from asgcn_dgl.live import TorchEngine
    >>> from asgcn_dgl.models import STGCN
    >>> from asgcn_dgl.training import ClipsConfig, RunConfig
    >>> from asgcn_dgl.training.checkpoint import Restored
    >>> model = STGCN("coco17", 4, 2, channels=(8,), strides=(1,)).eval()
    >>> run = RunConfig(clips=ClipsConfig(align="none"))
    >>> engine = TorchEngine(Restored(model, ["a", "b", "c", "d"], run, 0))
    >>> recognizer = Recognizer(engine, window=30, every=10)
    >>> rng = np.random.default_rng(0)
    >>> answers = [recognizer.update(rng.normal(size=(17, 2))) for _ in range(40)]
    >>> [frame for frame, answer in enumerate(answers) if answer is not None]
    [9, 19, 29, 39]
    """

    def __init__(
        self,
        engine: Engine,
        *,
        window: int | None = None,
        every: int = 1,
        rate: float | None = None,
        smooth: float = 0.0,
        future: bool = False,
        min_score: float = 0.0,
        max_pause: float = 1.0,
        layout: str | None = None,
        tracker: Tracker | None = None,
    ) -> None:
        facts = engine.facts
        window = min(facts.clips.num_frames, LONGEST) if window is None else window
        check(window >= 1, "window", "at least 1", window)
        check(every >= 1, "every", "at least 1", every)
        check(rate is None or rate > 0, "rate", "positive", rate)
        check(0 <= smooth < 1, "smooth", "in [0, 1)", smooth)
        check(max_pause > 0, "max_pause", "positive", max_pause)
        if future and not facts.future_frames:
            raise ValueError("future must be false for this model, which predicts no poses")
        layouts = [each for each in facts.layouts if layout in (None, each.name)]
        names = ", ".join(each.name for each in facts.layouts)
        check(len(layouts) == 1, "layout", f"one of {names}", layout)
        self.layout = layouts[0]
        self.engine, self.window, self.every, self.rate = engine, window, every, rate
        self.smooth, self.future, self.min_score = smooth, future, min_score
        self.max_pause, self._tracker = max_pause, tracker
        self.frames = 0
        self.reset()

    @classmethod
    def load(
        cls,
        model: str | Path,
        *,
        checkpoint: str = "auto",
        threads: int | None = None,
        **options: Any,
    ) -> Recognizer:
        """Make one from a run, a checkpoint, a folder of ``save_pretrained`` or an ``.onnx`` file.

        Parameters
        ----------
        model
            Folder or file. An ``.onnx`` file needs numpy and onnxruntime alone.
        checkpoint
            'best', 'last' or 'auto', of a run.
        threads
            Threads that compute; None: as the run's options say, or as onnxruntime chooses.
        **options
            Further options by name, see the class.

        Raises
        ------
        InputError
            If the model cannot be used.
        """
        return cls(load_engine(model, checkpoint, threads), **options)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the probabilities."""
        return self.engine.facts.class_names

    def reset(self) -> None:
        """Forget the window, the people and the answers so far."""
        self._held: deque[_Frame] = deque()
        self._answer: np.ndarray | None = None
        self._timed: bool | None = None
        self._joints: int | None = None
        self._since = 0
        self._tracks = self._tracker

    def update(
        self,
        keypoints: Any,
        scores: Any = None,
        time: float | None = None,
        ids: Sequence[Hashable] | None = None,
    ) -> Answer | None:
        """Take a frame; return an answer where one is due and somebody was seen.

        Parameters
        ----------
        keypoints
            (V, d) joints of one person, (M, V, d) of several, or None where nobody is seen. NaN is
            a missing joint. Where the model was trained on scores, they may be the last coordinate.
        scores
            (V,) or (M, V) scores of the joints.
        time
            Seconds, rising from frame to frame; on all frames or none.
        ids
            M identities; None: people are tracked by where they are.

        Raises
        ------
        InputError
            If the frame cannot be used; it is as if it had not come.
        """
        places, given = self._checked(keypoints, scores, ids)
        now = self._clock(time)
        if ids is None:
            if self._tracks is None:
                self._tracks = Tracker(max_lost=self.max_pause if self._timed else 30.0)
            there = self._seen(places, given)
            ids = self._tracks.update(np.where(there[..., None], places, 0.0), there, now)
        seen = ~np.isnan(places).any(axis=-1) if given is None else given
        self._hold(_Frame(now, tuple(ids), places, seen, given is not None))
        number, self.frames = self.frames, self.frames + 1
        self._since += 1
        if self._since < self.every:
            return None
        clip, people = self._clip()
        if clip is None:
            return None
        self._since = 0
        return self._answered(clip, people, number, time)

    def _checked(
        self, keypoints: Any, scores: Any, ids: Sequence[Hashable] | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return (M, V, d) places without scores, and (M, V) scores."""
        facts, joints = self.engine.facts, self.layout.num_joints
        try:
            places = np.asarray([] if keypoints is None else keypoints, dtype=np.float64)
            given = None if scores is None else np.asarray(scores, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"keypoints and scores must be numbers ({error})") from error
        if places.size == 0:
            places, given = np.zeros((0, joints, facts.coordinates)), None
        if places.ndim == 2:
            places = places[None]
            given = given[None] if given is not None and given.ndim == 1 else given
        fits = places.ndim == 3 and (
            places.shape[1] == joints or lacks_center(self.layout, places.shape[1])
        )
        if not fits or (self._joints not in (None, places.shape[1]) and len(places)):
            raise InputError(
                f"keypoints must be (people, {joints} joints, coordinates) for layout "
                f"{self.layout.name!r}, got shape {places.shape}"
            )
        if given is not None and given.shape != places.shape[:2]:
            raise InputError(f"scores must be {places.shape[:2]}, got shape {given.shape}")
        # A score may be the last coordinate, or come by itself; a model of which it is not known
        # may have seen scores.
        if facts.scored and given is None and places.shape[2] == facts.coordinates:
            places, given = places[..., :-1], places[..., -1]
        known = given is not None and places.shape[2] == facts.coordinates - 1
        flat = facts.coordinates - int(known if facts.scored is None else facts.scored)
        if places.shape[2] != flat:
            also = " and a score" if facts.scored else ""
            raise InputError(
                f"keypoints must have {flat} coordinates{also} for this model, got "
                f"{places.shape[2]}"
            )
        if facts.scored and given is None:
            given = np.where(np.isnan(places).any(axis=-1), 0.0, 1.0)
        if np.isinf(places).any() or (np.abs(places) > 1e12).any():
            raise InputError("keypoints must be finite, or NaN where a joint is missing")
        self._joints = places.shape[1] if len(places) else self._joints
        if ids is not None and (len(ids) != len(places) or len(set(ids)) != len(ids)):
            raise InputError(f"ids must be {len(places)} different ones, got {list(ids)}")
        return places, given

    def _clock(self, time: float | None) -> float:
        """Return the time of the frame, or its number; start again after a pause."""
        if self._timed is not None and self._timed != (time is not None):
            raise InputError("time must be given with all frames or with none")
        if time is None:
            if self.rate is not None:
                raise InputError("time must be given, since the recognizer has a rate")
            self._timed = False
            return float(self.frames)
        if not isinstance(time, numbers.Real) or not math.isfinite(time):
            raise InputError(f"time must be a number, got {time!r}")
        time = float(time)
        if self._held and time <= self._held[-1].time:
            raise InputError(f"time must rise from frame to frame, got {time} after the last one's")
        if self._held and time - self._held[-1].time > self.max_pause:
            self.reset()
        self._timed = True
        return time

    def _seen(self, places: np.ndarray, scores: np.ndarray | None) -> np.ndarray:
        """Tell where a joint was seen; without scores, zeros are a missing one."""
        shown = (places != 0).any(axis=-1) if scores is None else scores > self.min_score
        return shown & ~np.isnan(places).any(axis=-1)

    def _hold(self, frame: _Frame) -> None:
        """Append a frame, and let go of those that the window has left behind."""
        self._held.append(frame)
        if self.rate is None:
            while len(self._held) > self.window:
                self._held.popleft()
            return
        first = frame.time - (self.window - 1) / self.rate
        while len(self._held) > 1 and self._held[1].time <= first:  # one before, to interpolate
            self._held.popleft()

    def _clip(self) -> tuple[Clip | None, tuple[Hashable, ...]]:
        """Return the window as a clip, and who is in it."""
        people, places, found = _stacked(self._held)
        scores = found if any(frame.scored for frame in self._held) else None
        # Bodies that are never seen are left out by estimated_clip, and so of the people too.
        there: np.ndarray = np.asarray(self._seen(places, scores).any(axis=(1, 2)))
        if not there.any():
            return None, ()
        clip = estimated_clip(
            "the window",
            self.layout,
            places[there],
            None if scores is None else scores[there],
            min_score=self.min_score,
            keep_score=places.shape[-1] < self.engine.facts.coordinates,
        )
        people = tuple(name for name, here in zip(people, there, strict=True) if here)
        return (clip if self.rate is None else self._at_rate(clip, self.rate)), people

    def _at_rate(self, clip: Clip, rate: float) -> Clip:
        """Bring the window to its rate by linear interpolation between frames."""
        times = np.array([frame.time for frame in self._held])
        count = min(self.window, int((times[-1] - times[0]) * rate + 1e-6) + 1)
        wanted = times[-1] - np.arange(count)[::-1] / rate
        at = np.interp(wanted, times, np.arange(len(times)))
        before = at.astype(int)
        return blended(clip, before, np.minimum(before + 1, len(times) - 1), at - before)

    def _answered(
        self, clip: Clip, people: tuple[Hashable, ...], number: int, time: float | None
    ) -> Answer | None:
        if not clip.mask.any():  # all that was seen lies between the frames of the rate
            return None
        options = self.engine.facts.clips
        most = self.engine.facts.most
        within = most is None or clip.num_bodies <= most
        if clip.num_bodies > 1 and (options.max_bodies is not None or not within):
            order = rank_bodies(clip, options.body_rule)[: options.max_bodies][:most]
            clip = replace(clip, pos=clip.pos[order], mask=clip.mask[order])
            people = tuple(people[body] for body in order)
        seen, raw, aligned = prepared(clip, options, self.engine.facts.past_frames)
        there: np.ndarray = np.asarray(seen.mask.any(axis=(1, 2)))
        there[0] |= not there.any()
        people = tuple(name for name, here in zip(people, there, strict=True) if here)
        seen = type(seen)(*(each[there] for each in seen))
        logits, future = self.engine.run(seen, self.layout, self.future)
        odds = np.exp(logits - logits.max())
        odds /= odds.sum()
        if self._answer is not None and self.smooth:
            odds = self.smooth * self._answer + (1 - self.smooth) * odds
        self._answer = odds
        if future is not None:
            future = undo_alignment(future, raw, aligned, options.align in BY_FRAME)
        label = self.class_names[int(odds.argmax())]
        return Answer(number, time, label, odds, people, future)


def _stacked(
    frames: Sequence[_Frame] | deque[_Frame],
) -> tuple[tuple[Hashable, ...], np.ndarray, np.ndarray]:
    """Return who is there, (M, T, V, d) places and (M, T, V) scores; NaN and 0 where absent."""
    people = tuple(dict.fromkeys(name for frame in frames for name in frame.ids))
    if all(frame.ids == people for frame in frames):
        return (
            people,
            np.stack([frame.places for frame in frames], axis=1),
            np.stack([frame.scores for frame in frames], axis=1),
        )
    row = {name: number for number, name in enumerate(people)}
    shape = next(frame.places.shape[1:] for frame in frames if frame.ids)
    places = np.full((len(people), len(frames), *shape), np.nan)
    scores = np.zeros(places.shape[:3])
    for at, frame in enumerate(frames):
        rows = [row[name] for name in frame.ids]
        if rows:
            places[rows, at], scores[rows, at] = frame.places, frame.scores
    return people, places, scores
