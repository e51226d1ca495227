"""What the subcommands of ``asgcn-dgl`` do.

The signature of a function is its command line: parameters are positional arguments, keyword-only
parameters are options, and an annotation holds the type and the help. ``run`` is the options of a
run, with where each is from. Nothing heavy is imported before a command runs.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from asgcn_dgl.errors import InputError
from asgcn_dgl.experiments.grids import TableName
from asgcn_dgl.training.config import RunConfig, packaged_config, read_yaml
from asgcn_dgl.training.sources import COMMAND_LINE, Layer, Sources
from asgcn_dgl.training.units import UnitName

__all__ = ["COMMANDS", "RUN_OPTIONS", "run_options"]

logger = logging.getLogger(__name__)

RunDirectory = Annotated[str, "Folder of a run."]
Root = Annotated[str | None, "Folder of the set, if it has moved."]
Checkpoint = Annotated[
    Literal["auto", "best", "last"],
    "Which checkpoint; auto: the best on validation, or the last where there is none.",
]
FormatOptions = Annotated[dict[str, Any] | None, "Options of the format, by name."]
Unit = Annotated[
    UnitName | None,
    "Unit of the recordings' coordinates: m, cm or mm, to report errors in mm, px for pixels, or "
    "none. Left out: meters for the sets whose readers give meters, else none.",
]
Threshold = Annotated[float, "Draw A-links of a higher probability."]
Up = Annotated[
    str | None,
    "Axis of the recordings that points up: y, -y, z, ... Left out: that of the layout's spine, "
    "else y as the picture has it.",
]


def _calls(target: str, said: str = "", **names: str) -> Callable[..., Callable[..., None]]:
    """Make a command that calls ``target`` with what was given and prints ``said`` of its result.

    ``names`` are the target's names of parameters that have others here.
    """

    def command_of(declared: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(declared)
        def command(**given: Any) -> None:
            declared(**given)
            options = {
                names.get(key, key): value.config() if isinstance(value, Sources) else value
                for key, value in given.items()
            }
            module, name = target.rsplit(".", 1)
            result = getattr(import_module(f"asgcn_dgl.{module}"), name)(**options)
            if said:
                print(said.format(result))

        return command

    return command_of


def demo(
    *,
    out: Annotated[str, "Folder for everything."] = "runs/demo",
    data: Annotated[
        Literal["coordinated", "synthetic"],
        "The generated set: actions most of which differ by how two limbs move together, of one "
        "person or two, or actions of single limbs.",
    ] = "coordinated",
    seed: Annotated[int, "Seed of the data and the training."] = 0,
    seeds: Annotated[
        int | None,
        "Train with so many seeds, from --seed on, each on a set of its own, and print a table "
        "instead of drawing.",
    ] = None,
) -> None:
    """Train, evaluate and draw on generated data.

    Write a synthetic set of .skeleton files, train on it with A-links and without, evaluate on
    subjects not seen in training, and draw what was learned. Takes a few minutes.
    """
    from asgcn_dgl.experiments.demo import demo, demo_seeds

    if seeds is None:
        demo(Path(out), seed=seed, data=data)
    else:
        demo_seeds(Path(out), seeds, seed=seed, data=data)


def prepare(
    *,
    data: Annotated[str, "Format or set, by name."],
    root: Annotated[str, "Folder or file to read."],
    out: Annotated[str, "Folder of the store."],
    options: FormatOptions = None,
    workers: Annotated[int, "Processes that read; 0: none but this one."] = 0,
    overwrite: Annotated[bool, "Replace an existing store."] = False,
    strict: Annotated[
        bool, "Stop at a recording that cannot be used, instead of skipping it with a message."
    ] = False,
) -> None:
    """Make a store of recordings of any format.

    Read recordings once and write them to a store, from which 'train --root STORE' reads many
    times as fast. An interrupted command continues where it stopped when it is given again.
    """
    from tqdm import tqdm

    from asgcn_dgl.data import open_data, prepare

    if not 0 <= workers <= 256:
        raise InputError(f"--workers must be from 0 to 256, got {workers}")
    source = open_data(root, data, **(options or {}))
    # disable=None: no bar where standard error is no terminal
    with tqdm(total=len(source), desc="preparing", unit="clip", disable=None) as bar:
        summary = prepare(
            source,
            out,
            workers=workers,
            overwrite=overwrite,
            strict=strict,
            progress=lambda done, of: bar.update(done - bar.n),
        )
    print(f"{out}: {summary}")


def inspect(
    store: Annotated[str, "Folder of a store."],
    *,
    verify: Annotated[bool, "Compare all checksums first."] = False,
    json: Annotated[str | None, "Also write all of it to this file."] = None,
    plot: Annotated[str | None, "Draw this recording: its name, or its number from 0."] = None,
    out: Annotated[str | None, "File of the drawing. Left out: STORE-N.png."] = None,
    up: Up = None,
) -> None:
    """Look at what a store holds.

    Count clips by class, split, bodies and frames; measure missing joints and bones; name clips
    that may be damaged.
    """
    from tqdm import tqdm

    from asgcn_dgl.data import format_options, open_store
    from asgcn_dgl.data.survey import survey
    from asgcn_dgl.files import write_json

    found = open_store(store)
    number = None
    if plot is not None:
        is_name = plot in found.names or not plot.isdecimal()
        number = found.find(plot) if is_name else int(plot)
        if number >= len(found):
            raise InputError(f"--plot must be from 0 to {len(found) - 1}, got {plot}")
    if verify:
        found.verify()
        print("all checksums agree")
    with tqdm(total=len(found), desc="looking", unit="clip", leave=False, disable=None) as bar:
        seen = survey(found, lambda done, of: bar.update(done - bar.n))
    if found.origin is not None:
        print(f"read as {found.origin.in_short(format_options(found.origin.format))}")
    print(seen)
    if json is not None:
        origin = None if found.origin is None else found.origin.to_dict()
        write_json(json, {"origin": origin, **seen.to_dict()})
    if number is not None:
        from asgcn_dgl.experiments.report import draw_clip
        from asgcn_dgl.viz import save_figure

        figure = draw_clip(found.read(number), found.class_names, up)
        print(f"drawn: {save_figure(figure, out or f'{found.path.name}-{number}.png')}")


def train(
    *,
    run: Sources,
    out: Annotated[str | None, "Folder of the run. Left out: runs/DATA-1, -2, ..."] = None,
    resume: Annotated[bool, "Continue the run in --out, which keeps its configuration."] = False,
    init: Annotated[
        str | None,
        "Start from this model: a run, a checkpoint or a folder of save_pretrained. Options of the "
        "model are then its own, and a head for another number of classes is new.",
    ] = None,
    init_part: Annotated[
        Literal["all", "backbone"],
        "What of --init is taken: all, or the input norms and blocks alone. 'trainer.freeze' names "
        "parts that are not trained.",
    ] = "all",
    evaluate: Annotated[bool, "Read the test clips once, at the end."] = True,
    print_config: Annotated[
        bool, "Print the full configuration as YAML, with the source of each option, and exit."
    ] = False,
) -> None:
    """Train on a data set.

    Warm up the A-link inference module, train recognition and prediction jointly, and evaluate.
    Options come from the defaults below, then from the configuration of the data set, then from a
    file given with --config, then from the command line.
    """
    if print_config:
        print(run.to_yaml(), end="")
        return
    config = run.config()
    from asgcn_dgl.training.files import next_run_dir
    from asgcn_dgl.training.run import train

    folder = next_run_dir(config.data) if out is None else Path(out)
    train(
        config, folder, resume=resume, test=evaluate, init=init, init_part=init_part, note=str(run)
    )


@_calls("training.lr_finder.find_lr", run="config")
def find_lr(
    *,
    run: Sources,
    lowest: Annotated[float, "First learning rate."] = 1e-4,
    highest: Annotated[float, "Last learning rate."] = 2.0,
    steps: Annotated[int, "Steps of the optimizer, at most."] = 100,
    out: Annotated[str | None, "Also write all steps here, as JSON."] = None,
) -> None:
    """Look for a learning rate.

    Train jointly for some steps while the learning rate rises, and say at which the loss falls
    fastest. Takes the options of train; keeps nothing of what it trained.
    """


@_calls("training.evaluate.evaluate", run_dir="folder", clips="num_clips")
def evaluate(
    run_dir: RunDirectory,
    *,
    root: Root = None,
    clips: Annotated[
        int | None,
        "Views of each clip, of other frames each, whose probabilities are averaged; 10 is usual "
        "in the field. Left out: the run's clips.num_clips.",
    ] = None,
    mirrored: Annotated[
        bool, "See each clip mirrored as well, left and right exchanged, and average over both."
    ] = False,
    compare: Annotated[bool, "Print published figures beside those of a forecaster."] = False,
    checkpoint: Checkpoint = "auto",
) -> None:
    """Score the test clips of a run; write metrics.json and scores.npz."""


@_calls("training.predict.predict")
def predict(
    run_dir: Annotated[str, "Folder of a run, or a checkpoint file."],
    files: Annotated[list[str], "Files of the set's format."],
    *,
    out: Annotated[str | None, "Also write the result here: a .json or an .npz file."] = None,
    options: Annotated[
        dict[str, Any] | None,
        "Options of the files' format. Left out: those that the model's store was prepared with.",
    ] = None,
    top: Annotated[int, "Classes to print for each file."] = 3,
    future: Annotated[
        int | None,
        "Poses to predict: any number by a forecaster, by a prediction head at most those that it "
        "was trained for. Left out: as many as those.",
    ] = None,
    checkpoint: Checkpoint = "auto",
) -> None:
    """Use a trained model on raw files.

    Print class probabilities and predict future poses of NTU .skeleton, NW-UCLA and
    Kinetics-Skeleton .json, BVH, UTKinect's, MSR-Action3D's and motion capture's .txt, own .npz,
    .csv and .parquet, annotation pickles, arrays, stores, folders of OpenPose, AlphaPose's .json,
    DeepLabCut's and other .csv of a row a frame.
    """


@_calls("live.stream.run")
def live(
    model: Annotated[
        str, "Folder of a run, a checkpoint, a folder of save_pretrained, or an .onnx file."
    ],
    source: Annotated[str, "File with a frame on each line; -: standard input."] = "-",
    *,
    window: Annotated[
        int | None,
        "Frames that an answer is about, about as many as the training clips had. Left out: "
        "clips.num_frames of the model.",
    ] = None,
    every: Annotated[int, "Frames from one answer to the next."] = 1,
    rate: Annotated[
        float | None,
        "Frames a second of the training clips: frames, which must have times, are brought to it. "
        "Left out: frames count as they come.",
    ] = None,
    smooth: Annotated[float, "Weight of the answer before in each one, below 1."] = 0.0,
    future: Annotated[bool, "Predict poses too."] = False,
    top: Annotated[int, "Classes of an answer."] = 3,
    min_score: Annotated[float, "Joints whose score is not above this are missing."] = 0.0,
    max_pause: Annotated[
        float, "Seconds without a frame after which the window starts again."
    ] = 1.0,
    follow: Annotated[bool, "Wait for more at the end of the file."] = False,
    idle: Annotated[
        float | None, "End after so many seconds without a new line, with --follow."
    ] = None,
    layout: Annotated[str | None, "Which layout, of a model that serves several."] = None,
    threads: Annotated[int | None, "Threads that compute. Left out: the run's."] = None,
    checkpoint: Checkpoint = "auto",
) -> None:
    """Recognize while poses come in, as JSON lines.

    Read a frame a line, {"keypoints": [[x, y, z], ...], "scores": [...], "time": seconds}, from a
    program that is piped in or a file that grows, and write an answer a line.
    """


@_calls("training.export.import_published", "{}", from_="source")
def import_(
    files: Annotated[list[str], "The .pt or .pth file; of AS-GCN those of model 1 and model 2."],
    *,
    from_: Annotated[Literal["st-gcn", "pyskl", "as-gcn"], "Whose weights they are."],
    out: Annotated[str, "Folder of a run to write, or a .ckpt file."],
    layout: Annotated[
        str | None, "Layout of the joints, by name. Left out: the one that the file's graph is of."
    ] = None,
    data: Annotated[
        str | None, "Format or set that evaluate will read. Left out: the usual one of the layout."
    ] = None,
    classes: Annotated[str | None, "Text file with the name of a class on each line."] = None,
    bodies: Annotated[int, "Bodies that the published code computes of every clip."] = 2,
    adaptive: Annotated[
        Literal["importance", "offset"], "gcn_adaptive of PYSKL's weights that have a PA."
    ] = "importance",
) -> None:
    """Make a model of published weights.

    Read ST-GCN's, PYSKL's (ST-GCN and ST-GCN++) or AS-GCN's weights, without running code from the
    file, and write a model that gives the same scores, with clips prepared as those codes do it.
    """


@_calls("training.export.export", "{}")
def export(
    run_dir: Annotated[str, "Folder of a run, a checkpoint, or a folder of save_pretrained."],
    *,
    to: Annotated[
        Literal["onnx", "torch", "pretrained", "checkpoint"],
        "onnx: a file for onnxruntime; torch: a program for torch alone; pretrained: config.json "
        "and model.safetensors; checkpoint: one file of this library, such as of a pretrained one.",
    ],
    out: Annotated[
        str | None,
        "File or folder to write. Left out: model.onnx, model.pt2, model.ckpt or model here.",
    ] = None,
    bodies: Annotated[
        int | None,
        "Bodies of a clip in the file; absent ones are masked. Left out: what the model computes "
        "or its clips have at most, else 1.",
    ] = None,
    outputs: Annotated[
        list[str] | None,
        "What the file gives: logits, links (probabilities of the A-links), future. Left out: all "
        "that the model has.",
    ] = None,
    layout: Annotated[str | None, "Which layout, of a model that serves several."] = None,
    checkpoint: Checkpoint = "auto",
) -> None:
    """Write a trained model as a file that other programs run.

    The file takes clips in any number and of any length. It is compared with the model before it is
    kept: the largest difference is printed.
    """


def figures(
    run_dir: RunDirectory,
    *,
    out: Annotated[str | None, "Folder of the figures. Left out: RUN_DIR/figures."] = None,
    width: Annotated[
        Literal["page", "column"],
        "Lay the figures out for the width of a page of two columns, or for one column.",
    ] = "page",
    format: Annotated[Literal["png", "pdf", "svg"], "Kind of file."] = "png",
    only: Annotated[
        list[str] | None,
        "Figures to draw, by name: fig3, fig8, fig9, fig10 or one of those drawn without this.",
    ] = None,
    baseline: Annotated[str | None, "Folder of a run on the same clips to compare."] = None,
    clip: Annotated[str | None, "Test clip to draw. Left out: a typical one."] = None,
    actions: Annotated[
        list[str] | None, "Actions to draw side by side. Left out: those whose A-links differ most."
    ] = None,
    joint: Annotated[str | None, "Joint whose links are drawn. Left out: a hand."] = None,
    pose: Annotated[
        Literal["drawing", "real"],
        "Draw links on the skeleton's drawing pose, or on recorded ones.",
    ] = "drawing",
    threshold: Threshold = 0.9,
    up: Up = None,
    unit: Unit = None,
    root: Root = None,
    checkpoint: Checkpoint = "auto",
) -> None:
    """Draw the figures of an evaluated run, among them the paper's figures 3, 8, 9 and 10."""
    _need_viz()
    from asgcn_dgl.experiments.figures import Choice, draw_figures
    from asgcn_dgl.viz.figure import COLUMN_WIDTH, PAGE_WIDTH

    size = COLUMN_WIDTH if width == "column" else PAGE_WIDTH
    draw_figures(
        run_dir,
        out,
        only=only,
        suffix=format,
        baseline=baseline,
        choice=Choice(clip, actions, joint, pose == "real", threshold, unit, size, up),
        checkpoint=checkpoint,
        root=root,
    )


