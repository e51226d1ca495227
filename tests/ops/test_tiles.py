import pytest
import torch

from asgcn_dgl.ops import tiles
from asgcn_dgl.ops.tiles import Pieces, Workspace, add_product

CPU = torch.device("cpu")


@pytest.mark.parametrize("rows", [1, 7, 30, 64, 10**9])
@pytest.mark.parametrize("size", [(1, 1, 1), (5, 3, 4), (2, 7, 11)])
def test_tiles_cover_every_frame_of_every_unit_once(rows, size, monkeypatch):
    monkeypatch.setattr(tiles, "TILE_ROWS", rows)
    units, joints, frames = size
    seen = torch.zeros(units, joints, frames)
    for tile in tiles.tiles(units, joints, frames, CPU):
        tile.of(seen.unsqueeze(-1)).add_(1)
    assert bool((seen == 1).all())


def test_elsewhere_one_tile_is_the_batch():
    assert len(tiles.tiles(10**6, 25, 300, torch.device("cuda"))) == 1
    assert Pieces.of(300, 64, torch.device("cuda")) == (1, 300)


@pytest.mark.parametrize("frames", [1, 4, 5, 17, 100])
@pytest.mark.parametrize("feats", [3, 64, 600])
def test_pieces_put_together_are_the_features(frames, feats):
    pieces = Pieces.of(frames, feats, CPU)
    assert (pieces.number - 1) * pieces.length < frames <= pieces.number * pieces.length
    feat = torch.randn(2, 3, frames, feats)
    cut = torch.full((2, pieces.number, 3, pieces.length, feats), torch.nan)
    pieces.cut(feat, cut)
    assert float(cut.sum()) == pytest.approx(float(feat.sum()), abs=1e-2)
    back = torch.zeros_like(feat)
    pieces.add_back(cut, back)
    assert torch.equal(back, feat)


def test_a_workspace_gives_the_same_memory_again():
    work = Workspace(torch.zeros(1).double())
    first = work.take("a", 4, 5)
    assert first.dtype == torch.float64
    assert work.take("a", 2, 3).data_ptr() == first.data_ptr()
    assert work.take("b", 2, 3).data_ptr() != first.data_ptr()


@pytest.mark.parametrize("shape", [(6, 3), (2, 6, 3)])
@pytest.mark.parametrize("low", [False, True])
def test_products_are_summed_transposed(shape, low):
    left, right = torch.randn(shape), torch.randn(*shape[:-1], 4)
    total = torch.zeros(*shape[:-2], 4, 3)
    if low:
        left, right = left.bfloat16(), right.bfloat16()
    add_product(total, left, right)
    expected = (left.float().mT @ right.float()).mT
    torch.testing.assert_close(
        total, expected, rtol=2e-2 if low else 1e-5, atol=3e-2 if low else 1e-5
    )
