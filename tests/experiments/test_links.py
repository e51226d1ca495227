from __future__ import annotations

import numpy as np
import pytest
from strategies import needs_dgl

from asgcn_dgl.experiments.links import class_links, link_matrix, links_used, warnings_of
from asgcn_dgl.models import ASGCN
from asgcn_dgl.skeleton import get_layout
from asgcn_dgl.viz import Exhibit

LAYOUT = get_layout("hand21")


@needs_dgl
def test_matrix_follows_the_graphs_edges():
    graph = ASGCN(LAYOUT, 2, num_actional=1).graph_builder.batch(LAYOUT, [2])
    source, target = graph.edges(etype="actional_1")
    matrices = link_matrix(np.arange(len(source)), 21)
    assert matrices.shape == (2, 21, 21)
    for edge in (0, 5, 419, 420, 839):
        body, sender = divmod(int(source[edge]), 21)
        assert matrices[body, int(target[edge]) % 21, sender] == edge


def exhibit(label, links, bodies=1, seen=None):
    mask = np.ones((bodies, 4, 21), dtype=bool)
    mask[bodies if seen is None else seen :] = False
    every = np.zeros((2, bodies * 21, bodies * 21))
    for body in range(bodies):
        own = slice(21 * body, 21 * body + 21)
        every[:, own, own] = np.reshape(links, (2, 1, 1)) * ~np.eye(21, dtype=bool)
    return Exhibit("clip", LAYOUT, np.ones((bodies, 4, 21, 3)), mask, label, links=every)


def test_mean_over_the_bodies_of_a_class_that_were_seen():
    clips = [exhibit(0, [0.2, 0.1]), exhibit(0, [0.5, 0.4], 2), exhibit(2, [0.9, 0.0], 3, seen=1)]
    found = class_links(clips)
    assert sorted(found) == [0, 2] and found[0].shape == (2, 21, 21)
    assert found[0][:, 3, 5] == pytest.approx([0.4, 0.3])
    assert (found[0].diagonal(axis1=1, axis2=2) == 0).all()
    bare = Exhibit("bare", LAYOUT, np.ones((1, 4, 21, 3)), np.ones((1, 4, 21), dtype=bool))
    with pytest.raises(ValueError, match="has no A-links"):
        class_links([bare])


def test_use_of_links_over_clips():
    use = links_used([exhibit(0, [0.95, 0.0], 2), exhibit(1, [0.2, 0.7]), exhibit(1, [0.95, 0.0])])
    assert use["pairs"] == 4 * 420
    assert (use["linked"], use["strong"]) == (1.0, 0.75)
    assert [each["linked"] for each in use["types"]] == [0.75, 0.25]
    assert use["difference"] == pytest.approx((0.375 + 0.35) / 2)
    (warning,) = warnings_of(use)
    assert "all types together link 100 %, type 1 links 75 % of all pairs" in warning
    assert links_used([]) is None and warnings_of(None) == []


def test_use_counts_links_between_bodies_as_the_scores_do():
    clip = exhibit(0, [0.95, 0.0], 3, seen=2)
    clip.links[1, 0, 21] = 0.8  # from body to body
    use = links_used([clip])
    assert use["pairs"] == 42 * 41
    assert use["linked"] == pytest.approx((2 * 420 + 1) / (42 * 41))
