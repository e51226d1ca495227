"""From clips to model-ready samples: a sample depends on the seed, the pass and the index only.

Order of work on a clip: transforms on all of its frames; split into what is observed and the
future; missing joints, stream features and choice of frames, all of the observed part alone.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Dataset

from asgcn_dgl.data.clip import Clip
from asgcn_dgl.data.files import check_choice, need
from asgcn_dgl.data.reader import ClipList, Reader, Subset, progress_bar
from asgcn_dgl.data.samples import STREAMS, HandleMissing, observe
from asgcn_dgl.data.transforms import Compose, FitBox, RandomFlip, Transform, frame_sampler
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import SkeletonLayout

MODES = ("whole", "observed", "mixed")


@dataclass(frozen=True, eq=False)
class Sample:
    """One clip, ready for a model (numpy).

    Attributes
    ----------
    feat
        (M, T, V, D) float32 features of the stream, 0 where missing.
    mask
        (M, T, V) bool, True where the feature exists.
    last
        (M, V, D) float32 last observed position of each joint, whatever the stream; 0 if the
        joint was never seen.
    future
        (M, T', V, D) float32 positions that follow the observed part. A score is no motion: that
        of a future joint is the last observed one.
    future_mask
        (M, T', V) bool, True where a future position can be scored: it was seen, and so was the
        joint before. All False: no prediction loss.
    label
        Class from 0, -1 if unknown.
    layout
        Skeleton of V joints.
    name
        Name of the recording.
    index
        Place in the dataset.
    recent
        (M, P, V, D) float32 last observed positions, where the dataset gives them.
    unit
        (D,) float32 length that is 1 along each axis, where that is not the clip's own unit.
    """

    feat: np.ndarray
    mask: np.ndarray
    last: np.ndarray
    future: np.ndarray
    future_mask: np.ndarray
    label: int
    layout: SkeletonLayout
    name: str
    index: int
    recent: np.ndarray | None = None
    unit: np.ndarray | None = None


class SkeletonDataset(Dataset[Sample]):
    """Samples of the recordings of a reader, or of clips.

    ``dataset[index]`` is the sample of a recording in pass 0, ``dataset[number, index]`` that of
    pass ``number``. Each has a random generator of its own, made from (seed, pass, index): results
    depend neither on the number of workers nor on where a training was resumed.
    :class:`~asgcn_dgl.data.EpochSampler` yields such pairs.

    Parameters
    ----------
    data
        A reader, see :func:`~asgcn_dgl.data.open_data`; or clips.
    indices
        Numbers of its recordings, such as one part of :meth:`~asgcn_dgl.data.Reader.split`; all by
        default.
    cache
        Read all clips at once and keep them in memory; False reads each when it is asked for.
    progress
        Show a progress bar while clips are read.
    num_frames
        T, frames of a sample; None keeps each clip's own length.
    sampling
        How T frames are made, see :func:`~asgcn_dgl.data.frame_sampler`; or a transform.
    transform
        Alignment and augmentation, applied to all frames, the future among them.
    missing
        What becomes of joints that were not seen, one of ``MISSING``; or a transform. It sees the
        observed frames only.
    stream
        One of ``STREAMS``.
    mode
        ``"whole"``: the input is the whole clip and nothing is predicted. ``"observed"``: the
        input is what precedes the last T' frames, which are the future. ``"mixed"``: each sample
        is observed with probability ``future_share``. A clip of fewer than T' + 2 frames is
        always whole.
    future_frames
        T', frames to predict, counted in frames of the recording.
    future_share
        Probability in mode ``"mixed"``.
    seed
        Seed of all random choices.
    training
        Draw frames at random; False chooses the same frames each time.
    num_clips
        Choices of frames of a clip when not training: those of pass e are choice e modulo
        ``num_clips``, spread evenly. A clip's scores can then be averaged over all of them.
    mirrored
        When not training, further ``num_clips`` passes show each clip mirrored.
    num_classes
        K; if given, clips without a label in 0..K-1 are refused.

    Raises
    ------
    InputError
        If there is no clip, or one is not usable.
    ValueError
        For an option out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from asgcn_dgl.skeleton import get_layout
    >>> pos = np.random.default_rng(0).normal(size=(2, 30, 25, 3))
    >>> clip = Clip.from_positions("wave", get_layout("ntu25"), pos, label=3)
    >>> dataset = SkeletonDataset([clip], num_frames=16, mode="observed", future_frames=10)
    >>> sample = dataset[0]
    >>> sample.feat.shape, sample.last.shape, sample.future.shape
    ((2, 16, 25, 3), (2, 25, 3), (2, 10, 25, 3))
    """

    def __init__(
        self,
        data: Reader | Iterable[Clip],
        indices: Iterable[int] | None = None,
        *,
        cache: bool = True,
        progress: bool = False,
        num_frames: int | None = 64,
        sampling: str | Transform = "uniform",
        transform: Transform | None = None,
        missing: str | Transform = "mask",
        stream: str = "joint",
        mode: str = "whole",
        future_frames: int = 10,
        future_share: float = 0.5,
        past_frames: int = 0,
        seed: int = 0,
        training: bool = False,
        num_clips: int = 1,
        mirrored: bool = False,
        num_classes: int | None = None,
    ) -> None:
        check_choice("stream", stream, STREAMS)
        check_choice("mode", mode, MODES)
        need(future_frames >= 0, f"future_frames must be at least 0, got {future_frames}")
        need(num_clips >= 1, f"num_clips must be at least 1, got {num_clips}")
        need(0 <= future_share <= 1, f"future_share must be within 0..1, got {future_share}")
        good = num_frames is None or num_frames >= 1
        need(good, f"num_frames must be at least 1 or None, got {num_frames}")
        self.transform = transform
        steps = list(transform.transforms) if isinstance(transform, Compose) else [transform]
        last = steps[-1] if steps else None  # a Compose may be of nothing
        self._box = last if isinstance(last, FitBox) else None  # fitted to what is observed
        self._move = Compose(*filter(None, steps[: -1 if self._box else None]))
        self.stream = stream
        self.mode = mode
        self.future_frames = future_frames
        self.future_share = future_share
        self.past_frames = past_frames
        self.seed = seed
        self.training = training
        self.num_classes = num_classes
        self.num_clips = num_clips
        self.mirrored = mirrored
        self.missing = HandleMissing(missing) if isinstance(missing, str) else missing
        places = [(choice + 0.5) / num_clips for choice in range(num_clips)]
        self._samplers = {
            observed: [frame_sampler(sampling, num_frames, training, observed, at) for at in places]
            for observed in (False, True)
        }
        self.reader = data if isinstance(data, Reader) else ClipList.of(data)
        if indices is not None:
            self.reader = Subset.of(self.reader, indices)
        if not len(self.reader):
            raise InputError("the dataset holds no clip; check the folder and the split")
        self._clips: list[Clip] | None = None
        if cache:
            every = progress_bar(range(len(self.reader)), progress)
            self._clips = [self.clip(index) for index in every]

    def __len__(self) -> int:
        return len(self.reader)

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    @property
    def num_passes(self) -> int:
        """Passes over which a clip's scores can be averaged."""
        return self.num_clips * (1 + self.mirrored)

    def clip(self, index: int) -> Clip:
        """Return clip ``index`` as read, without leading and trailing empty frames."""
        if self._clips is not None:
            return self._clips[index]
        return self.reader.read(index).check(self.num_classes).trimmed()

    @functools.cached_property
    def lengths(self) -> np.ndarray:
        """(n,) frames of each clip; files are read for it once, if they are not in memory."""
        return np.array([self.clip(index).num_frames for index in range(len(self))])

    def __getitem__(self, index: int | tuple[int, int]) -> Sample:
        epoch, index = index if isinstance(index, tuple) else (0, int(index))
        if not 0 <= index < len(self) or epoch < 0:
            raise IndexError(f"clip {index} of {len(self)} in pass {epoch}")
        rng = np.random.default_rng([self.seed, epoch, index])
        clip = self._move(self.clip(index), rng)
        if self.mirrored and not self.training and epoch // self.num_clips % 2:
            clip = RandomFlip(1.0)(clip, rng)
        # Drawn for every clip, so that a clip's frames do not depend on the lengths of others.
        drawn = self.mode == "mixed" and rng.random() < self.future_share
        observed = self._long_enough(clip) and (drawn or self.mode == "observed")
        clip, past, unit = self._boxed(clip, observed)
        choose = self._samplers[observed][epoch % self.num_clips]
        seen = observe(past, self.missing, self.stream, choose, rng, self.past_frames)
        known = past.mask.any(axis=1, keepdims=True)
        steps = self.future_frames
        shape = (clip.num_bodies, steps, clip.layout.num_joints)
        future = np.zeros((*shape, clip.num_dims), dtype=np.float32)
        future_mask = np.zeros(shape, dtype=bool)
        if observed and steps:
            future_mask = clip.mask[:, -steps:] & known
            future = np.where(future_mask[..., None], clip.pos[:, -steps:], np.float32(0))
            if clip.scored:
                future[..., -1] = np.where(future_mask, seen.last[:, None, :, -1], 0)
        recent = seen.recent if self.past_frames else None
        return Sample(
            *seen[:3], future, future_mask, clip.label, clip.layout, clip.name, index, recent, unit
        )

    def aligned(self, index: int) -> Clip:
        """Return clip ``index`` whole, as it lies in its sample, without augmentation."""
        clip = self._move(self.clip(index), np.random.default_rng(0))
        return self._boxed(clip, self.mode == "observed" and self._long_enough(clip))[0]

    def _long_enough(self, clip: Clip) -> bool:
        return clip.num_frames >= self.future_frames + 2

    def _boxed(self, clip: Clip, observed: bool) -> tuple[Clip, Clip, np.ndarray | None]:
        """Return the clip and its observed part in the box, if there is one, and its unit."""
        past = clip.frames(slice(0, clip.num_frames - self.future_frames)) if observed else clip
        if self._box is None:
            return clip, past, None
        clip, places = self._box.fitted(clip, past)  # what follows must not show in it
        unit = np.append(places, np.ones(clip.num_dims - len(places))).astype(np.float32)
        return clip, clip.frames(slice(0, past.num_frames)), unit
