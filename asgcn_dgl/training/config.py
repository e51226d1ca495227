"""The options of a training run as typed data: what the YAML files and the command line fill in.

Nothing here imports torch, so that ``asgcn-dgl --help`` answers at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from asgcn_dgl.errors import InputError, did_you_mean
from asgcn_dgl.files import in_short
from asgcn_dgl.models.config import ASGCNConfig, Stream
from asgcn_dgl.options import check, check_types, plain, renamed
from asgcn_dgl.schema import read_whole

#: Where a run can log beside its CSV files.
LoggerName = Literal["tensorboard", "wandb", "mlflow"]
#: The largest seed that numpy and Lightning take, and more epochs than anybody trains.
MOST_SEED, MOST_EPOCHS = 2**32 - 1, 1_000_000

_RULES: dict[str, Callable[[Any], bool]] = {
    "at least 1": lambda value: value >= 1,
    "0 or more": lambda value: value >= 0,
    "positive": lambda value: value > 0,
    "between 0 and 1": lambda value: 0 <= value <= 1,
    "in [0, 1)": lambda value: 0 <= value < 1,
}


def _check_section(options: Any, section: str, rules: Mapping[str, str], **most: int) -> None:
    """Check types, then the options that each rule names, then sizes that nothing has use for.

    None passes. ``most`` refuses what would ask for more memory or processes than there are.
    """
    check_types(options, f"{section}.")
    rows = [(name, rule, _RULES[rule]) for rule, names in rules.items() for name in names.split()]
    rows += [(name, f"at most {n}", n.__ge__) for name, n in most.items()]
    for name, text, holds in rows:
        value = getattr(options, name)
        check(value is None or holds(value), f"{section}.{name}", text, value)


@dataclass
class ClipsConfig:
    """Which clips are seen, and how they are prepared."""

    protocol: str | None = None
    """Split of the set into training and test clips, by name; none: the set's usual one."""
    validation: Literal["subject", "camera", "setup", "replication", "random", "none"] = "subject"
    """What is held out of the training clips for choosing: whole subjects, cameras, set-ups or
    replications, clips drawn at random, or nothing (the last epoch is then the result)."""
    validation_share: float = 0.2
    """Share of the training clips that is held out, at least."""
    validation_seed: int = 0
    """Seed of what is held out; the same for runs that differ in ``trainer.seed``."""
    num_frames: int = 64
    """T, frames of a clip that the model sees."""
    sampling: Literal["uniform", "loop", "random", "resize", "repeat", "pad", "own"] = "uniform"
    """How the frames are taken: 'uniform' (one out of each of T equal stretches of the clip),
    'loop' (so too, but a shorter clip goes round, as PYSKL does it), 'random' (drawn from the whole
    clip with repetition while training, spread evenly in evaluation), 'resize' (interpolation),
    'repeat' (from the start again until full), 'pad' (masked frames), 'own' (all that the clip has,
    T at most; clips of about the same length share a batch)."""
    num_clips: int = 1
    """Choices of frames of a clip, over which evaluation averages its class probabilities."""
    mirrored: bool = False
    """Evaluation sees each clip mirrored as well, and averages over both."""
    missing: Literal["mask", "interpolate", "drop", "zero"] = "mask"
    """What becomes of joints that were not seen: 'mask' (the network leaves them out),
    'interpolate' (over time), 'drop' (frames that miss more than half), 'zero' (they count as seen
    at the origin, as in published implementations)."""
    missing_gap: int | None = None
    """Longest gap, in frames, that 'interpolate' fills; none: any."""
    max_bodies: int | None = None
    """Bodies of a clip that are kept; none: all that the reader gave."""
    body_rule: Literal["energy", "confidence", "tracking"] = "energy"
    """Which bodies are kept: those that move most ('energy'), those of the highest scores
    ('confidence') or those that are there in most frames ('tracking')."""
    crop: list[float] = field(default_factory=lambda: [1.0, 1.0])
    """Smallest and largest share of the clip that a random crop keeps while training; [1, 1]:
    all."""
    stream: Stream = "joint"
    """What the model is given: joint positions, bone vectors, long bones (from a joint's parent's
    parent), or the motion of any."""
    layout: str | None = None
    """Supplied layout that the clips get: of the same joints, for its bones, or of some of them,
    for those alone; none: the clips' own."""
    align: Literal[
        "none", "center", "spine", "view", "view_clip", "published", "pyskl", "as-gcn"
    ] = "spine"
    """How a clip is placed: 'center' (the first body's center joint is the origin), 'spine' (also
    its spine upright), 'view' (also its shoulders along x, the spine staying upright), 'view_clip'
    (the same by the shoulders of all frames, not of the first that shows them), 'published' (the
    shoulders along x by the shortest turn, as published), 'pyskl' (so too, about the first body's
    upper spine, without frames that lack that body), 'as-gcn' (so too, about that joint in each
    frame), or 'none'."""
    views: Literal["given", "one", "several", "auto"] = "given"
    """From where clips were recorded, which decides align, rotate, scale, shear, flip and box:
    'one' view, 'several', 'auto' (found in the training clips and said in the log), or 'given' (the
    options decide). Clips that cannot be turned keep align 'center'."""
    unit: float | None = None
    """Length in the recordings' unit that becomes 1 before all else, about the size of a body: 500
    where people are 500 pixels high. Errors of prediction and predicted poses are given in the
    recordings' unit. None: the coordinates as they are, or the size of the training clips' bodies
    where that is far from 1."""
    rate: float | None = None
    """Frames a second that recordings are brought to first, by interpolation; those that do not say
    theirs stay as they are. None: their own, which should be the same."""
    rotate: float | list[float] = 15.0
    """Largest angle of the random rotation while training, in degrees: one number, or one for each
    of the axes x, y and z."""
    rotate_order: Literal["xyz", "zyx"] = "xyz"
    """Axes in the order in which clips are turned about them."""
    scale: list[float] = field(default_factory=lambda: [0.9, 1.1])
    """Range of the random scaling while training; [1, 1]: none."""
    scale_per_axis: bool = False
    """Draw a factor for each axis."""
    shear: float = 0.0
    """Largest share of one axis that a random shear mixes into another while training; 0: none."""
    speed: list[float] = field(default_factory=lambda: [1.0, 1.0])
    """Range of the random speeds that a clip is played at while training; [1, 1]: its own."""
    move: bool = False
    """Let the camera drift at random while training, as the published configurations do."""
    flip: float = 0.0
    """Probability that a clip is mirrored (left and right joints exchanged) while training."""
    noise: float = 0.0
    """Standard deviation of the noise added to joints while training, in the clip's unit."""
    lose: float = 0.0
    """Probability that a joint is lost for a while, at random, while training."""
    box: bool = False
    """After alignment and augmentation, bring each axis of the clip to [-1, 1] by its own least and
    largest value, of the observed frames where a future is predicted."""
    repeat: int = 1
    """How often an epoch of joint training goes over the training clips."""
    workers: int = 0
    """Processes that prepare clips; 0: the training process does it."""
    cache: bool = True
    """Keep the raw clips in memory after the first reading."""
    strict: bool = False
    """Stop at a raw recording that cannot be used; else it is left out, with a warning."""

    def __post_init__(self) -> None:
        rules = {
            "at least 1": "num_frames num_clips missing_gap max_bodies repeat",
            "0 or more": "validation_seed workers shear noise",
            "positive": "unit rate",
            "between 0 and 1": "flip lose",
        }
        sizes = {"num_frames": 100_000, "num_clips": 1000, "max_bodies": 1000, "repeat": 10_000}
        _check_section(self, "clips", rules, **sizes, workers=256, validation_seed=MOST_SEED)
        if self.layout is not None:
            from asgcn_dgl.skeleton import layout_names

            known = layout_names()
            check(self.layout in known, "clips.layout", f"one of {', '.join(known)}", self.layout)
        share = self.validation_share
        check(0 < share < 1, "clips.validation_share", "between 0 and 1", share)
        for name in ("crop", "scale", "speed"):
            ends = getattr(self, name)
            ordered = len(ends) == 2 and 0 < ends[0] <= ends[1]
            check(ordered, f"clips.{name}", "two positive numbers, the lower first", ends)
        check(self.crop[1] <= 1, "clips.crop", "at most 1", self.crop)
        angles = self.rotate if isinstance(self.rotate, list) else [self.rotate] * 3
        turns = len(angles) == 3 and all(0 <= angle <= 180 for angle in angles)
        rule = "one number or three, each from 0 to 180 degrees"
        check(turns, "clips.rotate", rule, self.rotate)


