"""The options of a model, declared once.

The constructor's keywords, the section ``model`` of a YAML file, the command's help and the record
in a checkpoint all read :class:`ASGCNConfig`. To import it imports neither torch nor numpy.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from asgcn_dgl.options import check, check_types, plain, renamed

__all__ = ["PRESETS", "ASGCNConfig", "LinkMode", "Stream", "options_of"]

LinkMode = Literal["sampled", "steady", "frozen"]
Stream = Literal["joint", "bone", "joint_motion", "bone_motion", "long_bone", "long_bone_motion"]

PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "small": {
        "channels": [32, 32, 64, 64, 128, 128],
        "strides": [1, 1, 2, 1, 2, 1],
        "aim_hidden": 64,
        "aim_frames": 25,
        "future_channels": 64,
        "dropout": 0.1,
    },
    "light": {
        "channels": [32, 64, 64, 64, 64, 64],
        "strides": [2, 1, 1, 2, 1, 1],
        "kernel_size": 5,
        "temporal": "four_branches",
        "shared_weights": True,
        "aim_hidden": 32,
        "aim_frames": 25,
        "future_head": "narrow",
        "future_channels": 64,
        "dropout": 0.0,
    },
}

#: Sizes beyond any use.
_MOST = {
    **{"num_classes": 100_000, "in_feats": 1000, "kernel_size": 1000, "max_hop": 100},
    **{"num_actional": 100, "aim_frames": 10_000, "aim_hidden": 8192, "future_frames": 10_000},
    **{"future_channels": 8192, "fixed_bodies": 100, "past_frames": 10_000},
}
MOST_WEIGHTS = 2**30

#: Options that a model lacks, with the value that they keep.
_FIXED: dict[str, dict[str, Any]] = {
    "stgcn": {"max_hop": 1, "num_actional": 0, "future_frames": 0},
    "forecaster": {
        "input_norm": "channel",
        "temporal": "single",
        "attention": None,
        "shared_weights": False,
        "conv_residual": False,
        "masked": True,
        "fixed_bodies": None,
        "future_head": "paper",
        "streams": ["joint"],
        "stream_fusion": "early",
    },
}
#: Defaults of each model that are not those below.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "asgcn": {},
    "stgcn": {**_FIXED["stgcn"], "norm": "symmetric"},
    "forecaster": {
        "channels": [128] * 6,
        "input_norm": "channel",
        "max_hop": 1,
        "num_actional": 0,
        "link_norm": "self_loop",
        "aim_hidden": 64,
        "aim_dropout": 0.0,
        "structural_offsets": True,
        "bias": True,
        "dropout": 0.0,
        "future_frames": 25,
    },
}


@dataclass
class _OfTheData:
    """What may be given without a name: KW_ONLY, the usual way, has no type in Python 3.10."""

    layouts: Any = field(default_factory=list)
    num_classes: int = 0
    in_feats: int = 3


@dataclass(kw_only=True)
class ASGCNConfig(_OfTheData):
    """Options of :class:`~asgcn_dgl.models.ASGCN`; the defaults are the paper's.

    Parameters
    ----------
    layouts
        The layout, or layouts, of the clips, or their names.
    num_classes
        K, classes to recognize.
    in_feats
        D, features of a joint in a frame; also the coordinates of predicted poses.
    name
        'asgcn' (the paper's), 'stgcn' (the baseline: S-links of one hop, one head), or 'forecaster'
        (future poses alone, see :class:`~asgcn_dgl.models.Forecaster`).
    channels
        Features of each block of the backbone (Fig. 6), or of the forecaster, where all are equal.
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
    norm
        Normalization of the S-link operators: 'transition' (AS-GCN) or 'symmetric' (ST-GCN).
    num_actional
        C, types of A-links besides the ghost; 0: no A-links and no AIM.
    actional_weight
        λ, weight of the A-links beside the S-links.
    link_norm
        Normalization of the A-links of a joint: 'paper', 'self_loop' or 'none'.
    scale
        Factor on the normalized A-links.
    hard
        Draw one type for each pair while training (straight-through), not a mixture.
    tau
        τ, temperature of the Gumbel softmax.
    ghost_prior
        P0, prior probability that two joints are not linked; 0: no ghost type.
    aim_frames
        Frames of a clip that the inference module sees.
    aim_hidden
        Hidden units of the inference module.
    aim_dropout
        Dropout of the inference module's encoder.
    aim_motion
        Infer A-links from how joints move together: the encoder sees the products of their
        movements, and the decoder sends the movement of the sender. False: from their positions
        (the paper).
    aim_variance
        σ², variance of the poses that the inference module predicts, squared units of the data.
    link_mode
        A-links in joint training: 'sampled' (Eq. 3, with noise and dropout), 'steady' (those of
        evaluation, tuned by the joint loss), or 'frozen' (steady, and the inference module is not
        trained, as in the published code).
    across_bodies
        Infer A-links between the bodies of a clip too.
    edge_mask
        Learn a mask M on the S-links.
    bias
        Give the graph convolutions a bias: true for one of the result, 'relation' for one of each
        relation, added to what is sent, as the published codes do.
    dropout
        Dropout after each temporal convolution.
    input_norm
        Batch norm of the input by joint and channel ('joint', one layout only) or by channel
        ('channel').
    future_frames
        T', frames that the prediction head, or a forecaster, predicts; 0: no prediction head.
    future_channels
        Features of the prediction head's blocks.
    temporal
        Temporal convolutions: 'single' (the paper) or of several reaches, 'branches' (ST-GCN++'s
        six, for which a kernel_size of 3 is usual) or 'four_branches' (CTR-GCN's, 5 is usual).
    attention
        Let every block weigh 'frames', 'joints' or 'both'; none: no attention (the paper).
    structural_offsets
        Learn additive parts of the S-link operators of one hop, which can join any two joints.
    shared_weights
        Share the weights of a graph convolution: one matrix for each partition, with a learned
        factor for each hop, and one for all types of A-links, with a factor for each type.
    conv_residual
        Add the input of each graph convolution to its result, before the ReLU (PYSKL).
    masked
        Leave out joints and frames that are missing; false: they are zeros that count, as in the
        published codes.
    fixed_bodies
        Bodies that are computed of every clip, absent ones as zeros, as the published codes do;
        none: those that exist. It needs masked false.
    future_head
        Prediction head: 'paper' (Fig. 7), 'narrow' (two graph convolutions on the mean and the last
        frame of the features), 'published', the one of the published code, whose sum with the last
        pose mixes coordinates and frames up as there, or 'dct', which sees the last past_frames as
        recorded and predicts coefficients over time, as a forecaster does.
    past_frames
        Frames that a forecaster, or the prediction head 'dct', sees.
    coefficients
        Coefficients over time, the lowest frequencies, in which they see and predict motion; none:
        as many as frames.
    motion_unit
        Length that is 1 inside them, in the unit of the data: about how far a joint moves.
    streams
        Inputs that one model is given side by side, made from positions: 'joint', 'bone',
        'joint_motion', 'bone_motion', 'long_bone', 'long_bone_motion'. The paper's is ['joint'],
        the features as they come.
    stream_fusion
        Where several streams meet: 'early' (side by side in one backbone), or 'late' (each has a
        backbone and a classifier of its own, of whose probabilities the mean is taken; the
        prediction head is given the features of all).

    Raises
    ------
    ValueError
        If an option is not of its type or breaks its rule; layers check theirs when they are made.

    Examples
    --------
    >>> config = ASGCNConfig("ntu25", num_classes=60, max_hop=2)
    >>> ASGCNConfig.from_dict(config.to_dict()) == config
    True
    """

    name: Literal["asgcn", "stgcn", "forecaster"] = "asgcn"
    channels: list[int] = field(default_factory=lambda: [64, 64, 64, 128, 128, 128, 256, 256, 256])
    strides: list[int] = field(default_factory=lambda: [1, 1, 1, 2, 1, 1, 2, 1, 1])
    kernel_size: int = 7
    max_hop: int = 4
    construction: Literal["power", "distance"] = "power"
    truncated: bool = False
    norm: Literal["transition", "symmetric"] = "transition"
    num_actional: int = 3
    actional_weight: float = 0.5
    link_norm: Literal["paper", "self_loop", "none"] = "paper"
    scale: float = 1.0
    hard: bool = False
    tau: float = 0.5
    ghost_prior: float = 0.95
    aim_frames: int = 50
    aim_hidden: int = 128
    aim_dropout: float = 0.5
    aim_motion: bool = False
    aim_variance: float = 5e-4
    link_mode: LinkMode = "sampled"
    across_bodies: bool = False
    edge_mask: bool = True
    bias: bool | Literal["relation"] = False
    dropout: float = 0.5
    input_norm: Literal["joint", "channel"] = "joint"
    future_frames: int = 10
    future_channels: int = 128
    temporal: Literal["single", "branches", "four_branches"] = "single"
    attention: Literal["frames", "joints", "both"] | None = None
    structural_offsets: bool = False
    shared_weights: bool = False
    conv_residual: bool = False
    masked: bool = True
    fixed_bodies: int | None = None
    future_head: Literal["paper", "narrow", "published", "dct"] = "paper"
    past_frames: int = 10
    coefficients: int | None = None
    motion_unit: float = 0.1
    streams: list[Stream] = field(default_factory=lambda: ["joint"])
    stream_fusion: Literal["early", "late"] = "early"

    def __post_init__(self) -> None:
        self.layouts = _as_list(self.layouts)
        check_types(self)
        if self.name == "forecaster":
            self.strides = [1] * len(self.channels)
            check(len(set(self.channels)) == 1, "channels", "equal numbers", self.channels)
            check(self.future_frames >= 1, "future_frames", "at least 1", self.future_frames)
        for name, value in _FIXED.get(self.name, {}).items():
            kind = "ST-GCN" if self.name == "stgcn" else "a forecaster"
            check(getattr(self, name) == value, name, f"{value} in {kind}", getattr(self, name))
        if self.name == "forecaster" or self.future_head == "dct":
            self._check_coefficients()
        same = len(self.channels) == len(self.strides) > 0
        rule = f"as many as strides ({len(self.strides)}), at least one"
        check(same, "channels", rule, self.channels)
        once = 0 < len(self.streams) == len(set(self.streams))
        check(once, "streams", "at least one, each once", self.streams)
        self._check_sizes()
        check(
            self.input_norm == "channel" or len(self.layouts) <= 1,
            "input_norm",
            f"'channel' for {len(self.layouts)} layouts: 'joint' serves one only",
            self.input_norm,
        )
        if self.fixed_bodies is not None:
            check(self.fixed_bodies >= 1, "fixed_bodies", "at least 1", self.fixed_bodies)
            check(not self.masked, "masked", "false with fixed_bodies", self.masked)
            check(not self.across_bodies, "across_bodies", "false with fixed_bodies", True)

    def _check_coefficients(self) -> None:
        check(self.past_frames >= 1, "past_frames", "at least 1", self.past_frames)
        frames = self.past_frames + self.future_frames
        good = self.coefficients is None or 1 <= self.coefficients <= frames
        rule = f"from 1 to past_frames + future_frames ({frames})"
        check(good, "coefficients", rule, self.coefficients)
        check(self.motion_unit > 0, "motion_unit", "positive", self.motion_unit)

    def _check_sizes(self) -> None:
        """Refuse what no memory holds before anything is built; layers check the rest."""
        for name, most in _MOST.items():
            value = getattr(self, name)
            check(value is None or value <= most, name, f"at most {most}", value)
        for name, most in (("channels", 8192), ("strides", 100)):
            values = getattr(self, name)
            check(len(values) <= 100, name, "at most 100 blocks", len(values))
            check(max(values) <= most, name, f"at most {most} each", max(values))
        widths = zip([self.in_feats, *self.channels], self.channels, strict=False)
        links = 3 * self.max_hop + self.num_actional
        size = sum(o * (i * links + o * self.kernel_size) for i, o in widths)
        check(size <= MOST_WEIGHTS, "channels", f"fewer: at most {MOST_WEIGHTS:,} weights", size)

    @classmethod
    def preset(cls, preset: str = "paper", *data: Any, **options: Any) -> ASGCNConfig:
        """Start from sizes that have a name.

        Parameters
        ----------
        preset
            ``"paper"`` (nine blocks, 64 to 256 channels), ``"small"`` (six of 32 to 128) or
            ``"light"`` (six of 32 to 64 with shared weights, for speed).
        *data
            Layouts, num_classes and in_feats.
        **options
            Options that differ from the preset's.

        Raises
        ------
        ValueError
            If there is no such preset, or an option breaks its rule.
        """
        check(preset in PRESETS, "preset", f"one of {', '.join(PRESETS)}", preset)
        defaults = _DEFAULTS.get(options.get("name", "asgcn"), {})
        return cls(*data, **{**PRESETS[preset], **defaults, **options})

    @property
    def made_streams(self) -> tuple[str, ...] | None:
        """Streams that the model makes of positions; None where it takes what comes."""
        return None if self.streams == ["joint"] else tuple(self.streams)

    def to_dict(self) -> dict[str, Any]:
        """Return the options as plain JSON values."""
        return {**plain(self), "layouts": [layout.to_dict() for layout in self.layouts]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ASGCNConfig:
        """Build from what :meth:`to_dict` gave, in this version or in 0.1.0 before its release.

        Raises
        ------
        ValueError
            If an option is unknown or breaks its rule.
        """
        from asgcn_dgl.skeleton import SkeletonLayout

        options: dict[str, Any] = renamed({"model": values})["model"]
        known = [f.name for f in fields(cls)]
        for name in options:
            if name not in known:
                raise ValueError(f"unknown option {name}; there are {', '.join(known)}")
        options["layouts"] = [SkeletonLayout.from_dict(each) for each in options["layouts"]]
        return cls.preset("paper", **options)


def _as_list(layouts: Any) -> list[Any]:
    from asgcn_dgl.skeleton import SkeletonLayout, get_layout

    several = [layouts] if isinstance(layouts, SkeletonLayout | str) else layouts
    return [get_layout(each) for each in several]


def options_of(made: Callable[..., Any], config: ASGCNConfig) -> dict[str, Any]:
    """Return the options of a model that a constructor takes by the same names."""
    taken = inspect.signature(made).parameters.keys() - {"layouts", "in_feats"}
    return {f.name: getattr(config, f.name) for f in fields(config) if f.name in taken}
