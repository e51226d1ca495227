import numpy as np
import pytest
import torch
from strategies import chain, needs_dgl

from asgcn_dgl.data import STREAMS, Clip, to_stream
from asgcn_dgl.nn import StreamFeatures
from asgcn_dgl.nn.streams import INPUT_STREAMS
from asgcn_dgl.skeleton import GraphBuilder, get_layout


def test_the_names_are_those_of_the_data():
    assert INPUT_STREAMS == STREAMS


@pytest.mark.parametrize("stream", INPUT_STREAMS)
def test_equals_the_streams_of_clips(stream):
    """In a batch of two layouts and several bodies, with joints missing."""
    rng, builder = np.random.default_rng(0), GraphBuilder(max_hop=1, num_actional=0)
    layouts, bodies = [get_layout("ntu25"), chain(4), get_layout("ntu25")], [2, 1, 1]
    made = StreamFeatures([get_layout("ntu25"), chain(4)], builder, (stream,))
    feats, masks, expected = [], [], []
    for layout, count in zip(layouts, bodies, strict=True):
        pos = rng.normal(size=(count, 6, layout.num_joints, 3)).astype(np.float32)
        pos[rng.random(pos.shape[:3]) < 0.2] = 0  # not seen
        clip = Clip.from_positions("clip", layout, pos)
        feats.append(clip.pos.swapaxes(1, 2).reshape(-1, 6, 3))
        masks.append(clip.mask.swapaxes(1, 2).reshape(-1, 6))
        other = to_stream(clip, stream)
        shown = np.where(other.mask[..., None], other.pos, 0).swapaxes(1, 2).reshape(-1, 6, 3)
        expected.append((shown, other.mask.swapaxes(1, 2).reshape(-1, 6)))
    graph = builder.structure(layouts, bodies)
    feat, mask = (torch.from_numpy(np.concatenate(parts)) for parts in (feats, masks))
    ((ours, exists),) = made(graph, feat, mask)
    theirs, there = (torch.from_numpy(np.concatenate(x)) for x in zip(*expected, strict=True))
    assert torch.equal(exists, there)
    torch.testing.assert_close(torch.where(exists.unsqueeze(-1), ours, 0), theirs)
    ((alone, none),) = made(graph, torch.where(mask.unsqueeze(-1), feat, 0))
    assert none is None and alone.shape == feat.shape


def test_it_has_no_state_and_one_frame_has_no_motion():
    made = StreamFeatures(chain(3), GraphBuilder(max_hop=1), INPUT_STREAMS)
    assert not made.state_dict()
    graph = GraphBuilder(max_hop=1).structure(chain(3))
    found = made(graph, torch.randn(3, 1, 2))
    assert len(found) == 6 and bool((found[2][0] == 0).all())


@pytest.mark.parametrize("streams", [(), ("joint", "joint"), ("speed",)])
def test_bad_streams(streams):
    with pytest.raises(ValueError, match="streams must be names out of"):
        StreamFeatures(chain(3), GraphBuilder(max_hop=1), streams)


@needs_dgl
def test_a_dgl_graph_that_was_changed_gives_the_same():
    builder = GraphBuilder(max_hop=1, num_actional=0)
    layouts = [get_layout("coco17"), chain(4)]
    made = StreamFeatures(layouts, builder, INPUT_STREAMS)
    structure = builder.structure(layouts, [2, 1])
    graph = structure.graph
    graph.ndata["structure"] = graph.ndata["structure"].clone()
    feat, mask = torch.randn(38, 5, 3), torch.rand(38, 5) > 0.2
    for got, expected in zip(made(graph, feat, mask), made(structure, feat, mask), strict=True):
        assert torch.equal(got[0], expected[0]) and torch.equal(got[1], expected[1])
    assert "long_bone_motion" in repr(made)