@dataclass
class AIMConfig:
    """The A-link inference module: its warm-up, and what joint training does with it."""

    epochs: int = 10
    """Epochs of the warm-up with AIM's own loss; 0: none."""
    lr: float = 5e-4
    """Learning rate of the warm-up (Adam)."""
    batch_size: int | None = None
    """Clips of a warm-up step; none: that of the joint training."""
    pred_steps: int = 10
    """Frames that the decoder predicts from its own predictions before it is given the truth again;
    1 (the paper) lets it do without the links, since the last pose is a good guess."""
    kl_warmup: float = 0.5
    """Share of the warm-up over which the weight of the links' divergence from their prior rises
    from 0 to 1, and of joint training over which joint_kl rises. At full weight from the beginning
    (0, the paper) links close before anything has learned to use them."""
    joint_lr_scale: float = 0.1
    """Learning rate of AIM in joint training, as a factor on that of the rest."""
    joint_optimizer: Literal["sgd", "adam"] = "sgd"
    """What moves AIM in joint training: 'sgd', as the rest, or 'adam', as in its warm-up."""
    joint_lr: float | None = None
    """Learning rate of AIM in joint training, before the schedule; none: by joint_lr_scale with
    'sgd', that of the warm-up with 'adam'."""
    loss_weight: float = 0.0
    """Weight of AIM's own loss beside the joint loss; 0 (the paper): it ends with the warm-up."""
    joint_kl: float = 0.0
    """Weight of the links' divergence from their prior alone beside the joint loss, so that a link
    has its price in joint training too; 0 (the paper): links cost nothing there."""

    def __post_init__(self) -> None:
        rules = {
            "0 or more": "epochs joint_lr_scale loss_weight joint_kl",
            "at least 1": "pred_steps batch_size",
            "positive": "lr joint_lr",
            "between 0 and 1": "kl_warmup",
        }
        most = {"epochs": MOST_EPOCHS, "pred_steps": 10_000, "batch_size": 2**16}
        _check_section(self, "aim", rules, **most)


