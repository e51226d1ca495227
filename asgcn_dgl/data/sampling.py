"""Which clips an epoch shows, in which order, to which process, and which of them share a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from asgcn_dgl.data.files import need


class EpochSampler(Sampler[tuple[int, int]]):
    """Yields the draws of one epoch: each clip ``repeat`` times, each time with fresh randomness.

    A draw is the pair (pass, clip) that :class:`~asgcn_dgl.data.SkeletonDataset` takes as an index.

    Parameters
    ----------
    size
        Clips of the dataset, n.
    shuffle
        Yield each pass in random order.
    seed
        Seed of the orders.
    repeat
        Passes over the clips that make one epoch.
    num_replicas, rank
        Processes that share the epoch, and which of them this is. No draw goes to two. While
        shuffling all get as many, so that they take as many steps, and the few left over wait for
        another epoch; in order nothing is left over, and the first may have one more.

    Raises
    ------
    ValueError
        If a number is out of range, or there are fewer draws than processes.

    Examples
    --------
    >>> sampler = EpochSampler(3, shuffle=False, repeat=2)
    >>> sampler.set_epoch(1)
    >>> list(sampler)  # passes 2 and 3 of 3 clips
    [(2, 0), (2, 1), (2, 2), (3, 0), (3, 1), (3, 2)]
    >>> list(EpochSampler(5, shuffle=False, num_replicas=2, rank=1))
    [(0, 1), (0, 3)]
    """

    def __init__(
        self,
        size: int,
        shuffle: bool = True,
        seed: int = 0,
        repeat: int = 1,
        *,
        num_replicas: int = 1,
        rank: int = 0,
    ) -> None:
        good = size >= 1 and repeat >= 1
        need(good, f"size and repeat must be at least 1, got {size} and {repeat}")
        need(0 <= rank < num_replicas, f"rank must be within 0..{num_replicas - 1}, got {rank}")
        draws = size * repeat
        few = f"an epoch of {draws} draws is too short for {num_replicas} processes"
        need(draws >= num_replicas, few)
        self.size = size
        self.shuffle = shuffle
        self.seed = seed
        self.repeat = repeat
        self.num_replicas = num_replicas
        self.rank = rank
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the number of the next iteration's epoch, from 0."""
        self.epoch = epoch

    def __len__(self) -> int:
        draws = self.size * self.repeat
        if self.shuffle:
            return draws // self.num_replicas
        return len(range(self.rank, draws, self.num_replicas))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        draws: list[tuple[int, int]] = []
        for number in range(self.epoch * self.repeat, (self.epoch + 1) * self.repeat):
            rng = np.random.default_rng([self.seed, number])
            order = rng.permutation(self.size) if self.shuffle else np.arange(self.size)
            draws += [(number, index) for index in order.tolist()]
        return iter(draws[self.rank :: self.num_replicas][: len(self)])


class LengthBatches(Sampler[list[tuple[int, int]]]):
    """Batches of clips of about the same length, so that little of a batch is filling.

    The draws of an epoch are taken in pools of many batches; a pool is sorted by length and cut
    into batches, and all batches are then shuffled. Sampler, seed and epoch alone decide.

    Parameters
    ----------
    sampler
        Yields the draws, and says to which process they go.
    lengths
        (n,) frames of each clip.
    batch_size
        Clips of a batch; the last of a pool may be smaller.
    pool
        Batches of a pool: 1 leaves the order as it is, more makes batches more alike.

    Raises
    ------
    ValueError
        If a number is below 1, or there are not as many lengths as clips.

    Examples
    --------
    >>> lengths = [30, 300, 31, 299, 32, 298]
    >>> batches = LengthBatches(EpochSampler(6), lengths, batch_size=3)
    >>> sorted(sorted(lengths[clip] for _, clip in batch) for batch in batches)
    [[30, 31, 32], [298, 299, 300]]
    """

    def __init__(
        self,
        sampler: EpochSampler,
        lengths: Sequence[int] | np.ndarray,
        batch_size: int,
        pool: int = 32,
    ) -> None:
        good = batch_size >= 1 and pool >= 1
        need(good, f"batch_size and pool must be at least 1, got {batch_size} and {pool}")
        good = len(lengths) == sampler.size
        need(good, f"lengths must be {sampler.size}, one a clip, got {len(lengths)}")
        self.sampler = sampler  # Lightning sets its epoch
        self.lengths = np.asarray(lengths)
        self.batch_size = batch_size
        self.pool = pool

    def __len__(self) -> int:
        return -(-len(self.sampler) // self.batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        sampler, size = self.sampler, self.batch_size * self.pool
        draws = list(sampler)
        batches: list[list[tuple[int, int]]] = []
        for first in range(0, len(draws), size):
            some = sorted(draws[first : first + size], key=lambda draw: self.lengths[draw[1]])
            starts = range(0, len(some), self.batch_size)
            batches += [some[start : start + self.batch_size] for start in starts]
        if not sampler.shuffle:
            return iter(batches)
        rng = np.random.default_rng([sampler.seed, sampler.epoch, sampler.rank])
        return iter([batches[place] for place in rng.permutation(len(batches)).tolist()])
