"""Memory that a training of the configuration ``paper`` needs: ``python -m benchmarks.memory``.

The whole command is run, in a process of its own, on a small synthetic set in NTU's format, two
people in every clip: one epoch of the warm-up and one of joint training, at 300 frames and a batch
of 8.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from asgcn_dgl.data.formats.ntu import parse_ntu_name
from asgcn_dgl.data.synthetic import TWO_PERSON_CLASSES, write_synthetic
from benchmarks.measure import machine, parser, write_rows

LIMIT_GIB = 6.0
FULL: dict[str, Any] = {"batch": 8, "options": []}
QUICK: dict[str, Any] = {
    "batch": 2,
    "options": ["--model.preset=small", "--clips.num_frames=40", "--model.aim_hidden=16"],
}


def peak_gib(root: Path, batch: int, options: list[str], threads: int) -> tuple[float, float]:
    """Peak memory (GiB) and seconds of one epoch of each phase."""
    command = [
        *(sys.executable, "-m", "asgcn_dgl.cli", "train", "--config=paper", "--data=synthetic"),
        *(f"--root={root}", f"--out={root.parent / 'run'}", "--no-evaluate", "--aim.epochs=1"),
        *(f"--trainer.batch_size={batch}", "--trainer.epochs=1", "--trainer.accelerator=cpu"),
        *(f"--trainer.threads={threads}", "--clips.validation=none", "--trainer.progress=off"),
        *options,
    ]
    started = time.perf_counter()
    subprocess.run(command, check=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return peak, time.perf_counter() - started


def main() -> None:
    """Run the command of this module."""
    options = parser(__doc__ or "").parse_args()
    size = QUICK if options.quick else FULL
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "clips"
        # Subjects 1 and 2 are for training: eight clips of each class, of which those of two
        # people are kept. That is the most a batch can hold.
        write_synthetic(root, clips_per_class=12, subjects=3)
        for path in root.glob("*.skeleton"):
            if parse_ntu_name(path).action - 1 not in TWO_PERSON_CLASSES:
                path.unlink()
        peak, seconds = peak_gib(root, size["batch"], size["options"], options.threads)
    print(machine(options.threads))
    print(
        f"configuration paper{' (quick)' if options.quick else ''}, batch {size['batch']}: peak "
        f"{peak:.2f} GiB of {LIMIT_GIB:g}, {seconds:.0f} s"
    )
    row = {"quick": options.quick, "batch": size["batch"], "gib": peak, "seconds": seconds}
    write_rows([row], options.json)


if __name__ == "__main__":
    main()