@dataclass
class OptimConfig:
    """Stochastic gradient descent with momentum, and its schedule.

    Weight decay acts on the weights of convolutions and linear maps. Biases, the parameters of
    norms and the edge masks M are spared: decay would only weaken the links, as a mask starts at 1.
    """

    lr: float = 0.1
    """Learning rate at its highest."""
    base_batch: int | None = None
    """Clips of a step that ``lr`` is meant for: with another ``trainer.batch_size`` it is scaled in
    proportion; none: it is not."""
    momentum: float = 0.9
    """Momentum of the gradient descent."""
    nesterov: bool = True
    """Look ahead, as Nesterov does."""
    weight_decay: float = 5e-4
    """Weight decay."""
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    """'cosine' (to zero), 'step' (times ``gamma`` after each of ``milestones``) or 'constant'."""
    milestones: list[int] = field(default_factory=list)
    """Epochs after which the learning rate falls, with schedule 'step'."""
    gamma: float = 0.1
    """Factor of each such fall."""
    warmup_epochs: float = 1.0
    """Epochs over which the learning rate rises from zero; may be a fraction."""
    label_smoothing: float = 0.0
    """Share of each target that is spread over all classes."""
    grad_clip: float | None = None
    """Largest norm of the gradient; none: not clipped."""
    ema: float | None = None
    """Decay of an exponential moving average of the weights, which is then what is evaluated, with
    batch statistics of its own; none: no average."""
    average_last: int | None = None
    """Epochs at the end over which all steps' weights are averaged alike, which is then what is
    evaluated, with batch statistics of its own; none: no such average."""

    def __post_init__(self) -> None:
        rules = {
            "positive": "lr grad_clip",
            "0 or more": "weight_decay warmup_epochs",
            "at least 1": "base_batch average_last",
            "in [0, 1)": "momentum label_smoothing",
        }
        _check_section(self, "optim", rules)
        one, last = self.average_last is None or self.ema is None, self.average_last
        check(one, "optim.average_last", "left out where optim.ema is set", last)
        moves = not self.nesterov or self.momentum > 0
        check(moves, "optim.nesterov", "false where optim.momentum is 0", self.nesterov)
        epochs = self.schedule != "step" or bool(self.milestones)
        rule = "a list of epochs with schedule 'step'"
        check(epochs, "optim.milestones", rule, self.milestones)
        check(self.ema is None or 0 < self.ema < 1, "optim.ema", "between 0 and 1", self.ema)


