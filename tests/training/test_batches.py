from __future__ import annotations

import pytest

from asgcn_dgl.data import EpochSampler
from asgcn_dgl.training.datamodule import EpochBatches


@pytest.mark.parametrize("size", [12, 13, 17, 23])
@pytest.mark.parametrize(("pieces", "processes"), [(1, 1), (2, 1), (1, 3), (2, 2), (3, 2)])
def test_steps_are_the_same_in_any_number_of_parts(size, pieces, processes):
    def draws():
        sampler = EpochSampler(size, seed=3, repeat=2)
        sampler.set_epoch(1)
        return sampler

    whole = list(EpochBatches(draws(), 6))
    assert [draw for step in whole for draw in step] == list(draws())
    parts = [list(EpochBatches(draws(), 6, pieces, rank, processes)) for rank in range(processes)]
    one = EpochBatches(draws(), 6, pieces, 0, processes)
    assert {len(part) for part in parts} == {len(one)}  # all processes step equally often
    assert all(batch for part in parts for batch in part)
    batches = iter(zip(*parts, strict=True))
    for step in whole:
        wanted = min(pieces, len(step) // processes)
        found = [draw for _ in range(wanted) for part in next(batches) for draw in part]
        assert found == step[: len(found)]
        assert len(found) == len(step) or wanted == 0
    assert next(batches, None) is None


def test_the_last_step_counts_as_much_as_the_others():
    made = EpochBatches(EpochSampler(14, shuffle=False), 6, 3)
    assert [len(batch) for batch in made] == [2, 2, 2, 2, 2, 2, 1, 1]
    # Lightning divides by three, the last step has two.
    assert [made.piece_factor(n) for n in range(8)] == [1.0] * 6 + [1.5] * 2


def test_clips_that_do_not_go_round_are_left_out():
    made = [EpochBatches(EpochSampler(9, shuffle=False), 4, 1, rank, 2) for rank in (0, 1)]
    clips = [[[clip for _, clip in batch] for batch in each] for each in made]
    assert clips == [[[0, 1], [4, 5]], [[2, 3], [6, 7]]]
    assert [len(each) for each in made] == [2, 2]


def test_epochs_differ_through_the_sampler():
    made = EpochBatches(EpochSampler(8, seed=0), 4)
    first = list(made)
    made.sampler.set_epoch(1)
    assert list(made) != first
    assert sorted(draw for batch in made for draw in batch) == [(1, clip) for clip in range(8)]


def test_too_few_clips_are_refused():
    with pytest.raises(ValueError, match=r"batch_size must be at least 6, .* got 5"):
        EpochBatches(EpochSampler(20), 5, pieces=3, processes=2)
    with pytest.raises(ValueError, match="3 clips are too few for 4 processes"):
        EpochBatches(EpochSampler(3), 8, processes=4)
