"""The command ``asgcn-dgl``: from recordings to trained models, and to pictures of what they do.

Nothing heavy is imported before a command runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple

from asgcn_dgl import __version__
from asgcn_dgl.errors import InputError
from asgcn_dgl.experiments.grids import TABLE_NAMES
from asgcn_dgl.training.allocator import reuse_memory
from asgcn_dgl.training.config import RunConfig, packaged_config, packaged_configs, read_yaml
from asgcn_dgl.training.errors import DivergenceError
from asgcn_dgl.training.units import UnitName

try:
    from jsonargparse import ActionYesNo, ArgumentError, ArgumentParser, Namespace
except ImportError as error:
    raise ImportError(
        "the command needs the extra 'train': pip install 'asgcn_dgl[train]'"
    ) from error

__all__ = ["build_parser", "main", "train_config"]

logger = logging.getLogger(__name__)

USAGE_ERROR = 2
FAILURE = 1
INTERRUPTED = 130


_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    What the user can mend (an option, a file, a folder) gives one line on standard error and
    status 2; a training that diverged gives one line and status 1, one that was interrupted 130.
    """
    try:
        options = build_parser().parse_args(arguments, defaults=False)
        if options.get("allocator") != "default":
            reuse_memory()
        return _COMMANDS[options.command].run(options[options.command])
    except (ArgumentError, InputError) as error:
        return _report(error, USAGE_ERROR)
    except BrokenPipeError:  # who read our output has had enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except OSError as error:
        if error.filename is None and error.errno not in _DISK_ERRORS:
            raise  # neither about a file nor about the disk: a mistake of ours
        place = "the output folder" if error.filename is None else error.filename
        return _report(f"{place}: {error.strerror}", USAGE_ERROR)
    except DivergenceError as error:
        return _report(error, FAILURE)
    except KeyboardInterrupt:
        return _report(
            "interrupted; a training goes on with 'asgcn-dgl train --resume --out RUN_DIR'",
            INTERRUPTED,
        )


def _report(error: object, status: int) -> int:
    print(f"asgcn-dgl: error: {' '.join(str(error).split())}", file=sys.stderr)
    return status


def build_parser() -> ArgumentParser:
    """Make the parser of all commands."""
    parser = ArgumentParser(
        prog="asgcn-dgl",
        description="Actional-structural graph convolutions: recognise what a skeleton does, and "
        "predict how it goes on.",
        version=__version__,
        allow_abbrev=False,
        exit_on_error=False,
    )
    parser.add_argument(
        "--allocator",
        type=Literal["reusing", "default"],
        default="reusing",
        help="Whether memory of large tensors is kept for reuse (glibc only; faster on a CPU, at a "
        "higher memory) or left to the C library.",
    )
    commands = parser.add_subcommands(required=True, dest="command")
    for name, command in _COMMANDS.items():
        commands.add_subcommand(name, command.parser(), help=command.help)
    return parser


def _parser(description: str) -> ArgumentParser:
    """Make the parser of a subcommand: its mistakes are raised, and options are spelt out."""
    return ArgumentParser(description=description, allow_abbrev=False, exit_on_error=False)


def demo_parser() -> ArgumentParser:
    """Make the parser of ``demo``."""
    parser = _parser(
        "Write a synthetic set of .skeleton files, train on it with A-links and "
        "without, evaluate on subjects not seen in training, and draw what was learnt. Takes a few "
        "minutes."
    )
    parser.add_argument("--out", type=str, default="runs/demo", help="Folder for everything.")
    parser.add_argument("--seed", type=int, default=0, help="Seed of the data and the training.")
    return parser


