"""Which clips a process takes in which step, and in which batch of an evaluation."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from asgcn_dgl.data import EpochSampler, Sample, SkeletonDataset, collate
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import GraphBuilder

Loader = DataLoader[Sample]


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
