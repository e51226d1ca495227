"""Arithmetic beside time, and where the time goes: ``python -m benchmarks.profile``.

For the rows of ``benchmarks.layers``, ``.aim`` and ``.model``: the floating-point operations in
products and convolutions of ours and of the rival, as torch counts them, the rate that each
reaches, beside that of one plain matrix product (``mm``), and the shares of our time by kind of
operation. At equal rates the ratio of the times would be the ratio of the operations.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks import aim, layers, model
from benchmarks.measure import (
    Call,
    Work,
    child,
    chosen,
    in_turn,
    machine,
    matmul_peak,
    repeats_of,
    rows_parser,
    say_missing,
    write_rows,
)

ALLOCATOR = "reusing"  # without page faults, so that the arithmetic shows
WORKS = [*layers.WORKS, *aim.WORKS, *model.WORKS]
QUICK = layers.WORKS[:2]
KINDS = {
    "products": ("mm", "addmm", "bmm", "baddbmm"),
    "convolutions": ("mkldnn_convolution", "convolution_backward"),
    "norms": ("native_batch_norm", "native_batch_norm_backward", "var_mean"),
    "sums of rows": ("_embedding_bag_forward_only", "_embedding_bag_per_sample_weights_backward"),
    "copies": ("copy", "cat", "index_select", "index"),
}


def _operation(name: str) -> str:
    """Name of an operation of torch; ``aten::addmm_`` is ``addmm``."""
    return name.removeprefix("aten::").removesuffix("_")


class _Counter(TorchDispatchMode):
    """Counts as torch's ``FlopCounterMode``, which cannot follow ``torch.autograd.grad``."""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = _operation(func._schema.name)
        formula = flop_registry.get(getattr(torch.ops.aten, name, None))
        if formula is None:  # inference mode does not take composed operations apart
            with self:
                out = func.decompose(*args, **kwargs)
            return func(*args, **kwargs) if out is NotImplemented else out
        out = func(*args, **kwargs)
        self.total += formula(*args, **kwargs, out_val=out)
        return out


def flop(call: Call) -> int:
    """Floating-point operations of one call in products and convolutions."""
    with _Counter() as counter:
        call()
    return counter.total


def shares(call: Call) -> dict[str, float]:
    """Shares of a call's time by kind of operation.

    ``rest`` are torch's other operations: elementwise ones, reductions, views. ``other`` is what no
    operation of torch in this thread accounts for: the interpreter, DGL's own kernels, waiting for
    the decoder's threads, and the profiler itself.
    """
    kind = {name: key for key, names in KINDS.items() for name in names}
    with profile(activities=[ProfilerActivity.CPU]) as found:
        start = time.perf_counter()
        call()
        whole = time.perf_counter() - start
    spent: Counter[str] = Counter()
    for event in found.key_averages():
        if event.key.startswith("aten::"):
            spent[kind.get(_operation(event.key), "rest")] += event.self_cpu_time_total / 1e6
    spent["other"] = max(0.0, whole - sum(spent.values()))
    return {key: spent[key] / whole for key in (*KINDS, "rest", "other")}


def answer(work: Work, repeats: int, threads: int) -> dict[str, Any]:
    """One row of the table."""
    torch.manual_seed(0)
    calls = {"ours": work.ours(), "rival": work.theirs()}
    torch.set_num_threads(1)  # the counter sees the thread that it is in
    counted = {name: flop(call) for name, call in calls.items()}
    torch.set_num_threads(threads)
    seconds = in_turn(calls, repeats)
    return {
        "work": work.name,
        "rival": work.rival,
        "flop": counted,
        "flop_ratio": counted["rival"] / counted["ours"],
        "seconds": seconds,
        "ratio": seconds["rival"] / seconds["ours"],
        "peak": matmul_peak(),
        "shares": shares(calls["ours"]),
    }


def line(row: dict[str, Any], width: int) -> str:
    """One row of the table, as text."""
    rates = (row["flop"][name] / row["seconds"][name] / 1e9 for name in ("ours", "rival"))
    parts = "".join(f"{100 * row['shares'][key]:>13.0f}%" for key in row["shares"])
    return (
        f"{row['work']:<{width}} {row['flop_ratio']:>6.2f} {row['ratio']:>6.2f} "
        + "".join(f"{rate:>8.0f}" for rate in (*rates, row["peak"] / 1e9))
        + parts
    )


def main() -> None:
    """Run the command of this module."""
    if sys.argv[1:2] == ["--child"]:
        request = json.loads(sys.argv[2])
        work = {each.name: each for each in WORKS}[request.pop("work")]
        print(json.dumps(answer(work, **request)))
        return
    options = rows_parser(__doc__ or "").parse_args()
    found = chosen(QUICK if options.quick else WORKS, options)
    asked = [work for work in found if not work.missing]
    repeats = repeats_of(options)
    width = max(len(work.name) for work in found)
    kinds = "".join(f"{key:>14}" for key in (*KINDS, "rest", "other"))
    print(f"{machine(options.threads)}; allocator setting {ALLOCATOR}")
    print(
        f"{'':<{width}} rival / ours  GFLOP/s{'':<17}ours, share of the time\n"
        f"{'work':<{width}} {'FLOP':>6} {'time':>6} {'ours':>7} {'rival':>7} {'mm':>7}{kinds}",
        flush=True,
    )
    rows = []
    for work in asked:
        request = {"work": work.name, "repeats": repeats, "threads": options.threads}
        rows.append(child("benchmarks.profile", ["--child", json.dumps(request)], ALLOCATOR))
        print(line(rows[-1], width), flush=True)
        write_rows(rows, options.json)
    say_missing(found)


if __name__ == "__main__":
    main()
