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

_Rule = tuple[str, Callable[[Any], bool]]
_AT_LEAST_1: _Rule = ("at least 1", lambda value: value >= 1)
_NOT_NEGATIVE: _Rule = ("0 or more", lambda value: value >= 0)
_POSITIVE: _Rule = ("positive", lambda value: value > 0)
_SHARE: _Rule = ("between 0 and 1", lambda value: 0 <= value <= 1)


def _check_each(options: Any, section: str, rule: _Rule, *names: str) -> None:
    """Check several options by one rule; none passes."""
    for name in names:
        value = getattr(options, name)
        check(value is None or rule[1](value), f"{section}.{name}", rule[0], value)


def _check_most(options: Any, section: str, **most: int) -> None:
    """Refuse sizes beyond any use, which would ask for more memory or processes than there are."""
    for name, limit in most.items():
        value = getattr(options, name)
        check(value is None or value <= limit, f"{section}.{name}", f"at most {limit}", value)


@dataclass
class ClipsConfig:
    """Which clips are seen, and how they are prepared.

    Parameters
    ----------
    protocol
        Split of the set into training and test clips, by name; none: the set's usual one.
    validation
        What is held out of the training clips for choosing: whole subjects, cameras, set-ups or
        replications, clips drawn at random, or nothing (the last epoch is then the result).
    validation_share
        Share of the training clips that is held out, at least.
    validation_seed
        Seed of what is held out; the same for runs that differ in ``trainer.seed``.
    num_frames
        T, frames of a clip that the model sees.
    sampling
        How the frames are taken: 'uniform' (one out of each of T equal stretches of the clip),
        'loop' (so too, but a shorter clip goes round, as PYSKL does it),
        'random' (drawn from the whole clip with repetition while training, spread evenly in
        evaluation), 'resize' (interpolation), 'repeat' (from the start again until full), 'pad'
        (masked frames), 'own' (all that the clip has, T at most; clips of about the same length
        share a batch).
    num_clips
        Choices of frames of a clip, over which evaluation averages its class probabilities.
    mirrored
        Evaluation sees each clip mirrored as well, and averages over both.
    missing
        What becomes of joints that were not seen: 'mask' (the network leaves them out),
        'interpolate' (over time), 'drop' (frames that miss more than half), 'zero' (they count as
        seen at the origin, as in published implementations).
    missing_gap
        Longest gap, in frames, that 'interpolate' fills; none: any.
    max_bodies
        Bodies of a clip that are kept; none: all that the reader gave.
    body_rule
        Which bodies are kept: those that move most ('energy'), those of the highest scores
        ('confidence') or those that are there in most frames ('tracking').
    crop
        Smallest and largest share of the clip that a random crop keeps while training; [1, 1]: all.
    stream
        What the model is given: joint positions, bone vectors, long bones (from a joint's parent's
        parent), or the motion of any.
    layout
        Supplied layout that the clips get: of the same joints, for its bones, or of some of them,
        for those alone; none: the clips' own.
    align
        How a clip is placed: 'center' (the first body's center joint is the origin), 'spine' (also
        its spine upright), 'view' (also its shoulders along x, the spine staying upright),
        'view_clip' (the same by the shoulders of all frames, not of the first that shows them),
        'published' (the shoulders along x by the shortest turn, as published), 'pyskl' (so too,
        about the first body's upper spine, without frames that lack that body), 'as-gcn' (so too,
        about that joint in each frame), or 'none'.
    views
        From where clips were recorded, which decides align, rotate, scale, shear, flip and box:
        'one' view, 'several', 'auto' (found in the training clips and said in the log), or 'given'
        (the options decide). Clips that cannot be turned keep align 'center'.
    unit
        Length in the recordings' unit that becomes 1 before all else, about the size of a body:
        500 where people are 500 pixels high. Errors of prediction and predicted poses are given in
        the recordings' unit. None: the coordinates as they are, or the size of the training clips'
        bodies where that is far from 1.
    rate
        Frames a second that recordings are brought to first, by interpolation; those that do not
        say theirs stay as they are. None: their own, which should be the same.
    rotate
        Largest angle of the random rotation while training, in degrees: one number, or one for each
        of the axes x, y and z.
    rotate_order
        Axes in the order in which clips are turned about them.
    scale
        Range of the random scaling while training; [1, 1]: none.
    scale_per_axis
        Draw a factor for each axis.
    shear
        Largest share of one axis that a random shear mixes into another while training; 0: none.
    speed
        Range of the random speeds that a clip is played at while training; [1, 1]: its own.
    move
        Let the camera drift at random while training, as the published configurations do.
    flip
        Probability that a clip is mirrored (left and right joints exchanged) while training.
    noise
        Standard deviation of the noise added to joints while training, in the clip's unit.
    lose
        Probability that a joint is lost for a while, at random, while training.
    box
        After alignment and augmentation, bring each axis of the clip to [-1, 1] by its own least
        and largest value, of the observed frames where a future is predicted.
    repeat
        How often an epoch of joint training goes over the training clips.
    workers
        Processes that prepare clips; 0: the training process does it.
    cache
        Keep the raw clips in memory after the first reading.
    strict
        Stop at a raw recording that cannot be used; else it is left out, with a warning.
    """

    protocol: str | None = None
    validation: Literal["subject", "camera", "setup", "replication", "random", "none"] = "subject"
    validation_share: float = 0.2
    validation_seed: int = 0
    num_frames: int = 64
    sampling: Literal["uniform", "loop", "random", "resize", "repeat", "pad", "own"] = "uniform"
    num_clips: int = 1
    mirrored: bool = False
    missing: Literal["mask", "interpolate", "drop", "zero"] = "mask"
    missing_gap: int | None = None
    max_bodies: int | None = None
    body_rule: Literal["energy", "confidence", "tracking"] = "energy"
    crop: list[float] = field(default_factory=lambda: [1.0, 1.0])
    stream: Stream = "joint"
    layout: str | None = None
    align: Literal[
        "none", "center", "spine", "view", "view_clip", "published", "pyskl", "as-gcn"
    ] = "spine"
    views: Literal["given", "one", "several", "auto"] = "given"
    unit: float | None = None
    rate: float | None = None
    rotate: float | list[float] = 15.0
    rotate_order: Literal["xyz", "zyx"] = "xyz"
    scale: list[float] = field(default_factory=lambda: [0.9, 1.1])
    scale_per_axis: bool = False
    shear: float = 0.0
    speed: list[float] = field(default_factory=lambda: [1.0, 1.0])
    move: bool = False
    flip: float = 0.0
    noise: float = 0.0
    lose: float = 0.0
    box: bool = False
    repeat: int = 1
    workers: int = 0
    cache: bool = True
    strict: bool = False

    def __post_init__(self) -> None:
        check_types(self, "clips.")
        counts = ("num_frames", "num_clips", "missing_gap", "max_bodies", "repeat")
        _check_each(self, "clips", _AT_LEAST_1, *counts)
        _check_each(self, "clips", _NOT_NEGATIVE, "validation_seed", "workers", "shear", "noise")
        _check_most(self, "clips", num_frames=100_000, num_clips=1000, max_bodies=1000)
        _check_most(self, "clips", repeat=10_000, workers=256, validation_seed=MOST_SEED)
        _check_each(self, "clips", _POSITIVE, "unit", "rate")
        if self.layout is not None:
            from asgcn_dgl.skeleton import layout_names

            known = layout_names()
            check(self.layout in known, "clips.layout", f"one of {', '.join(known)}", self.layout)
        _check_each(self, "clips", _SHARE, "flip", "lose")
        share = self.validation_share
        check(0 < share < 1, "clips.validation_share", "between 0 and 1", share)
        for name in ("crop", "scale", "speed"):
            ends = getattr(self, name)
            check(
                len(ends) == 2 and 0 < ends[0] <= ends[1],
                f"clips.{name}",
                "two positive numbers, the lower first",
                ends,
            )
        check(self.crop[1] <= 1, "clips.crop", "at most 1", self.crop)
        angles = self.rotate if isinstance(self.rotate, list) else [self.rotate] * 3
        check(
            len(angles) == 3 and all(0 <= angle <= 180 for angle in angles),
            "clips.rotate",
            "one number or three, each from 0 to 180 degrees",
            self.rotate,
        )


