import pytest
import torch
from strategies import chain, float64

from asgcn_dgl.nn import MeanReadout
from asgcn_dgl.skeleton import GraphBuilder

#: Clips of a three-joint layout with two bodies and of a five-joint one with one.
BODIES = (slice(0, 3), slice(3, 6), slice(6, 11))
CLIPS = (slice(0, 6), slice(6, 11))


def batch(joints_first=False):
    graph = GraphBuilder(num_actional=0).structure([chain(3), chain(5, "other")], [2, 1])
    return graph.with_joints_first() if joints_first else graph


def mean(feat, here, dims):
    """The formula: sums over what exists, divided by how much that is."""
    count = here.sum(dims)
    total = (feat * here.unsqueeze(-1)).sum(dims)
    return total / count.clamp(min=1).unsqueeze(-1)


FORMULAS = {
    ("joints", "frames", "bodies"): (CLIPS, (0, 1)),
    ("joints", "bodies"): (CLIPS, 0),
    ("joints", "frames"): (BODIES, (0, 1)),
    ("joints",): (BODIES, 0),
    ("frames",): (tuple(slice(n, n + 1) for n in range(11)), (0, 1)),
}


@pytest.mark.parametrize("over", FORMULAS)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("joints_first", [False, True])
def test_mean_equals_the_formula(over, masked, joints_first):
    groups, dims = FORMULAS[over]
    with float64():
        feat = torch.randn(11, 6, 4, requires_grad=True)
        mask = torch.rand(11, 6) > 0.4 if masked else None
        if mask is not None:
            mask[0] = False  # a joint that is never there
        here = torch.ones(11, 6, dtype=torch.bool) if mask is None else mask
        graph, plain = batch(joints_first), batch()
        order = plain.rows_joints_first if joints_first else (lambda rows: rows)
        ours = MeanReadout(over)(graph, order(feat), None if mask is None else order(mask))
        theirs = torch.stack([mean(feat[group], here[group], dims) for group in groups])
        if over == ("frames",):
            theirs = order(theirs)
        probe = torch.randn_like(ours)
        got, expected = (torch.autograd.grad((y * probe).sum(), feat)[0] for y in (ours, theirs))
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(got, expected)


def test_missing_features_do_not_count_whatever_they_are():
    mask = torch.ones(11, 6, dtype=torch.bool)
    mask[2, 1] = False
    feat = torch.ones(11, 6, 2)
    feat[2, 1] = torch.nan
    for over in FORMULAS:
        assert (MeanReadout(over)(batch(), feat, mask) == 1).all()


@pytest.mark.parametrize("over", FORMULAS)
def test_nothing_gives_zero(over):
    feat, nothing = torch.randn(11, 6, 2), torch.zeros(11, 6, dtype=torch.bool)
    assert (MeanReadout(over)(batch(), feat, nothing) == 0).all()


@pytest.mark.parametrize("over", [over for over in FORMULAS if over != ("joints",)])
def test_one_frame_needs_no_axis_of_time(over):
    feat = torch.randn(11, 2)
    found = MeanReadout(over)(batch(), feat)
    torch.testing.assert_close(found, MeanReadout(over)(batch(), feat[:, None]).view(found.shape))


def test_a_dgl_graph_gives_the_same():
    pytest.importorskip("dgl")
    feat, mask = torch.randn(11, 6, 2), torch.rand(11, 6) > 0.5
    for over in FORMULAS:
        readout = MeanReadout(over)
        torch.testing.assert_close(readout(batch().graph, feat, mask), readout(batch(), feat, mask))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_it_runs_under_autocast_and_counts_in_32_bits(dtype):
    graph = GraphBuilder(num_actional=0).structure(chain(3))
    feat = torch.full((3, 3000, 2), 1.25, dtype=dtype)
    with torch.autocast("cpu", dtype=dtype):
        found = MeanReadout()(graph, feat)
        assert torch.nn.Linear(2, 3)(found).dtype == dtype
    assert found.dtype == dtype and (found == 1.25).all()


def test_it_runs_on_the_meta_device():
    graph = batch().to("meta")
    feat = torch.randn(11, 6, 4, device="meta")
    mask = torch.ones(11, 6, dtype=torch.bool, device="meta")
    shapes = [(2, 4), (2, 6, 4), (3, 4), (3, 6, 4), (11, 4)]
    for over, shape in zip(FORMULAS, shapes, strict=True):
        found = MeanReadout(over)(graph, feat, mask)
        assert found.is_meta and found.shape == shape


@pytest.mark.parametrize("over", [(), ("joint",), ("bodies",), ("frames", "frames")])
def test_other_means_are_refused(over):
    with pytest.raises(ValueError, match="over must"):
        MeanReadout(over)


def test_features_of_other_joints_are_refused():
    with pytest.raises(ValueError, match=r"feat must.*11 joints"):
        MeanReadout()(batch(), torch.randn(10, 6, 2))
    with pytest.raises(ValueError, match="mask must"):
        MeanReadout()(batch(), torch.randn(11, 6, 2), torch.ones(11, 5))
