import norm_work
import pytest
import torch
from processes import in_processes
from torch import distributed

from asgcn_dgl.models import ASGCN
from asgcn_dgl.nn import MaskedBatchNorm, sync, sync_norms
from asgcn_dgl.nn.sync import SyncInputNorm, SyncMaskedBatchNorm
from asgcn_dgl.skeleton import get_layout


@pytest.mark.parametrize(("sizes", "masked"), [((1, 3), False), ((3, 1), True)])
def test_two_processes_are_one_with_the_joined_batch(sizes, masked):
    """Outputs, gradients and running statistics, with unequal shares."""
    feat, mask, probe = norm_work.batch(sum(sizes), masked)
    whole = norm_work.step(norm_work.norms(), feat, mask, probe)
    parts = in_processes(2, norm_work.share, sizes, masked)
    close = {"rtol": 1e-9, "atol": 1e-9}
    for number in range(2):
        joined = torch.cat([part["outs"][number] for part in parts])
        torch.testing.assert_close(joined, whole["outs"][number], **close)
    torch.testing.assert_close(torch.cat([part["feat"] for part in parts]), whole["feat"], **close)
    for number, expected in enumerate(whole["parameters"]):
        total = sum(part["parameters"][number] for part in parts)
        torch.testing.assert_close(total, expected, **close)
    for part in parts:
        for ours, expected in zip(part["buffers"], whole["buffers"], strict=True):
            torch.testing.assert_close(ours, expected, **close)
        assert bool(torch.isfinite(part["alone"]).all())


def test_every_norm_of_a_model_is_found_and_alone_it_stays_the_same():
    def made():
        torch.manual_seed(0)
        return ASGCN(
            get_layout("hand21"), 3, channels=(8, 8), strides=(1, 2), aim_hidden=8, aim_frames=4,
            future_channels=8, dropout=0.0, aim_dropout=0.0, temporal="branches", kernel_size=3,
            streams=("joint", "bone"), link_mode="steady",
        )  # fmt: skip

    plain, synced = made(), sync_norms(made())
    kinds = {type(module) for module in synced.modules()}
    assert SyncInputNorm in kinds and SyncMaskedBatchNorm in kinds
    assert not [m for m in synced.modules() if type(m) in (torch.nn.BatchNorm1d, MaskedBatchNorm)]
    graph = plain.graph_builder.structure(get_layout("hand21"), [1, 2])
    feat = torch.randn(63, 8, 3)
    # Not to the last bit: AIM's own norms join the weights that follow, those of processes do not.
    torch.testing.assert_close(synced(graph, feat).logits, plain(graph, feat).logits)
    one, other = plain.state_dict(), synced.state_dict()
    assert one.keys() == other.keys()
    torch.testing.assert_close(dict(one), dict(other))


@pytest.mark.parametrize("masked", [False, True])
def test_a_process_without_rows_changes_nothing(tmp_path, monkeypatch, masked):
    """In a group of one that is taken for one of two: the other's row of the table is empty."""
    feat, mask, probe = norm_work.batch(3, masked)
    whole = norm_work.step(norm_work.norms(), feat, mask, probe)
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1
    )
    try:
        monkeypatch.setattr(sync, "processes", lambda: 2)
        found = norm_work.step(sync_norms(norm_work.norms()), feat, mask, probe)
    finally:
        distributed.destroy_process_group()
    torch.testing.assert_close(found, whole, rtol=1e-9, atol=1e-9)