@dataclass
class AIMConfig:
    """The A-link inference module: its warm-up, and what joint training does with it.

    Parameters
    ----------
    epochs
        Epochs of the warm-up with AIM's own loss; 0: none.
    lr
        Learning rate of the warm-up (Adam).
    batch_size
        Clips of a warm-up step; none: that of the joint training.
    pred_steps
        Frames that the decoder predicts from its own predictions before it is given the truth
        again; 1 (the paper) lets it do without the links, since the last pose is a good guess.
    kl_warmup
        Share of the warm-up over which the weight of the links' divergence from their prior rises
        from 0 to 1, and of joint training over which joint_kl rises. At full weight from the
        beginning (0, the paper) links close before anything has learned to use them.
    joint_lr_scale
        Learning rate of AIM in joint training, as a factor on that of the rest.
    joint_optimizer
        What moves AIM in joint training: 'sgd', as the rest, or 'adam', as in its warm-up.
    joint_lr
        Learning rate of AIM in joint training, before the schedule; none: by
        joint_lr_scale with 'sgd', that of the warm-up with 'adam'.
    loss_weight
        Weight of AIM's own loss beside the joint loss; 0 (the paper): it ends with the warm-up.
    joint_kl
        Weight of the links' divergence from their prior alone beside the joint loss, so that a
        link has its price in joint training too; 0 (the paper): links cost nothing there.
    """

    epochs: int = 10
    lr: float = 5e-4
    batch_size: int | None = None
    pred_steps: int = 10
    kl_warmup: float = 0.5
    joint_lr_scale: float = 0.1
    joint_optimizer: Literal["sgd", "adam"] = "sgd"
    joint_lr: float | None = None
    loss_weight: float = 0.0
    joint_kl: float = 0.0

    def __post_init__(self) -> None:
        check_types(self, "aim.")
        weights = ("epochs", "joint_lr_scale", "loss_weight", "joint_kl")
        _check_each(self, "aim", _NOT_NEGATIVE, *weights)
        _check_each(self, "aim", _AT_LEAST_1, "pred_steps", "batch_size")
        _check_most(self, "aim", epochs=MOST_EPOCHS, pred_steps=10_000, batch_size=2**16)
        _check_each(self, "aim", _POSITIVE, "lr", "joint_lr")
        _check_each(self, "aim", _SHARE, "kl_warmup")