@dataclass
class PredictionConfig:
    """How much the prediction of future poses counts."""

    weight: float = 0.01
    """w, weight of the prediction loss beside that of recognition (Eq. 6)."""
    share: float = 0.5
    """Probability that a training clip loses its last T' frames, which are then the target. The
    others are seen whole and train recognition alone."""
    loss: Literal["squared", "distance"] = "squared"
    """'squared' (the paper), or 'distance': the length of the error, which a few joints that the
    sensor has lost do not govern."""

    def __post_init__(self) -> None:
        rules = {"0 or more": "weight", "between 0 and 1": "share"}
        _check_section(self, "prediction", rules)


@dataclass
class ForecastConfig:
    """What a forecaster learns from, and its loss; other models do not use it.

    A forecaster learns from windows of the recordings, by AdamW with the rates and the schedule of
    section ``optim``; of the augmentations ``clips.flip`` and ``clips.noise`` act on windows.
    """

    rate: float | None = 25.0
    """Frames a second that are seen and forecast, of recordings that say their own; none: all."""
    windows: int = 6400
    """Windows that an epoch draws."""
    balance: float = 0.5
    """How windows are drawn: 1, all alike; 0, every action as often; or between."""
    reverse: float = 0.0
    """Probability that a window is played backwards."""
    slow: float = 1.0
    """Slowest speed that a window is played at, from 0 to 1; half of them keep their own."""
    speed_weight: float = 1.0
    """Weight of the error of the speeds beside that of the positions."""
    horizon_power: float = 0.5
    """The error of frame t counts t to minus this: 0, all frames alike; 1, as a steady motion that
    was missed grows."""
    form: Literal["positions", "angles"] = "positions"
    """What is forecast of motion capture: 'positions' or 'angles'. A store holds what it was
    prepared with."""

    def __post_init__(self) -> None:
        rules = {
            "positive": "rate slow",
            "at least 1": "windows",
            "0 or more": "speed_weight horizon_power",
            "between 0 and 1": "balance reverse slow",
        }
        _check_section(self, "forecast", rules)


@dataclass
class TrainerConfig:
    """The loop."""

    epochs: int = 65
    """Epochs of the joint training."""
    batch_size: int = 16
    """Clips of a training step, over all processes and pieces: the same configuration is the same
    training on any number of GPUs."""
    accumulate: int = 1
    """Pieces that a step's clips are worked through in, where they do not fit into memory at once.
    Batch norms count within a piece."""
    devices: int | None = None
    """GPUs, or processes, of a node; none: as many as torchrun or SLURM started, else one."""
    nodes: int | None = None
    """Nodes; none: as many as torchrun or SLURM started, else one."""
    sync_norm: bool = True
    """Batch norms count over all processes, not within each."""
    eval_batch_size: int = 64
    """Clips of a batch in evaluation."""
    eval_every: int = 1
    """Epochs from one validation to the next."""
    seed: int = 0
    """Seed of the weights, the data order, the augmentation, dropout and the A-links' noise."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed", "64-true"] = "32-true"
    """Precision of the arithmetic, in Lightning's words; 'auto': bf16-mixed where the device
    multiplies in bfloat16 by itself (a GPU of compute capability 8.0 and up, a CPU with AVX512-BF16
    or AMX), else 32-true."""
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """Where to compute, in Lightning's words."""
    threads: int | None = None
    """Threads of torch; none: torch's default."""
    progress: Literal["auto", "on", "off"] = "auto"
    """Show progress bars: always, never, or where output goes to a terminal."""
    freeze: list[Literal["aim", "backbone", "recognition", "prediction"]] = field(
        default_factory=list
    )
    """Parts of the model that are not trained, their statistics included: 'aim', 'backbone' (input
    norms and blocks), 'recognition', 'prediction'; for a start from another model's weights."""
    early_stop: int | None = None
    """Validations without a better one after which joint training ends; none: it never does."""
    loggers: list[LoggerName] = field(default_factory=lambda: ["tensorboard"])
    """Where to log beside ``csv/`` in the run's folder: 'tensorboard' (if it is installed), 'wandb'
    (Weights & Biases), 'mlflow'."""
    link_pictures: bool = True
    """Put a picture of the mean A-links of a few clips into TensorBoard after each epoch."""
    reuse_memory: bool = True
    """On a CPU, keep the memory of large tensors for reuse (glibc only): faster, but the process
    gives nothing back."""

    def __post_init__(self) -> None:
        rules = {
            "at least 1": "epochs batch_size accumulate eval_batch_size eval_every threads devices "
            "nodes early_stop",
            "0 or more": "seed",
        }
        counts = dict.fromkeys(("threads", "devices", "nodes"), 1024)
        sizes = dict.fromkeys(("batch_size", "eval_batch_size"), 2**16)
        _check_section(
            self, "trainer", rules, epochs=MOST_EPOCHS, seed=MOST_SEED, **sizes, **counts
        )
        fits, most = self.accumulate <= self.batch_size, f"trainer.batch_size ({self.batch_size})"
        check(fits, "trainer.accumulate", f"at most {most}", self.accumulate)


