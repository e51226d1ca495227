import threading

import pytest
import torch

from asgcn_dgl.ops.threads import spread


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_all_pieces_are_done_in_order_by_so_many_threads(threads):
    out = torch.zeros(10)

    def work(pieces):
        assert not torch.is_grad_enabled() or threads == 1
        for piece in pieces:
            out[piece] = piece
        return pieces, threading.get_ident(), torch.get_num_threads()

    results = spread(work, list(range(10)))
    assert out.tolist() == list(range(10))
    assert [piece for pieces, *_ in results for piece in pieces] == list(range(10))
    assert len(results) == threads
    if threads > 1:
        assert {number for *_, number in results} == {1}  # each operation on one core
        assert threading.get_ident() not in {ident for _, ident, _ in results}
    assert torch.get_num_threads() == threads


def test_threads_that_come_later_take_as_many_cores_as_ever(threads):
    spread(len, [1, 2, 3])
    found = []

    def look():
        torch.ones(100_000).exp()
        found.append(torch.get_num_threads())

    new = threading.Thread(target=look)
    new.start()
    new.join()
    assert found == [threads]


def test_few_pieces_are_the_callers(threads):
    assert spread(len, []) == [0] and spread(len, [5]) == [1]


def test_errors_come_through(threads):
    def fail(pieces):
        raise ValueError(f"no {pieces[0]}")

    with pytest.raises(ValueError, match="no 1"):
        spread(fail, [1, 2, 3])


def test_in_inference_its_tensors_are_written_to(threads):
    with torch.inference_mode():
        out = torch.zeros(4)
        spread(lambda pieces: [out[piece].fill_(1) for piece in pieces], range(4))
    assert out.tolist() == [1] * 4