def report(
    run_dir: RunDirectory,
    other: Annotated[str | None, "Folder of a run to compare with."] = None,
    *,
    out: Annotated[str | None, "The page. Left out: RUN_DIR/report.html."] = None,
    clips: Annotated[int, "Test clips to carry with their motion, at most."] = 200,
    up: Up = None,
    unit: Unit = None,
    root: Root = None,
    checkpoint: Checkpoint = "auto",
) -> None:
    """Write an evaluated run, or two beside each other, as one HTML page with clips in motion.

    The page opens from disk and holds figures, curves and confusions, and the test clips with
    A-links, feature responses and predicted poses.
    """
    _need_viz()
    from asgcn_dgl.experiments.report import write_report

    page = write_report(
        run_dir, out, other=other, clips=clips, checkpoint=checkpoint, root=root, unit=unit, up=up
    )
    print(f"written: {page} ({page.stat().st_size / 1e6:.1f} MB); open it in a browser")


def view(
    files: Annotated[list[str], "Files, or folders of files or of stores."],
    *,
    out: Annotated[str, "The page."] = "view.html",
    data: Annotated[
        str | None, "Format or set of the files, by name. Left out: recognized from each file."
    ] = None,
    options: FormatOptions = None,
    clips: Annotated[int, "Clips to show, at most."] = 200,
    up: Up = None,
) -> None:
    """Write raw clips as one HTML page that shows them in motion, without a model."""
    _need_viz()
    from asgcn_dgl.experiments.report import read_raw, write_view

    shown, found = read_raw(files, data, options, clips)
    page = write_view(shown, out, up=up)
    more = "" if found == len(shown) else f"{len(shown)} of {found} clips, more with --clips; "
    print(f"written: {page} ({more}{page.stat().st_size / 1e6:.1f} MB); open it in a browser")


