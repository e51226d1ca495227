"""Dropout against torch's."""

import pytest
import torch
from torch import nn

from asgcn_dgl.nn.dropout import Dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_so_many_are_dropped_and_the_others_scaled(p, dtype):
    torch.manual_seed(0)
    feat = torch.full((400, 250), 3.0, dtype=dtype, requires_grad=True)
    out = Dropout(p)(feat)
    dropped = out == 0
    assert out.dtype == dtype
    # Five standard deviations of a mean of 100,000.
    assert dropped.double().mean().item() == pytest.approx(p, abs=5 * (p * (1 - p) / 1e5) ** 0.5)
    kept = torch.full_like(out[~dropped], 3.0) * torch.tensor(1 / (1 - p)).to(dtype)
    torch.testing.assert_close(out[~dropped], kept)
    out.sum().backward()
    torch.testing.assert_close(feat.grad, out.detach() / 3.0)


def test_rows_and_columns_are_dropped_independently():
    torch.manual_seed(0)
    dropped = Dropout(0.5)(torch.ones(300, 300)) == 0
    for axis in (0, 1):
        share = dropped.double().mean(dim=axis)
        assert share.std().item() == pytest.approx(0.5 / 300**0.5, rel=0.2)


def test_the_seed_decides():
    layer, feat = Dropout(0.3), torch.ones(50)
    torch.manual_seed(1)
    first = layer(feat)
    torch.manual_seed(1)
    assert torch.equal(layer(feat), first) and not torch.equal(layer(feat), first)


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_nothing_and_all(p):
    assert torch.equal(Dropout(p)(torch.ones(7)), nn.Dropout(p)(torch.ones(7)))


def test_evaluation_and_other_devices_are_torchs():
    feat = torch.randn(5)
    assert torch.equal(Dropout(0.5).eval()(feat), feat)
    assert Dropout(0.5)(torch.ones(3, device="meta")).shape == (3,)
    with pytest.raises(ValueError, match="dropout probability"):
        Dropout(1.5)
