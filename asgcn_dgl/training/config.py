"""The options of a training run as typed data: what the YAML files and the command line fill in.

Nothing here imports torch, so that ``asgcn-dgl --help`` answers at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

try:
    import yaml
except ImportError as error:
    raise ImportError("training needs the extra 'train': pip install 'asgcn_dgl[train]'") from error

from asgcn_dgl.errors import InputError

__all__ = [
    "AIMConfig",
    "ClipsConfig",
    "ModelConfig",
    "OptimConfig",
    "PredictionConfig",
    "RunConfig",
    "TrainerConfig",
    "packaged_config",
    "packaged_configs",
    "read_yaml",
]


def _check(rule: bool, name: str, text: str, value: object) -> None:
    """Raise a ValueError that names the option, the rule and the value."""
    if not rule:
        raise ValueError(f"{name} must be {text}, got {value!r}")


@dataclass
class ClipsConfig:
    """Which clips are seen, and how they are prepared.

    Parameters
    ----------
    protocol
        Split of the set into training and test clips, by name; none: the set's usual one.
    validation
        What is held out of the training clips for choosing: whole subjects, cameras or set-ups,
        clips drawn at random, or nothing (the last epoch is then the result).
    validation_share
        Share of the training clips that is held out, at least.
    validation_seed
        Seed of what is held out; the same for runs that differ in ``trainer.seed``.
    num_frames
        T, frames of a clip that the model sees.
    sampling
        How the frames are taken: 'uniform' (one out of each of T equal stretches of the clip),
        'resize' (interpolation), 'repeat' (from the start again until full), 'pad' (masked frames),
        'own' (all that the clip has, T at most; clips of about the same length share a batch).
    num_clips
        Choices of frames of a clip, over which evaluation averages its class probabilities.
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
        What the model is given: joint positions, bone vectors, or the motion of either.
    align
        How a clip is placed: 'center' (the first body's centre joint is the origin), 'spine' (also
        its spine upright), 'view' (also its shoulders along x, the spine staying upright),
        'published' (the shoulders along x by the shortest turn, as published), or 'none'.
    rotate
        Largest angle of the random rotation while training, in degrees: one number, or one for each
        of the axes x, y and z.
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
    repeat
        How often an epoch of joint training goes over the training clips.
    workers
        Processes that prepare clips; 0: the training process does it.
    cache
        Keep the raw clips in memory after the first reading.
    """

    protocol: str | None = None
    validation: Literal["subject", "camera", "setup", "random", "none"] = "subject"
    validation_share: float = 0.2
    validation_seed: int = 0
    num_frames: int = 64
    sampling: Literal["uniform", "resize", "repeat", "pad", "own"] = "uniform"
    num_clips: int = 1
    missing: Literal["mask", "interpolate", "drop", "zero"] = "mask"
    missing_gap: int | None = None
    max_bodies: int | None = None
    body_rule: Literal["energy", "confidence", "tracking"] = "energy"
    crop: list[float] = field(default_factory=lambda: [1.0, 1.0])
    stream: Literal["joint", "bone", "joint_motion", "bone_motion"] = "joint"
    align: Literal["none", "center", "spine", "view", "published"] = "spine"
    rotate: float | list[float] = 15.0
    scale: list[float] = field(default_factory=lambda: [0.9, 1.1])
    scale_per_axis: bool = False
    shear: float = 0.0
    speed: list[float] = field(default_factory=lambda: [1.0, 1.0])
    move: bool = False
    flip: float = 0.0
    noise: float = 0.0
    lose: float = 0.0
    repeat: int = 1
    workers: int = 0
    cache: bool = True

    def __post_init__(self) -> None:
        _check(
            0 < self.validation_share < 1,
            "clips.validation_share",
            "between 0 and 1",
            self.validation_share,
        )
        _check(
            self.validation_seed >= 0, "clips.validation_seed", "0 or more", self.validation_seed
        )
        for name in ("num_frames", "num_clips", "missing_gap", "max_bodies"):
            value = getattr(self, name)
            _check(value is None or value >= 1, f"clips.{name}", "at least 1", value)
        for name in ("crop", "scale", "speed"):
            low_high = getattr(self, name)
            _check(
                len(low_high) == 2 and 0 < low_high[0] <= low_high[1],
                f"clips.{name}",
                "two positive numbers, the lower first",
                low_high,
            )
        _check(self.crop[1] <= 1, "clips.crop", "at most 1", self.crop)
        angles = self.rotate if isinstance(self.rotate, list) else [self.rotate] * 3
        _check(
            len(angles) == 3 and all(0 <= angle <= 180 for angle in angles),
            "clips.rotate",
            "one number or three, each from 0 to 180 degrees",
            self.rotate,
        )
        _check(0 <= self.flip <= 1, "clips.flip", "between 0 and 1", self.flip)
        _check(0 <= self.lose <= 1, "clips.lose", "between 0 and 1", self.lose)
        _check(self.shear >= 0, "clips.shear", "0 or more", self.shear)
        _check(self.noise >= 0, "clips.noise", "0 or more", self.noise)
        _check(self.repeat >= 1, "clips.repeat", "at least 1", self.repeat)
        _check(self.workers >= 0, "clips.workers", "0 or more", self.workers)


@dataclass
class ModelConfig:
    """The network. An option left out takes the value of the preset.

    Parameters
    ----------
    name
        'asgcn' (the paper's), or 'stgcn' (the baseline: S-links of one hop, one head).
    preset
        Sizes to start from: 'paper' (nine blocks, 64 to 256 channels) or 'small'.
    channels
        Features of each block.
    strides
        Temporal stride of each block.
    kernel_size
        Frames that a temporal convolution spans.
    max_hop
        L, the order of the S-links.
    construction
        How S-links of more than one hop are made: 'power' (the paper) or 'distance' (ST-GCN).
    truncated
        With 'distance': cut true distances at L hops, as the published code does.
    normalization
        How S-links are normalised: 'transition' (AS-GCN) or 'symmetric' (ST-GCN).
    num_actional
        C, types of A-links besides the ghost; 0: no A-links and no AIM.
    actional_weight
        λ, weight of the A-links beside the S-links.
    normalise
        How the A-links of a joint are normalised: 'paper', 'self_loop' or 'none'.
    scale
        Factor on the normalised A-links.
    hard
        Draw one type for each pair while training (straight-through), not a mixture.
    tau
        τ, temperature of the Gumbel softmax.
    ghost_prior
        P0, prior probability that two joints are not linked.
    aim_frames
        Frames of a clip that the inference module sees.
    aim_hidden
        Hidden units of the inference module.
    aim_dropout
        Dropout of the inference module.
    aim_variance
        σ², variance of the poses that the inference module predicts, squared units of the data.
    across_bodies
        Infer A-links between the bodies of a clip too.
    edge_mask
        Learn a mask M on the S-links.
    bias
        Give the graph convolutions a bias.
    dropout
        Dropout after each temporal convolution.
    input_norm
        Batch norm of the input by joint and channel ('joint') or by channel ('channel').
    future_frames
        T', frames that the prediction head predicts; 0: no prediction head.
    future_channels
        Features of the prediction head's blocks.
    temporal
        Temporal convolutions: 'single' (the paper) or 'branches' of several reaches (ST-GCN++),
        for which a kernel_size of 3 is usual.
    attention
        Let every block weigh 'frames', 'joints' or 'both'; none: no attention (the paper).
    structural_offsets
        Learn additive parts of the S-link operators of one hop, which can join any two joints.
    streams
        Inputs that one model is given side by side, made from positions: 'joint', 'bone',
        'joint_motion', 'bone_motion'. The paper's is ['joint'], which takes clips.stream as it is.
    """

    name: Literal["asgcn", "stgcn"] = "asgcn"
    preset: Literal["paper", "small"] = "paper"
    channels: list[int] | None = None
    strides: list[int] | None = None
    kernel_size: int | None = None
    max_hop: int | None = None
    construction: Literal["power", "distance"] | None = None
    truncated: bool | None = None
    normalization: Literal["transition", "symmetric"] | None = None
    num_actional: int | None = None
    actional_weight: float | None = None
    normalise: Literal["paper", "self_loop", "none"] | None = None
    scale: float | None = None
    hard: bool | None = None
    tau: float | None = None
    ghost_prior: float | None = None
    aim_frames: int | None = None
    aim_hidden: int | None = None
    aim_dropout: float | None = None
    aim_variance: float | None = None
    across_bodies: bool | None = None
    edge_mask: bool | None = None
    bias: bool | None = None
    dropout: float | None = None
    input_norm: Literal["joint", "channel"] | None = None
    future_frames: int | None = None
    future_channels: int | None = None
    temporal: Literal["single", "branches"] | None = None
    attention: Literal["frames", "joints", "both"] | None = None
    structural_offsets: bool | None = None
    streams: list[Literal["joint", "bone", "joint_motion", "bone_motion"]] | None = None

    @property
    def made_streams(self) -> tuple[str, ...] | None:
        """Streams that the model makes of positions; None where it takes what comes."""
        return None if self.streams in (None, ["joint"]) else tuple(self.streams)

    def options(self) -> dict[str, Any]:
        """Return the options that were given, without the name and the preset."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in given.items()
            if key not in ("name", "preset") and value is not None
        }


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
        from 0 to 1. At full weight from the beginning (0, the paper) links close before the
        decoder has learnt to use them.
    joint
        A-links in joint training: 'sampled' with noise and dropout (the paper), 'steady', those of
        evaluation, tuned by the joint loss all the same, or 'frozen' as the warm-up left them.
    joint_lr_scale
        Learning rate of AIM in joint training, as a factor on that of the rest.
    joint_optimizer
        What moves AIM in joint training: 'sgd', as the rest, or 'adam', as in its warm-up.
    joint_lr
        Learning rate of AIM in joint training by itself, before the schedule; none: by
        joint_lr_scale with 'sgd', that of the warm-up with 'adam'.
    loss_weight
        Weight of AIM's own loss beside the joint loss; 0 (the paper): it ends with the warm-up.
    """

    epochs: int = 10
    lr: float = 5e-4
    batch_size: int | None = None
    pred_steps: int = 10
    kl_warmup: float = 0.5
    joint: Literal["sampled", "steady", "frozen"] = "sampled"
    joint_lr_scale: float = 0.1
    joint_optimizer: Literal["sgd", "adam"] = "sgd"
    joint_lr: float | None = None
    loss_weight: float = 0.0

    def __post_init__(self) -> None:
        _check(self.epochs >= 0, "aim.epochs", "0 or more", self.epochs)
        _check(self.lr > 0, "aim.lr", "positive", self.lr)
        _check(self.pred_steps >= 1, "aim.pred_steps", "at least 1", self.pred_steps)
        _check(0 <= self.kl_warmup <= 1, "aim.kl_warmup", "within 0..1", self.kl_warmup)
        _check(self.joint_lr_scale >= 0, "aim.joint_lr_scale", "0 or more", self.joint_lr_scale)
        _check(
            self.joint_lr is None or self.joint_lr > 0, "aim.joint_lr", "positive", self.joint_lr
        )
        _check(
            self.loss_weight >= 0 and (self.joint != "frozen" or self.loss_weight == 0),
            "aim.loss_weight",
            "0 or more, and 0 where aim.joint is frozen",
            self.loss_weight,
        )
        _check(
            self.batch_size is None or self.batch_size >= 1,
            "aim.batch_size",
            "at least 1",
            self.batch_size,
        )


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
        'cosine' (to zero), 'step' (times ``gamma`` after each of ``steps``) or 'constant'.
    steps
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
    """

    lr: float = 0.1
    base_batch: int | None = None
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    steps: list[int] = field(default_factory=list)
    gamma: float = 0.1
    warmup_epochs: float = 1.0
    label_smoothing: float = 0.0
    grad_clip: float | None = None
    ema: float | None = None

    def __post_init__(self) -> None:
        _check(self.lr > 0, "optim.lr", "positive", self.lr)
        _check(
            self.base_batch is None or self.base_batch >= 1,
            "optim.base_batch",
            "at least 1",
            self.base_batch,
        )
        _check(0 <= self.momentum < 1, "optim.momentum", "in [0, 1)", self.momentum)
        _check(
            not self.nesterov or self.momentum > 0,
            "optim.nesterov",
            "false where optim.momentum is 0",
            self.nesterov,
        )
        _check(self.weight_decay >= 0, "optim.weight_decay", "0 or more", self.weight_decay)
        _check(
            self.schedule != "step" or bool(self.steps),
            "optim.steps",
            "a list of epochs with schedule 'step'",
            self.steps,
        )
        _check(self.warmup_epochs >= 0, "optim.warmup_epochs", "0 or more", self.warmup_epochs)
        _check(
            0 <= self.label_smoothing < 1,
            "optim.label_smoothing",
            "in [0, 1)",
            self.label_smoothing,
        )
        _check(
            self.grad_clip is None or self.grad_clip > 0,
            "optim.grad_clip",
            "positive",
            self.grad_clip,
        )
        _check(self.ema is None or 0 < self.ema < 1, "optim.ema", "between 0 and 1", self.ema)


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
    """

    weight: float = 0.01
    share: float = 0.5

    def __post_init__(self) -> None:
        _check(self.weight >= 0, "prediction.weight", "0 or more", self.weight)
        _check(0 <= self.share <= 1, "prediction.share", "between 0 and 1", self.share)


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
        Precision of the arithmetic, in Lightning's words.
    accelerator
        Where to compute, in Lightning's words.
    threads
        Threads of torch; none: as many as it takes by itself.
    progress
        Show progress bars: always, never, or where output goes to a terminal.
    early_stop
        Validations without a better one after which joint training ends; none: it never does.
    link_pictures
        Put a picture of the mean A-links of a few clips into TensorBoard after each epoch.
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
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "64-true"] = "32-true"
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    threads: int | None = None
    progress: Literal["auto", "on", "off"] = "auto"
    early_stop: int | None = None
    link_pictures: bool = True

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate", "eval_batch_size", "eval_every"):
            value = getattr(self, name)
            _check(value >= 1, f"trainer.{name}", "at least 1", value)
        _check(self.seed >= 0, "trainer.seed", "0 or more", self.seed)
        for name in ("threads", "devices", "nodes", "early_stop"):
            value = getattr(self, name)
            _check(value is None or value >= 1, f"trainer.{name}", "at least 1", value)
        _check(
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
    clips
        Which clips are seen, and how they are prepared.
    model
        The network.
    aim
        The A-link inference module: its warm-up, and what joint training does with it.
    optim
        Gradient descent and its schedule.
    prediction
        How much the prediction of future poses counts.
    trainer
        The loop.

    Examples
    --------
    >>> config = RunConfig(data="synthetic", root="clips", trainer=TrainerConfig(epochs=3))
    >>> RunConfig.from_dict(config.to_dict()) == config
    True
    """

    data: str = "synthetic"
    root: str = "."
    clips: ClipsConfig = field(default_factory=ClipsConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    aim: AIMConfig = field(default_factory=AIMConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    prediction: PredictionConfig = field(default_factory=PredictionConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)

    def __post_init__(self) -> None:
        _check(
            self.model.made_streams is None or self.clips.stream == "joint",
            "clips.stream",
            f"joint where model.streams is {self.model.streams}: they are made from positions",
            self.clips.stream,
        )
        _check(
            self.trainer.early_stop is None or self.clips.validation != "none",
            "trainer.early_stop",
            "left out where clips.validation is none",
            self.trainer.early_stop,
        )

    @property
    def streams(self) -> tuple[str, ...]:
        """Streams that the model sees: that of the clips, or those that it makes of positions.

        Examples
        --------
        >>> RunConfig(clips=ClipsConfig(stream="bone")).streams
        ('bone',)
        >>> RunConfig(model=ModelConfig(streams=["joint", "bone"])).streams
        ('joint', 'bone')
        """
        made = self.model.made_streams
        return (self.clips.stream,) if made is None else made

    @property
    def stream(self) -> str:
        """The same in a word, as tables show it."""
        return " + ".join(self.streams)

    def to_dict(self) -> dict[str, Any]:
        """Return plain containers, fit for YAML and for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """Build from what :meth:`to_dict` gave; options left out take their defaults.

        Raises
        ------
        ValueError
            If an option is unknown or breaks its rule.
        """
        sections = {
            "clips": ClipsConfig,
            "model": ModelConfig,
            "aim": AIMConfig,
            "optim": OptimConfig,
            "prediction": PredictionConfig,
            "trainer": TrainerConfig,
        }
        _refuse_unknown(cls, values, "")
        built = {
            key: _build(sections[key], value or {}, key) if key in sections else value
            for key, value in values.items()
        }
        return cls(**built)


_Section = TypeVar("_Section")


def _build(section: type[_Section], values: Mapping[str, Any], name: str) -> _Section:
    _refuse_unknown(section, values, f"{name}.")
    return section(**values)


def _refuse_unknown(section: Any, values: Mapping[str, Any], prefix: str) -> None:
    known = [f.name for f in fields(section)]
    for key in values:
        if key not in known:
            raise ValueError(f"unknown option {prefix}{key}; there are {', '.join(known)}")


def packaged_configs() -> list[str]:
    """Return the names of the configurations in the package."""
    folder = files("asgcn_dgl") / "configs"
    return sorted(
        p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.endswith(".yaml")
    )


def packaged_config(name: str) -> dict[str, Any] | None:
    """Return the options that the configuration ``name`` of the package sets, or None.

    Examples
    --------
    >>> packaged_config("paper")["optim"]["schedule"]
    'step'
    """
    if name not in packaged_configs():
        return None
    text = (files("asgcn_dgl") / "configs" / f"{name}.yaml").read_text(encoding="utf-8")
    return cast("dict[str, Any]", yaml.safe_load(text) or {})


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Return the options in a YAML file.

    Raises
    ------
    InputError
        If the file is missing, is not YAML, or is not a mapping.
    """
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); give a YAML file, or one of "
            f"{', '.join(packaged_configs())}"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: holds no options; write them as 'trainer: {{epochs: 3}}'")
    return values
