"""Two checkouts of the project in turn: ``python -m benchmarks.checkouts OLD NEW``.

Every row is timed in fresh processes, old and new one after the other; a process gives the median
of its calls, and the table the median over processes and the peak memory.
"""

from __future__ import annotations

import inspect
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SMALL = {
    "channels": (32, 32, 64, 64, 128, 128),
    "strides": (1, 1, 2, 1, 2, 1),
    "aim_hidden": 64,
    "dropout": 0.2,
}
UCLA = {**SMALL, "link_norm": "self_loop", "aim_frames": 20, "future_channels": 32}
DEMO = {**SMALL, "aim_frames": 25, "future_channels": 64, "dropout": 0.1}


def made(cls: Any, *arguments: Any, **options: Any) -> Any:
    """Make a layer or model of either checkout: two options have had other names."""
    old = {"link_norm": "normalise", "norm": "normalization"}
    known = inspect.signature(cls.__init__).parameters
    takes_any = any(each.kind is each.VAR_KEYWORD for each in known.values())
    named = {
        name if takes_any or name in known else old.get(name, name): value
        for name, value in options.items()
    }
    return cls(*arguments, **named)


def batch(builder: Any, layout: str, bodies: list[int]) -> Any:
    """Return the batch in the form that the checkout's own trainer uses."""
    make = getattr(builder, "structure", builder.batch)
    return make(layout, bodies)


def edges(graph: Any) -> int:
    """Count the ordered pairs that A-links join."""
    return int(graph.num_edges("actional_1"))


def conv(bodies: int, frames: int, feats: int, backward: bool) -> Callable[[], Any]:
    """ASGConv on NTU-25 with masks and A-links."""
    import torch

    from asgcn_dgl.nn import ASGConv
    from asgcn_dgl.skeleton import GraphBuilder

    graph = batch(GraphBuilder(), "ntu25", [1] * bodies)
    layer = ASGConv(feats, feats, layouts="ntu25")
    feat = torch.randn(graph.num_nodes(), frames, feats)
    links = torch.rand(edges(graph), 3)
    if not backward:
        return torch.no_grad()(lambda: layer(graph, feat, links))
    inputs = [feat.requires_grad_(), links.requires_grad_(), *layer.parameters()]

    def both() -> Any:
        out = layer(graph, feat, links)
        return torch.autograd.grad(out, inputs, torch.ones_like(out))

    return both


def model(
    layout: str, bodies: list[int], frames: int, options: dict[str, Any], what: str
) -> Callable[[], Any]:
    """A model's training step, recognition, or warm-up step of its inference module."""
    import torch
    from torch.nn import functional as F

    from asgcn_dgl.models import ASGCN

    net = made(ASGCN, layout, 10, 3, **options)
    graph = batch(net.graph_builder, layout, bodies)
    feat = torch.randn(graph.num_nodes(), frames, 3)
    future = torch.randn(graph.num_nodes(), 10, 3)
    label = torch.zeros(len(bodies), dtype=torch.long)
    if what == "recognize":
        net.eval()
        return torch.inference_mode()(lambda: net(graph, feat, predict=False).logits)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        if what == "warm-up":
            net.aim.loss(graph, feat, pred_steps=4).loss.backward()
        else:
            out = net(graph, feat)
            loss = F.cross_entropy(out.logits, label) + F.mse_loss(out.future, future)
            loss.backward()
        optimizer.step()

    return step


def encoder(bodies: int) -> Callable[[], Any]:
    """AIMEncoder forward and backward, up to the logits."""
    import torch

    from asgcn_dgl.nn import AIMEncoder
    from asgcn_dgl.skeleton import GraphBuilder

    graph = batch(GraphBuilder(), "ntu25", [1] * bodies)
    layer = AIMEncoder(3)
    feat = torch.randn(graph.num_nodes(), 50, 3, requires_grad=True)

    def both() -> Any:
        out = layer.infer(graph, feat)
        return torch.autograd.grad(out, [feat, *layer.parameters()], torch.ones_like(out))

    return both


def start(*arguments: str) -> Callable[[], Any]:
    """A command in a process of its own, from the interpreter's start to its end."""
    code = "import sys; from asgcn_dgl.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-P", "-c", code, *arguments]
    return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def opening() -> Callable[[], Any]:
    """Open a store of 390 clips."""
    from asgcn_dgl.cli import main
    from asgcn_dgl.data import open_store
    from asgcn_dgl.data.synthetic import write_synthetic

    folder = tempfile.TemporaryDirectory()  # as long as the call
    clips, store = f"{folder.name}/clips", f"{folder.name}/store"
    write_synthetic(clips, clips_per_class=30)
    main(["prepare", "--data=synthetic", f"--root={clips}", f"--out={store}"])
    return lambda: (folder, open_store(store))


