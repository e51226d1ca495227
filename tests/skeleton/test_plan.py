"""The plan of a layout's links against its operators."""

import numpy as np
import pytest
import torch
from strategies import SUPPLIED, chain

from asgcn_dgl.skeleton import GraphBuilder, SkeletonLayout, get_layout, structural_operators
from asgcn_dgl.skeleton.plan import plan_of

BUILDERS = [GraphBuilder(), GraphBuilder(max_hop=2, construction="distance", norm="symmetric")]


def dense(sums, value, columns):
    """The matrix that the sums multiply by."""
    matrix = np.zeros((len(sums.bounds) - 1, columns))
    number = np.repeat(np.arange(len(matrix)), np.diff(sums.bounds.numpy()))
    np.add.at(matrix, (number, sums.row.numpy()), value[sums.slot.numpy()])
    return matrix


def operators_of(builder, layout):
    """Operators (R, V, V), and their entries with a 1 as the last."""
    made = structural_operators(
        layout, builder.max_hop, builder.construction, norm=builder.norm
    ).values()
    return np.stack([each.toarray() for each in made]), [*builder.template(layout).weight, 1.0]


@pytest.mark.parametrize("builder", BUILDERS)
@pytest.mark.parametrize(
    "layout", [*SUPPLIED, chain(1), chain(6)], ids=lambda each: getattr(each, "name", each)
)
def test_sums_make_the_operators(builder, layout):
    layout = get_layout(layout)
    operators, value = operators_of(builder, layout)
    plan = plan_of(builder, layout, tuple(range(len(operators))))
    value, joints = np.asarray(value), layout.num_joints
    share = dense(plan.matrices, value, len(operators))
    found = np.zeros_like(operators)
    for (i, j), row in zip(plan.pairs, share, strict=True):
        found[:, i, j] = row
    np.testing.assert_allclose(found, operators, atol=1e-12)
    rows = plan.rows[-1][2] if plan.rows else 0
    take, give = dense(plan.take, value, joints), dense(plan.give, value, rows)
    count = len(plan.several.bounds) - 1
    apart = np.zeros_like(operators)
    for relation, begin, end in plan.rows:
        apart[relation] = give[:, begin:end] @ take[begin:end]
    for (i, j), row in zip(plan.pairs[:count], share, strict=False):
        apart[:, i, j] = row
    np.testing.assert_allclose(apart, operators, atol=1e-12)
    assert all((row != 0).sum() == 1 for row in share[count:])


def test_some_relations_are_numbered_as_they_are_asked_for():
    builder, layout = GraphBuilder(max_hop=2), get_layout("coco17")
    operators, value = operators_of(builder, layout)
    plan = plan_of(builder, layout, (4, 1))
    share = dense(plan.matrices, np.asarray(value), 2)
    for (i, j), row in zip(plan.pairs, share, strict=True):
        np.testing.assert_allclose(row, operators[[4, 1], i, j])


def test_joints_of_merged_pairs_are_named_unless_they_are_all():
    whole = plan_of(GraphBuilder(), get_layout("ntu25"), tuple(range(12)))
    assert whole.ends is None
    ring = SkeletonLayout.from_bones("ring", [(0, 1), (1, 2), (2, 0), (2, 3)], center=0)
    plan = plan_of(GraphBuilder(), ring, tuple(range(12)))
    ends = list(zip(*(each.tolist() for each in plan.ends), strict=True))
    assert ends == list(plan.pairs[: len(ends)]) and any(i != j for i, j in ends)


def test_each_relation_transforms_the_side_with_fewer_joints():
    plan = plan_of(GraphBuilder(max_hop=1), get_layout("ntu25"), (1, 2))
    operators, _ = operators_of(GraphBuilder(max_hop=1), get_layout("ntu25"))
    sides = [(matrix != 0).any(axis).sum() for matrix in operators[1:] for axis in (0, 1)]
    assert [end - begin for _, begin, end in plan.rows] == [min(sides[:2]), min(sides[2:])]


def test_a_plan_that_inference_made_serves_training():
    layout = chain(7)
    with torch.inference_mode():
        plan = plan_of(GraphBuilder(), layout, (0, 1, 2))
    assert not any(each.is_inference() for each in (plan.take.row, plan.give.slot))
