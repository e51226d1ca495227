"""Timing in turn, peak memory in processes of their own, the machine's matrix-product peak."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

# glibc gives buffers over 32 MB back to the system after each use, and fetching them again costs
# more than the arithmetic. The second setting lets it keep them.
ALLOCATORS: dict[str, dict[str, str]] = {
    "default": {},
    "reusing": {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "17179869184"},
}


def in_turn(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median seconds of each call, taken one after the other, after a warm-up of each."""
    for call in calls.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(each) for name, each in times.items()}


def matmul_peak(rows: int = 120_000, width: int = 64, repeats: int = 9) -> float:
    """FLOP/s of (rows, width) @ (width, width) into a reused output."""
    left, right = torch.randn(rows, width), torch.randn(width, width)
    out = torch.empty(rows, width)
    seconds = in_turn({"mm": lambda: torch.mm(left, right, out=out)}, repeats)["mm"]
    return 2.0 * rows * width * width / seconds


def peak_mib() -> float:
    """Peak resident memory of this process so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def child(module: str, arguments: Iterable[str], allocator: str) -> Any:
    """Run a module under an allocator setting; return what it prints last, parsed."""
    command = [sys.executable, "-m", module, *arguments]
    environment = {**os.environ, **ALLOCATORS[allocator]}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def machine() -> str:
    """Say on what was measured."""
    return (
        f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"Python {platform.python_version()}"
    )


def parser(description: str) -> argparse.ArgumentParser:
    """Options that every benchmark takes."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help="fewer repeats and sizes, under 60 s")
    made.add_argument("--repeats", type=int, default=5, help="timings that a median is taken of")
    made.add_argument("--threads", type=int, default=2, help="threads that torch may use")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the rows to FILE as well")
    return made


def report(rows: list[dict[str, Any]], file: Path | None) -> None:
    """Print the rows as a table, and write them where asked to."""
    print(machine())
    print(f"{'work':<58} {'allocator':<9} {'ours':>9} {'rival':>9} {'ratio':>6} "
          f"{'MiB':>6} {'rival':>6} {'of peak':>7}")  # fmt: skip
    for row in rows:
        print(
            f"{row['work']:<58} {row['allocator']:<9} {row['ours_seconds']:>8.4f}s "
            f"{row['rival_seconds']:>8.4f}s {row['ratio']:>6.2f} {row['ours_peak_mib']:>6.0f} "
            f"{row['rival_peak_mib']:>6.0f} {100 * row['peak_share']:>6.0f}%"
        )
    if file is not None:
        spare = file.with_name(file.name + ".part")
        spare.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        os.replace(spare, file)
