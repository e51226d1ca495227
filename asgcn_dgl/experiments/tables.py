"""The paper's tables on any set: a grid of trainings that can be interrupted, as a table."""

from __future__ import annotations

import contextlib
import os
import statistics
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asgcn_dgl.data import open_data
from asgcn_dgl.errors import InputError
from asgcn_dgl.experiments.grids import Cell, Grid, grid
from asgcn_dgl.files import atomic_path, write_json
from asgcn_dgl.training import DivergenceError
from asgcn_dgl.training.build import is_main
from asgcn_dgl.training.checkpoint import versions
from asgcn_dgl.training.config import ClipsConfig, RunConfig
from asgcn_dgl.training.files import RunDir, read_figures
from asgcn_dgl.training.preparation import SUITED
from asgcn_dgl.training.report import columns, duration
from asgcn_dgl.training.run import train
from asgcn_dgl.workers import pool_of, submit

# What a run may change from one sitting to the next without becoming another.
_PLACES = {
    *("clips.workers", "clips.cache", "trainer.threads", "trainer.progress"),
    *("trainer.accelerator", "trainer.devices", "trainer.nodes"),
    *("trainer.link_pictures", "trainer.reuse_memory"),
}


@dataclass(frozen=True)
class Job:
    """One training of a grid: a cell's setting, its run, and the split whose figures count."""

    cell: Cell
    config: RunConfig
    run: RunDir
    split: str

    def result(self) -> dict[str, Any] | None:
        """Return the run's figures, or None while it is not done."""
        file = self.run.metrics if self.split == "test" else self.run.validation
        if not file.is_file():
            return None
        found = read_figures(file, "remove it and run the command again")
        if "top1" not in found:
            raise InputError(
                f"{file}: holds no accuracy; with --split validation some training clips must be "
                "held out (clips.validation)"
            )
        return found

    def state(self) -> str:
        """Return 'done', 'diverged', 'begun' or 'to do'."""
        if self.result() is not None:
            return "done"
        if self.run.diverged():
            return "diverged"
        return "begun" if self.run.config_file.is_file() else "to do"

    def check(self) -> None:
        """Refuse a folder that holds a run of other options."""
        if not self.run.config_file.is_file():
            return
        differing = differing_options(self.run.read_config(), self.config)
        if differing:
            raise InputError(
                f"{self.run.path}: holds a run whose {', '.join(differing)} differ; give "
                "another --out, or the options of that run"
            )

    def train(self) -> None:
        """Train and evaluate, or continue; a run that diverges reports it in its log."""
        begun, test = self.run.config_file.is_file(), self.split == "test"
        with contextlib.suppress(DivergenceError):
            train(self.config, self.run.path, resume=begun, test=test)


def differing_options(kept: RunConfig, asked: RunConfig) -> list[str]:
    """Return the options of two runs that differ, without those left to the clips to decide."""
    there, here = _essence(kept), _essence(asked)
    left = {"clips.unit"} if here["clips.unit"] is None else set()
    if here["clips.views"] != "given":
        left |= {"clips.views", *(f"clips.{name}" for each in SUITED.values() for name in each)}
    if there["clips.align"] == "center" and here["clips.align"] == ClipsConfig.align:
        left.add("clips.align")  # clips in the plane
    return [name for name in here if there.get(name) != here[name] and name not in left]


def _essence(config: RunConfig) -> dict[str, Any]:
    """Return the options that define a run, flat, without where and how fast it is computed."""
    values = {
        f"{section}.{name}": value
        for section, options in config.to_dict().items()
        if isinstance(options, dict)
        for name, value in options.items()
    }
    return {"data": config.data, **{k: v for k, v in values.items() if k not in _PLACES}}


def make_table(
    table: str,
    config: RunConfig,
    folder: str | Path,
    *,
    seeds: int = 3,
    split: str = "test",
    dry_run: bool = False,
    at_once: int = 1,
) -> dict[str, Any]:
    """Train all that a table compares and write it; an interrupted one continues.

    ``folder`` gets the runs (``CELL/seed0``, ...), which tables share, and ``TABLE.md`` and
    ``TABLE.json``, whose content is returned. Each cell has ``seeds`` runs, with seeds from
    ``trainer.seed`` on. With ``split="validation"`` the test clips are not read. ``dry_run`` lists
    the runs, trains nothing and writes nothing. ``at_once`` runs are trained at the same time, each
    in a process with its share of the cores (unless ``trainer.threads`` is set) that writes to its
    ``train.log`` only: two small models on a core each take less time than one after the other on
    both. InputError for unusable options or a folder with runs of other options; DivergenceError at
    the end, if runs have diverged.
    """
    for name, count, most in (("seeds", seeds, 1000), ("at-once", at_once, 256)):
        if not 1 <= count <= most:
            raise InputError(f"--{name} must be from 1 to {most}, got {count}")
    if config.model.name == "forecaster":
        raise InputError("tables are of models that recognize; give --config modern")
    if split == "validation" and config.clips.validation == "none":
        raise InputError("--split validation needs held-out clips: set clips.validation")
    found = open_data(config.root, config.data)
    try:
        chosen = grid(table, config, found.default_split, tuple(found.splits))
    except ValueError as error:
        raise InputError(str(error)) from error
    work = _Table(table, chosen, _jobs(chosen, config, Path(folder), seeds, split), Path(folder))
    for job in work.jobs:
        job.check()
    work.say(work.listing())
    if not dry_run:
        work.train(at_once)
    return work.summary()