@dataclass
class OptimConfig:
    """Stochastic gradient descent with momentum, and its schedule.

    Weight decay acts on the weights of convolutions and linear maps. Biases, the parameters of
    norms and the edge masks M are spared: decay would only weaken the links, as a mask starts at 1.

    Parameters
    ----------
    lr
        Learning rate at its highest.
    base_batch
        Clips of a step that ``lr`` is meant for: with another ``trainer.batch_size`` it is scaled
        in proportion; none: it is not.
    momentum
        Momentum of the gradient descent.
    nesterov
        Look ahead, as Nesterov does.
    weight_decay
        Weight decay.
    schedule
        'cosine' (to zero), 'step' (times ``gamma`` after each of ``milestones``) or 'constant'.
    milestones
        Epochs after which the learning rate falls, with schedule 'step'.
    gamma
        Factor of each such fall.
    warmup_epochs
        Epochs over which the learning rate rises from zero; may be a fraction.
    label_smoothing
        Share of each target that is spread over all classes.
    grad_clip
        Largest norm of the gradient; none: not clipped.
    ema
        Decay of an exponential moving average of the weights, which is then what is evaluated,
        with batch statistics of its own; none: no average.
    average_last
        Epochs at the end over which all steps' weights are averaged alike, which is then what is
        evaluated, with batch statistics of its own; none: no such average.
    """

    lr: float = 0.1
    base_batch: int | None = None
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    milestones: list[int] = field(default_factory=list)
    gamma: float = 0.1
    warmup_epochs: float = 1.0
    label_smoothing: float = 0.0
    grad_clip: float | None = None
    ema: float | None = None
    average_last: int | None = None

    def __post_init__(self) -> None:
        check_types(self, "optim.")
        check(
            self.average_last is None or self.ema is None,
            "optim.average_last",
            "left out where optim.ema is set",
            self.average_last,
        )
        _check_each(self, "optim", _POSITIVE, "lr", "grad_clip")
        _check_each(self, "optim", _NOT_NEGATIVE, "weight_decay", "warmup_epochs")
        _check_each(self, "optim", _AT_LEAST_1, "base_batch", "average_last")
        below_1: _Rule = ("in [0, 1)", lambda value: 0 <= value < 1)
        _check_each(self, "optim", below_1, "momentum", "label_smoothing")
        check(
            not self.nesterov or self.momentum > 0,
            "optim.nesterov",
            "false where optim.momentum is 0",
            self.nesterov,
        )
        check(
            self.schedule != "step" or bool(self.milestones),
            "optim.milestones",
            "a list of epochs with schedule 'step'",
            self.milestones,
        )
        check(self.ema is None or 0 < self.ema < 1, "optim.ema", "between 0 and 1", self.ema)


