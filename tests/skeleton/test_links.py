import networkx as nx
import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import SUPPLIED, chain, trees

from asgcn_dgl.skeleton import (
    PARTITIONS,
    SkeletonLayout,
    get_layout,
    partition_matrices,
    structural_etypes,
    structural_operators,
)


def dense(operators):
    return {name: matrix.toarray() for name, matrix in operators.items()}


@given(trees())
@settings(max_examples=40, deadline=None)
def test_partitions_are_disjoint_and_cover_the_neighbourhood(layout):
    parts = [matrix.toarray() for matrix in partition_matrices(layout).values()]
    adjacency = nx.to_numpy_array(oracle.bone_graph(layout), nodelist=range(layout.num_joints))
    np.testing.assert_array_equal(sum(parts), adjacency + np.eye(layout.num_joints))


@pytest.mark.parametrize("name", SUPPLIED)
@pytest.mark.parametrize("normalization", ["transition", "symmetric"])
def test_power_operators_equal_the_formula_on_supplied_layouts(name, normalization):
    ours = structural_operators(get_layout(name), 4, norm=normalization)
    theirs = oracle.power_operators(get_layout(name), 4, normalization)
    assert list(ours) == list(theirs) == list(structural_etypes(4))
    for etype, matrix in ours.items():
        np.testing.assert_allclose(matrix.toarray(), theirs[etype], atol=1e-12)
        assert (matrix.data != 0).all()


@pytest.mark.parametrize("truncated", [False, True])
@pytest.mark.parametrize("name", SUPPLIED)
def test_distance_operators_equal_the_formula_on_supplied_layouts(name, truncated):
    ours = structural_operators(get_layout(name), 3, "distance", truncated=truncated)
    theirs = oracle.distance_operators(get_layout(name), 3, truncated)
    assert list(ours) == list(structural_etypes(3, "distance"))
    for etype, matrix in ours.items():
        np.testing.assert_allclose(matrix.toarray(), theirs[etype], atol=1e-12)


@given(trees(), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_power_in_a_tree_joins_joints_exactly_l_hops_apart(layout, max_hop):
    distance = oracle.hop_distances(layout)
    for etype, matrix in dense(structural_operators(layout, max_hop)).items():
        side, hop = etype.rsplit("_", 1)
        i, j = np.nonzero(matrix)
        expected = np.zeros_like(i) if side == "root" else np.full_like(i, int(hop))
        np.testing.assert_array_equal(distance[i, j], expected)
        sums = matrix.sum(axis=1)
        assert np.all(sums <= 1 + 1e-12)
        if hop == "1":
            assert np.all(np.isclose(sums, 0) | np.isclose(sums, 1))


@given(trees(), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_distance_relations_are_disjoint_and_cover_the_neighbourhood(layout, max_hop):
    operators = dense(structural_operators(layout, max_hop, "distance")).values()
    within = oracle.hop_distances(layout) <= max_hop
    np.testing.assert_array_equal(sum(o != 0 for o in operators), within)


def test_truncated_distances_misfile_the_outer_joints_of_ntu():
    """The published code's defect (spec, section 2), which the option reproduces."""
    ntu = get_layout("ntu25")
    exact = dense(structural_operators(ntu, 2, "distance"))
    truncated = dense(structural_operators(ntu, 2, "distance", truncated=True))
    moved = [name for name in exact if not np.array_equal(exact[name], truncated[name])]
    assert "centripetal_1" in moved and "centrifugal_1" in moved


def test_three_joints_by_hand():
    """Chain 0-1-2 with centre 0: the centre's neighbours send outward one by one."""
    operators = dense(structural_operators(chain(3), 2))
    assert operators["centripetal_1"].tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    assert operators["centripetal_2"].tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0]]
    assert operators["centrifugal_1"].tolist() == [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    assert operators["root_2"].tolist() == np.eye(3).tolist()


def test_symmetric_normalisation_by_hand():
    """A star of two leaves: both degrees of a directed partition count."""
    star = SkeletonLayout.from_bones("star", [(0, 1), (0, 2)], center=0)
    operators = dense(structural_operators(star, 1, norm="symmetric"))
    np.testing.assert_allclose(operators["centrifugal_1"][0], [0, 2**-0.5, 2**-0.5])


def test_cycle_keeps_equally_far_neighbours_at_the_root():
    ring = SkeletonLayout.from_bones("ring", [(0, 1), (1, 2), (2, 0)], center=0)
    assert partition_matrices(ring)["root"].toarray().tolist() == [[1, 0, 0], [0, 1, 1], [0, 1, 1]]
    assert set(partition_matrices(ring)) == set(PARTITIONS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_hop": 0}, "max_hop must be .* got 0"),
        ({"construction": "magic"}, "construction must be one of .* got 'magic'"),
        ({"norm": "l2"}, "norm must be one of .* got 'l2'"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        structural_operators(chain(3), **options)