@dataclass
class RunConfig:
    """All options of a run.

    Examples
    --------
    >>> config = RunConfig(data="synthetic", root="clips", trainer=TrainerConfig(epochs=3))
    >>> RunConfig.from_dict(config.to_dict()) == config
    True
    """

    data: str = "synthetic"
    """Name of the data set: nw_ucla, ntu60, ntu120 or synthetic; with a store any format's name,
    which then chooses the configuration."""
    root: str = "."
    """Folder of the data set, or of a store; several, joined by a colon (on Windows a semicolon),
    are one set of all their clips."""
    clips: ClipsConfig = field(default_factory=ClipsConfig)
    model: ASGCNConfig = field(default_factory=ASGCNConfig)
    aim: AIMConfig = field(default_factory=AIMConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    prediction: PredictionConfig = field(default_factory=PredictionConfig)
    forecast: ForecastConfig = field(default_factory=ForecastConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)

    def __post_init__(self) -> None:
        check_types(self)
        wanted: list[tuple[str, Any, str]] = []  # options that others leave one value
        if self.model.link_mode == "frozen":
            reason = "where model.link_mode is frozen"
            wanted += [("aim.loss_weight", 0, reason), ("aim.joint_kl", 0, reason)]
        if self.model.made_streams is not None:
            reason = f"where model.streams is {self.model.streams}: they are made from positions"
            wanted.append(("clips.stream", "joint", reason))
        if self.clips.validation == "none":
            wanted.append(("trainer.early_stop", None, "where clips.validation is none"))
        if self.model.name == "forecaster":
            only = {"clips.stream": "joint", "trainer.accumulate": 1, "trainer.early_stop": None}
            only |= {"clips.box": False, "clips.views": "given"}
            only |= {"clips.flip": 0} if self.forecast.form == "angles" else {}
            wanted += [(name, value, "for a forecaster") for name, value in only.items()]
        for option, value, reason in wanted:
            section, name = option.split(".")
            given = getattr(getattr(self, section), name)
            text = "left out" if value is None else value
            check(given == value, option, f"{text} {reason}", given)

    @property
    def streams(self) -> tuple[str, ...]:
        """Streams that the model sees, that of the clips or those that it makes of positions.

        Examples
        --------
        >>> RunConfig(clips=ClipsConfig(stream="bone")).streams
        ('bone',)
        >>> RunConfig(model=ASGCNConfig(streams=["joint", "bone"])).streams
        ('joint', 'bone')
        """
        made = self.model.made_streams
        return (self.clips.stream,) if made is None else made

    @property
    def scaled_optim(self) -> OptimConfig:
        """Options of the optimizer, with ``lr`` in proportion to ``base_batch``.

        Examples
        --------
        >>> config = RunConfig(optim=OptimConfig(lr=0.1, base_batch=32))
        >>> config.trainer.batch_size = 64
        >>> config.scaled_optim.lr
        0.2
        """
        base = self.optim.base_batch
        factor = 1 if base is None else self.trainer.batch_size / base
        return replace(self.optim, lr=self.optim.lr * factor, base_batch=None)

    @property
    def stream(self) -> str:
        """The same in a word, as tables show it."""
        return " + ".join(self.streams)

    def to_dict(self) -> dict[str, Any]:
        """Return plain containers, fit for YAML and for a checkpoint."""
        values = plain(self)
        return values | {name: plain(values[name], OF_THE_DATA) for name in SECTIONS}

    def to_yaml(self) -> str:
        """Return the options as a YAML file has them."""
        return str(_yaml().safe_dump(self.to_dict(), sort_keys=False))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """Build from what :meth:`to_dict` gave; options left out take their defaults.

        The section ``model`` may name a ``preset`` ('paper', 'small' or 'light'), whose options are
        the defaults there. Former names of options are accepted, see
        :data:`asgcn_dgl.options.RENAMED`.

        Raises
        ------
        ValueError
            If an option is unknown, not of its type, or breaks its rule.
        """
        values = renamed(values)
        _refuse_unknown(cls, values, "")
        built: dict[str, Any] = {}
        for key, value in values.items():
            section = SECTIONS.get(key)
            if section is None:
                built[key] = value
            elif not isinstance(value, Mapping | None):
                raise ValueError(f"{key} must be a section of options, got {value!r}")
            elif section is ASGCNConfig:
                built[key] = _model(value or {})
            else:
                _refuse_unknown(section, value or {}, f"{key}.")
                built[key] = section(**(value or {}))
        return cls(**built)


#: Section of a run's options to its class.
SECTIONS: dict[str, Any] = {
    each.name: each.default_factory
    for each in fields(RunConfig)
    if each.default_factory is not MISSING
}
#: Options of a model that no run sets.
OF_THE_DATA = ("layouts", "num_classes", "in_feats")


def _model(values: Mapping[str, Any]) -> ASGCNConfig:
    """Build the section ``model``; None means the default, as former versions wrote it."""
    given = {key: value for key, value in values.items() if value is not None}
    _refuse_unknown(ASGCNConfig, given, "model.", more=("preset",))
    try:
        return ASGCNConfig.preset(given.pop("preset", "paper"), **given)
    except ValueError as error:
        raise ValueError(f"model.{error}") from error


def _refuse_unknown(
    section: Any, values: Mapping[str, Any], prefix: str, more: Collection[str] = ()
) -> None:
    known = [*more, *(f.name for f in fields(section) if f.name not in OF_THE_DATA)]
    for key in values:
        if key not in known:
            like = did_you_mean(key, known) or f"; there are {', '.join(known)}"
            raise ValueError(f"unknown option {prefix}{key}{like}")


#: Configurations that are another's, by name: recordings of one's own, and of pose estimators.
_SAME = dict.fromkeys(("own", "openpose", "alphapose", "deeplabcut", "wide"), "small_set")


def packaged_configs() -> list[str]:
    """Return the names of the configurations in the package."""
    folder = files("asgcn_dgl") / "configs"
    found = (p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.endswith(".yaml"))
    return sorted([*found, *_SAME])


def packaged_config(name: str) -> dict[str, Any] | None:
    """Return the options that the configuration ``name`` of the package sets, or None."""
    if name not in packaged_configs():
        return None
    file = files("asgcn_dgl") / "configs" / f"{_SAME.get(name, name)}.yaml"
    text = file.read_text(encoding="utf-8")
    return dict(_yaml().safe_load(text) or {})


def _yaml() -> Any:
    """Import yaml, which a model out of a checkpoint does without."""
    try:
        import yaml
    except ImportError as error:
        raise ImportError("this needs yaml: pip install 'asgcn_dgl[train]'") from error
    return yaml


def yaml_text(value: object) -> str:
    """Return the value of an option as YAML has it, on one line: '[32, 64]', 'null'."""
    text = str(_yaml().safe_dump(value, default_flow_style=True, width=float("inf")))
    return text.removesuffix("...\n").strip()


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Return the options in a YAML file."""
    yaml = _yaml()
    if not Path(path).is_file():
        raise InputError(
            f"{path}: cannot be read (no such file); give a YAML file, or one of "
            f"{', '.join(packaged_configs())}"
        )
    try:
        values = yaml.safe_load(read_whole(Path(path)).decode())
    except InputError:
        raise
    except Exception as error:  # YAML's builders let through what a date or number leads to
        raise InputError(f"{path}: not valid YAML ({in_short(error)})") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: holds no options; write them as 'trainer: {{epochs: 3}}'")
    return values
