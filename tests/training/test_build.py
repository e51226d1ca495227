from __future__ import annotations

import pytest
import torch

from asgcn_dgl.training.build import precision_of
from asgcn_dgl.training.config import RunConfig, TrainerConfig


def chosen(**options):
    return precision_of(RunConfig(trainer=TrainerConfig(**options)))


def test_a_precision_that_is_asked_for_is_taken():
    assert chosen(precision="16-mixed") == ("16-mixed", "")


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, "bf16-mixed"),
        ({"avx512_bf16": False, "amx_bf16": True}, "bf16-mixed"),
        ({"avx512_bf16": False, "avx512_f": True}, "32-true"),
    ],
)
def test_a_cpu_computes_in_bfloat16_where_it_has_the_instructions(
    monkeypatch, capabilities, expected
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    precision, reason = chosen(precision="auto", accelerator="cpu")
    assert precision == expected and "CPU" in reason


def test_a_torch_that_cannot_tell_computes_in_single_precision(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert chosen(precision="auto", accelerator="cpu")[0] == "32-true"


@pytest.mark.parametrize(("has", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_a_gpu_computes_in_bfloat16_where_it_does_so_by_itself(monkeypatch, has, expected):
    def supported(including_emulation=True):
        return has or including_emulation

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    precision, reason = chosen(precision="auto")
    assert precision == expected and "GPU" in reason