def prepare_parser() -> ArgumentParser:
    """Make the parser of ``prepare``."""
    parser = _parser(
        "Read recordings of any format once and write them to a store, from which "
        "'train --root STORE' reads many times as fast. What is done is kept when the work is "
        "interrupted: the same command goes on."
    )
    parser.add_argument("--data", type=str, required=True, help="Format or set, by name.")
    parser.add_argument("--root", type=str, required=True, help="Folder or file to read.")
    parser.add_argument("--out", type=str, required=True, help="Folder of the store.")
    parser.add_argument(
        "--options", type=dict[str, Any], default={}, help="Options of the format, by name."
    )
    parser.add_argument(
        "--workers", type=int, default=0, help="Processes that read; 0: none but this one."
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="Replace a store that is there already."
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="Stop at a recording that cannot be used, instead of leaving it out and saying so.",
    )
    return parser


def inspect_parser() -> ArgumentParser:
    """Make the parser of ``inspect``."""
    parser = _parser(
        "Count what a store holds by class, split, bodies and frames; measure missing "
        "joints and bones; name clips that may be spoilt."
    )
    parser.add_argument("store", type=str, help="Folder of a store.")
    parser.add_argument("--verify", action="store_true", help="Compare all checksums first.")
    parser.add_argument("--json", type=str, default=None, help="Also write all of it to this file.")
    parser.add_argument(
        "--plot", type=int, default=None, help="Draw the recording of this number, from 0."
    )
    parser.add_argument(
        "--out", type=str, default=None, help="File of the drawing. Left out: STORE-N.png."
    )
    _add_up(parser)
    return parser


def train_parser() -> ArgumentParser:
    """Make the parser of ``train``."""
    parser = _parser(
        "Warm up the A-link inference module, train recognition and prediction "
        "jointly, and evaluate. Options come from the defaults below, then from the configuration, "
        "then from the command line."
    )
    _add_config(parser)
    parser.add_argument(
        "--out", type=str, default=None, help="Folder of the run. Left out: runs/DATA-1, -2, ..."
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="Go on with the run in --out, which keeps its own configuration.",
    )
    parser.add_argument(
        "--evaluate",
        action=ActionYesNo(no_prefix="no-"),
        default=True,
        help="Read the test clips once, at the end.",
    )
    parser.add_argument(
        "--early-stop",
        type=int | None,
        default=None,
        help="End joint training after so many validations without a better one "
        "(trainer.early_stop).",
    )
    parser.add_class_arguments(RunConfig, as_group=False)
    return parser


def _add_config(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=str,
        default=None,
        help="Configuration: a YAML file, or one of the package's "
        f"({', '.join(packaged_configs())}). Left out: that of the data set.",
    )


def find_lr_parser() -> ArgumentParser:
    """Make the parser of ``find-lr``."""
    parser = _parser(
        "Train jointly for some steps while the learning rate rises, and say at which "
        "the loss falls fastest. Takes the options of train; keeps nothing of what it trained."
    )
    _add_config(parser)
    parser.add_argument("--lowest", type=float, default=1e-4, help="First learning rate.")
    parser.add_argument("--highest", type=float, default=2.0, help="Last learning rate.")
    parser.add_argument("--steps", type=int, default=100, help="Steps of the optimiser, at most.")
    parser.add_argument("--out", type=str, default=None, help="Also write all steps here, as JSON.")
    parser.add_class_arguments(RunConfig, as_group=False)
    return parser


def tables_parser() -> ArgumentParser:
    """Make the parser of ``tables``."""
    parser = _parser(
        "Train and evaluate all that one of the paper's tables compares, each a run "
        "folder below --out, and write the table as Markdown and JSON. What is done is kept: the "
        "same command goes on after an interruption, and tables share the runs they have in "
        "common."
    )
    parser.add_argument("table", type=Literal[TABLE_NAMES], help="Which table.")
    _add_config(parser)
    parser.add_argument("--out", type=str, required=True, help="Folder of the runs and tables.")
    parser.add_argument("--seeds", type=int, default=3, help="Runs of each cell: seeds 0, 1, ...")
    parser.add_argument(
        "--split",
        type=Literal["test", "validation"],
        default="test",
        help="Clips whose accuracy the table shows; with validation the test clips are not read.",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="List the runs and what is done; train nothing."
    )
    parser.add_argument(
        "--at-once",
        type=int,
        default=1,
        help="Runs that are trained at the same time, each on its share of the cores.",
    )
    parser.add_class_arguments(RunConfig, as_group=False)
    return parser