@_calls("experiments.report.moving_picture", "written: {}")
def animate(
    source: Annotated[str, "Folder of a run or of a store, or a file."],
    *,
    out: Annotated[str, "A .gif or .mp4 file."],
    clip: Annotated[str | None, "Name of the clip."] = None,
    data: Annotated[
        str | None, "Format of a raw file, by name. Left out: recognized from the file."
    ] = None,
    options: FormatOptions = None,
    threshold: Threshold = 0.9,
    links: Annotated[bool, "Draw A-links."] = True,
    rate: Annotated[float, "Frames a second."] = 30.0,
    up: Up = None,
    root: Root = None,
    checkpoint: Checkpoint = "auto",
) -> None:
    """Write a clip as a GIF or an MP4.

    The clip is a raw one, or one of a run with its A-links and predicted poses.
    """
    _need_viz()


def runs(folder: Annotated[str, "Where to look."] = "runs") -> None:
    """List the runs in a folder, and all below it, with their figures."""
    from asgcn_dgl.training.compare import list_runs, runs_table

    print(runs_table(list_runs(folder)))


def fuse(
    runs: Annotated[list[str], "Folders of the runs."],
    *,
    weights: Annotated[
        list[float] | None,
        "A weight for each run, as [2,1]. Left out: 1 for what sees motions alone, 2 for what sees "
        "joints or bones.",
    ] = None,
    choose_weights: Annotated[
        bool, "Choose the weights on the clips that the runs held out of the training clips."
    ] = False,
    out: Annotated[str | None, "Also write the result here, as JSON."] = None,
) -> None:
    """Add up the class probabilities of several evaluated runs on the same clips.

    Published results of several streams are made this way.
    """
    from asgcn_dgl.training.compare import fuse, fusion_table

    print(fusion_table(fuse(runs, weights, out, choose=choose_weights)))