@dataclass
class PredictionConfig:
    """How much the prediction of future poses counts.

    Parameters
    ----------
    weight
        w, weight of the prediction loss beside that of recognition (Eq. 6).
    share
        Probability that a training clip loses its last T' frames, which are then the target. The
        others are seen whole and train recognition alone.
    loss
        'squared' (the paper), or 'distance': the length of the error, which a few joints that the
        sensor has lost do not govern.
    """

    weight: float = 0.01
    share: float = 0.5
    loss: Literal["squared", "distance"] = "squared"

    def __post_init__(self) -> None:
        check_types(self, "prediction.")
        _check_each(self, "prediction", _NOT_NEGATIVE, "weight")
        _check_each(self, "prediction", _SHARE, "share")


@dataclass
class ForecastConfig:
    """What a forecaster learns from, and its loss; other models do not use it.

    A forecaster learns from windows of the recordings, by AdamW with the rates and the schedule of
    section ``optim``; of the augmentations ``clips.flip`` and ``clips.noise`` act on windows.

    Parameters
    ----------
    rate
        Frames a second that are seen and forecast, of recordings that say their own; none: all.
    windows
        Windows that an epoch draws.
    balance
        How windows are drawn: 1, all alike; 0, every action as often; or between.
    reverse
        Probability that a window is played backwards.
    slow
        Slowest speed that a window is played at, from 0 to 1; half of them keep their own.
    speed_weight
        Weight of the error of the speeds beside that of the positions.
    horizon_power
        The error of frame t counts t to minus this: 0, all frames alike; 1, as a steady motion that
        was missed grows.
    form
        What is forecast of motion capture: 'positions' or 'angles'. A store holds what it was
        prepared with.
    """

    rate: float | None = 25.0
    windows: int = 6400
    balance: float = 0.5
    reverse: float = 0.0
    slow: float = 1.0
    speed_weight: float = 1.0
    horizon_power: float = 0.5
    form: Literal["positions", "angles"] = "positions"

    def __post_init__(self) -> None:
        check_types(self, "forecast.")
        _check_each(self, "forecast", _POSITIVE, "rate", "slow")
        _check_each(self, "forecast", _AT_LEAST_1, "windows")
        _check_each(self, "forecast", _NOT_NEGATIVE, "speed_weight", "horizon_power")
        _check_each(self, "forecast", _SHARE, "balance", "reverse", "slow")


@dataclass
class TrainerConfig:
    """The loop.

    Parameters
    ----------
    epochs
        Epochs of the joint training.
    batch_size
        Clips of a training step, over all processes and pieces: the same configuration is the
        same training on any number of GPUs.
    accumulate
        Pieces that a step's clips are worked through in, where they do not fit into memory at
        once. Batch norms count within a piece.
    devices
        GPUs, or processes, of a node; none: as many as torchrun or SLURM started, else one.
    nodes
        Nodes; none: as many as torchrun or SLURM started, else one.
    sync_norm
        Batch norms count over all processes, not within each.
    eval_batch_size
        Clips of a batch in evaluation.
    eval_every
        Epochs from one validation to the next.
    seed
        Seed of the weights, the data order, the augmentation, dropout and the A-links' noise.
    precision
        Precision of the arithmetic, in Lightning's words; 'auto': bf16-mixed where the device
        multiplies in bfloat16 by itself (a GPU of compute capability 8.0 and up, a CPU with
        AVX512-BF16 or AMX), else 32-true.
    accelerator
        Where to compute, in Lightning's words.
    threads
        Threads of torch; none: torch's default.
    progress
        Show progress bars: always, never, or where output goes to a terminal.
    freeze
        Parts of the model that are not trained, their statistics included: 'aim', 'backbone' (input
        norms and blocks), 'recognition', 'prediction'; for a start from another model's weights.
    early_stop
        Validations without a better one after which joint training ends; none: it never does.
    loggers
        Where to log beside ``csv/`` in the run's folder: 'tensorboard' (if it is installed),
        'wandb' (Weights & Biases), 'mlflow'.
    link_pictures
        Put a picture of the mean A-links of a few clips into TensorBoard after each epoch.
    reuse_memory
        On a CPU, keep the memory of large tensors for reuse (glibc only): faster, but the process
        gives nothing back.
    """

    epochs: int = 65
    batch_size: int = 16
    accumulate: int = 1
    devices: int | None = None
    nodes: int | None = None
    sync_norm: bool = True
    eval_batch_size: int = 64
    eval_every: int = 1
    seed: int = 0
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed", "64-true"] = "32-true"
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    threads: int | None = None
    progress: Literal["auto", "on", "off"] = "auto"
    freeze: list[Literal["aim", "backbone", "recognition", "prediction"]] = field(
        default_factory=list
    )
    early_stop: int | None = None
    loggers: list[LoggerName] = field(default_factory=lambda: ["tensorboard"])
    link_pictures: bool = True
    reuse_memory: bool = True

    def __post_init__(self) -> None:
        check_types(self, "trainer.")
        sizes = ("epochs", "batch_size", "accumulate", "eval_batch_size", "eval_every")
        counts = ("threads", "devices", "nodes", "early_stop")
        _check_each(self, "trainer", _AT_LEAST_1, *sizes, *counts)
        _check_each(self, "trainer", _NOT_NEGATIVE, "seed")
        _check_most(self, "trainer", epochs=MOST_EPOCHS, batch_size=2**16, eval_batch_size=2**16)
        _check_most(self, "trainer", threads=1024, devices=1024, nodes=1024, seed=MOST_SEED)
        check(
            self.accumulate <= self.batch_size,
            "trainer.accumulate",
            f"at most trainer.batch_size ({self.batch_size})",
            self.accumulate,
        )


