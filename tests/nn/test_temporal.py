import pytest
import torch
from strategies import float64

from asgcn_dgl.nn import TemporalConv


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(("kernel", "padding"), [(7, None), (3, 1), (5, 0), (1, None), (4, 2)])
@pytest.mark.parametrize("frames", [5, 8])
def test_equals_the_formula(kernel, padding, stride, frames):
    with float64():
        conv = TemporalConv(2, 3, kernel, stride, padding)
        feat = torch.randn(4, frames, 2, requires_grad=True)
        pad = (kernel - 1) // 2 if padding is None else padding
        expected = []
        for start in range(-pad, frames + pad - kernel + 1, stride):
            total = conv.bias.expand(4, -1)
            for k in range(kernel):
                if 0 <= start + k < frames:
                    total = total + feat[:, start + k] @ conv.weight[:, :, 0, k].t()
            expected.append(total)
        expected = torch.stack(expected, dim=1)
        ours = conv(None, feat)
        inputs = [feat, conv.weight]
        probe = torch.randn_like(ours)
        got = torch.autograd.grad((ours * probe).sum(), inputs)
        theirs = torch.autograd.grad((expected * probe).sum(), inputs, allow_unused=True)
    torch.testing.assert_close(ours, expected)
    for a, b in zip(got, theirs, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_bfloat16_gradients_of_short_clips_are_finite(frames):
    """Weights that see padding only: oneDNN leaves their gradient unset where it is left to pad."""
    sizes = [100, 200, 400, 1000, 4000, 10000] * 4
    for _ in range(5):
        conv = TemporalConv(8, 8, 3, 2).bfloat16()
        out = conv(None, torch.randn(100, frames, 8, dtype=torch.bfloat16))
        # Memory that is handed out unset is then likely to hold these.
        junk = [torch.full((size,), float("nan")) for size in sizes]
        del junk
        out.float().square().mean().backward()
        assert bool(torch.isfinite(conv.weight.grad).all())


def test_output_needs_no_permutation():
    assert TemporalConv(8, 16)(None, torch.randn(5, 20, 8)).is_contiguous()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: TemporalConv(2, 2, kernel_size=0), "kernel_size must be"),
        (lambda: TemporalConv(2, 2, padding=-1), "padding must be >= 0, got -1"),
        (lambda: TemporalConv(2, 2, 5, padding=0)(None, torch.zeros(1, 4, 2)), "at least 5 frames"),
    ],
)
def test_errors_name_argument_rule_and_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_one_frame_needs_no_axis_of_time():
    conv, feat = TemporalConv(3, 4, 5), torch.randn(6, 3)
    torch.testing.assert_close(conv(None, feat), conv(None, feat.unsqueeze(1))[:, 0])
