"""Timing in turn, peak memory in processes of their own, the rates that the machine reaches."""

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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

# glibc gives buffers over 32 MB back to the system after each use, and fetching them again costs
# more than the arithmetic. The second setting lets it keep them.
ALLOCATORS: dict[str, dict[str, str]] = {
    "default": {},
    "reusing": {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "17179869184"},
}

#: What a GPU computes in: the type of autocast, or None, and whether products may be in TF32.
PRECISIONS: dict[str, tuple[torch.dtype | None, bool]] = {
    "float32": (None, False),
    "tf32": (None, True),
    "bfloat16": (torch.bfloat16, True),
}

Call = Callable[[], Any]


@dataclass(frozen=True)
class Work:
    """Two ways to do one thing.

    Attributes
    ----------
    name
        What is done, with its size.
    rival
        What ours is measured against.
    ours, theirs
        Make what is timed. Each is called only where it is needed, so that the memory of one is
        not counted with the other's.
    samples
        Clips, or bodies, that one call serves.
    flop
        Multiplications and additions that no formula can do without, or None.
    needs
        Modules of the rival that are no dependency of the project; without them the row is left
        out, and said to be.
    """

    name: str
    rival: str
    ours: Callable[[], Call]
    theirs: Callable[[], Call]
    samples: int
    flop: float | None = None
    needs: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """What it needs and is not installed."""
        return [name for name in self.needs if find_spec(name) is None]


def in_turn(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median seconds of each call, taken one after the other, after two of each to warm up."""
    for call in 2 * tuple(calls.values()):
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            times[name].append(seconds_of(call))
    return {name: statistics.median(each) for name, each in times.items()}


def seconds_of(call: Call) -> float:
    """Seconds of one call; on a GPU by its own events."""
    if torch.get_default_device().type != "cuda":
        start = time.perf_counter()
        call()
        return time.perf_counter() - start
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    begin.record()
    call()
    end.record()
    torch.cuda.synchronize()
    return float(begin.elapsed_time(end)) / 1e3


def matmul_peak(repeats: int = 9) -> float:
    """FLOP/s of a matrix product into a reused output, in the type that is measured.

    (120000, 64) @ (64, 64) on a CPU, (8192, 8192) @ (8192, 8192) on a GPU.
    """
    device = torch.get_default_device().type
    rows, inner, width = (8192, 8192, 8192) if device == "cuda" else (120_000, 64, 64)
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
    left, right = torch.randn(rows, inner, dtype=dtype), torch.randn(inner, width, dtype=dtype)
    out = torch.empty(rows, width, dtype=dtype)
    seconds = in_turn({"mm": lambda: torch.mm(left, right, out=out)}, repeats)["mm"]
    return 2.0 * rows * inner * width / seconds


def copy_peak(numbers: int = 2**28, repeats: int = 9) -> float:
    """Bytes a second that a copy reads and writes; 1 GiB on a GPU, 64 MiB on a CPU."""
    numbers = numbers if torch.get_default_device().type == "cuda" else numbers // 16
    source, target = torch.zeros(numbers), torch.empty(numbers)
    seconds = in_turn({"copy": lambda: target.copy_(source)}, repeats)["copy"]
    return 8.0 * numbers / seconds


def call_mib(call: Call) -> float:
    """MiB that two calls need at their peak, beyond what the process holds before."""
    if torch.get_default_device().type == "cuda":
        held = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        call()
        call()
        return (torch.cuda.max_memory_allocated() - held) / 2**20
    here = Path("/proc/self")
    if not (here / "clear_refs").exists():  # not Linux: the peak since the process began
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        call()
        call()
        return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    (here / "clear_refs").write_text("5")  # the peak is what is resident now
    before = _status("VmRSS")
    call()
    call()
    return (_status("VmHWM") - before) / 1024


def _status(name: str) -> int:
    """One entry of /proc/self/status, KiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))


def child(module: str, arguments: Iterable[str], setting: str) -> Any:
    """Run a module under a setting of the allocator; return what it prints last, parsed."""
    command = [sys.executable, "-m", module, *arguments]
    environment = {**os.environ, **ALLOCATORS.get(setting, {})}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def machine(threads: int, device: str = "cpu") -> str:
    """Say on what was measured, and with how many threads."""
    if device == "cuda":
        return (
            f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA "
            f"{torch.version.cuda}, Python {platform.python_version()}"
        )
    return (
        f"{platform.machine()}, {threads} threads, torch {torch.__version__}, "
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


def rows_parser(description: str) -> argparse.ArgumentParser:
    """Options of a benchmark whose table has a row for each work."""
    made = parser(description)
    made.add_argument("--only", default="", metavar="TEXT", help="rows whose work's name has TEXT")
    made.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="what computes")
    return made


def repeats_of(options: argparse.Namespace) -> int:
    """Timings that the options ask for."""
    return min(options.repeats, 3) if options.quick else options.repeats


