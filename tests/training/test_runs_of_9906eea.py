"""Checkpoints of the first version's runs give the logits that they gave then.

``demo`` and ``nw_ucla`` are small trainings by commit 9906eea on its generated set, with the
options of the demo and of NW-UCLA; ``expected.npz`` holds what its models answered.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from asgcn_dgl import load_model

KEPT = Path(__file__).parent / "runs_of_9906eea"


@pytest.mark.parametrize("name", ["demo", "nw_ucla"])
def test_an_old_checkpoint_gives_the_same_logits(name):
    model = load_model(KEPT / name / "checkpoints" / "last.ckpt").model.eval()
    structure = model.graph_builder.structure(model.layouts[0], [1, 2])
    shape = (structure.num_nodes(), 12, 3)
    feat = torch.from_numpy(np.random.default_rng(0).normal(size=shape).astype(np.float32))
    with torch.no_grad():
        out = model(structure, feat)
    with np.load(KEPT / "expected.npz") as expected:
        np.testing.assert_allclose(out.logits.numpy(), expected[f"{name}_logits"], atol=1e-5)
        np.testing.assert_allclose(out.future.numpy()[::7], expected[f"{name}_future"], atol=1e-4)