def evaluate_parser() -> ArgumentParser:
    """Make the parser of ``evaluate``."""
    parser = _parser(
        "Score the test clips with a run's checkpoint; writes metrics.json and scores.npz."
    )
    _add_run_dir(parser)
    _add_root(parser)
    parser.add_argument(
        "--clips",
        type=int | None,
        default=None,
        help="Choices of frames of each clip whose probabilities are averaged; 10 is usual in the "
        "field. Left out: the run's clips.num_clips.",
    )
    _add_checkpoint(parser)
    return parser


def predict_parser() -> ArgumentParser:
    """Make the parser of ``predict``."""
    parser = _parser(
        "Class probabilities and future poses of raw files: NTU .skeleton, NW-UCLA "
        "and Kinetics-Skeleton .json, BVH, UTKinect's and motion capture's .txt, own .npz, .csv "
        "and .parquet."
    )
    parser.add_argument("run_dir", type=str, help="Folder of a run, or a checkpoint file.")
    parser.add_argument("files", type=str, nargs="+", help="Files of the set's format.")
    parser.add_argument(
        "--out", type=str, default=None, help="Also write the result here: a .json or an .npz file."
    )
    parser.add_argument(
        "--options",
        type=dict[str, Any],
        default={},
        help="Options of the files' format. Left out: those that the model's store was prepared "
        "with.",
    )
    parser.add_argument("--top", type=int, default=3, help="Classes to print for each file.")
    _add_checkpoint(parser)
    return parser


def figures_parser() -> ArgumentParser:
    """Make the parser of ``figures``."""
    parser = _parser(
        "Draw the figures of an evaluated run, among them the paper's figures 3, 8, 9 and 10."
    )
    _add_run_dir(parser)
    parser.add_argument(
        "--out", type=str, default=None, help="Folder of the figures. Left out: RUN_DIR/figures."
    )
    parser.add_argument(
        "--width",
        type=Literal["page", "column"],
        default="page",
        help="Lay the figures out for the width of a page of two columns, or for one column.",
    )
    parser.add_argument(
        "--format", type=Literal["png", "pdf", "svg"], default="png", help="Kind of file."
    )
    parser.add_argument(
        "--only",
        type=str,
        nargs="+",
        default=None,
        help="Figures to draw, by name: fig3, fig8, fig9, fig10 or one of those that are drawn "
        "without this option.",
    )
    parser.add_argument(
        "--baseline", type=str, default=None, help="Folder of a run on the same clips to compare."
    )
    parser.add_argument(
        "--clip", type=str, default=None, help="Test clip to draw. Left out: a typical one."
    )
    parser.add_argument(
        "--actions",
        type=str,
        nargs="+",
        default=None,
        help="Actions to draw side by side. Left out: those whose A-links differ most.",
    )
    parser.add_argument(
        "--joint", type=str, default=None, help="Joint whose links are drawn. Left out: a hand."
    )
    parser.add_argument(
        "--pose",
        type=Literal["drawing", "real"],
        default="drawing",
        help="Draw links on the skeleton's drawing pose, or on recorded poses.",
    )
    parser.add_argument(
        "--threshold", type=float, default=0.9, help="Draw A-links of a higher probability."
    )
    _add_up(parser)
    _add_unit(parser)
    _add_root(parser)
    _add_checkpoint(parser)
    return parser


def report_parser() -> ArgumentParser:
    """Make the parser of ``report``."""
    parser = _parser(
        "Write an evaluated run, or two beside each other, as one HTML page that opens from disk: "
        "figures, curves and confusions, and the test clips in motion with A-links, feature "
        "responses and predicted poses."
    )
    _add_run_dir(parser)
    parser.add_argument(
        "other", type=str | None, nargs="?", default=None, help="Folder of a run to compare with."
    )
    parser.add_argument(
        "--out", type=str, default=None, help="The page. Left out: RUN_DIR/report.html."
    )
    parser.add_argument(
        "--clips", type=int, default=200, help="Test clips to carry with their motion, at most."
    )
    _add_up(parser)
    _add_unit(parser)
    _add_root(parser)
    _add_checkpoint(parser)
    return parser