def chosen(works: Sequence[Work], options: argparse.Namespace) -> list[Work]:
    """Return the works that the options ask for; end with a message where there is none."""
    found = [work for work in works if options.only in work.name]
    if not found:
        names = "\n".join(work.name for work in works)
        raise SystemExit(f"--only {options.only}: no such row; they are\n{names}")
    return found


def run(module: str, description: str, works: Sequence[Work], quick: Sequence[Work]) -> None:
    """Be the command of a benchmark module.

    Parameters
    ----------
    module
        Name of the module, which is run again in child processes.
    description
        For ``--help``.
    works
        Rows of the table.
    quick
        Rows of ``--quick``.
    """
    if sys.argv[1:2] == ["--child"]:
        request = json.loads(sys.argv[2])
        found = {work.name: work for work in (*works, *quick)}
        print(json.dumps(_answer(found[request["work"]], request)))
        return
    options = rows_parser(description).parse_args()
    repeats = repeats_of(options)
    asked = chosen(quick if options.quick else works, options)
    width = max(len(work.name) for work in asked)
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("--device cuda: torch finds no CUDA GPU here; nothing was measured")
    print(f"{machine(options.threads, options.device)}\n{heading(width)}", flush=True)
    settings = PRECISIONS if options.device == "cuda" else ALLOCATORS
    rows = []
    for work in asked:
        for setting in () if work.missing else settings:
            rows.append(measure(module, work, setting, repeats, options.threads))
            print(line(rows[-1], width), flush=True)
            write_rows(rows, options.json)
    for rival in dict.fromkeys(row["rival"] for row in rows):
        names = dict.fromkeys(row["work"] for row in rows if row["rival"] == rival)
        print(f"rival of {'; '.join(names)}: {rival}")
    say_missing(asked)


def say_missing(works: Iterable[Work]) -> None:
    """Name the rows that are left out, since their rival is not installed."""
    for work in works:
        if work.missing:
            print(f"left out: {work.name}: not installed: {', '.join(work.missing)}")


def _answer(work: Work, request: dict[str, Any]) -> Any:
    """Answer the parent: seconds of both in turn, or the peak memory of one."""
    torch.set_num_threads(request["threads"])
    torch.manual_seed(0)
    precision = PRECISIONS.get(request["setting"])
    autocast = torch.autocast("cuda", enabled=False)
    if precision is not None:
        torch.set_default_device("cuda")
        dtype, tf32 = precision
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        autocast = torch.autocast("cuda", dtype=dtype, enabled=dtype is not None)
    with autocast:
        if request["only"] is not None:
            return call_mib((work.ours if request["only"] == "ours" else work.theirs)())
        calls = {"ours": work.ours(), "rival": work.theirs()}
        found = in_turn(calls, request["repeats"])
        return {**found, "peak": matmul_peak(), "copy": copy_peak(repeats=3)}


def measure(module: str, work: Work, setting: str, repeats: int, threads: int) -> dict[str, Any]:
    """One row of the table, from child processes."""

    def ask(only: str | None) -> Any:
        request = {
            "work": work.name,
            "repeats": repeats,
            "threads": threads,
            "only": only,
            "setting": setting,
        }
        return child(module, ["--child", json.dumps(request)], setting)

    seconds = ask(None)
    share = None if work.flop is None else work.flop / seconds["ours"] / seconds["peak"]
    return {
        "work": work.name,
        "rival": work.rival,
        "setting": setting,
        "ours_seconds": seconds["ours"],
        "rival_seconds": seconds["rival"],
        "ratio": seconds["rival"] / seconds["ours"],
        "ours_peak_mib": ask("ours"),
        "rival_peak_mib": ask("rival"),
        "peak_share": share,
        "peak_flops": seconds["peak"],
        "copy_bytes": seconds["copy"],
        "samples_per_second": work.samples / seconds["ours"],
    }


def heading(width: int) -> str:
    """The table's first line, where names of works take ``width`` characters."""
    return (
        f"{'work':<{width}} {'setting':<9} {'ours':>9} {'rival':>9} {'ratio':>6} "
        f"{'MiB':>6} {'rival':>6} {'of peak':>7} {'per s':>7}"
    )


def line(row: dict[str, Any], width: int) -> str:
    """One row of the table."""
    share = "" if row["peak_share"] is None else f"{100 * row['peak_share']:.0f}%"
    return (
        f"{row['work']:<{width}} {row['setting']:<9} {row['ours_seconds']:>8.4f}s "
        f"{row['rival_seconds']:>8.4f}s {row['ratio']:>6.2f} {row['ours_peak_mib']:>6.0f} "
        f"{row['rival_peak_mib']:>6.0f} {share:>7} {row['samples_per_second']:>7.4g}"
    )


def write_rows(rows: list[dict[str, Any]], file: Path | None) -> None:
    """Write rows as JSON where a file is asked for, whole or not at all."""
    if file is None:
        return
    spare = file.with_name(file.name + ".part")
    spare.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    os.replace(spare, file)
