import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import chain

from asgcn_dgl.ops.frames import clip_index, clip_mean, last_frame, sample_frames, zero_missing
from asgcn_dgl.skeleton import GraphBuilder


def test_clip_mean_by_hand():
    graph = GraphBuilder(max_hop=1, num_actional=0).batch(chain(2), [1, 2])
    assert clip_index(graph).tolist() == [0, 0, 1, 1, 1, 1]
    feat = torch.arange(12.0).view(6, 2, 1)
    assert clip_mean(graph, feat).flatten().tolist() == [1.5, 7.5]
    mask = torch.zeros(6, 2, dtype=torch.bool)
    mask[0, 1] = mask[5] = True
    assert clip_mean(graph, feat, mask).flatten().tolist() == [1.0, 10.5]
    assert clip_mean(graph, feat[:, 0]).flatten().tolist() == [1.0, 7.0]


def test_last_frame_is_the_last_that_exists():
    feat = torch.arange(8.0).view(2, 4, 1)
    mask = torch.tensor([[True, True, False, False], [False, False, False, False]])
    assert last_frame(feat).flatten().tolist() == [3.0, 7.0]
    assert last_frame(feat, mask).flatten().tolist() == [1.0, 7.0]


@given(frames=st.integers(1, 30), wanted=st.integers(1, 30))
@settings(max_examples=40, deadline=None)
def test_frames_are_picked_in_order_and_evenly(frames, wanted):
    feat = torch.arange(float(frames)).view(1, frames, 1)
    picked = sample_frames(feat, wanted).flatten()
    assert len(picked) == wanted and bool((picked.diff() >= 0).all())
    assert picked.diff().numel() == 0 or float(picked.diff().max() - picked.diff().min()) <= 1
    full = torch.ones(1, frames, dtype=torch.bool)
    assert torch.equal(sample_frames(feat, wanted, full).flatten(), picked)


def test_a_joint_that_never_exists_gives_zeros():
    feat, mask = torch.ones(2, 3, 1), torch.tensor([[True] * 3, [False] * 3])
    assert sample_frames(feat, 2, mask).flatten().tolist() == [1, 1, 0, 0]


def test_zero_missing():
    feat, mask = torch.ones(1, 2, 3), torch.tensor([[True, False]])
    assert zero_missing(feat, mask).tolist() == [[[1, 1, 1], [0, 0, 0]]]
    assert zero_missing(feat, None) is feat
