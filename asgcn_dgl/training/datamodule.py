"""Datasets of clips as a Lightning data module, and which clips a process takes in which step."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Sampler

from asgcn_dgl.data import EpochSampler, LengthBatches, SkeletonDataset, collate
from asgcn_dgl.skeleton import GraphBuilder
from asgcn_dgl.training.build import processes, rank
from asgcn_dgl.training.clips import Loader, ordered_loader


class EpochBatches(Sampler[list[tuple[int, int]]]):
    """Split an epoch's draws into steps, a step into pieces, a piece among the processes.

    The clips of a step (``batch_size``) are the same whatever the number of processes and pieces,
    so that the gradient is. The last step has the remaining clips, unless they are fewer than
    processes, since each process has to take part. ValueError if a step has fewer clips than
    processes times pieces, or the epoch fewer than processes.

    Examples
    --------
    >>> from asgcn_dgl.data import EpochSampler
    >>> draws = EpochSampler(7, shuffle=False)
    >>> [[clip for _, clip in batch] for batch in EpochBatches(draws, 4)]
    [[0, 1, 2, 3], [4, 5, 6]]
    >>> shares = [EpochBatches(draws, 4, rank=rank, processes=2) for rank in (0, 1)]
    >>> [[[clip for _, clip in batch] for batch in share] for share in shares]
    [[[0, 1], [4, 5]], [[2, 3], [6]]]
    """

    def __init__(
        self,
        sampler: EpochSampler,
        batch_size: int,
        pieces: int = 1,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        if batch_size < pieces * processes:
            raise ValueError(
                f"batch_size must be at least {pieces * processes}, a clip for each of "
                f"{pieces} pieces in each of {processes} processes, got {batch_size}"
            )
        if len(sampler) < processes:
            raise ValueError(f"{len(sampler)} clips are too few for {processes} processes")
        self.sampler = sampler  # where Lightning looks for set_epoch
        self.batch_size = batch_size
        self.pieces = pieces
        self.rank, self.processes = rank, processes

    def _sizes(self) -> tuple[int, int]:
        """Whole steps, and pieces of the step that is not."""
        whole, left = divmod(len(self.sampler), self.batch_size)
        return whole, min(self.pieces, left // self.processes)

    def __len__(self) -> int:
        """Batches of an epoch."""
        whole, last = self._sizes()
        return whole * self.pieces + last

    def piece_factor(self, batch: int) -> float:
        """Factor on the loss of a batch: Lightning divides by ``pieces``, the last has fewer."""
        whole, last = self._sizes()
        return 1.0 if batch < whole * self.pieces else self.pieces / last

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """Draws of each batch of this process."""
        draws = list(self.sampler)
        whole, last = self._sizes()
        for step in range(whole + (last > 0)):
            mine = np.arange(step * self.batch_size, min((step + 1) * self.batch_size, len(draws)))
            for piece in np.array_split(mine, self.pieces if step < whole else last):
                yield [draws[at] for at in np.array_split(piece, self.processes)[self.rank]]


class SkeletonDataModule(pl.LightningDataModule):
    """Training and validation clips, batched the same way on any number of processes.

    Parameters
    ----------
    builder
        Makes the graphs of the batches: ``model.graph_builder``.
    train
        Clips to learn from, a dataset made with ``training=True``.
    val
        Clips to validate on: seen whole, then those without their future, if any.
    batch_size
        Clips of an optimizer step, over all processes and pieces.
    eval_batch_size
        Clips of a batch in validation.
    accumulate
        Batches of a step: the trainer's ``accumulate_grad_batches``.
    repeat
        How often an epoch goes over the training clips.
    seed
        Seed of their order.
    workers
        Processes that prepare clips; 0: none but this one.
    by_length
        Put clips of about the same length into a batch, for clips that keep their length.
    """

    def __init__(
        self,
        builder: GraphBuilder,
        train: SkeletonDataset,
        val: SkeletonDataset | Sequence[SkeletonDataset] = (),
        *,
        batch_size: int = 16,
        eval_batch_size: int = 64,
        accumulate: int = 1,
        repeat: int = 1,
        seed: int = 0,
        workers: int = 0,
        by_length: bool = False,
    ) -> None:
        super().__init__()
        self.builder = builder
        self.train = train
        self.val = [val] if isinstance(val, SkeletonDataset) else list(val)
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.accumulate, self.repeat, self.seed = accumulate, repeat, seed
        self.workers, self.by_length = workers, by_length
        #: Epoch that training continues from, counted from 0.
        self.first_epoch = 0

    def train_dataloader(self) -> Loader:
        """Return the loader of the clips to learn from."""
        shared: Any = {"num_replicas": processes(), "rank": rank()} if self.by_length else {}
        draws = EpochSampler(len(self.train), seed=self.seed, repeat=self.repeat, **shared)
        # Before Lightning does: workers begin an epoch as soon as their loader is made.
        draws.set_epoch(self.first_epoch)
        batches: Sampler[list[tuple[int, int]]]
        if self.by_length:
            size = max(1, self.batch_size // (self.accumulate * processes()))
            batches = LengthBatches(draws, self.train.lengths, size)
        else:
            batches = EpochBatches(draws, self.batch_size, self.accumulate, rank(), processes())
        return DataLoader(
            self.train,
            batch_sampler=batches,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            collate_fn=functools.partial(collate, builder=self.builder),
            # A loader draws a number for its workers; from torch's own generator it would shift
            # dropout and the noise of the links, at another moment after a resume than without.
            generator=torch.Generator(),
        )

    def val_dataloader(self) -> list[Loader]:
        """Return the loaders of the clips to validate on."""
        options = {"batch_size": self.eval_batch_size, "workers": self.workers}
        place = {"rank": rank(), "processes": processes()}
        return [ordered_loader(dataset, self.builder, **options, **place) for dataset in self.val]
