import pytest
import torch
from strategies import float64
from torch.nn import functional as F

from asgcn_dgl.ops import link_update as module
from asgcn_dgl.ops.edges import off_diagonal
from asgcn_dgl.ops.link_update import link_update

UNITS, JOINTS, HIDDEN, OUT = 3, 4, 5, 6


def drawn(linked, spread=1.0):
    near, far = (spread * torch.randn(UNITS, JOINTS, HIDDEN) for _ in range(2))
    inputs = [near, far, torch.randn(OUT, HIDDEN), torch.randn(OUT)]
    if linked:
        inputs += [torch.randn(UNITS * JOINTS * (JOINTS - 1), 2), torch.randn(HIDDEN, 2)]
    return [t.requires_grad_() for t in inputs]


def dense(near, far, weight, bias, link=None, link_weight=None, kept=1.0):
    hidden = off_diagonal(near.unsqueeze(2) + far.unsqueeze(1)).flatten(0, 2)
    if link is not None:
        hidden = hidden + link @ link_weight.t()
    out = F.elu((F.elu(hidden) * kept) @ weight.t() + bias)
    pooled = out.view(UNITS * JOINTS, JOINTS - 1, -1).mean(dim=1)
    return out, pooled, out.mean(dim=0), out.var(dim=0, correction=0)


def same(ours, theirs, inputs, used=(0, 1, 2, 3)):
    """Results that are used, and all gradients of a mixture of them."""
    probes = [torch.randn_like(ours[number]) for number in used]
    totals = [
        sum((out[number] * probe).sum() for number, probe in zip(used, probes, strict=True))
        for out in (ours, theirs)
    ]
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)
    got, expected = (torch.autograd.grad(total, inputs) for total in totals)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("tile", [1, 2000, 2**30])
@pytest.mark.parametrize("spread", [1.0, 50.0])
@pytest.mark.parametrize("linked", [False, True])
def test_equals_the_formula_with_all_gradients(linked, spread, tile, monkeypatch):
    """Of features too large for exponentials at the joints as well."""
    monkeypatch.setattr(module, "LINK_BYTES", tile)
    with float64():
        inputs = drawn(linked, spread)
        same(link_update(*inputs), dense(*inputs), inputs)


@pytest.mark.parametrize("used", [(0,), (1,), (2,), (3,), (0, 1)])
def test_results_that_are_not_used_give_no_gradient(used):
    with float64():
        inputs = drawn(True)
        same(link_update(*inputs), dense(*inputs), inputs, used)


def test_dropout_drops_the_same_in_both_directions():
    with float64():
        inputs = drawn(True)
        (near, far), link = inputs[:2], inputs[4:]
        # An exact identity after the hidden layer shows what was kept.
        eye = (torch.eye(HIDDEN).requires_grad_(), torch.zeros(HIDDEN).requires_grad_())
        torch.manual_seed(0)
        shown = link_update(near, far, *eye, *link, dropout=0.4).link
        kept = (shown != 0) / 0.6
        assert 0.3 < float((shown == 0).double().mean()) < 0.5
        torch.manual_seed(0)
        ours = link_update(*inputs, dropout=0.4)
        same(ours, dense(*inputs, kept=kept), inputs)
        torch.manual_seed(0)
        assert torch.equal(ours.link, link_update(*inputs, dropout=0.4).link)


def test_single_precision_is_near_double_precision():
    inputs = [t.detach() for t in drawn(False, spread=5.0)]
    ours = link_update(*inputs)
    for a, b in zip(ours, dense(*(t.double() for t in inputs)), strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-5, atol=2e-5)


def test_gradcheck_and_second_derivatives():
    with float64():
        inputs = drawn(True)
        assert torch.autograd.gradcheck(lambda *given: tuple(link_update(*given)), inputs)
        out = link_update(*inputs).link.square().sum()
        (grad,) = torch.autograd.grad(out, inputs[0], create_graph=True)
        with pytest.raises(RuntimeError, match="once_differentiable"):
            grad.sum().backward()
