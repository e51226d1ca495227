from __future__ import annotations

import functools
from itertools import chain as joined

import numpy as np
import pytest
from strategies import needs_dgl
from torch.utils.data import DataLoader

from asgcn_dgl.data import EpochSampler, LengthBatches, SkeletonDataset, collate
from asgcn_dgl.skeleton import GraphBuilder

LENGTHS = np.random.default_rng(0).integers(20, 300, size=101)


def epoch(sampler, number):
    sampler.set_epoch(number)
    return list(sampler)


@pytest.mark.parametrize("replicas", [1, 2, 3, 7])
def test_shares_are_disjoint_and_cover_the_epoch(replicas):
    for shuffle in (False, True):
        shares = [
            epoch(EpochSampler(101, shuffle, seed=3, repeat=2, num_replicas=replicas, rank=r), 4)
            for r in range(replicas)
        ]
        whole = epoch(EpochSampler(101, shuffle, seed=3, repeat=2), 4)
        drawn = list(joined.from_iterable(shares))
        assert len(set(drawn)) == len(drawn)
        assert set(drawn) <= set(whole)
        if shuffle:  # all take as many steps
            assert {len(share) for share in shares} == {202 // replicas}
        else:
            assert set(drawn) == set(whole)


def test_length_is_what_is_yielded():
    for replicas in (1, 3):
        for shuffle in (False, True):
            for rank in range(replicas):
                sampler = EpochSampler(10, shuffle, num_replicas=replicas, rank=rank)
                assert len(sampler) == len(list(sampler))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"num_replicas": 2, "rank": 2}, "rank must be within 0..1, got 2"),
        ({"num_replicas": 4}, "an epoch of 3 draws is too short for 4 processes"),
    ],
)
def test_shares_that_cannot_be(options, text):
    with pytest.raises(ValueError, match=text):
        EpochSampler(3, **options)


def batches(number=0, rank=0, replicas=1, shuffle=True, **options):
    sampler = EpochSampler(101, shuffle, seed=5, num_replicas=replicas, rank=rank)
    found = LengthBatches(sampler, LENGTHS, 8, **options)
    found.sampler.set_epoch(number)
    made = list(found)
    assert len(made) == len(found)
    return made


def test_batches_hold_every_draw_once_and_are_alike_in_length():
    made = batches()
    assert sorted(joined.from_iterable(made)) == [(0, clip) for clip in range(101)]
    assert [len(batch) for batch in made].count(8) == 12
    filling, unsorted = (
        sum(8 * max(LENGTHS[clip] for _, clip in batch) for batch in each) / LENGTHS.sum()
        for each in (made, batches(pool=1))
    )
    assert filling < 1.15 < 1.5 < unsorted


def test_seed_and_epoch_alone_decide():
    assert batches(2) == batches(2)
    assert batches(2) != batches(3)
    assert batches(shuffle=False, pool=1) == [
        sorted(batch, key=lambda draw: LENGTHS[draw[1]]) for batch in batches(shuffle=False, pool=1)
    ]


def test_processes_get_as_many_batches_and_no_draw_twice():
    made = [batches(1, rank, 3) for rank in range(3)]
    assert {len(each) for each in made} == {5}
    drawn = list(joined.from_iterable(joined.from_iterable(made)))
    assert len(drawn) == len(set(drawn)) == 99


def test_lengths_must_fit():
    with pytest.raises(ValueError, match="lengths must be 101, one a clip, got 3"):
        LengthBatches(EpochSampler(101), [1, 2, 3], 8)
    with pytest.raises(ValueError, match="batch_size and pool must be at least 1, got 0 and 32"):
        LengthBatches(EpochSampler(101), LENGTHS, 0)


@pytest.fixture
def dataset(make_clip):
    clips = [make_clip(1 + n % 2, 20 + 7 * n, seed=n, label=n % 3) for n in range(12)]
    return SkeletonDataset(clips, num_frames=60, sampling="own", training=True)


def test_clips_of_their_own_length_share_a_batch_without_filling(dataset):
    assert dataset.lengths.tolist() == [20 + 7 * n for n in range(12)]
    loader = DataLoader(
        dataset,
        batch_sampler=LengthBatches(EpochSampler(12), dataset.lengths, 4),
        collate_fn=functools.partial(collate, builder=GraphBuilder()),
    )
    seen = sorted((batch.feat.shape[1], len(batch)) for batch in loader)
    assert seen == [(41, 4), (60, 4), (60, 4)]


@needs_dgl
def test_dgls_own_loader_takes_dataset_and_collate(dataset):
    import dgl.dataloading

    loader = dgl.dataloading.GraphDataLoader(
        dataset,
        batch_size=5,
        sampler=EpochSampler(12, shuffle=False),
        collate_fn=functools.partial(collate, builder=GraphBuilder()),
    )
    found = list(loader)
    assert [len(batch) for batch in found] == [5, 5, 2]
    assert found[0].structure.batch_size == 5
    assert found[0].structure.num_nodes() == found[0].feat.shape[0] == 25 * 7
