from __future__ import annotations

import numpy as np
import pytest
import torch

from asgcn_dgl.data import Clip, SkeletonDataset, collate
from asgcn_dgl.experiments.links import link_matrix
from asgcn_dgl.models import ASGCN
from asgcn_dgl.skeleton import get_layout
from asgcn_dgl.training.callbacks import CELL, MARGIN, links_image, mean_links


def test_an_image_has_a_cell_for_each_pair_and_a_panel_for_each_type():
    links = np.zeros((2, 3, 3))
    links[0, 0, 2], links[0, 1, 0], links[1, 2, 1] = 0.2, 0.1, 0.9
    image = links_image(links)
    assert image.shape == (3 * CELL, 2 * 3 * CELL + MARGIN) and image.dtype == np.uint8
    assert image[0, 2 * CELL] == 255 and image[CELL, 0] == 128 and image[0, 0] == 0
    assert (image[:, 3 * CELL : 3 * CELL + MARGIN] == 255).all()
    assert image[-1, 3 * CELL + MARGIN + CELL] == 255


@pytest.mark.parametrize("across", [False, True])
def test_links_are_means_over_the_units(across):
    model = ASGCN(
        get_layout("hand21"), 3, channels=(8,), strides=(1,), num_actional=2, aim_frames=5,
        aim_hidden=8, future_frames=0, across_bodies=across,
    ).eval()  # fmt: skip
    rng, layout = np.random.default_rng(0), get_layout("hand21")
    clips = [
        Clip.from_positions(f"clip{n}", layout, rng.normal(size=(bodies, 9, 21, 3)))
        for n, bodies in enumerate((1, 2, 1))
    ]
    dataset = SkeletonDataset(clips, num_frames=8)
    batches = [collate([dataset[n]], model.graph_builder) for n in range(3)]
    found = mean_links(model.aim, batches)
    expected = []
    for batch, bodies in zip(batches, (1, 2, 1), strict=True):
        if across and bodies == 2:
            continue  # a unit of another size
        prob = model.aim(batch.structure, batch.feat, batch.mask).prob.detach()
        types = [link_matrix(prob[:, c].numpy(), 21).mean(axis=0) for c in (1, 2)]
        expected.append(np.stack(types))
    assert found == pytest.approx(np.mean(expected, axis=0))
    assert torch.is_grad_enabled()