@_calls("experiments.tables.make_table", run="config", out="folder")
def tables(
    table: Annotated[TableName, "Which table."],
    *,
    run: Sources,
    out: Annotated[str, "Folder of the runs and tables."],
    seeds: Annotated[int, "Runs of each cell: seeds 0, 1, ..."] = 3,
    split: Annotated[
        Literal["test", "validation"],
        "Clips whose accuracy the table shows; with validation the test clips are not read.",
    ] = "test",
    dry_run: Annotated[bool, "List the runs and what is done; train nothing."] = False,
    at_once: Annotated[
        int, "Runs that are trained at the same time, each on its share of the cores."
    ] = 1,
) -> None:
    """Make one of the paper's tables on a set.

    Train and evaluate all that the table compares, each a run folder below --out, and write the
    table as Markdown and JSON. The same command continues after an interruption, and tables share
    the runs they have in common.
    """


def _need_viz() -> None:
    """Say which extra is missing, in a line."""
    missing = [name for name in ("matplotlib", "plotly") if find_spec(name) is None]
    if missing:
        raise InputError(f"this needs {missing[0]}: pip install 'asgcn_dgl[viz]'")


COMMANDS: dict[str, Callable[..., None]] = {
    function.__name__.strip("_").replace("_", "-"): function
    for function in (
        *(demo, prepare, inspect, train, find_lr, evaluate, predict, live, import_, export),
        *(figures, report, view, animate, runs, fuse, tables),
    )
}
RUN_OPTIONS = tuple(RunConfig.__dataclass_fields__)


