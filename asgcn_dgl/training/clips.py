"""The clips of a run: which are trained on, which choose, which are only scored at the end."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from asgcn_dgl.data import (
    Batch,
    Clip,
    ClipList,
    HandleMissing,
    Reader,
    Sample,
    SkeletonDataset,
    Subset,
    collate,
    open_data,
)
from asgcn_dgl.data.rates import Resampled, doubt_rates, rate_of
from asgcn_dgl.data.reader import HOW_TO_SPLIT, kind_of_error, progress_bar
from asgcn_dgl.data.store import FORMAT as STORE
from asgcn_dgl.data.store import Store
from asgcn_dgl.data.survey import body_size, doubt_unit
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import GraphBuilder, SkeletonLayout, get_layout
from asgcn_dgl.training.build import progress_wanted
from asgcn_dgl.training.config import RunConfig
from asgcn_dgl.training.forecasts import PROTOCOLS
from asgcn_dgl.training.preparation import make_transform, suited

logger = logging.getLogger(__name__)

Loader = DataLoader[Sample]
#: Groups of clips that a line names.
FEW = 5
#: Clips whose bodies are measured.
SIZED = 32


def run_layouts(config: RunConfig, data: Reader) -> tuple[SkeletonLayout, ...]:
    """Return the layouts that the model of a run serves."""
    chosen = config.clips.layout
    return data.layouts if chosen is None else (get_layout(chosen),)


def make_dataset(
    clips: Reader | Sequence[Clip],
    config: RunConfig,
    mode: str,
    *,
    training: bool = False,
    **others: Any,
) -> SkeletonDataset:
    """Return the dataset of a reader's clips, or of clips in memory, as a run's options say.

    ``mode`` and ``others`` are as for :class:`~asgcn_dgl.data.SkeletonDataset`; ``training`` adds
    augmentation and random frames.
    """
    options = config.clips
    return SkeletonDataset(
        clips,
        cache=options.cache or not isinstance(clips, Reader),
        num_frames=options.num_frames,
        sampling=options.sampling,
        transform=make_transform(options, training),
        missing=HandleMissing(options.missing, options.missing_gap),
        stream=options.stream,
        mode=mode,
        future_share=config.prediction.share,
        past_frames=config.model.past_frames if config.model.future_head == "dct" else 0,
        seed=config.trainer.seed,
        training=training,
        **others,
    )


def open_run(config: RunConfig, testing: bool = False) -> Reader:
    """Open the data of a run, for a forecaster as the set's protocol has it.

    A store is as it was prepared. Recordings to be tested on (``testing``) may be read with other
    options than those to learn from.
    """
    reading: dict[str, Any] = {}
    protocol = PROTOCOLS.get(config.data)
    roots = map(Path, config.root.split(os.pathsep))
    if config.model.name == "forecaster" and protocol and not any(map(STORE.recognizes, roots)):
        reading.update(protocol.test_reading if testing else protocol.reading)
        reading["form"] = config.forecast.form
    found = open_data(config.root, config.data, **reading)
    return found if config.clips.rate is None else Resampled.of(found, config.clips.rate)


def load(clips: Reader, config: RunConfig, progress: bool) -> Reader:
    """Return the clips in memory, or as they are where they are not to be cached.

    Of recordings that were not prepared, those that ``prepare`` would drop are left out, with a
    warning that counts them by cause; with ``clips.strict`` they are errors.
    """
    prepared = isinstance(clips, ClipList) or _is_store(clips)
    if not len(clips) or (prepared and not config.clips.cache):
        return clips
    kept: list[int] = []
    found: list[Clip] = []
    causes: dict[str, list[str]] = {}
    for index in progress_bar(range(len(clips)), progress):
        try:
            clip = clips.read(index).check(len(clips.class_names) or None)
        except InputError as error:
            if config.clips.strict or prepared:
                raise
            causes.setdefault(kind_of_error(str(error)), []).append(str(error))
            continue
        kept.append(index)
        if config.clips.cache:
            found.append(clip)
    if not kept:
        first = next(iter(causes.values()))[0]
        raise InputError(f"none of {len(clips)} recordings can be used; the first: {first}")
    for errors in sorted(causes.values(), key=len, reverse=True):
        logger.warning(
            "%s: %d of %d recordings (%.1f %%) are left out, such as %s; 'clips.strict' stops at "
            "the first",
            *(clips.place, len(errors), len(clips), 100 * len(errors) / len(clips), errors[0]),
        )
    if config.clips.cache:
        return ClipList.of(found, clips.class_names)
    return clips if len(kept) == len(clips) else Subset.of(clips, kept)


def _is_store(clips: Reader) -> bool:
    while isinstance(clips, Subset | Resampled) and clips.whole is not None:
        clips = clips.whole
    return isinstance(clips, Store)


def clips_to_test(data: Reader, config: RunConfig) -> Reader:
    """Return the clips that a run is tested on."""
    test = _test_clips(data, config)
    if not test:
        raise InputError(f"{config.root}: {_without_test(data, config)}; {HOW_TO_SPLIT}")
    chosen = Subset.of(data, test)
    return chosen if _is_store(chosen) else load(chosen, config, progress_wanted(config))


def _test_clips(data: Reader, config: RunConfig) -> list[int]:
    return data.split(config.clips.protocol or data.default_split)[1]


def _without_test(data: Reader, config: RunConfig) -> str:
    """Say that nothing tests, and why."""
    protocol = config.clips.protocol or data.default_split
    if not protocol:
        return f"its {len(data)} recordings come without a split, so that none is for testing"
    return f"none of its {len(data)} recordings is for testing under split {protocol!r}"


def ordered_loader(
    dataset: SkeletonDataset,
    builder: GraphBuilder,
    *,
    batch_size: int,
    workers: int,
    rank: int = 0,
    processes: int = 1,
) -> Loader:
    """Return a loader that goes over a dataset in order, once for each choice of frames.

    ``rank`` of ``processes`` takes its share; where clips are fewer than processes, each takes all.
    """
    size = len(dataset)
    shared = processes if size >= processes else 1
    own = range(rank % shared, size, shared)
    draws = [(view, index) for view in range(dataset.num_passes) for index in own]
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=draws,
        # Processes for a single batch would cost more than they bring.
        num_workers=workers if len(draws) > batch_size else 0,
        collate_fn=functools.partial(collate, builder=builder),
        generator=torch.Generator(),  # leaves torch's own generator alone
    )


@contextmanager
def killed_workers() -> Iterator[None]:
    """Report in a line that a process of a loader was killed."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise InputError(
            "a process that prepares clips was killed, perhaps for want of memory; fewer "
            "clips.workers take less"
        ) from error


