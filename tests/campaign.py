"""Faults on purpose, in numbers: ``python tests/campaign.py --help``.

Every command runs in a process of its own, forked from this one, which has imported everything and
computes nothing. What may come of it: success, or one line on standard error and the right status.
``tests/test_campaign.py`` runs a short version; docs/faults.md has the figures of a long one.
"""

# ruff: noqa: E402

from __future__ import annotations

import argparse
import contextlib
import copy
import functools
import hashlib
import json
import math
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from conftest import TINY
from fuzz import mutate

from asgcn_dgl.cli import build_parser, main
from asgcn_dgl.commands import COMMANDS
from asgcn_dgl.data import open_store
from asgcn_dgl.errors import InputError
from asgcn_dgl.training.checkpoint import load_model
from asgcn_dgl.training.compare import fuse, list_runs, read_scores, runs_table
from asgcn_dgl.training.files import RunDir, read_history

SECONDS = 200  # of the clock, for one command on a busy machine
MEMORY = 12 * 2**30  # of addresses, of which torch takes many


@dataclass(frozen=True)
class Outcome:
    """What became of a command."""

    arguments: tuple[str, ...]
    status: int  # negative: the signal that ended it
    out: str
    err: str

    def fault(self, *, name: str = "", statuses: Sequence[int] = (0, 2)) -> str:
        """Say what is not allowed about it; empty where nothing is."""
        lines = self.err.splitlines()
        errors = [line for line in lines if line.startswith("asgcn-dgl: error: ")]
        if self.status not in statuses:
            return f"status {self.status}"
        if "Traceback" in self.err or "Traceback" in self.out:
            return "a traceback"
        if self.status > 0 and (len(errors) != 1 or lines[-1] != errors[0]):
            return "not one line"
        if self.status == 0 and errors:
            return "an error with status 0"
        if self.status == 2 and name not in errors[0]:
            return f"{name} is not named"
        if any(word in self.out.lower().split() for word in ("nan", "inf", "-inf")):
            return "a number that is none"
        return ""


class Tally:
    """Outcomes, counted; what was not allowed is kept and shown."""

    def __init__(self, title: str) -> None:
        self.title, self.counts, self.bad = title, Counter[str](), list[str]()

    def add(self, fault: str, what: str, outcome: Outcome | None = None) -> None:
        """Count one, of the kind ``what``."""
        self.counts[what] += 1
        if sum(self.counts.values()) % 100 == 0:
            print(f"  {self.title}: {sum(self.counts.values())}", flush=True)
        if fault:
            told = (
                "" if outcome is None else f"{' '.join(outcome.arguments)}\n{outcome.err[-1500:]}"
            )
            self.bad.append(f"{fault}: {what}: {told}")
            print(f"  NOT ALLOWED {self.bad[-1]}", flush=True)

    def take(self, outcome: Outcome, what: str, **rules: Any) -> None:
        """Count the outcome of a command."""
        self.add(outcome.fault(**rules), f"{what} {outcome.status}", outcome)

    def __str__(self) -> str:
        found = ", ".join(f"{what}: {count}" for what, count in sorted(self.counts.items()))
        number = sum(self.counts.values())
        return f"{self.title}: {number} in all, not allowed {len(self.bad)}; {found}"


@contextlib.contextmanager
def started(
    arguments: Sequence[str], prepare: Callable[[], None] = lambda: None
) -> Iterator[Callable[[], Outcome]]:
    """Start a command; what is given back waits for its outcome. It does not outlive the block."""
    given = tuple(map(os.fsdecode, arguments))
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            _child(given, out.fileno(), err.fileno(), prepare)
        status: list[int] = []

        def wait() -> Outcome:
            if not status:
                status.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode(errors="replace"))
            return Outcome(given, status[0], *texts)

        wait.pid = pid  # type: ignore[attr-defined]
        try:
            yield wait
        finally:
            if not status:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                wait()


def _child(arguments: tuple[str, ...], out: int, err: int, prepare: Callable[[], None]) -> None:
    status = 99
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        signal.alarm(SECONDS)
        prepare()
        status = main(arguments)
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 0
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def run(*arguments: str, prepare: Callable[[], None] = lambda: None) -> Outcome:
    """Run a command to its end."""
    with started(arguments, prepare) as wait:
        return wait()