def run_options(given: Mapping[str, Any], command: str = "train") -> Sources:
    """Return where the options of a run come from, the command line (``given``) last.

    The first is the configuration of the data set, or the one of the package that ``--config``
    names; a file that ``--config`` names changes parts of that of the data set.
    """
    over = {key: value for key, value in given.items() if key in RUN_OPTIONS}
    if given.get("resume"):
        layers = [_resumed(given)]
    else:
        source = given.get("config")
        own = source is not None and packaged_config(source) is None
        values = read_yaml(source) if source is not None and own else {}
        data = over.get("data", values.get("data"))
        if isinstance(data, str) and packaged_config(data) is None:
            from asgcn_dgl.data.registry import format_options

            format_options(data)  # which refuses an unknown name; a store would not mind
        name = data if own or source is None else source
        layers = [_packaged(name, command), Layer(str(source), values)]
    layers.append(Layer(COMMAND_LINE, over))
    for name in ("data", "root"):
        if not any(name in layer.values for layer in layers):
            raise InputError(f"{command} needs --{name}; see 'asgcn-dgl {command} --help'")
    return Sources([layer for layer in layers if layer.values])


def _resumed(given: Mapping[str, Any]) -> Layer:
    """Return the options of the run to continue."""
    from asgcn_dgl.training.files import RunDir

    if given.get("out") is None:
        raise InputError("--resume needs --out, the folder of the run to continue")
    if given.get("config") is not None:
        raise InputError("--config does not go with --resume: a run keeps its configuration")
    run = RunDir(Path(given["out"]))
    return Layer(str(run.config_file), run.read_config().to_dict())


def _packaged(name: Any, command: str) -> Layer:
    """Return the configuration of the package that has this name, that of a data set or another."""
    found = packaged_config(name) if isinstance(name, str) else {}
    if found is None:
        logger.warning(
            "there is no configuration for %s: options left out have the defaults of "
            "'asgcn-dgl %s --help'; '--config modern' is a recipe for any set",
            name,
            command,
        )
    return Layer(f"configuration {name}", found or {})
