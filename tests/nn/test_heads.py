import oracle
import pytest
import torch
from strategies import SUPPLIED, chain, float64

from asgcn_dgl.nn import NarrowPredictionHead, PredictionHead, RecognitionHead
from asgcn_dgl.skeleton import GraphBuilder, get_layout


@pytest.mark.parametrize("masked", [False, True])
def test_recognition_is_the_mean_over_what_exists(masked):
    with float64():
        layouts, bodies = [chain(3), chain(5, "other")], [2, 1]
        graph = GraphBuilder(num_actional=0).structure(layouts, bodies)
        head = RecognitionHead(4, 3)
        torch.nn.init.normal_(head.linear.bias)
        feat = torch.randn(11, 6, 4, requires_grad=True)
        mask = torch.rand(11, 6) > 0.5 if masked else None
        ours = head(graph, feat, mask)
        here = torch.ones(11, 6, dtype=torch.bool) if mask is None else mask
        pooled = torch.stack([feat[:6][here[:6]].mean(0), feat[6:][here[6:]].mean(0)])
        theirs = pooled @ head.linear.weight.t() + head.linear.bias
        probe = torch.randn_like(ours)
        inputs = [feat, *head.parameters()]
        got = torch.autograd.grad((ours * probe).sum(), inputs)
        expected = torch.autograd.grad((theirs * probe).sum(), inputs)
    torch.testing.assert_close(ours, theirs)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_recognition_survives_a_clip_in_which_nothing_exists():
    graph = GraphBuilder(num_actional=0).structure(chain(3), [1, 1])
    mask = torch.ones(6, 4, dtype=torch.bool)
    mask[:3] = False
    head = RecognitionHead(2, 3)
    logits = head(graph, torch.randn(6, 4, 2), mask)
    torch.testing.assert_close(logits[0], head.linear.bias)


@pytest.mark.parametrize(("name", "frames"), [(name, 75) for name in SUPPLIED] + [("coco17", 90)])
def test_prediction_equals_figure_7(name, frames):
    """T = 75 ends at one frame (38, 19, 10, 5, 1); at 90 what remains is averaged."""
    layout = get_layout(name)
    size = layout.num_joints
    conv = {"max_hop": 1, "num_actional": 1, "layouts": layout}
    with float64():
        head = PredictionHead(2, 3, 2, hidden_feats=3, narrow_feats=(2, 2), conv=conv)
        for parameter in head.parameters():
            torch.nn.init.normal_(parameter)
        graph = GraphBuilder(max_hop=1, num_actional=1).structure(layout, [2])
        feat = torch.randn(2 * size, frames, 2, requires_grad=True)
        last = torch.randn(2 * size, 3, requires_grad=True)
        links = torch.rand(2 * size * (size - 1), 1).add_(0.1).requires_grad_()
        ours = head(graph, feat, last, links)
        theirs = oracle.predict(
            head,
            layout,
            feat.view(2, size, frames, 2),
            last.view(2, size, 3),
            links.view(2, -1, 1),
        ).flatten(0, 1)
        inputs = [feat, last, links, *head.parameters()]
        probe = torch.randn_like(ours)
        got = torch.autograd.grad((ours * probe).sum(), inputs)
        expected = torch.autograd.grad((theirs * probe).sum(), inputs)
    torch.testing.assert_close(ours, theirs)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("masked", [False, True])
