"""The benchmarks run, and the rivals compute the same things as the library."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from strategies import needs_dgl
from torch.nn import functional as F

from asgcn_dgl.data import read_ntu
from asgcn_dgl.models import ASGCN, STGCN
from asgcn_dgl.nn import AIMDecoder, AIMEncoder, ASGConv
from asgcn_dgl.ops.pairs import dense_links
from asgcn_dgl.skeleton import GraphBuilder, get_layout
from benchmarks import aim, layers, measure, model, prepare, profile
from benchmarks.measure import Work, in_turn
from benchmarks.rivals import CTRGCN, ConcatenatingEncoder, DenseASGC, DenseModel, StepwiseDecoder
from benchmarks.rivals.skeleton_text import read_fields

ROOT = Path(__file__).parents[1]
MODULES = ["layers", "aim", "model", "loader", "prepare", "scaling", "memory", "profile", "latency"]


def test_the_dense_convolution_computes_the_same():
    layout, builder = get_layout("ntu25"), GraphBuilder(max_hop=2, num_actional=2)
    ours = ASGConv(3, 4, 2, 2)
    rival = DenseASGC(layout, 3, 4, builder).take_weights(ours)
    graph = builder.structure(layout, [1, 1])
    feat, links = torch.randn(50, 6, 3), torch.rand(graph.num_edges("actional_1"), 2)
    dense = rival(feat.view(2, 25, 6, 3).permute(0, 3, 2, 1), dense_links(graph.pairs[0], links))
    torch.testing.assert_close(
        dense.permute(0, 3, 2, 1).reshape(50, 6, 4), ours(graph, feat, links)
    )


@pytest.mark.parametrize("reduce", ["mean", "max"])
def test_the_concatenating_encoder_computes_the_same(reduce):
    layout = get_layout("coco17")
    graph = GraphBuilder(num_actional=2).structure(layout, [2, 1])
    ours = AIMEncoder(2, 2, num_frames=5, hidden_feats=8, dropout=0.0, reduce=reduce)
    feat = torch.randn(51, 5, 2)
    torch.testing.assert_close(
        ConcatenatingEncoder(ours)(feat.view(3, 17, 10)).flatten(0, 1), ours.infer(graph, feat)
    )


def test_the_stepwise_decoder_computes_the_same():
    layout = get_layout("coco17")
    graph = GraphBuilder(num_actional=2).structure(layout, [2])
    ours = AIMDecoder(2, 2, hidden_feats=8)
    feat, links = torch.randn(34, 6, 2), torch.rand(graph.num_edges("actional_1"), 2)
    torch.testing.assert_close(
        StepwiseDecoder(ours)(feat.view(2, 17, 6, 2), links.view(2, -1, 2)).flatten(0, 1),
        ours(graph, feat, links),
    )
    with pytest.raises(ValueError, match="reduce must be 'mean'"):
        StepwiseDecoder(AIMDecoder(2, 2, reduce="max"))


@pytest.mark.parametrize("kind", [ASGCN, STGCN])
def test_the_dense_model_computes_the_same(kind):
    torch.manual_seed(0)
    layout = get_layout("coco17")
    options = {"channels": (6, 8), "strides": (2, 2), "dropout": 0.0}
    if kind is ASGCN:
        options.update(aim_hidden=8, future_channels=8, tau=1e6)  # noise is lost in so high a tau
    ours = kind(layout, 4, 2, **options)
    if ours.aim is not None:
        for module in ours.aim.encoder.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
    rival = DenseModel(ours)
    feat = torch.randn(3, 2, 2, 300, 17)  # (B, M, D, T, V)
    graph = ours.graph_builder.structure(layout, [2, 2, 2])
    out = ours(graph, feat.permute(0, 1, 4, 3, 2).reshape(-1, 300, 2))
    logits, future = rival(feat)
    torch.testing.assert_close(out.logits, logits, rtol=1e-3, atol=1e-4)
    if out.future is None:
        assert future is None
    else:
        torch.testing.assert_close(out.future.view(future.shape), future, rtol=1e-3, atol=1e-4)


def test_ctrgcn_refines_links_by_the_formula_and_has_the_published_size():
    """1.45 million parameters on NTU-25 with 60 classes; a refinement joint by joint."""
    net = CTRGCN(get_layout("ntu25"), 60)
    assert sum(each.numel() for each in net.parameters()) / 1e6 == pytest.approx(1.45, abs=0.02)
    assert net(torch.randn(2, 1, 3, 16, 25)).shape == (2, 60)
    layer = net.blocks[1].refinements[0]
    feat, shared, alpha = torch.randn(1, 64, 4, 25), torch.randn(25, 25), torch.tensor(0.7)
    out = layer(feat, shared, alpha)
    one, other, sent = layer.one(feat)[0], layer.other(feat)[0], layer.transform(feat)[0]
    one, other, weight = one.mean(1), other.mean(1), layer.refine.weight.flatten(1)
    for i in (0, 7):
        total = torch.zeros(64, 4)
        for j in range(25):
            link = weight @ torch.tanh(one[:, i] - other[:, j]) + layer.refine.bias
            total += (shared[i, j] + alpha * link).unsqueeze(1) * sent[:, :, j]
        torch.testing.assert_close(out[0, :, :, i], total, rtol=1e-3, atol=1e-4)


def test_the_field_by_field_reader_reads_the_same(tmp_path):
    paths = prepare.write_files(tmp_path, copies=2)
    assert len(paths) == len(set(paths)) == 2 * prepare.ACTIONS
    assert 95 < paths[0].stat().st_size / (read_ntu(paths[0]).pos.size / 3) < 115
    for path in paths[::2]:
        clip, pos = read_ntu(path), read_fields(path)
        # By place in the frame, not by identity: bodies that come and go differ.
        if clip.mask.any(axis=2).all():
            seen = clip.mask
            np.testing.assert_allclose(clip.pos[seen], pos[: clip.num_bodies][seen], rtol=1e-6)


@needs_dgl  # the any-graph engine is among them
def test_what_is_timed_runs_and_useful_work_is_counted():
    size = layers.Size(bodies=1, frames=4, feats=8, backward=True)
    bare = layers.Size(1, 4, 8, True, num_actional=0)
    calls = {
        "ours": layers.ours(size),
        "dense": layers.dense(size),
        "bare": layers.dense(bare),
        "any graph": layers.any_graph(bare),
        "hetero": layers.hetero(bare),
        "encoder": aim.encoder(1),
        "concatenating": aim.concatenating(1),
        "light": model.light(1, 16),
        "CTR-GCN": model.ctrgcn(1, 16),
    }
    assert set(in_turn(calls, 1)) == set(calls)
    # NTU-25, L = 4: 25 diagonal, 53 + 53 on the smaller sides, 3 x 25 actional, three passes.
    assert size.flop == 2 * 3 * (25 + 106 + 75) * 4 * 64


def test_every_row_has_a_name_of_its_own():
    for module in (layers, aim, model, prepare):
        names = [work.name for work in module.WORKS]
        assert len(set(names)) == len(names)


def _row(work: Work, allocator: str) -> dict[str, object]:
    share = 0.5 if allocator == "default" else None
    return {"work": work.name, "rival": work.rival, "setting": allocator, "ours_seconds": 1.0,
            "rival_seconds": 2.0, "ratio": 2.0, "ours_peak_mib": 1.0, "rival_peak_mib": 3.0,
            "peak_share": share, "samples_per_second": 4.0}  # fmt: skip


def test_rows_are_shown_and_written_as_they_come(monkeypatch, capsys, tmp_path):
    file = tmp_path / "rows.json"
    shown = []

    def one(module: str, work: Work, allocator: str, *_: int) -> dict[str, object]:
        shown.append((capsys.readouterr().out, file.exists()))
        return _row(work, allocator)

    monkeypatch.setattr("sys.argv", ["benchmarks.none", "--quick", "--json", str(file)])
    monkeypatch.setattr(measure, "measure", one)
    works = [
        Work("there", "what is left behind", dict, dict, 1, needs=("torch",)),
        Work("not there", "rival", dict, dict, 1, needs=("torch", "no_such_module")),
    ]
    measure.run("benchmarks.none", "", works, works)
    (first, before), (second, after) = shown  # once with each allocator
    assert "of peak" in first and not before and "50%" in second and after
    assert json.loads(file.read_text()) == [_row(works[0], name) for name in measure.ALLOCATORS]
    assert list(tmp_path.iterdir()) == [file]
    end = capsys.readouterr().out.splitlines()
    assert end[0].split()[:2] == ["there", "reusing"]
    assert end[1:] == [
        "rival of there: what is left behind",
        "left out: not there: not installed: no_such_module",
    ]


def test_a_row_can_be_asked_for(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["benchmarks.none", "--only=one"])
    monkeypatch.setattr(measure, "measure", lambda _, work, allocator, *__: _row(work, allocator))
    works = [Work(name, "rival", dict, dict, 1) for name in ("the one", "the other")]
    measure.run("benchmarks.none", "", works, works)
    assert "the other" not in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["benchmarks.none", "--only=third"])
    with pytest.raises(SystemExit, match="--only third: no such row; they are\nthe one\nthe other"):
        measure.run("benchmarks.none", "", works, works)


def test_operations_are_counted():
    left, right = torch.randn(2, 3), torch.randn(3, 4, requires_grad=True)
    weight = torch.randn(5, 3, 3, 3)

    def both_ways() -> None:
        torch.autograd.grad((left @ right).sum(), right)

    assert profile.flop(both_ways) == 2 * 48
    assert profile.flop(lambda: torch.zeros(2, 4).addmm_(left, right.detach())) == 48
    assert profile.flop(lambda: torch.mm(left, right.detach(), out=torch.empty(2, 4))) == 48
    assert profile.flop(torch.inference_mode()(lambda: F.linear(left, right.t()))) == 48
    image = torch.randn(6, 3, 9, 9)
    assert profile.flop(lambda: F.conv2d(image, weight)) == 2 * 6 * 5 * 7 * 7 * 27


def test_shares_of_the_time():
    large = torch.randn(1000, 1000)
    profile.shares(lambda: large @ large)  # the profiler's first time is slow
    found = profile.shares(lambda: large @ large)
    assert found["products"] > 0.5
    assert sum(found.values()) == pytest.approx(1.0, abs=0.01)


def test_the_block_of_pytorch_geometric_temporal_runs():
    pytest.importorskip("torch_geometric_temporal", reason="PyTorch Geometric Temporal is absent")
    pytest.importorskip("torch_sparse", reason="torch_sparse is absent")
    assert set(in_turn({"ours": layers.block(1), "theirs": layers.geometric(1)}, 1)) == {
        "ours",
        "theirs",
    }


def test_memory_of_a_call_is_its_own():
    """In a process of its own, as it is measured: ours holds free memory that a call may take."""
    code = (
        "import torch; from benchmarks.measure import call_mib; kept = []\n"
        "print(call_mib(lambda: kept.append(torch.ones(20 * 2**18))))"  # 20 MiB, twice
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert 30 < float(done.stdout.split()[-1]) < 70


@pytest.mark.parametrize("module", MODULES)
def test_help_explains_the_options(module):
    command = [sys.executable, "-m", f"benchmarks.{module}", "--help"]
    text = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert "--quick" in text and "--json" in text