def killed(
    arguments: Sequence[str], seconds: float, number: signal.Signals = signal.SIGKILL
) -> Outcome:
    """Run a command and send it a signal after so many seconds, unless it is done."""
    with started(arguments) as wait:
        time.sleep(seconds)
        os.kill(wait.pid, number)  # type: ignore[attr-defined]
        return wait()


def orphans(mark: str) -> list[int]:
    """Processes that have a text in their environment, but for this one."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (each / "environ").read_bytes():
                found.append(int(each.name))
    return [pid for pid in found if pid != os.getpid()]


class Base:
    """Clips, stores, runs and files to do harm to, made once."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.clips, self.more = work / "clips", work / "more"
        self.train = ["train", "--data=synthetic", f"--root={self.clips}", *TINY]
        self.run, self.other = work / "run", work / "other"
        self.store, self.pretrained = work / "store", work / "pretrained"
        self.clip = ""

    def make(self) -> Base:
        from asgcn_dgl.data.synthetic import write_synthetic

        write_synthetic(self.clips, clips_per_class=3, subjects=3)
        write_synthetic(self.more, clips_per_class=4, subjects=3, seed=1)
        self.clip = str(sorted(self.clips.glob("*.skeleton"))[0])
        for command in (
            [*self.train, f"--out={self.run}"],
            [*self.train, f"--out={self.other}", "--clips.stream=bone"],
            ["prepare", "--data=synthetic", f"--root={self.clips}", f"--out={self.store}"],
            ["export", str(self.run), "--to=pretrained", f"--out={self.pretrained}"],
        ):
            outcome = run(*command)
            assert outcome.status == 0, outcome
        return self


# --- damaged files ---------------------------------------------------------------------------


VALUES: tuple[Any, ...] = (None, True, -1, 0, 10**9, 10**30, 1.5, "", "x", "\udcff", [], {}, [[]])
VALUES += (math.nan, math.inf, "nan", {"x": 1}, [1, "x", None], "9" * 5000, 2**63)


def mutate_values(values: Any, rng: random.Random) -> Any:
    """Change an entry of nested containers: another value, away, or one more."""
    values = copy.deepcopy(values)
    places = [(values, key) for key in _keys(values)]
    for container, key in places:
        places += [(container[key], each) for each in _keys(container[key])]
        if len(places) > 5000:
            break
    if not places:
        return rng.choice(VALUES)
    container, key = rng.choice(places)
    kind = rng.randrange(5)
    if kind == 0:
        del container[key]
    elif kind == 1 and isinstance(container, dict):
        container[rng.choice(("x", "epoch", "layout"))] = rng.choice(VALUES)
    elif kind == 2 and isinstance(container[key], torch.Tensor):
        tensor = container[key].clone()
        if tensor.numel() and tensor.is_floating_point():
            tensor.view(-1)[rng.randrange(tensor.numel())] = rng.choice((math.nan, math.inf))
        container[key] = tensor if rng.random() < 0.5 else tensor[..., :0]
    else:
        container[key] = rng.choice(VALUES)
    return values


def _keys(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value)
    return list(range(len(value))) if isinstance(value, list) else []


def _write_json(path: Path, values: Any) -> None:
    path.write_text(json.dumps(values))


def _write_npz(path: Path, values: Any) -> None:
    arrays = {}
    for name, value in values.items() if isinstance(values, dict) else ():
        with contextlib.suppress(Exception):
            arrays[name] = np.asarray(value)
    np.savez_compressed(path, **arrays)


def _read_npz(path: Path) -> dict[str, Any]:
    with np.load(path) as file:
        return {name: file[name].tolist() for name in file.files}


