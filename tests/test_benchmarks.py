"""The benchmarks run, and the rival computes the same thing."""

import json
import subprocess
import sys
from pathlib import Path

import torch

from asgcn_dgl.nn import ASGConv
from asgcn_dgl.ops.regular import dense_links
from asgcn_dgl.skeleton import GraphBuilder, get_layout
from benchmarks.layers import CASES, Case, calls
from benchmarks.measure import in_turn, report
from benchmarks.rivals import DenseASGC


def test_the_dense_rival_computes_the_same():
    layout, builder = get_layout("ntu25"), GraphBuilder(max_hop=2, num_actional=2)
    ours = ASGConv(3, 4, 2, 2)
    rival = DenseASGC(layout, 3, 4, builder)
    with torch.no_grad():
        rival.structural.weight.copy_(ours.structural.weight.transpose(1, 2).reshape(-1, 3, 1, 1))
        rival.actional.weight.copy_(ours.actional.weight.transpose(1, 2).reshape(-1, 3, 1, 1))
    graph = builder.batch(layout, [1, 1])
    feat, links = torch.randn(50, 6, 3), torch.rand(graph.num_edges("actional_1"), 2)
    dense = rival(feat.view(2, 25, 6, 3).permute(0, 3, 2, 1), dense_links(links, 2, 25))
    torch.testing.assert_close(
        dense.permute(0, 3, 2, 1).reshape(50, 6, 4), ours(graph, feat, links)
    )


def test_what_is_timed_runs_and_useful_work_is_counted():
    case = Case(bodies=1, frames=4, feats=8, backward=True)
    assert set(in_turn(calls(case), 1)) == {"ours", "rival"}
    # NTU-25, L = 4: 25 diagonal, 53 + 53 on the smaller sides, 3 x 25 actional, three passes.
    assert case.useful_flop == 2 * 3 * (25 + 106 + 75) * 4 * 64
    assert len(CASES) == 6


def test_rows_are_written_whole(tmp_path, capsys):
    row = {"work": "w", "rival": "r", "allocator": "default", "ours_seconds": 1.0,
           "rival_seconds": 2.0, "ratio": 2.0, "ours_peak_mib": 1.0, "rival_peak_mib": 3.0,
           "peak_share": 0.5}  # fmt: skip
    report([row], tmp_path / "rows.json")
    assert json.loads((tmp_path / "rows.json").read_text()) == [row]
    assert "50%" in capsys.readouterr().out and list(tmp_path.iterdir()) == [tmp_path / "rows.json"]


def test_help_explains_the_options():
    root = Path(__file__).parents[1]
    command = [sys.executable, "-m", "benchmarks.layers", "--help"]
    text = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    assert "--quick" in text and "--json" in text
