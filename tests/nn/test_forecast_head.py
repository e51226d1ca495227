import pytest
import torch

from asgcn_dgl.data import Clip, SkeletonDataset, collate
from asgcn_dgl.data.samples import recent_poses
from asgcn_dgl.models import ASGCN
from asgcn_dgl.nn import ForecastHead
from asgcn_dgl.skeleton import GraphBuilder, get_layout
from asgcn_dgl.training.scoring import masked_distance

CONV = {"max_hop": 1, "num_actional": 0}


def head(**options):
    torch.manual_seed(0)
    return ForecastHead(6, 2, 4, 5, hidden_feats=8, num_blocks=2, conv=CONV, **options).eval()


def graph(bodies=(1,)):
    return GraphBuilder(max_hop=1, num_actional=0).structure(get_layout("coco17"), list(bodies))


def test_a_new_head_says_what_the_coefficients_say():
    feat, recent = torch.randn(17, 9, 6), torch.randn(17, 4, 2)
    future = head()(graph(), feat, recent)
    assert future.shape == (17, 5, 2)
    torch.testing.assert_close(future, recent[:, -1:].expand(-1, 5, -1), atol=0.05, rtol=0)


def test_the_last_poses_and_the_features_count():
    module = head()
    for parameter in module.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    feat, recent = torch.randn(17, 9, 6), torch.randn(17, 4, 2)
    future = module(graph(), feat, recent)
    other = recent.clone()
    other[:, 0] += 1
    assert not torch.allclose(module(graph(), feat, other), future)
    assert not torch.allclose(module(graph(), feat + 1, recent), future)
    # Frames before the last P do not count; fewer stand for more.
    longer = torch.cat([torch.randn(17, 3, 2), recent], dim=1)
    torch.testing.assert_close(module(graph(), feat, longer), future)
    still = recent[:, :1].expand(-1, 4, -1)
    torch.testing.assert_close(module(graph(), feat, recent[:, 0]), module(graph(), feat, still))
    mask = torch.ones(17, 9, dtype=torch.bool)
    mask[:, 5:] = False
    torch.testing.assert_close(
        module(graph(), feat, recent, mask=mask), module(graph(), feat[:, :5], recent)
    )


def test_a_joint_that_was_never_seen_changes_nothing():
    module = head()
    feat, recent = torch.randn(17, 9, 6), torch.randn(17, 4, 2)
    mask = torch.ones(17, 9, dtype=torch.bool)
    mask[3] = False
    changed = recent.clone()
    changed[3] = 7.0
    rows = torch.arange(17) != 3
    one, other = (module(graph(), feat, each, mask=mask)[rows] for each in (recent, changed))
    torch.testing.assert_close(one, other)


def test_samples_carry_the_last_frames_as_recorded():
    frame = torch.arange(1.0, 31).view(1, 30, 1, 1).expand(2, 30, 17, 2).numpy()
    mask = torch.ones(2, 30, 17, dtype=torch.bool).numpy()
    mask[0, 17:20, 3] = False
    mask[1, :16, 4] = False
    mask[1, 16:, 5] = False
    mask[0, :, 6] = False
    clip = Clip.from_positions("a", get_layout("coco17"), frame, mask)
    dataset = SkeletonDataset([clip], num_frames=8, mode="observed", past_frames=4)
    sample = dataset[0]
    assert sample.recent.shape == (2, 4, 17, 2)
    assert sample.recent[0, :, 0, 0].tolist() == [17, 18, 19, 20]
    assert sample.recent[0, :, 3, 0].tolist() == [17, 17, 17, 17]
    assert sample.recent[1, :, 4, 0].tolist() == [17, 18, 19, 20]
    assert sample.recent[1, :, 5, 0].tolist() == [16, 16, 16, 16]
    assert not sample.recent[0, :, 6].any()
    batch = collate([sample], GraphBuilder(max_hop=1, num_actional=0))
    assert batch.recent.shape == (34, 4, 2)
    torch.testing.assert_close(batch.recent[:, -1], batch.last)
    assert batch.observed is batch.recent
    short = recent_poses(clip.frames(slice(0, 2)), 4)
    assert short[0, :, 0, 0].tolist() == [1, 1, 1, 2]


@pytest.mark.parametrize("actional", [0, 1])
def test_the_model_has_the_head(actional):
    options = {
        "channels": [8, 8],
        "strides": [1, 2],
        "aim_frames": 6,
        "aim_hidden": 8,
        "future_channels": 8,
        "max_hop": 2,
        "num_actional": actional,
        "past_frames": 4,
        "future_head": "dct",
    }
    model = ASGCN("coco17", 3, 2, **options).eval()
    structure = model.graph_builder.structure(get_layout("coco17"), [1, 2])
    feat = torch.randn(51, 12, 2)
    out = model(structure, feat)
    assert out.future.shape == (51, 10, 2)
    torch.testing.assert_close(model(structure, feat, None, feat[:, -4:]).future, out.future)
    again = ASGCN.from_config(model.config.to_dict()).eval()
    again.load_state_dict(model.state_dict())
    torch.testing.assert_close(again(structure, feat).future, out.future)
    with pytest.raises(ValueError, match=r"past_frames.*0"):
        ASGCN("coco17", 3, 2, **{**options, "past_frames": 0})


def test_distance_has_a_gradient_where_nothing_is_wrong():
    future = torch.zeros(2, 3, 2, requires_grad=True)
    mask = torch.tensor([[True, True, False]] * 2)
    masked_distance(future, torch.zeros(2, 3, 2), mask).backward()
    assert bool(torch.isfinite(future.grad).all())
