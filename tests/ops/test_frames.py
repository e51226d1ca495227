import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import chain

from asgcn_dgl.ops.frames import (
    as_mask,
    clip_index,
    clip_mean,
    last_frame,
    sample_frames,
    zero_missing,
)
from asgcn_dgl.skeleton import GraphBuilder


def test_clip_mean_by_hand():
    graph = GraphBuilder(max_hop=1, num_actional=0).structure(chain(2), [1, 2])
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
    graph = GraphBuilder(max_hop=1, num_actional=0).structure(chain(1))
    feat = torch.arange(float(frames)).view(1, frames, 1)
    picked = sample_frames(graph, feat, wanted)[0].flatten()
    assert len(picked) == wanted and bool((picked.diff() >= 0).all())
    assert picked.diff().numel() == 0 or float(picked.diff().max() - picked.diff().min()) <= 1
    full = torch.ones(1, frames, dtype=torch.bool)
    assert torch.equal(sample_frames(graph, feat, wanted, full)[0].flatten(), picked)


def test_a_joint_that_never_exists_gives_zeros():
    graph = GraphBuilder(max_hop=1, num_actional=0).structure(chain(2))
    feat, mask = torch.ones(2, 3, 1), torch.tensor([[True] * 3, [False] * 3])
    feat[1] = torch.nan
    assert sample_frames(graph, feat, 2, mask)[0].flatten().tolist() == [1, 1, 0, 0]


def test_all_joints_of_a_clip_are_seen_at_the_same_times():
    """A joint missing at a picked time is taken at its nearest frame, and said not to be there."""
    graph = GraphBuilder(max_hop=1, num_actional=0).structure(chain(2))
    feat = torch.arange(10.0).expand(2, 10).unsqueeze(-1)
    mask = torch.ones(2, 10, dtype=torch.bool)
    mask[1, :5] = False
    picked, there = sample_frames(graph, feat, 5, mask)
    assert picked[0].flatten().tolist() == [1, 3, 5, 7, 9]
    assert picked[1].flatten().tolist() == [5, 5, 5, 7, 9]
    assert there.tolist() == [[True] * 5, [False, False, True, True, True]]


def test_a_mask_must_fit():
    feat = torch.zeros(2, 3, 1)
    assert as_mask(None, feat) is None
    assert as_mask(torch.ones(2, 3), feat).dtype == torch.bool
    with pytest.raises(ValueError, match=r"mask must be \(joints, frames\) = \(2, 3\), got \(2,\)"):
        as_mask(torch.ones(2), feat)


def test_zero_missing():
    feat, mask = torch.ones(1, 2, 3), torch.tensor([[True, False]])
    assert zero_missing(feat, mask).tolist() == [[[1, 1, 1], [0, 0, 0]]]
    assert zero_missing(feat, None) is feat