@dataclass
class RunConfig:
    """All options of a run.

    Parameters
    ----------
    data
        Name of the data set: nw_ucla, ntu60, ntu120 or synthetic; with a store any format's name,
        which then chooses the configuration.
    root
        Folder of the data set, or of a store; several, joined by a colon (on Windows a semicolon),
        are one set of all their clips.
    clips, model, aim, optim, prediction, forecast, trainer
        Sections of options, see their classes.

    Examples
    --------
    >>> config = RunConfig(data="synthetic", root="clips", trainer=TrainerConfig(epochs=3))
    >>> RunConfig.from_dict(config.to_dict()) == config
    True
    """

    data: str = "synthetic"
    root: str = "."
    clips: ClipsConfig = field(default_factory=ClipsConfig)
    model: ASGCNConfig = field(default_factory=ASGCNConfig)
    aim: AIMConfig = field(default_factory=AIMConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    prediction: PredictionConfig = field(default_factory=PredictionConfig)
    forecast: ForecastConfig = field(default_factory=ForecastConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)

    def __post_init__(self) -> None:
        check_types(self)
        frozen = self.model.link_mode == "frozen"
        for name in ("loss_weight", "joint_kl"):
            value = getattr(self.aim, name)
            rule = "0 where model.link_mode is frozen"
            check(not frozen or value == 0, f"aim.{name}", rule, value)
        check(
            self.model.made_streams is None or self.clips.stream == "joint",
            "clips.stream",
            f"joint where model.streams is {self.model.streams}: they are made from positions",
            self.clips.stream,
        )
        check(
            self.trainer.early_stop is None or self.clips.validation != "none",
            "trainer.early_stop",
            "left out where clips.validation is none",
            self.trainer.early_stop,
        )
        if self.model.name == "forecaster":
            self._check_forecaster()

    def _check_forecaster(self) -> None:
        for section, name, wanted in (
            ("clips", "stream", "joint"),
            ("trainer", "accumulate", 1),
            ("trainer", "early_stop", None),
            ("clips", "box", False),
            ("clips", "views", "given"),
            *((("clips", "flip", 0),) if self.forecast.form == "angles" else ()),
        ):
            value = getattr(getattr(self, section), name)
            check(value == wanted, f"{section}.{name}", f"{wanted} for a forecaster", value)

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
    """Return the options that the configuration ``name`` of the package sets, or None.

    Examples
    --------
    >>> packaged_config("paper")["optim"]["schedule"]
    'step'
    """
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
    """Return the value of an option as YAML has it, on one line.

    Examples
    --------
    >>> yaml_text([32, 64]), yaml_text("xview"), yaml_text(None)
    ('[32, 64]', 'xview', 'null')
    """
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
