"""Where operations run, and in how many bits."""

import pytest
import torch

from asgcn_dgl.ops.runtime import eager_on_cpu, widened


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_16_bits_become_32(dtype):
    feat = torch.tensor([1.5, -2.0], dtype=dtype)
    assert widened(feat).dtype == torch.float32
    assert widened(feat).tolist() == [1.5, -2.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_others_stay_as_they_are(dtype):
    feat = torch.zeros(2, dtype=dtype)
    assert widened(feat) is feat


def test_other_devices_and_traced_programs_are_not_eager_on_a_cpu():
    feat = torch.zeros(2)
    assert eager_on_cpu(feat) and not eager_on_cpu(feat.to("meta"))

    def traced(x):
        return x + (1 if eager_on_cpu(x) else 2)

    compiled = torch.compile(traced, backend="eager", fullgraph=False)
    assert compiled(feat).tolist() == [2.0, 2.0]
