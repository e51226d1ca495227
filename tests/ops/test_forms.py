"""The forms of a convolution on tensors alone, against sums that are written out."""

import pytest
import torch
from torch.autograd import gradcheck

from asgcn_dgl.ops.forms import (
    LinkConv,
    PairConv,
    along_links,
    by_relation,
    mixed,
    pair_matrices,
    product,
    relation_operators,
    weighted_sums,
)
from asgcn_dgl.skeleton import GraphBuilder, get_layout
from asgcn_dgl.skeleton.plan import Sums, plan_of

PAIRS = ((0, 0), (0, 1), (2, 1))


def doubles(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def test_weighted_sums_of_rows_and_of_nothing():
    sums = Sums.of([(2, 0, 1), (0, 1, 0), (2, 1, 0)], 3)
    value = torch.tensor([2.0, 3.0])
    rows = torch.tensor([[1.0, 10.0], [4.0, 5.0]])
    assert weighted_sums(sums, value[sums.slot], rows).tolist() == [[8, 10], [0, 0], [11, 40]]


def test_pairs_add_to_what_is_given():
    x, matrices, total = doubles(3, 2, 4, 2), doubles(3, 2, 5), doubles(3, 2, 4, 5)
    expected = total.detach().clone()
    for (i, j), matrix in zip(PAIRS, matrices.detach(), strict=True):
        expected[i] += x.detach()[j] @ matrix
    got = PairConv.apply(x, matrices, PAIRS, total * 1.0)
    torch.testing.assert_close(got.detach(), expected)


@pytest.mark.parametrize("view", [False, True])
def test_gradients_of_pairs(view):
    def convolve(x, matrices, total):
        total = total.transpose(0, 1) if view else total * 1.0
        return PairConv.apply(x, matrices, PAIRS, total)

    shape = (2, 3, 2, 2) if view else (3, 2, 2, 2)
    assert gradcheck(convolve, (doubles(3, 2, 2, 2), doubles(3, 2, 2), doubles(*shape)))


def test_pairs_leave_a_view_that_they_are_given():
    total = torch.zeros(2, 3, 1, 2)
    PairConv.apply(torch.ones(3, 2, 1, 2), torch.ones(3, 2, 2), PAIRS, total.transpose(0, 1))
    assert not total.any()


def test_links_are_mixed_body_by_body():
    x, links, weight = doubles(3, 2, 4, 2), doubles(2, 2, 3, 3), doubles(2, 2, 5)
    expected = torch.einsum("bcij,jbfd,cdo->ibfo", links, x, weight)
    torch.testing.assert_close(LinkConv.apply(x, links, weight), expected)
    torch.testing.assert_close(along_links(x, links, weight), expected)
    assert gradcheck(LinkConv.apply, (x, links, weight))


def test_one_type_of_links_of_many_frames():
    x, links, weight = doubles(3, 2, 100, 2), doubles(2, 1, 3, 3), doubles(1, 2, 5)
    expected = torch.einsum("bcij,jbfd,cdo->ibfo", links, x, weight)
    torch.testing.assert_close(along_links(x, links, weight), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sums_of_products_in_16_bits_are_kept_in_32(dtype):
    """512 times 1 is lost one by one in bfloat16, 4096 times in float16."""
    count = 512 if dtype == torch.bfloat16 else 4096
    pairs = ((0, 0), *(((0, 1),) * count))
    x = torch.ones(2, 1, 1, 1, dtype=dtype)
    matrices = torch.ones(count + 1, 1, 1, dtype=dtype)
    matrices[0] = count
    got = PairConv.apply(x, matrices, pairs, torch.zeros(2, 1, 1, 1, dtype=dtype))
    assert got[0].item() == 2 * count


def test_whole_forms_equal_relations():
    builder, layout = GraphBuilder(max_hop=2), get_layout("coco17")
    template, part = builder.template(layout), builder.structure(layout).parts[0]
    relations = tuple(range(len(template.bounds) - 1))
    plan = plan_of(builder, layout, relations)
    x, weight = doubles(17, 2, 3, 4), doubles(len(relations), 4, 5)
    value = part.entry.double()
    dense = torch.zeros(len(relations) * 17 * 17, dtype=torch.float64)
    dense = dense.scatter(0, part.place, value).view(-1, 17, 17)
    expected = torch.einsum("rij,jbfd,rdo->ibfo", dense, x, weight)
    torch.testing.assert_close(product(x, dense, weight), expected)
    torch.testing.assert_close(mixed(x, dense, weight), expected)
    found = by_relation(x, plan, weight, *relation_operators(plan, value, weight))
    torch.testing.assert_close(found, expected)
    with torch.no_grad():
        found = by_relation(x, plan, weight, *relation_operators(plan, value, weight))
    torch.testing.assert_close(found, expected.detach())
    matrices = pair_matrices(plan.matrices, value, weight)
    found = PairConv.apply(x, matrices, plan.pairs, x.new_zeros(17, 2, 3, 5))
    torch.testing.assert_close(found, expected)


def test_matrices_of_pairs_keep_the_type_of_the_weights():
    sums = Sums.of([(0, 0, 0), (0, 1, 0)], 1)
    weight = torch.tensor([[[256.0]], [[1.0]]], dtype=torch.bfloat16, requires_grad=True)
    found = pair_matrices(sums, torch.ones(1, dtype=torch.bfloat16), weight)
    assert found.dtype == torch.bfloat16 and found.shape == (1, 1, 1)
    found.sum().backward()
    assert weight.grad.flatten().tolist() == [1, 1]