def view_parser() -> ArgumentParser:
    """Make the parser of ``view``."""
    parser = _parser("Write raw clips as one HTML page that shows them in motion, without a model.")
    parser.add_argument("files", type=str, nargs="+", help="Files, or folders of stores.")
    parser.add_argument("--out", type=str, default="view.html", help="The page.")
    parser.add_argument(
        "--data",
        type=str,
        default=None,
        help="Format or set of the files, by name. Left out: told by each file.",
    )
    parser.add_argument(
        "--options", type=dict[str, Any], default={}, help="Options of the format, by name."
    )
    parser.add_argument("--clips", type=int, default=200, help="Clips to show, at most.")
    _add_up(parser)
    return parser


def animate_parser() -> ArgumentParser:
    """Make the parser of ``animate``."""
    parser = _parser(
        "Write a clip as a GIF or an MP4: a raw one, or one of a run with its A-links "
        "and predicted poses."
    )
    parser.add_argument("source", type=str, help="Folder of a run or of a store, or a file.")
    parser.add_argument("--clip", type=str, default=None, help="Name of the clip.")
    parser.add_argument("--data", type=str, default=None, help="Format of a raw file, by name.")
    parser.add_argument(
        "--options", type=dict[str, Any], default={}, help="Options of the format, by name."
    )
    parser.add_argument("--out", type=str, required=True, help="A .gif or .mp4 file.")
    parser.add_argument(
        "--threshold", type=float, default=0.9, help="Draw A-links of a higher probability."
    )
    parser.add_argument(
        "--links", action=ActionYesNo(no_prefix="no-"), default=True, help="Draw A-links."
    )
    parser.add_argument("--rate", type=float, default=30.0, help="Frames a second.")
    _add_up(parser)
    _add_root(parser)
    _add_checkpoint(parser)
    return parser


def runs_parser() -> ArgumentParser:
    """Make the parser of ``runs``."""
    parser = _parser("List the runs in a folder, and all below it, with their figures.")
    parser.add_argument("folder", type=str, nargs="?", default="runs", help="Where to look.")
    return parser


def fuse_parser() -> ArgumentParser:
    """Make the parser of ``fuse``."""
    parser = _parser(
        "Add up the class probabilities of several evaluated runs on the same clips, "
        "as published results of several streams do."
    )
    parser.add_argument("runs", type=str, nargs="+", help="Folders of the runs.")
    parser.add_argument(
        "--weights",
        type=list[float] | None,
        default=None,
        help="A weight for each run, as [2,1]. Left out: 1 for what sees motions alone, 2 for what "
        "sees joints or bones.",
    )
    parser.add_argument(
        "--choose-weights",
        action="store_true",
        help="Choose the weights on the clips that the runs held out of the training clips.",
    )
    parser.add_argument(
        "--out", type=str, default=None, help="Also write the result here, as JSON."
    )
    return parser


def _add_run_dir(parser: ArgumentParser) -> None:
    parser.add_argument("run_dir", type=str, help="Folder of a run.")


def _add_up(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--up",
        type=str,
        default=None,
        help="Axis of the recordings that points up: y, -y, z, ... Left out: that of the layout's "
        "spine, else y as the picture has it.",
    )


def _add_unit(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--unit",
        type=UnitName | None,
        default=None,
        help="Unit of the recordings' coordinates, in which errors are told in mm: m, cm or mm, or "
        "none. Left out: metres for the sets whose readers give metres, else none.",
    )


def _add_root(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--root", type=str, default=None, help="Folder of the set, if it has moved."
    )


def _add_checkpoint(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint",
        type=Literal["auto", "best", "last"],
        default="auto",
        help="Which checkpoint; auto: the best on validation, or the last where there is none.",
    )