def _jobs(chosen: Grid, config: RunConfig, folder: Path, seeds: int, split: str) -> list[Job]:
    """Return all trainings, one seed of every cell before the next seed: a table is soon whole."""
    found = []
    for number in range(config.trainer.seed, config.trainer.seed + seeds):
        for cell in chosen.cells():
            values = config.to_dict()
            for section, options in {**cell.options, "trainer": {"seed": number}}.items():
                values[section].update(options)
            run = RunDir(folder / cell.name / f"seed{number}")
            found.append(Job(cell, RunConfig.from_dict(values), run, split))
    return found


@dataclass(frozen=True)
class _Table:
    """A table in the making."""

    name: str
    grid: Grid
    jobs: Sequence[Job]
    folder: Path

    def say(self, text: str) -> None:
        if is_main():
            print(text)

    def listing(self) -> str:
        states = [job.state() for job in self.jobs]
        rows = [
            (state, job.cell.name, f"seed {job.config.trainer.seed}")
            for job, state in zip(self.jobs, states, strict=True)
        ]
        left = states.count("begun") + states.count("to do")
        outlook = self._outlook(left) or "its time is known after the first run"
        if not left:
            outlook = "nothing is left to do"
        head = f"table {self.name}: {len(states)} runs, {states.count('done')} done; {outlook}"
        return "\n".join([head, *(f"  {line}" for line in columns(rows, words=3))])

    def _outlook(self, left: int, at_once: int = 1) -> str:
        """Return how long so many runs take, given those that are done."""
        seconds = [_seconds(result) for job in self.jobs if (result := job.result())]
        if not left or not seconds:
            return ""
        return f"about {duration(statistics.mean(seconds) * left / at_once)} to go"

    def train(self, at_once: int) -> None:
        """Train what is left, and write the table after each run."""
        every = len(self.jobs)
        left = [job for job in self.jobs if job.state() in ("begun", "to do")]
        runs = left if at_once == 1 else _side_by_side(left, at_once)
        for number, job in enumerate(runs, start=every - len(left) + 1):
            if at_once == 1:
                self._announce("run", number, job, every - number + 1, at_once)
                job.train()
            self.write()
            if at_once > 1:
                self._announce("done", number, job, every - number, at_once)
        self.say(self.write())
        diverged = [str(job.run.path) for job in self.jobs if job.state() == "diverged"]
        if diverged:
            raise DivergenceError(
                f"{len(diverged)} of {every} runs diverged ({', '.join(diverged)}) and "
                "are left out of the table; the train.log of each says why. To train one again, "
                "remove its folder"
            )

    def _announce(self, verb: str, number: int, job: Job, waiting: int, at_once: int) -> None:
        text = f"{verb} {number}/{len(self.jobs)}: {job.run.path}"
        self.say(", ".join(filter(None, (text, self._outlook(waiting, at_once)))))

    def write(self) -> str:
        """Write the table as far as it goes; return it as Markdown."""
        summary = self.summary()
        text = markdown(self.grid, summary)
        if is_main():
            write_json(self.folder / f"{self.name}.json", summary)
            with atomic_path(self.folder / f"{self.name}.md") as temporary:
                temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
        return text

    def summary(self) -> dict[str, Any]:
        """Return the figures of all cells, seed by seed, in plain values."""
        first, results = self.jobs[0], [(job, job.result()) for job in self.jobs]
        cells = {}
        for cell in self.grid.cells():
            done = [
                {**result, "seed": job.config.trainer.seed}
                for job, result in results
                if result is not None and job.cell.name == cell.name
            ]
            cells[cell.name] = _cell_summary(cell, done)
        return {
            "table": self.name,
            "title": self.grid.title,
            "dataset": first.config.data,
            "stream": first.config.stream,
            "split": first.split,
            "seeds": sorted({job.config.trainer.seed for job in self.jobs}),
            "cells": cells,
            **({"top1": _over_folds(cells)} if self.grid.folds else {}),
            "paper": [list(row) for row in self.grid.paper],
            "versions": versions(),
        }