def _read_history(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _write_history(path: Path, values: Any) -> None:
    lines = values if isinstance(values, list) else [values]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def _read_yaml(path: Path) -> Any:
    import yaml

    return yaml.safe_load(path.read_text())


def _write_yaml(path: Path, values: Any) -> None:
    import yaml

    path.write_text(yaml.safe_dump(values))


Forms = dict[str, tuple[Callable[[Path], Any], Callable[[Path, Any], None]]]
FORMS: Forms = {
    ".json": (lambda path: json.loads(path.read_text()), _write_json),
    ".jsonl": (_read_history, _write_history),
    ".yaml": (_read_yaml, _write_yaml),
    ".npz": (_read_npz, _write_npz),
    ".ckpt": (
        lambda path: torch.load(path, weights_only=True),
        lambda path, values: torch.save(values, path),
    ),
}


Mutant = tuple[Path, bytes]


def damage(base: Base, count: int, rng: random.Random, only: str = "") -> Tally:
    """Damage copies of each file that we write, and read them; now and then by a command."""
    tally = Tally("damaged files")
    work = base.work / "damaged"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    for name in ("run", "other", "store", "pretrained"):
        shutil.copytree(base.work / name, work / name)
    mine, other, store, saved = (work / name for name in ("run", "other", "store", "pretrained"))
    run_dir, page = RunDir(mine), ["report", str(mine), f"--out={work / 'page.html'}", "--clips=2"]
    inspect, listed = ["inspect", str(store), "--verify"], ["runs", str(work)]
    predict, fused = ["predict", str(mine), base.clip], ["fuse", str(mine), str(other)]

    def clips() -> None:
        opened = open_store(store)
        for number in range(len(opened)):
            opened.read(number)

    def checkpoint(name: str) -> tuple[Path, Callable[[], Any]]:
        file = run_dir.checkpoints / name
        return file, lambda: load_model(file)

    evaluate, table = ["evaluate", str(mine)], lambda: runs_table(list_runs(mine))
    again = ["predict", str(saved), base.clip]
    # the file, how it is read, and commands that use it
    targets: list[tuple[Path, Callable[[], Any], list[list[str]]]] = [
        (*checkpoint("best.ckpt"), [predict, evaluate]),
        (*checkpoint("last.ckpt"), [_resume(mine), [*predict, "--checkpoint=last"]]),
        (*checkpoint("aim.ckpt"), [_resume(mine)]),
        (run_dir.scores, lambda: read_scores(run_dir.scores), [fused, page]),
        (
            run_dir.validation_scores,
            lambda: fuse([mine, other], choose=True),
            [[*fused, "--choose-weights"]],
        ),
        (run_dir.metrics, table, [listed, page]),
        (
            run_dir.validation,
            table,
            [listed, ["evaluate", str(mine)]],
        ),
        (
            run_dir.config_file,
            run_dir.read_config,
            [listed, _resume(mine), ["evaluate", str(mine)]],
        ),
        (run_dir.history, lambda: read_history(mine), [page]),
        *((store / name, clips, [inspect]) for name in ("header.json", "index.npy", "names.txt")),
        *((store / name, clips, [inspect]) for name in ("splits.npy", "shard-00000.pos")),
        (saved / "config.json", lambda: load_model(saved), [again]),
        (saved / "model.safetensors", lambda: load_model(saved), [again]),
    ]
    for path, read, commands in targets:
        if only not in path.name:
            continue
        form = FORMS.get(path.suffix)
        values = None if form is None else form[0](path)
        content = {each: each.read_bytes() for each in work.rglob("*") if each.is_file()}
        mutants = []
        for _ in range(count):
            path.write_bytes(mutate(content[path], rng))
            if form is not None and rng.random() < 0.5:
                with contextlib.suppress(Exception):  # what no file of the kind can hold
                    form[1](path, mutate_values(values, rng))
            mutants.append(path.read_bytes())
        path.write_bytes(content[path])
        for first in range(0, count, 50):
            for number, fault in enumerate(_read_each(path, mutants[first : first + 50], read)):
                bad = fault not in ("read", "refused")
                tally.add(fault if bad else "", f"{path.name} {'not allowed' if bad else fault}")
                if bad:
                    kept = base.work / f"bad-{len(tally.bad)}-{path.name}"
                    kept.write_bytes(mutants[first + number])
            if first % 100 == 0:  # a command takes as long as ten reads
                command = commands[first // 100 % len(commands)]
                path.write_bytes(mutants[first])
                outcome = run(*command, prepare=_with_little_memory)
                tally.take(outcome, f"{path.name} {command[0]}", statuses=(0, 1, 2))
            for each, whole in content.items():
                if not each.is_file() or each.read_bytes() != whole:
                    each.write_bytes(whole)
        print(f"  {path.name}: not allowed {len(tally.bad)}", flush=True)
    return tally


def _read_each(path: Path, mutants: Sequence[bytes], read: Callable[[], Any]) -> list[str]:
    """Read mutants of a file in another process; "read", "refused" or a fault for each."""
    with tempfile.TemporaryFile() as found:
        pid = os.fork()
        if pid == 0:
            _with_little_memory()
            told = []
            for mutant in mutants:
                path.write_bytes(mutant)
                try:
                    with contextlib.redirect_stdout(None):
                        read()
                    told.append("read")
                except InputError as error:
                    named = path.name in str(error) or path.parent.name in str(error)
                    told.append("refused" if named else f"{path.name} is not named: {error}")
                except BaseException:
                    told.append(traceback.format_exc()[-2000:])
            os.write(found.fileno(), json.dumps(told).encode())
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        found.seek(0)
        return json.loads(found.read()) if status == 0 else [f"ended with status {status}"]


def _resume(folder: Path) -> list[str]:
    return ["train", "--resume", f"--out={folder}", "--no-evaluate"]


def _with_little_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


# --- random command lines --------------------------------------------------------------------


NUMBERS = ("0", "1", "2", "-1", "3.5", "1e9", "nan", "inf", "-inf", "10000000000000000000000", "")
WORDS = (
    "auto",
    "x",
    "true",
    "[]",
    "[1,2]",
    "{}",
    "null",
    "\udcff",
    "-",
    "--",
    "y",
    "best",
    "ntu60",
)


def command_line(base: Base, rng: random.Random) -> list[str]:
    """Draw a command line: mostly sensible, with a few options that are drawn too."""
    work = base.work / "lines"
    paths = [base.clips, base.run, base.store, base.pretrained, base.clip, work / "new"]
    paths += [base.run / "metrics.json", work / "fifo", "/dev/null", "/dev/full", work / "folder"]
    paths += [
        base.run / "checkpoints" / "best.ckpt",
        "",
        ".",
        work / "name.png",
        work / "name.json",
    ]
    paths += [work / "page.html", work / "name.npz", os.fsdecode(bytes(work) + b"/\xff.html")]
    texts = [str(path) for path in paths]
    command = rng.choice([*COMMANDS, "tables", "train", "prepare"])
    usual = {
        "demo": [
            "--out",
            texts[rng.randrange(len(texts))],
            "--seed",
            rng.choice(("x", "-1", "nan")),
        ],
        "prepare": ["--data=synthetic", f"--root={base.clips}", f"--out={work / 'store'}"],
        "inspect": [str(base.store)],
        "train": [*base.train[1:], f"--out={work / 'run'}", "--trainer.epochs=1", "--aim.epochs=0"],
        "find-lr": [*base.train[1:], "--steps=3"],
        "evaluate": [str(base.run)],
        "predict": [str(base.run), base.clip],
        "import": [texts[rng.randrange(len(texts))], "--from=st-gcn", f"--out={work / 'imported'}"],
        "export": [str(base.run), "--to=pretrained", f"--out={work / 'exported'}"],
        "figures": [str(base.run), "--only", "confusion", f"--out={work / 'figures'}"],
        "report": [str(base.run), f"--out={work / 'page.html'}", "--clips=2"],
        "view": [base.clip, f"--out={work / 'page.html'}"],
        "animate": [base.clip, f"--out={work / 'clip.gif'}"],
        "runs": [str(base.work)],
        "fuse": [str(base.run), str(base.other)],
        "tables": ["links", *base.train[1:], f"--out={work / 'tables'}", "--dry-run"],
    }.get(command, [])
    line = [command, *usual]
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        value = rng.choice([*NUMBERS, *WORDS, *texts])
        kind = rng.random()
        if kind < 0.7:
            option = rng.choice(_options(command))
            line.append(rng.choice((f"{option}={value}", option)))
        elif kind < 0.8 and len(line) > 1:
            del line[rng.randrange(1, len(line))]
        elif kind < 0.9 and len(line) > 1:
            line[rng.randrange(1, len(line))] = value
        else:
            line.append(value)
    return [each.replace("\0", "") for each in line]


@functools.cache
def _options(command: str) -> list[str]:
    """Options of a command, from its help: those that could train for long are left alone."""
    import io

    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        build_parser().parse_args([command, "--help"])
    found = {
        word.strip(",[]") for word in text.getvalue().split() if word.startswith(("--", "[--"))
    }
    return sorted(each for each in found if each != "--help") or ["--unknown"]


def lines(base: Base, count: int, rng: random.Random) -> Tally:
    """Run random command lines over all subcommands."""
    tally = Tally("random command lines")
    work = base.work / "lines"

    def prepare() -> None:
        _with_little_memory()
        resource.setrlimit(resource.RLIMIT_CPU, (60, 60))  # long work is no fault
        os.chdir(work)

    before = {path: path.read_bytes() for path in base.run.rglob("*") if path.is_file()}
    for _ in range(count):
        shutil.rmtree(work, ignore_errors=True)
        (work / "folder").mkdir(parents=True)
        os.mkfifo(work / "fifo")
        line = command_line(base, rng)
        outcome = run(*line, prepare=prepare)
        if outcome.status == -signal.SIGXCPU:
            tally.add("", f"{line[0]} stopped after a minute")
        else:
            # 1: a training that diverged, a learning rate of 1e9 for example
            tally.take(outcome, line[0], statuses=(0, 1, 2))
        if not (work / "fifo").is_fifo() or not Path("/dev/null").is_char_device():
            tally.add("a pipe or a device was replaced", line[0], outcome)
        for path, content in before.items():
            if not path.is_file() or path.read_bytes() != content:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)  # evaluate and report may write there
    return tally


# --- kills, races, full disks, signals -------------------------------------------------------


def summary(folder: Path) -> dict[str, Any]:
    """Return what a training made, without times: equal in every bit after any interruption."""
    found: dict[str, Any] = {}
    for name in ("aim", "best", "last"):
        values = torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)
        state = {**values["state_dict"], **_tensors(values.get("optimizer_states", []))}
        found[name] = {key: _digest(tensor) for key, tensor in state.items()}
    for name in ("metrics.json", "validation.json"):
        if (folder / name).is_file():
            values = json.loads((folder / name).read_text())
            found[name] = {key: each for key, each in values.items() if key != "seconds"}
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    last = {(each["phase"], each["epoch"]): each for each in lines}
    found["history"] = {
        str(key): {name: value for name, value in each.items() if name != "seconds"}
        for key, each in sorted(last.items())
    }
    return found