def train_config(options: Mapping[str, Any], command: str = "train") -> RunConfig:
    """Put together the options of a run: the configuration, then what the command line says.

    Parameters
    ----------
    options
        What was given on the command line, and nothing else.
    command
        The subcommand, for messages.

    Raises
    ------
    InputError
        If an option is missing, unknown, of the wrong type, or breaks its rule.
    """
    known = RunConfig.__dataclass_fields__
    given = {key: value for key, value in options.items() if key in known}
    config = options.get("config")
    base: Mapping[str, Any] = {}
    if config is not None:
        packaged = packaged_config(config)
        base = read_yaml(config) if packaged is None else packaged
    elif "data" in given:
        found = packaged_config(given["data"])
        if found is None:
            logger.warning(
                "there is no configuration for %s: what is not said has the defaults of "
                "'asgcn-dgl %s --help'; '--config modern' is a recipe for any set",
                given["data"],
                command,
            )
        base = found or {}
    merged = _merged(base, given)
    for name in ("data", "root"):
        if name not in merged:
            raise InputError(f"{command} needs --{name}; see 'asgcn-dgl {command} --help'")
    try:
        return _checked(merged, None)
    except InputError:
        if config is not None:  # a mistake of the file is told with its name
            _checked({"data": merged["data"], "root": merged["root"], **base}, config)
        raise


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with the values of ``over`` in it, section by section."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            value = _merged(old, value)
        merged[key] = value
    return merged


def _checked(values: Mapping[str, Any], source: str | None) -> RunConfig:
    """Check types with the parser, rules with the config, and build it."""
    parser = _parser("")
    parser.add_class_arguments(RunConfig, as_group=False)
    try:
        return RunConfig.from_dict(parser.parse_object(values).as_dict())
    except (ArgumentError, TypeError, ValueError) as error:
        raise InputError(f"{source}: {error}" if source else str(error)) from error


def _train(options: Namespace) -> int:
    from asgcn_dgl.training.files import RunDir, next_run_dir
    from asgcn_dgl.training.run import train

    given = options.as_dict()
    resume = bool(given.get("resume"))
    out = given.get("out")
    if given.get("early_stop") is not None:
        given = _merged(given, {"trainer": {"early_stop": given["early_stop"]}})
    if resume:
        if out is None:
            raise InputError("--resume needs --out, the folder of the run to go on with")
        if "config" in given:
            raise InputError("--config does not go with --resume: a run keeps its configuration")
        over = {k: v for k, v in given.items() if k in RunConfig.__dataclass_fields__}
        base = RunDir(Path(out)).read_config().to_dict()
        config = _checked(_merged(base, over), None)
    else:
        config = train_config(given)
    folder = Path(out) if out is not None else next_run_dir(config.data)
    train(config, folder, resume=resume, test=given.get("evaluate", True))
    return 0


def _evaluate(options: Namespace) -> int:
    from asgcn_dgl.training.evaluate import evaluate

    given = options.as_dict()
    evaluate(
        Path(given["run_dir"]),
        checkpoint=given.get("checkpoint", "auto"),
        root=given.get("root"),
        num_clips=given.get("clips"),
    )
    return 0


def _find_lr(options: Namespace) -> int:
    from asgcn_dgl.training.lr_finder import find_lr

    given = options.as_dict()
    own = {key: given[key] for key in ("lowest", "highest", "steps", "out") if key in given}
    find_lr(train_config(given, "find-lr"), **own)
    return 0


def _tables(options: Namespace) -> int:
    from asgcn_dgl.experiments.tables import make_table

    given = options.as_dict()
    make_table(
        given["table"],
        train_config(given, "tables"),
        Path(given["out"]),
        seeds=given.get("seeds", 3),
        split=given.get("split", "test"),
        dry_run=given.get("dry_run", False),
        at_once=given.get("at_once", 1),
    )
    return 0


