from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
import torch
from strategies import needs_dgl

from asgcn_dgl.data import SkeletonDataset, collate
from asgcn_dgl.skeleton import GraphBuilder

BUILDER = GraphBuilder(max_hop=2, num_actional=2)


def samples_of(clips, **options):
    return list(SkeletonDataset(clips, num_frames=6, mode="observed", future_frames=3, **options))


def by_loop(samples, name):
    """The slow way: joint by joint."""
    rows = []
    for sample in samples:
        array = getattr(sample, name)
        for body in range(array.shape[0]):
            if sample.mask[body].any():
                rows += [array[body, ..., joint, :] for joint in range(sample.layout.num_joints)]
    return np.stack(rows)


def test_joints_stand_in_the_order_clip_body_joint(make_clip):
    samples = samples_of([make_clip(m, seed=m, label=m) for m in (2, 1, 3)])
    batch = collate(samples, BUILDER)
    for name in ("feat", "last", "future"):
        np.testing.assert_array_equal(getattr(batch, name).numpy(), by_loop(samples, name))
    assert batch.feat.shape == (150, 6, 3)
    assert batch.last.shape == (150, 3)
    assert batch.future.shape == (150, 3, 3)
    assert batch.future_mask.all()
    assert batch.future_mask.shape == (150, 3)
    assert batch.mask is None
    assert batch.label.tolist() == [2, 1, 3]
    assert batch.num_bodies.tolist() == [2, 1, 3]
    assert batch.names == ["clip2", "clip1", "clip3"]
    assert batch.structure.clip.bincount().tolist() == [50, 25, 75]
    assert len(batch) == 3
    assert batch.feat.is_contiguous()


def test_missing_joints_stay_masked(make_clip):
    samples = samples_of([make_clip(2, seed=1, hole=0.3), make_clip(1, seed=2)])
    batch = collate(samples, BUILDER)
    expected = by_loop([dataclasses.replace(s, feat=s.mask[..., None]) for s in samples], "feat")
    np.testing.assert_array_equal(batch.mask.numpy(), expected[..., 0])
    assert (batch.feat[~batch.mask] == 0).all()
    assert (batch.future[~batch.future_mask] == 0).all()


def test_absent_bodies_are_not_in_the_graph(make_clip):
    clip = make_clip(3)
    mask = clip.mask.copy()
    mask[1] = False
    mask[2, :27] = False  # comes only in the future
    batch = collate(samples_of([clip.with_pos(clip.pos, mask), make_clip(1, seed=1)]), BUILDER)
    assert batch.num_bodies.tolist() == [1, 1]
    assert batch.structure.num_nodes() == batch.feat.shape[0] == 50
    assert batch.mask is None
    np.testing.assert_array_equal(batch.last[:25].numpy(), clip.pos[0, 26])


def test_a_clip_keeps_a_body_even_if_none_is_seen(make_clip):
    sample = samples_of([make_clip(2)])[0]
    blank = dataclasses.replace(
        sample, feat=np.zeros_like(sample.feat), mask=np.zeros_like(sample.mask)
    )
    batch = collate([blank], BUILDER)
    assert batch.num_bodies.tolist() == [1]
    assert not batch.mask.any()


def test_layouts_mix(make_clip):
    clips = [make_clip(layout=name, seed=n) for n, name in enumerate(("ntu25", "coco17", "hand21"))]
    samples = samples_of([*clips, make_clip(2, seed=9)])
    batch = collate(samples, BUILDER)
    assert batch.structure.clip.bincount().tolist() == [25, 17, 21, 50]
    np.testing.assert_array_equal(batch.feat.numpy(), by_loop(samples, "feat"))


def test_shorter_samples_are_filled_with_masked_frames(make_clip):
    clips = [make_clip(1, 5, seed=1), make_clip(1, 8, seed=2)]
    batch = collate(list(SkeletonDataset(clips, num_frames=None)), BUILDER)
    assert batch.feat.shape == (50, 8, 3)
    assert batch.mask[:25, :5].all()
    assert not batch.mask[:25, 5:].any()
    assert not batch.feat[:25, 5:].any()
    assert batch.mask[25:].all()


def test_a_batch_is_its_clips(make_clip):
    samples = samples_of([make_clip(1 + seed % 2, seed=seed, hole=0.2) for seed in range(5)])
    together = collate(samples, BUILDER)
    alone = [collate([sample], BUILDER) for sample in samples]
    for name in ("feat", "mask", "last", "future", "future_mask", "label", "num_bodies"):
        assert torch.cat([getattr(batch, name) for batch in alone]).equal(getattr(together, name))


def test_batches_move_and_pickle(make_clip):
    batch = collate(samples_of([make_clip(2, hole=0.2), make_clip(1, seed=1)]), BUILDER)
    moved = batch.to("cpu")
    assert moved is not batch
    twin = pickle.loads(pickle.dumps(moved))
    for name in ("feat", "mask", "last", "future", "future_mask", "label", "num_bodies"):
        assert getattr(twin, name).equal(getattr(batch, name))
    assert torch.equal(twin.structure.clip, batch.structure.clip)
    assert moved.names == batch.names
    full = collate(samples_of([make_clip()]), BUILDER)
    assert full.to("cpu").mask is None


def test_what_does_not_fit_is_refused(make_clip):
    with pytest.raises(ValueError, match="samples must hold at least one sample"):
        collate([], BUILDER)
    flat = samples_of([make_clip(dims=2)])
    with pytest.raises(ValueError, match=r"the same coordinates \(D\), got \[2, 3\]"):
        collate(flat + samples_of([make_clip()]), BUILDER)
    longer = list(SkeletonDataset([make_clip()], num_frames=6, future_frames=5))
    with pytest.raises(ValueError, match=r"the same future frames \(T'\), got \[3, 5\]"):
        collate(longer + samples_of([make_clip()]), BUILDER)


@needs_dgl
def test_what_is_done_to_one_graph_changes_no_other(make_clip):
    samples = samples_of([make_clip(1, seed=m, label=m) for m in range(4)])
    one, other = collate(samples[:2], BUILDER), collate(samples[2:], BUILDER)
    weights = {
        etype: {name: value.clone() for name, value in other.graph.edges[etype].data.items()}
        for etype in other.graph.canonical_etypes
    }
    for etype in one.graph.canonical_etypes:
        data = one.graph.edges[etype].data
        for name in data:
            data[name].mul_(5)
    later = collate(samples[:2], BUILDER)
    assert any(weights.values())
    for graph in (other.graph, later.graph):
        for etype, kept in weights.items():
            for name, value in kept.items():
                assert torch.equal(graph.edges[etype].data[name], value)