def _tensors(value: Any, name: str = "optimizer") -> dict[str, torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return {name: value}
    if not isinstance(value, dict | list | tuple):
        return {}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {k: v for key, each in items for k, v in _tensors(each, f"{name}.{key}").items()}


def _digest(tensor: torch.Tensor) -> str:
    return hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()


def kills_of_training(base: Base, count: int, rng: random.Random, workers: int = 0) -> Tally:
    """Kill trainings at random moments and resume them."""
    tally = Tally(f"kills of training, {workers} workers")
    options = [f"--clips.workers={workers}", "--trainer.eval_batch_size=4"]
    whole = base.work / f"whole{workers}"
    started_at = time.monotonic()
    outcome = run(*base.train, *options, f"--out={whole}")
    seconds = time.monotonic() - started_at
    tally.take(outcome, "uninterrupted", statuses=(0,))
    expected, folder, kills = summary(whole), base.work / f"killed{workers}", 0
    while kills < count:
        shutil.rmtree(folder, ignore_errors=True)
        while True:
            begun = (folder / "config.yaml").is_file()
            command = ["train", "--resume"] if begun else [*base.train, *options]
            after = rng.uniform(0, seconds * rng.choice((0.2, 1.0)))
            if kills >= count:
                after = SECONDS
            outcome = (
                killed([*command, f"--out={folder}"], after)
                if kills < count
                else run(*command, f"--out={folder}")
            )
            if outcome.status != -signal.SIGKILL:
                tally.take(outcome, "to the end", statuses=(0,))
                break
            kills += 1
            tally.add("", "killed")
        same = outcome.status == 0 and summary(folder) == expected
        left = [] if outcome.status else [p for p in folder.rglob(".*")]
        tally.add("" if same else "not bit for bit", "compared", outcome)
        tally.add("" if not left else f"left {left}", "no leftovers", outcome)
    return tally


def content(folder: Path) -> dict[str, str]:
    """Return the files of a folder by checksum."""
    return {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in folder.iterdir()}


def kills_of_prepare(base: Base, count: int, rng: random.Random, workers: int = 0) -> Tally:
    """Kill prepare at random moments: new, in the place of a store, behind a link."""
    tally = Tally(f"kills of prepare, {workers} workers")
    place = base.work / f"stores{workers}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    mark = f"ASGCN_CAMPAIGN={os.getpid()}-{workers}"
    os.environ["ASGCN_CAMPAIGN"] = mark.partition("=")[2]
    new, old = place / "new", place / "old"
    begun = time.monotonic()
    for out, root in ((new, base.more), (old, base.clips)):
        command = ["prepare", "--data=synthetic", f"--root={root}", f"--workers={workers}"]
        tally.take(run(*command, f"--out={out}"), "uninterrupted", statuses=(0,))
    seconds, expected = (time.monotonic() - begun) / 2, (content(new), content(old))
    kills = rounds = 0
    while kills < count or rounds < 3:
        kind = ("new", "overwrite", "link")[rounds % 3]
        rounds += 1
        for each in place.iterdir():
            if each not in (new, old):
                each.unlink() if each.is_symlink() or each.is_file() else shutil.rmtree(each)
        out = place / "store"
        if kind == "link":
            (place / "disk").mkdir()
            shutil.copytree(old, place / "disk" / "real")
            out.symlink_to(Path("disk") / "real")
        elif kind == "overwrite":
            shutil.copytree(old, out)
        command = ["prepare", "--data=synthetic", f"--root={base.more}", f"--workers={workers}"]
        command += [f"--out={out}", *([] if kind == "new" else ["--overwrite"])]
        while True:
            last = kills >= max(1, count * min(rounds, 3) // 3)
            after = rng.uniform(0, seconds * rng.choice((0.5, 1.1)))
            outcome = run(*command) if last else killed(command, after)
            if outcome.status != -signal.SIGKILL:
                tally.take(outcome, f"{kind} to the end", statuses=(0,))
                break
            kills += 1
            fault = ""
            try:
                if out.exists():
                    open_store(out).verify()
                    fault = "" if content(out) in expected else "neither the old nor the new"
                elif kind != "new":
                    fault = "no store"
            except InputError as error:
                fault = str(error)
            tally.add(fault, f"{kind} killed", outcome)
        same = out.is_dir() and content(out) == expected[0]
        tally.add("" if same else "not bit for bit", "compared", outcome)
        real = Path(os.path.realpath(out))
        beside = [each.name for each in real.parent.iterdir() if each.name.startswith(".")]
        linked = kind != "link" or out.is_symlink()
        tally.add("" if linked and not beside else f"left {beside}", "no leftovers", outcome)
        deadline = time.monotonic() + 60
        while orphans(mark) and time.monotonic() < deadline:
            time.sleep(0.1)
        tally.add("" if not orphans(mark) else "workers outlive it", "workers ended", outcome)
    return tally


def races(base: Base, count: int, rng: random.Random) -> Tally:
    """Give two commands at one folder at a time."""
    tally = Tally("races")
    whole = base.work / "whole_race"
    assert run(*base.train, f"--out={whole}").status == 0
    expected = summary(whole)
    place = base.work / "race"
    for number in range(count):
        kind = ("train", "resume", "evaluate", "prepare", "replace")[number % 5]
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        folder = place / "run"
        train = [*base.train, f"--out={folder}"]
        store = ["prepare", "--data=synthetic", f"--root={base.more}", f"--out={place / 'store'}"]
        if kind in ("resume", "evaluate"):
            killed(train, rng.uniform(0.5, 2.0)) if kind == "resume" else run(*train)
        resume = ["train", "--resume", f"--out={folder}"]
        if kind == "replace":
            assert run(*store[:2], f"--root={base.clips}", store[3]).status == 0
        begun = (folder / "config.yaml").is_file()
        pair = {
            "train": (train, train),
            "resume": (resume, resume) if begun else (train, train),
            "evaluate": (["evaluate", str(folder)], resume),
            "prepare": (store, store),
            "replace": (
                [
                    "train",
                    "--data=synthetic",
                    f"--root={place / 'store'}",
                    *TINY,
                    f"--out={folder}",
                ],
                [*store, "--overwrite"],
            ),
        }[kind]
        with started(pair[0]) as first:
            time.sleep(rng.choice((0, rng.uniform(0, 1.5))))
            with started(pair[1]) as second:
                outcomes = (first(), second())
        for outcome in outcomes:
            tally.take(outcome, kind)
        if not any(outcome.status == 0 for outcome in outcomes):
            tally.add("neither came through", kind, outcomes[0])
        if kind in ("train", "resume", "evaluate"):
            same = summary(folder) == expected
            tally.add("" if same else "not bit for bit", f"{kind} compared", outcomes[1])
        elif kind == "prepare":
            open_store(place / "store").verify()
    return tally


def full_disks(base: Base, count: int, rng: random.Random) -> Tally:
    """Let files grow to so many bytes only, as on a full disk; then make room and go on."""
    tally = Tally("full disks")
    whole = base.work / "whole_full"
    assert run(*base.train, f"--out={whole}").status == 0
    expected, place = summary(whole), base.work / "full"
    sizes = [int(200 * 4000 ** (number / max(1, count - 1))) for number in range(count)]
    for size in sizes:

        def prepare(size: int = size) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        folder, store = place / "run", place / "store"
        made = ["prepare", "--data=synthetic", f"--root={base.clips}", f"--out={store}"]
        for command in (
            [*base.train, f"--out={folder}"],
            made,
            ["predict", str(base.run), base.clip, f"--out={place / 'one.json'}"],
            ["report", str(base.run), f"--out={place / 'page.html'}", "--clips=2"],
            ["fuse", str(base.run), str(base.other), f"--out={place / 'fused.json'}"],
        ):
            tally.take(run(*command, prepare=prepare), command[0])
        for name in ("one.json", "page.html", "fused.json"):
            if (place / name).is_file() and name.endswith("json"):
                json.loads((place / name).read_text())  # whole
        begun = (folder / "config.yaml").is_file()
        again = (
            ["train", "--resume", f"--out={folder}"]
            if begun
            else [
                *base.train,
                f"--out={folder}",
            ]
        )
        tally.take(run(*again), "with room", statuses=(0,))
        same = summary(folder) == expected
        tally.add("" if same else "not bit for bit", "compared")
        if not store.exists():
            tally.take(run(*made), "with room", statuses=(0,))
        open_store(store).verify()
    return tally


def signals(base: Base, count: int, rng: random.Random) -> Tally:
    """Interrupt and terminate commands at random moments."""
    tally = Tally("signals")
    place = base.work / "signalled"
    for number in range(count):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        which = (signal.SIGINT, signal.SIGTERM)[number % 2]
        command = (
            [*base.train, f"--out={place / 'run'}"],
            ["prepare", "--data=synthetic", f"--root={base.more}", f"--out={place / 'store'}"],
            [*base.train, f"--out={place / 'run'}", "--clips.workers=2"],
            ["report", str(base.run), f"--out={place / 'page.html'}"],
        )[number // 2 % 4]
        outcome = killed(command, rng.uniform(0.3, 2.5), which)
        # -15: before the command begins or after its end, which a shell calls 143 too
        ended = -signal.SIGTERM if which == signal.SIGTERM else 0
        tally.take(outcome, f"{which.name} {command[0]}", statuses=(0, 128 + which, ended))
    return tally


PARTS: dict[str, Callable[[Base, int, random.Random], list[Tally]]] = {
    "damaged": lambda base, count, rng: [damage(base, count, rng)],
    "lines": lambda base, count, rng: [lines(base, count, rng)],
    "kills": lambda base, count, rng: [
        part(base, count // 2, rng, workers)
        for part in (kills_of_training, kills_of_prepare)
        for workers in (0, 2)
    ],
    "races": lambda base, count, rng: [races(base, count, rng)],
    "full": lambda base, count, rng: [full_disks(base, count, rng)],
    "signals": lambda base, count, rng: [signals(base, count, rng)],
}
COUNTS = {"damaged": 1000, "lines": 1000, "kills": 100, "races": 20, "full": 20, "signals": 40}


def campaign(counts: dict[str, int], seed: int = 0, work: Path | None = None) -> list[Tally]:
    """Run the parts that have a count."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        base = Base(work or Path(name))
        base.work.mkdir(parents=True, exist_ok=True)
        base.make()
        found = []
        for part, count in counts.items():
            begun = time.monotonic()
            for tally in PARTS[part](base, count, random.Random(f"{seed} {part}")) if count else ():
                print(f"{tally} ({time.monotonic() - begun:.0f} s)", flush=True)
                found.append(tally)
        return found


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="a folder that does not exist yet, and is kept")
    for part, count in COUNTS.items():
        parser.add_argument(f"--{part}", type=int, help=f"how many; {count}, or 0 beside others")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    options = parse()
    given = {part: getattr(options, part) for part in PARTS if getattr(options, part) is not None}
    tallies = campaign(given or COUNTS, options.seed, options.work)
    sys.exit(any(tally.bad for tally in tallies))