def _predict(options: Namespace) -> int:
    from asgcn_dgl.training.predict import predict

    given = options.as_dict()
    out = given.get("out")
    predict(
        Path(given["run_dir"]),
        [Path(file) for file in given["files"]],
        out=None if out is None else Path(out),
        top=given.get("top", 3),
        checkpoint=given.get("checkpoint", "auto"),
        options=given.get("options"),
    )
    return 0


def _prepare(options: Namespace) -> int:
    from tqdm import tqdm

    from asgcn_dgl.data import prepare
    from asgcn_dgl.data.formats.registry import open_source

    given = options.as_dict()
    if given.get("workers", 0) < 0:
        raise InputError(f"--workers must be 0 or more, got {given['workers']}")
    source = open_source(given["data"], given["root"], **given.get("options", {}))
    # disable=None: no bar where standard error is no terminal
    with tqdm(total=len(source), desc="preparing", unit="clip", disable=None) as bar:
        summary = prepare(
            source,
            given["out"],
            workers=given.get("workers", 0),
            overwrite=given.get("overwrite", False),
            strict=given.get("strict", False),
            progress=lambda done, of: bar.update(done - bar.n),
        )
    print(f"{given['out']}: {summary}")
    return 0


def _inspect(options: Namespace) -> int:
    from tqdm import tqdm

    from asgcn_dgl.data import open_store
    from asgcn_dgl.data.survey import survey
    from asgcn_dgl.files import write_json

    given = options.as_dict()
    store = open_store(given["store"])
    number = given.get("plot")
    if number is not None and not 0 <= number < len(store):
        raise InputError(f"--plot must be from 0 to {len(store) - 1}, got {number}")
    if given.get("verify", False):
        store.verify()
        print("all checksums agree")
    with tqdm(total=len(store), desc="looking", unit="clip", leave=False, disable=None) as bar:
        found = survey(store, lambda done, of: bar.update(done - bar.n))
    if store.origin is not None:
        print(f"read as {store.origin}")
    print(found)
    if given.get("json") is not None:
        origin = None if store.origin is None else store.origin.to_dict()
        write_json(given["json"], {"origin": origin, **found.to_dict()})
    if number is not None:
        from asgcn_dgl.experiments.report import draw_clip
        from asgcn_dgl.viz import save_figure

        out = given.get("out") or f"{store.path.name}-{number}.png"
        figure = draw_clip(store.read(number), store.class_names, given.get("up"))
        print(f"drawn: {save_figure(figure, out)}")
    return 0


def _figures(options: Namespace) -> int:
    _need_viz()
    from asgcn_dgl.experiments.figures import Choice, draw_figures
    from asgcn_dgl.viz.figure import COLUMN_WIDTH, PAGE_WIDTH

    given = options.as_dict()
    draw_figures(
        given["run_dir"],
        given.get("out"),
        only=given.get("only"),
        suffix=given.get("format", "png"),
        baseline=given.get("baseline"),
        choice=Choice(
            given.get("clip"),
            given.get("actions"),
            given.get("joint"),
            given.get("pose") == "real",
            given.get("threshold", 0.9),
            given.get("unit"),
            COLUMN_WIDTH if given.get("width") == "column" else PAGE_WIDTH,
            given.get("up"),
        ),
        checkpoint=given.get("checkpoint", "auto"),
        root=given.get("root"),
    )
    return 0


def _report_run(options: Namespace) -> int:
    _need_viz()
    from asgcn_dgl.experiments.report import report

    given = options.as_dict()
    page = report(
        given["run_dir"],
        given.get("out"),
        other=given.get("other"),
        clips=given.get("clips", 200),
        checkpoint=given.get("checkpoint", "auto"),
        root=given.get("root"),
        unit=given.get("unit"),
        up=given.get("up"),
    )
    print(f"written: {page} ({page.stat().st_size / 1e6:.1f} MB); open it in a browser")
    return 0


