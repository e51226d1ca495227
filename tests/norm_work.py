"""What the processes of tests/nn/test_sync.py do."""

from __future__ import annotations

import torch
from torch import distributed

from asgcn_dgl.nn import InputNorm, MaskedBatchNorm, sync_norms

JOINTS, FRAMES, FEATS = 3, 5, 2


class Joints:
    """As much of a graph as an input norm looks at."""

    def __init__(self, bodies):
        self.ndata = {"joint": torch.arange(JOINTS).repeat(bodies)}


def batch(bodies, masked):
    torch.manual_seed(1)
    # A large mean: sums of squares in a naive variance would lose their digits.
    feat = 3 * torch.randn(JOINTS * bodies, FRAMES, FEATS, dtype=torch.float64) + 1e4
    mask = torch.rand(feat.shape[:2]) > 0.3
    mask[0::JOINTS] &= bodies > 2  # where there are few bodies, the first joint is never seen
    return feat, mask if masked else None, torch.randn_like(feat)


def norms():
    torch.manual_seed(2)
    made = torch.nn.ModuleList([MaskedBatchNorm(FEATS), InputNorm(JOINTS, FEATS)]).double()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter)
    return made


def step(made, feat, mask, probe):
    """Outputs, gradients of a sum over what is there, and the buffers afterwards."""
    feat = feat.clone().requires_grad_()
    outs = [made[0](feat, mask), made[1](Joints(len(feat) // JOINTS), feat, mask)]
    loss = sum((out * probe).sum() for out in outs)
    loss.backward()
    return {
        "outs": [out.detach() for out in outs],
        "feat": feat.grad,
        "parameters": [parameter.grad for parameter in made.parameters()],
        "buffers": [buffer.clone() for buffer in made.buffers()],
    }


def share(sizes, masked):
    """This process's part of the joined batch; ``sizes`` are the bodies of each."""
    feat, mask, probe = batch(sum(sizes), masked)
    first = sum(sizes[: distributed.get_rank()]) * JOINTS
    mine = slice(first, first + sizes[distributed.get_rank()] * JOINTS)
    made = sync_norms(norms())
    found = step(made, feat[mine], None if mask is None else mask[mine], probe[mine])
    made.eval()
    alone = made[0](feat[mine])  # in evaluation no process waits for another
    return {**found, "alone": alone.detach()}
