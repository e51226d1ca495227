import pytest
import torch

from asgcn_dgl.nn.dropout import Dropout
from asgcn_dgl.ops.dropout import BITS, dropout, keep_bits, keep_words, kept_scale, zero_dropped


@pytest.mark.parametrize("rate", [0.5, 0.25, 0.1, 0.9, 1 / 3])
def test_every_bit_is_kept_as_often_as_asked(rate):
    like = torch.empty(400_000)
    torch.manual_seed(0)
    kept = keep_bits(keep_words(like, rate), like.numel()).view(BITS, -1) == -1
    torch.testing.assert_close(
        kept.double().mean(), torch.tensor(1 - rate).double(), atol=3e-3, rtol=0
    )
    by_place = kept.double().mean(dim=1)  # 12,500 words: a deviation of 0.0045 at most
    assert float((by_place - (1 - rate)).abs().max()) < 0.02
    between = torch.corrcoef(kept.double()).fill_diagonal_(0)
    assert float(between.abs().max()) < 0.05  # places of a word know nothing of each other


def test_all_or_nothing_is_kept():
    like = torch.randn(3, 50)
    assert keep_words(like, 0.0) is None
    kept = like.clone()
    zero_dropped(kept, None)
    assert torch.equal(kept, like)
    zero_dropped(kept, keep_words(like, 1.0))
    assert not bool(kept.any())
    assert kept_scale(1.0) == 0.0 and kept_scale(0.75) == 4.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_what_is_kept_stays_as_it_is_in_every_precision(dtype):
    feat = torch.randn(7, 33).to(dtype)
    torch.manual_seed(0)
    words = keep_words(feat, 0.4)
    bits = keep_bits(words, feat.numel()).view(feat.shape)
    assert set(bits.unique().tolist()) == {-1, 0}
    out = feat.clone()
    zero_dropped(out, words, torch.empty(BITS * len(words) + 5, dtype=torch.int32))
    assert torch.equal(out, torch.where(bits == -1, feat, torch.zeros_like(feat)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_dropout_scales_what_it_keeps_and_passes_gradients_of_that_alone(dtype):
    feat = torch.rand(40, 30).to(dtype).add_(0.5).T.requires_grad_()  # not contiguous
    torch.manual_seed(0)
    out = dropout(feat, 0.25)
    kept = out != 0
    assert 0.7 < float(kept.double().mean()) < 0.8
    torch.testing.assert_close(out, torch.where(kept, feat / 0.75, torch.zeros_like(feat)))
    (grad,) = torch.autograd.grad(out.sum(), feat)
    torch.testing.assert_close(grad, kept.to(dtype) / 0.75)


def test_dropout_has_second_derivatives_and_obeys_the_seed():
    feat = torch.randn(5, 9, dtype=torch.double, requires_grad=True)

    def seeded(value):
        torch.manual_seed(1)
        return dropout(value, 0.5)

    assert torch.equal(seeded(feat), seeded(feat))
    assert torch.autograd.gradcheck(seeded, feat)
    assert torch.autograd.gradgradcheck(seeded, feat)
    assert dropout(feat, 0.0) is feat
    assert not bool(dropout(feat, 1.0).any())


def test_the_layer_drops_in_training_alone():
    layer, feat = Dropout(0.5), torch.ones(64, 64)
    assert set(layer(feat).unique().tolist()) == {0.0, 2.0}
    assert layer.eval()(feat) is feat
