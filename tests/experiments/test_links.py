from __future__ import annotations

import numpy as np
import pytest

from asgcn_dgl.data import Clip, SkeletonDataset
from asgcn_dgl.experiments.links import class_links, link_matrix
from asgcn_dgl.models import ASGCN
from asgcn_dgl.skeleton import get_layout
from asgcn_dgl.training.config import RunConfig, TrainerConfig

LAYOUT = get_layout("hand21")


def test_matrix_follows_the_graphs_edges():
    graph = ASGCN(LAYOUT, 2, num_actional=1).graph_builder.batch(LAYOUT, [2])
    source, target = graph.edges(etype="actional_1")
    matrices = link_matrix(np.arange(len(source)), 21)
    assert matrices.shape == (2, 21, 21)
    for edge in (0, 5, 419, 420, 839):
        body, sender = divmod(int(source[edge]), 21)
        assert matrices[body, int(target[edge]) % 21, sender] == edge


def small_model(**options):
    return ASGCN(
        LAYOUT, 2, channels=(8,), strides=(1,), max_hop=1, aim_hidden=8, future_frames=0, **options
    )


def small_dataset():
    rng = np.random.default_rng(0)
    pos = rng.normal(size=(5, 2, 12, 21, 3))
    clips = [
        Clip.from_positions(f"clip{k}", LAYOUT, pos[k, : 1 + k % 2], label=k % 2) for k in range(5)
    ]
    return SkeletonDataset(clips, num_frames=8)


def test_mean_over_bodies_of_a_class_whatever_the_batches():
    model, dataset = small_model(num_actional=2), small_dataset()
    found = [
        class_links(model, dataset, RunConfig(trainer=TrainerConfig(eval_batch_size=size)), 3)
        for size in (1, 4)
    ]
    assert sorted(found[0]) == [0, 1]  # no clip of the third class
    for label in (0, 1):
        assert found[0][label] == pytest.approx(found[1][label], abs=1e-5)
        assert (found[0][label].diagonal() == 0).all()
        assert 0 < found[0][label].max() < 1


def test_needs_links():
    with pytest.raises(ValueError, match="must have A-links"):
        class_links(small_model(num_actional=0), small_dataset(), RunConfig(), 2)