def evaluation_loader(dataset: SkeletonDataset, builder: GraphBuilder, config: RunConfig) -> Loader:
    """Return a loader over a dataset in order, see :func:`ordered_loader`."""
    size, workers = config.trainer.eval_batch_size, config.clips.workers
    return ordered_loader(dataset, builder, batch_size=size, workers=workers)


class RunClips:
    """The training clips of a run, split into those to learn from and those to choose by.

    The test clips are not here: nothing that trains can see them.
    """

    def __init__(self, config: RunConfig, progress: bool = False) -> None:
        self.set = open_run(config)
        names, options = self.set.class_names, config.clips
        if not names:
            raise InputError(
                f"{config.root}: no recording has a label; give them classes, in a table of clips "
                "by the column 'label'"
            )
        if len(names) < 2:
            raise InputError(
                f"{config.root}: all recordings are of one class, {names[0]!r}; there is nothing "
                "to distinguish"
            )
        self.protocol = options.protocol or self.set.default_split
        train, _ = self.set.split(self.protocol)
        held_out: list[int] = []
        by = options.validation
        if by != "none":
            share, seed = options.validation_share, options.validation_seed
            train, held_out = self.set.hold_out(train, by=by, share=share, seed=seed)
        groups = {getattr(self.set.recording(index), by, -1) for index in held_out}
        #: Which subjects, cameras or so are held out, to be said where they are few.
        self.held_out_by = ""
        if 0 < len(groups) <= FEW and -1 not in groups:
            self.held_out_by = f" ({by} {', '.join(map(str, sorted(groups)))})"
        #: Whether there are clips to test on.
        self.tested = bool(_test_clips(self.set, config))
        if not self.tested:
            why = _without_test(self.set, config)
            text = "%s: %s; what is trained is not tested. To test it, %s"
            logger.warning(text, config.root, why, HOW_TO_SPLIT)
        self.train_clips = load(Subset.of(self.set, train), config, progress)
        cameras = {self.set.recording(index).camera for index in train}
        # What the clips' views made of the options, to be said; empty where the options decide.
        suits, self.views = suited(options, self.train_clips, cameras)
        self.config = replace(config, clips=suits) if self.views else config
        self._check_unit()
        doubt = doubt_rates(map(rate_of, self._some(everything=options.cache)))
        if doubt:
            logger.warning("%s: %s", config.root, doubt)
        self.held_out_clips = load(Subset.of(self.set, held_out), config, progress)

    def _some(self, everything: bool = False) -> Iterator[Clip]:
        """Read about :data:`SIZED` training clips, spread evenly, or all."""
        every = 1 if everything else max(1, len(self.train_clips) // SIZED)
        return map(self.train_clips.read, range(0, len(self.train_clips), every))

    def _check_unit(self) -> None:
        """Take out a unit that is far from the size of a body, and say so."""
        options = self.config.clips
        if options.box or options.unit is not None or not len(self.train_clips):
            return
        sizes = sorted(map(body_size, self._some()))
        size = sizes[len(sizes) // 2]
        if doubt_unit(size):
            unit = float(f"{size:.2g}")
            self.config = replace(self.config, clips=replace(options, unit=unit))
            logger.warning(
                "%s: bodies are about %.4g units across, and training takes about 1: --clips.unit "
                "%g is taken (--clips.unit 1 keeps the coordinates)",
                *(self.config.root, size, unit),
            )

    @property
    def num_dims(self) -> int:
        """Coordinates of a joint, d."""
        return self.train_clips.read(0).num_dims

    @property
    def scored(self) -> bool:
        """Whether the last coordinate is a score."""
        return self.train_clips.read(0).scored

    def datasets(self, mode: str, steps: int) -> tuple[SkeletonDataset, list[SkeletonDataset]]:
        """Return the clips to learn from, and the held-out ones, with ``steps`` future frames.

        Those are seen whole, and without their future unless all are whole (``mode``).
        """
        options: Any = {"future_frames": steps, "num_classes": len(self.set.class_names)}
        train = make_dataset(self.train_clips, self.config, mode, training=True, **options)
        held, modes = self.held_out_clips, ["whole", *(["observed"] if mode != "whole" else [])]
        modes = modes if len(held) else []
        return train, [make_dataset(held, self.config, each, **options) for each in modes]

    def few_batches(self, model: Any, count: int = 8) -> list[Batch]:
        """Return a few clips as a model sees them in evaluation, a batch each, to watch it by."""
        clips = self.held_out_clips if len(self.held_out_clips) else self.train_clips
        chosen = range(0, len(clips), max(1, len(clips) // count))[:count]
        dataset = make_dataset(Subset.of(clips, chosen), self.config, "whole", future_frames=0)
        return [collate([dataset[index]], model.graph_builder) for index in range(len(dataset))]