def _side_by_side(jobs: Sequence[Job], at_once: int) -> Iterator[Job]:
    """Train in processes, so many at a time; yield each run when it is done."""
    threads = max(1, (os.cpu_count() or 1) // at_once)
    with pool_of(at_once) as pool:
        running = {submit(pool, _train_quietly, job, threads): job for job in jobs}
        for each in as_completed(running):
            each.result()
            yield running[each]


def _train_quietly(job: Job, threads: int) -> None:
    kept = job.config.trainer
    trainer = replace(kept, progress="off", threads=kept.threads or threads)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        replace(job, config=replace(job.config, trainer=trainer)).train()


def _seconds(result: Mapping[str, Any]) -> float:
    return sum(result.get("seconds", {}).values())


def _over_folds(cells: Mapping[str, Mapping[str, Any]]) -> list[float]:
    """Return the mean over the folds for each seed that has gone through all of them."""
    runs = [dict(zip(each["seeds"], each["top1"], strict=True)) for each in cells.values()]
    whole = [seed for seed in runs[0] if all(seed in run for run in runs)]
    return [statistics.mean(run[seed] for run in runs) for seed in whole]


def _cell_summary(cell: Cell, results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    top1 = [result["top1"] for result in results]
    return {
        "options": {section: dict(options) for section, options in cell.options.items()},
        "protocol": results[0]["protocol"] if results else None,
        "seeds": [result["seed"] for result in results],
        "top1": top1,
        "mean": statistics.mean(top1) if top1 else None,
        "deviation": statistics.stdev(top1) if len(top1) > 1 else None,
        "top5": [result["top5"] for result in results],
        "mpjpe": [(result["prediction"] or {}).get("mpjpe") for result in results],
        "seconds": [_seconds(result) for result in results],
    }


def markdown(chosen: Grid, summary: Mapping[str, Any]) -> str:
    """Return a table from ``TABLE.json`` in the paper's form, mean ± deviation over the seeds."""
    cells = summary["cells"]
    kinds = ("top1", "top5") if chosen.top5 else ("top1",)
    rows = []
    for label, row in chosen.rows:
        shown = [
            "" if cell is None else _mean(cells[cell.name][kind]) for cell in row for kind in kinds
        ]
        rows.append((label, *shown))
    if chosen.folds:
        rows.append(("mean", _mean(summary["top1"])))
    published = [
        (method, *_published(figures, chosen.protocols))
        for method, figures in (chosen.published or {}).items()
    ]
    counts = {len(each["top1"]) for each in cells.values()}
    number = f"{min(counts)} to {max(counts)}" if len(counts) > 1 else str(max(counts))
    spread = "; mean ± standard deviation" if max(counts) > 1 else ""
    lines = [
        f"# {chosen.title}",
        "",
        f"{summary['dataset']}, {summary['stream']} stream, {summary['split']} clips, "
        f"{number} seed{'' if number == '1' else 's'} a cell{spread}.",
        "",
        *_lines([chosen.head, *published, *rows]),
    ]
    if chosen.note:
        lines += ["", chosen.note]
    if chosen.paper:
        theirs = [
            (label, *("" if value is None else f"{value:.1f}" for value in row))
            for (label, _), row in zip(chosen.rows, chosen.paper, strict=True)
        ]
        lines += ["", "The paper's, on NTU RGB+D 60, cross-subject:", ""]
        lines += _lines([chosen.head, *theirs])
    return "\n".join(lines) + "\n"


def _mean(values: Sequence[float]) -> str:
    if not values:
        return "–"
    mean = f"{statistics.mean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.1f}"


def _published(figures: Mapping[str, Any], protocols: Sequence[str]) -> list[str]:
    """Return top-1 and top-5 of each protocol; blank where not published."""
    shown: list[str] = []
    for protocol in protocols:
        found = figures.get(protocol, figures.get("", []))
        values = found if isinstance(found, list) else [found]
        shown += [f"{value:.1f}" for value in values] + [""] * (2 - len(values))
    return shown


def _lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as a Markdown table whose columns are aligned."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    padded = [[cell.ljust(w) for cell, w in zip(row, widths, strict=True)] for row in rows]
    padded.insert(1, ["-" * width for width in widths])
    return [f"| {' | '.join(row)} |" for row in padded]