def test_the_narrow_head_equals_its_formula(masked):
    layout, size = get_layout("coco17"), 17
    with float64():
        conv = {"max_hop": 2, "num_actional": 1, "layouts": layout}
        head = NarrowPredictionHead(4, 2, 5, hidden_feats=6, conv=conv)
        for parameter in head.parameters():
            torch.nn.init.normal_(parameter)
        graph = GraphBuilder(max_hop=2, num_actional=1).structure(layout, [2])
        feat = torch.randn(2 * size, 7, 4, requires_grad=True)
        last = torch.randn(2 * size, 2, requires_grad=True)
        links = torch.rand(2 * size * (size - 1), 1).add_(0.1).requires_grad_()
        mask = torch.ones(2 * size, 7, dtype=torch.bool)
        if masked:
            mask = torch.rand(2 * size, 7) > 0.4
            mask[:, 2] = True
        ours = head(graph, feat, last, links, mask if masked else None)
        mean = torch.stack([row[here].mean(0) for row, here in zip(feat, mask, strict=True)])
        end = torch.stack([row[here][-1] for row, here in zip(feat, mask, strict=True)])

        def conv_of(layer, x):
            operators = oracle.power_operators(layout, 2)
            masks = oracle.dense_masks(operators, layer.structural.masks[layout.name])
            parts = []
            for body in range(2):
                own = slice(body * size, (body + 1) * size)
                pairs = slice(body * size * (size - 1), (body + 1) * size * (size - 1))
                some = oracle.link_matrices(links[pairs], size)
                rows = x[own].unsqueeze(1)
                bones = oracle.sgc(rows, operators, layer.structural.weight, masks)
                act = oracle.agc(rows, some, layer.actional.weight, layer.actional.link_norm)
                parts.append((bones + layer.actional_weight * act).squeeze(1))
            return torch.cat(parts)

        hidden = conv_of(head.first, torch.cat([mean, end, last], dim=-1))
        hidden = torch.relu(oracle.batch_norm(head.norm, hidden))
        offset = conv_of(head.last, torch.cat([hidden, last], dim=-1)).view(-1, 5, 2)
        theirs = last.unsqueeze(1) + offset
        inputs = [feat, last, links, *head.parameters()]
        probe = torch.randn_like(ours)
        got = torch.autograd.grad((ours * probe).sum(), inputs)
        expected = torch.autograd.grad((theirs * probe).sum(), inputs)
    for a, b in zip((ours, *got), (theirs, *expected), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


def test_the_narrow_head_starts_near_the_last_pose_and_takes_one_frame():
    head = NarrowPredictionHead(4, 3, 10, conv={"max_hop": 1, "num_actional": 0})
    graph = GraphBuilder(max_hop=1, num_actional=0).structure(chain(4))
    last = torch.randn(4, 3)
    future = head(graph, torch.randn(4, 4), last)
    assert (future - last.unsqueeze(1)).abs().max() < 0.05


@pytest.mark.parametrize("frames", [1, 2, 3, 8, 37, 75, 80, 160])
def test_prediction_does_not_depend_on_padding(frames):
    layout = chain(4)
    head = PredictionHead(4, 3, 5, hidden_feats=8, conv={"max_hop": 1, "num_actional": 0}).eval()
    torch.nn.init.normal_(head.last.temporal.weight)
    graph = GraphBuilder(max_hop=1, num_actional=0).structure(layout)
    feat, last = torch.randn(4, frames, 4), torch.randn(4, 3)
    padded = torch.cat([feat, torch.zeros(4, 45, 4)], dim=1)
    mask = torch.zeros(4, frames + 45, dtype=torch.bool)
    mask[:, :frames] = True
    alone = head(graph, feat, last)
    torch.testing.assert_close(head(graph, padded, last, None, mask), alone, rtol=0, atol=1e-5)


def test_prediction_starts_near_the_last_pose():
    head = PredictionHead(4, 3, 10, hidden_feats=16, conv={"max_hop": 1, "num_actional": 0})
    graph = GraphBuilder(max_hop=1, num_actional=0).structure(chain(4))
    last = torch.randn(4, 3)
    future = head(graph, torch.randn(4, 20, 4), last)
    assert (future - last.unsqueeze(1)).abs().max() < 0.05


def test_the_published_head_adds_the_last_pose_in_the_published_order():
    conv = {"max_hop": 1, "num_actional": 0}
    head = PredictionHead(4, 3, 2, hidden_feats=6, conv=conv, published=True).eval()
    torch.nn.init.zeros_(head.last.temporal.weight)
    graph = GraphBuilder(max_hop=1, num_actional=0).structure("coco17")
    last = torch.arange(17.0).unsqueeze(1) + torch.tensor([100.0, 200.0, 300.0])
    out = head(graph, torch.randn(17, 75, 4), last)
    # Coordinate c of frame t is coordinate (2 c + t) mod 3 of the last pose.
    torch.testing.assert_close(out[:, 0], last[:, [0, 2, 1]])
    torch.testing.assert_close(out[:, 1], last[:, [1, 0, 2]])
    assert len(head.shrink) == 6 and head.shrink[-1].shortcut is None


def test_features_of_one_frame_need_no_axis_of_frames():
    graph = GraphBuilder(max_hop=1, num_actional=0).structure(chain(4), [2])
    head = PredictionHead(3, 2, 5, hidden_feats=4, conv={"max_hop": 1, "num_actional": 0}).eval()
    feat, last, mask = torch.randn(8, 3), torch.randn(8, 2), torch.rand(8) > 0.3
    for mine, its in ((None, None), (mask, mask.unsqueeze(1))):
        expected = head(graph, feat.unsqueeze(1), last, None, its)
        assert torch.equal(head(graph, feat, last, None, mine), expected)