def _view(options: Namespace) -> int:
    _need_viz()
    from asgcn_dgl.experiments.report import read_raw, view

    given = options.as_dict()
    clips, found = read_raw(
        given["files"], given.get("data"), given.get("options"), given.get("clips", 200)
    )
    page = view(clips, given.get("out", "view.html"), up=given.get("up"))
    more = "" if found == len(clips) else f"{len(clips)} of {found} clips, more with --clips; "
    print(f"written: {page} ({more}{page.stat().st_size / 1e6:.1f} MB); open it in a browser")
    return 0


def _animate(options: Namespace) -> int:
    _need_viz()
    from asgcn_dgl.experiments.report import moving_picture

    given = options.as_dict()
    written = moving_picture(
        given["source"],
        given["out"],
        clip=given.get("clip"),
        data=given.get("data"),
        options=given.get("options"),
        threshold=given.get("threshold", 0.9),
        links=given.get("links", True),
        rate=given.get("rate", 30.0),
        up=given.get("up"),
        checkpoint=given.get("checkpoint", "auto"),
        root=given.get("root"),
    )
    print(f"written: {written}")
    return 0


def _need_viz() -> None:
    """Say which extra is missing, in a line."""
    missing = [name for name in ("matplotlib", "plotly") if find_spec(name) is None]
    if missing:
        raise InputError(f"this needs {missing[0]}: pip install 'asgcn_dgl[viz]'")


def _runs(options: Namespace) -> int:
    from asgcn_dgl.training.compare import list_runs, runs_table

    print(runs_table(list_runs(options.as_dict().get("folder", "runs"))))
    return 0


def _fuse(options: Namespace) -> int:
    from asgcn_dgl.training.compare import fuse

    given = options.as_dict()
    result = fuse(
        given["runs"],
        given.get("weights"),
        given.get("out"),
        choose=given.get("choose_weights", False),
    )
    if "validation_top1" in result:
        print(f"weights chosen on {result['validation_clips']} held-out clips: "
              f"{result['validation_top1']:.2f} % there")  # fmt: skip
    for run in result["runs"]:
        print(f"{run['top1']:6.2f} %  weight {run['weight']:g}  {run['stream']}  {run['run']}")
    low, high = result["intervals"]["top1"]
    print(f"{result['top1']:6.2f} %  fused ({result['clips']} clips, 95 % interval {low:.1f} to "
          f"{high:.1f}, mean class {result['mean_class']:.2f} %)")  # fmt: skip
    return 0


def _demo(options: Namespace) -> int:
    from asgcn_dgl.experiments.demo import demo

    given = options.as_dict()
    demo(Path(given.get("out", "runs/demo")), seed=given.get("seed", 0))
    return 0


class _Command(NamedTuple):
    run: Callable[[Namespace], int]
    parser: Callable[[], ArgumentParser]
    help: str


_COMMANDS = {
    "demo": _Command(_demo, demo_parser, "Train, evaluate and draw on generated data."),
    "prepare": _Command(_prepare, prepare_parser, "Make a store of recordings of any format."),
    "inspect": _Command(_inspect, inspect_parser, "Look at what a store holds."),
    "train": _Command(_train, train_parser, "Train on a data set."),
    "find-lr": _Command(_find_lr, find_lr_parser, "Look for a learning rate."),
    "evaluate": _Command(_evaluate, evaluate_parser, "Score the test clips of a run."),
    "predict": _Command(_predict, predict_parser, "Use a trained model on raw files."),
    "figures": _Command(_figures, figures_parser, "Draw the figures of a run."),
    "report": _Command(
        _report_run, report_parser, "Write a run as one HTML page, with its clips in motion."
    ),
    "view": _Command(_view, view_parser, "Write raw clips as one HTML page."),
    "animate": _Command(_animate, animate_parser, "Write a clip as a GIF or MP4."),
    "runs": _Command(_runs, runs_parser, "List runs with their figures."),
    "fuse": _Command(_fuse, fuse_parser, "Add up the scores of several streams."),
    "tables": _Command(_tables, tables_parser, "Make the paper's tables on a set."),
}

if __name__ == "__main__":
    sys.exit(main())
