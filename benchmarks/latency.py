"""Milliseconds that an answer about one clip takes: ``python -m benchmarks.latency``.

A clip of one body and 64 frames, recognition by the models of the demo, of NW-UCLA and of the
configuration ``paper``: torch, torch.compile and onnxruntime, on one thread and on two. ``window``
is all of :meth:`asgcn_dgl.Recognizer.update`, its preparation included, with torch. CPU is the
median of the processor time, all threads together: what counts where others use the machine too.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asgcn_dgl.live.engines import TorchEngine
from asgcn_dgl.live.recognizer import Recognizer
from asgcn_dgl.models import ASGCN, STGCN
from asgcn_dgl.models.exporting import ClipProgram, write_onnx
from asgcn_dgl.skeleton import get_layout
from asgcn_dgl.training import ClipsConfig, RunConfig
from asgcn_dgl.training.checkpoint import Restored
from asgcn_dgl.training.config import packaged_config
from benchmarks.measure import Call, child, machine, parser, repeats_of, seconds_of, write_rows

FRAMES, DIMS = 64, 3
#: Configuration, layout and classes of each model.
MODELS = {
    "demo": ("demo", "ntu25", 13),
    "NW-UCLA": ("nw_ucla", "kinectv1_20", 10),
    "paper": ("paper", "ntu25", 60),
}
WAYS = ("torch", "torch.compile", "onnxruntime", "window")
#: What is aimed at, with torch on one thread: milliseconds of the median.
AIMS = {"demo": 10.0, "paper": 100.0}


def model(name: str) -> tuple[ASGCN, ClipsConfig]:
    """Return a model of a configuration with the weights that it starts with, and its clips."""
    source, layout, classes = MODELS[name]
    config = RunConfig.from_dict(
        {"data": source, "root": "none", **(packaged_config(source) or {})}
    )
    torch.manual_seed(0)
    kind = STGCN if config.model.name == "stgcn" else ASGCN
    options = replace(
        config.model, layouts=[get_layout(layout)], num_classes=classes, in_feats=DIMS
    )
    return kind(options).eval(), config.clips


def pose(number: int, joints: int) -> np.ndarray:
    """Return a frame of one person."""
    rest = np.random.default_rng(0).normal(size=(joints, DIMS))
    return rest + 0.1 * np.sin(number / 5 + rest)


def call(name: str, way: str, threads: int, folder: str) -> Call:
    """Return what is timed."""
    net, clips = model(name)
    layout = net.layouts[0]
    feat = torch.randn(layout.num_joints, FRAMES, DIMS)
    structure = net.graph_builder.structure(layout, [1])
    if way == "window":
        clips = replace(clips, num_frames=FRAMES, max_bodies=None)
        names = [str(number) for number in range(net.config.num_classes)]
        engine = TorchEngine(Restored(net, names, RunConfig(clips=clips), 0))
        torch.set_num_threads(threads)
        recognizer = Recognizer(engine, window=FRAMES)
        for number in range(FRAMES):
            recognizer.update(pose(number, layout.num_joints))
        frame = pose(FRAMES, layout.num_joints)
        return lambda: recognizer.update(frame)
    if way == "onnxruntime":
        import onnxruntime

        path = Path(folder) / f"{name}.onnx"
        if not path.is_file():
            write_onnx(ClipProgram(net, outputs=["logits"]), path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        given = {
            "pos": feat.transpose(0, 1)[None, None].numpy(),
            "mask": np.ones((1, 1, FRAMES, layout.num_joints), dtype=bool),
        }
        return lambda: session.run(["logits"], given)
    answer: Callable[..., Any] = lambda: net(structure, feat, predict=False).logits  # noqa: E731
    if way == "torch":
        return torch.inference_mode()(answer)
    return torch.no_grad()(torch.compile(answer))  # compiled code takes no tensor of inference


def _answer(request: dict[str, Any]) -> dict[str, float]:
    """Time one row, in a process of its own."""
    torch.set_num_threads(request["threads"])
    timed = call(request["model"], request["way"], request["threads"], request["folder"])
    for _ in range(3):
        timed()
    times, used = [], []
    for _ in range(request["repeats"]):
        before = time.process_time()
        times.append(1e3 * seconds_of(timed))
        used.append(1e3 * (time.process_time() - before))
    times.sort()
    return {
        "cpu_ms": statistics.median(used),
        "median_ms": statistics.median(times),
        "best_ms": times[0],
        "p90_ms": times[int(0.9 * (len(times) - 1))],
    }


def main() -> None:
    """Be the command."""
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(_answer(json.loads(sys.argv[2]))))
        return
    options = parser((__doc__ or "").partition("\n")[0])
    options.add_argument("--only", default="", metavar="TEXT", help="rows whose name has TEXT")
    asked = options.parse_args()
    repeats = repeats_of(asked) if asked.quick else max(asked.repeats, 30)
    models = ["demo"] if asked.quick else list(MODELS)
    ways = ["torch", "window"] if asked.quick else list(WAYS)
    print(f"{machine(asked.threads)}\n{'model':<8} {'way':<14} {'threads':>7} ", end="")
    print(f"{'median':>8} {'best':>8} {'90 %':>8} {'CPU':>8}  ms", flush=True)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in models:
            for way in ways:
                for threads in sorted({1, asked.threads}):
                    if asked.only not in f"{name} {way} {threads}":
                        continue
                    request = {
                        **{"model": name, "way": way, "threads": threads},
                        **{"repeats": repeats, "folder": folder},
                    }
                    found = child("benchmarks.latency", ["--child", json.dumps(request)], "default")
                    rows.append({"model": name, "way": way, "threads": threads, **found})
                    print(_line(rows[-1]), flush=True)
                    write_rows(rows, asked.json)


def _line(row: dict[str, Any]) -> str:
    aim = AIMS.get(row["model"]) if (row["way"], row["threads"]) == ("window", 1) else None
    met = "" if aim is None else f"  aim {aim:g}: {'met' if row['median_ms'] < aim else 'missed'}"
    return (
        f"{row['model']:<8} {row['way']:<14} {row['threads']:>7} {row['median_ms']:>8.2f} "
        f"{row['best_ms']:>8.2f} {row['p90_ms']:>8.2f} {row['cpu_ms']:>8.2f}{met}"
    )


if __name__ == "__main__":
    main()