PAPER = {"dropout": 0.0, "aim_dropout": 0.0}
ROWS: dict[str, Callable[[], Callable[[], Any]]] = {
    f"ASGConv {feats}, {bodies} x 25 x {frames}, {'forward + backward' if back else 'forward'}": (
        lambda bodies=bodies, frames=frames, feats=feats, back=back: conv(
            bodies, frames, feats, back
        )
    )
    for bodies, frames, feats in (
        (16, 300, 64),
        (16, 150, 128),
        (16, 75, 256),
        (1, 20, 64),
        (1, 20, 256),
    )
    for back in (False, True)
} | {
    "full training step, 4 clips x 2 bodies x 300": lambda: model(
        "ntu25", [2] * 4, 300, PAPER, "train"
    ),
    "full recognition, 4 clips x 2 bodies x 300": lambda: model(
        "ntu25", [2] * 4, 300, PAPER, "recognize"
    ),
    "NW-UCLA training step, 16 clips x 40": lambda: model(
        "kinectv1_20", [1] * 16, 40, UCLA, "train"
    ),
    "NW-UCLA warm-up step, 32 clips x 40": lambda: model(
        "kinectv1_20", [1] * 32, 40, UCLA, "warm-up"
    ),
    "NW-UCLA recognition, one clip x 40": lambda: model("kinectv1_20", [1], 40, UCLA, "recognize"),
    "demo recognition, one clip x 64": lambda: model("ntu25", [1], 64, DEMO, "recognize"),
    "AIMEncoder, 64 x 25 x 50, forward + backward": lambda: encoder(64),
    "start, --help": lambda: start("--help"),
    "start, train --help": lambda: start("train", "--help"),
    "open a store of 390 clips": opening,
}


def answer(request: dict[str, Any]) -> dict[str, float]:
    """Time one row in this process."""
    import torch

    torch.set_num_threads(request["threads"])
    torch.manual_seed(0)
    call = ROWS[request["row"]]()
    call()
    call()
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) < 3 or (len(times) < 50 and time.perf_counter() - begin < 1.0):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": statistics.median(times), "peak_mib": peak}


def ask(checkout: Path, request: dict[str, Any], allocator: dict[str, str]) -> dict[str, float]:
    """Time one row of one checkout in a process of its own."""
    command = [sys.executable, "-P", __file__, "--child", json.dumps(request)]
    environment = {**os.environ, **allocator, "PYTHONPATH": str(checkout), "DGLBACKEND": "pytorch"}
    done = subprocess.run(
        command, env=environment, cwd=checkout, check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    """Be the command."""
    from benchmarks.measure import ALLOCATORS, machine, repeats_of, rows_parser, write_rows

    parser = rows_parser(__doc__ or "")
    parser.add_argument("old", type=Path, help="folder of a checkout")
    parser.add_argument("new", type=Path, help="folder of another")
    options = parser.parse_args()
    print(machine(options.threads), flush=True)
    rows = []
    for row in (name for name in ROWS if options.only in name):
        for allocator, setting in ALLOCATORS.items():
            request = {"row": row, "threads": options.threads}
            found: dict[str, list[dict[str, float]]] = {"old": [], "new": []}
            for _ in range(repeats_of(options)):
                for side in found:
                    checkout = getattr(options, side).resolve()
                    found[side].append(ask(checkout, request, setting))
            middle = {
                (side, key): statistics.median(each[key] for each in answers)
                for side, answers in found.items()
                for key in ("seconds", "peak_mib")
            }
            ratio, memory = (
                middle["new", key] / middle["old", key] for key in ("seconds", "peak_mib")
            )
            print(
                f"{row:<58} {allocator:<8} {1e3 * middle['old', 'seconds']:>9.2f} ms "
                f"{1e3 * middle['new', 'seconds']:>9.2f} ms  time {ratio:.2f}  memory {memory:.2f}",
                flush=True,
            )
            rows.append({"row": row, "allocator": allocator, "time": ratio, "memory": memory})
            write_rows(rows, options.json)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(answer(json.loads(sys.argv[2]))))
    else:
        main()
