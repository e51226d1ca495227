import pytest
import torch
from strategies import float64
from torch.nn import functional as F

from asgcn_dgl.ops import factored
from asgcn_dgl.ops.factored import factored_pairs, fits


def dense(near, far, links):
    pair = F.elu(near.unsqueeze(3) + far.unsqueeze(2))
    return (links.unsqueeze(4) * pair).sum(dim=3)


def drawn(shape=(2, 3, 4, 7), spread=1.0):
    near, far = (spread * torch.randn(shape) for _ in range(2))
    return [t.requires_grad_() for t in (near, far, torch.randn(*shape[:3], shape[2]))]


@pytest.mark.parametrize("piece", [1, 9, 80_000])
@pytest.mark.parametrize("shape", [(2, 3, 4, 7), (1, 1, 1, 3), (1, 2, 9, 1)])
def test_equals_the_formula_with_all_gradients(shape, piece, monkeypatch):
    monkeypatch.setattr(factored, "PIECE", piece)
    with float64():
        inputs = drawn(shape, spread=3.0)
        ours, theirs = factored_pairs(*inputs), dense(*inputs)
        probe = torch.randn(shape)
        got, expected = (
            torch.autograd.grad(out, inputs, probe, retain_graph=True) for out in (ours, theirs)
        )
        torch.testing.assert_close(ours, theirs)
        for a, b in zip(got, expected, strict=True):
            torch.testing.assert_close(a, b)
        assert torch.autograd.gradcheck(factored_pairs, drawn((1, 2, 3, 2)))


def test_second_derivatives_are_refused_by_name():
    near, far, links = drawn()
    out = factored_pairs(near, far, links).square().sum()
    (grad,) = torch.autograd.grad(out, near, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


def test_single_precision_is_kept_up_to_the_largest_features():
    """Exponentials of both signs meet, and none is infinite or lost."""
    inputs = drawn((1, 2, 5, 400), spread=factored.LARGEST / 3)
    with torch.no_grad():
        for feat in inputs[:2]:
            feat.clamp_(-factored.LARGEST, factored.LARGEST)
        inputs[0][..., :4] = torch.tensor([1.0, -1.0, 1.0, -1.0]) * factored.LARGEST
        inputs[1][..., :4] = torch.tensor([1.0, 1.0, -1.0, -1.0]) * factored.LARGEST
    twice = [t.detach().double().requires_grad_() for t in inputs]
    ours, theirs = factored_pairs(*inputs), dense(*twice)
    probe = torch.randn(ours.shape)
    torch.testing.assert_close(ours.double(), theirs, rtol=1e-5, atol=1e-4)
    for a, b in zip(
        torch.autograd.grad(ours, inputs, probe),
        torch.autograd.grad(theirs, twice, probe.double()),
        strict=True,
    ):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-3)


def test_features_that_do_not_fit_are_told(monkeypatch):
    near, far, _ = drawn()
    assert not fits(near, far)  # too few
    monkeypatch.setattr(factored, "LEAST", 1)
    assert fits(near, far)
    for value in (factored.LARGEST + 1, -factored.LARGEST - 1, torch.nan, torch.inf):
        other = far.detach().clone()
        other[0, 0, 0, 0] = value
        assert not fits(near, other) and not fits(other, near)
