import pytest
import torch

from asgcn_dgl.ops import bags
from asgcn_dgl.ops.bags import Bag, add_dots, bag_sum


@pytest.fixture(params=["sparse", "dense"])
def kernel(request, monkeypatch):
    """Both ways to sum, the one of a GPU on the CPU too."""
    if request.param == "dense":
        monkeypatch.setattr(bags, "SPARSE", set())


def _bag():
    """Entries in no order, a row twice in one sum, a sum without entries."""
    bag = torch.tensor([3, 0, 0, 3, 1, 0])
    row = torch.tensor([1, 2, 0, 1, 4, 2])
    return Bag.of(4, 5, bag, row, torch.tensor([5, 0, 1, 2, 3, 4]))


@pytest.mark.usefixtures("kernel")
def test_sums_are_those_worked_by_hand():
    table = torch.arange(5.0).unsqueeze(1) * torch.tensor([1.0, 10.0])
    values = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    expected = torch.tensor([2.0 * 1 + 0.0 * 2 + 2.0 * 5, 4.0 * 4, 0.0, 1.0 * 6 + 1.0 * 3])
    assert bag_sum(_bag(), table, values)[:, 0].tolist() == expected.tolist()
    assert bag_sum(_bag(), table, values)[:, 1].tolist() == (10 * expected).tolist()


@pytest.mark.usefixtures("kernel")
def test_dots_are_the_gradient_of_the_values():
    torch.manual_seed(0)
    table, grad = torch.randn(5, 3).double(), torch.randn(4, 3).double()
    values = torch.randn(6).double().requires_grad_()
    bag = _bag()
    dense = values.new_zeros(4, 5).index_put((bag.bag, bag.row), values[bag.value], accumulate=True)
    (expected,) = torch.autograd.grad(dense @ table, values, grad)
    total = torch.zeros(6).double()
    add_dots(bag, grad, table, total)
    torch.testing.assert_close(total, expected)
