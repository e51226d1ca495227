"""The AS-GCN model: input norm, A-links, backbone, two heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from asgcn_dgl.nn import (
    AIM,
    ASGCNBlock,
    InputNorm,
    Links,
    MaskedBatchNorm,
    PredictionHead,
    RecognitionHead,
    StreamFeatures,
)
from asgcn_dgl.nn.masks import as_layouts
from asgcn_dgl.nn.agconv import EdgeWeight
from asgcn_dgl.ops import link_matrices
from asgcn_dgl.ops.frames import as_mask, last_frame, zero_missing
from asgcn_dgl.skeleton import GraphBuilder, SkeletonLayout
from asgcn_dgl.skeleton.graph import check_structures, structure_of

LINK_MODES = ("sampled", "steady", "frozen")

PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "small": {
        "channels": (32, 32, 64, 64, 128, 128),
        "strides": (1, 1, 2, 1, 2, 1),
        "aim_hidden": 64,
        "aim_frames": 25,
        "future_channels": 64,
        "dropout": 0.1,
    },
}


class ASGCNOutput(NamedTuple):
    """What the model says of a batch of B clips with N joints.

    Attributes
    ----------
    logits
        (B, K) class logits.
    future
        (N, T', d) predicted poses, None without prediction head or if not asked for.
    links
        A-links of the batch, None without actional types.
    features
        (N, T_out, D) of the last block.
    """

    logits: Tensor
    future: Tensor | None
    links: Links | None
    features: Tensor


class ASGCN(nn.Module):
    """Actional-structural graph convolutional network (Fig. 2).

    Parameters
    ----------
    layouts
        The layout, or layouts, of the clips.
    num_classes
        K.
    in_feats
        D, features of a joint in a frame; also the coordinates of predicted poses.
    channels, strides
        Width and temporal stride of every block of the backbone (Fig. 6).
    kernel_size
        Of the temporal convolutions.
    max_hop
        L, the order of the S-links.
    construction, truncated, normalization
        See :func:`~asgcn_dgl.skeleton.structural_operators`.
    num_actional
        C, the actional types; 0 for S-links only.
    actional_weight
        λ.
    normalise, scale
        See :class:`~asgcn_dgl.nn.AGConv`.
    hard, tau
        See :class:`~asgcn_dgl.nn.AIMEncoder`.
    ghost_prior
        P0, the prior of the ghost link; 0 for no ghost type.
    aim_frames, aim_hidden, aim_dropout
        Frames that the A-link inference module sees, its width and its encoder's dropout.
    aim_variance
        σ² of its loss.
    links
        A-links in training: ``"sampled"`` (Eq. 3, with noise and dropout), ``"steady"`` (those of
        evaluation, tuned all the same) or ``"frozen"`` (steady, and the inference module is not
        trained, as in the published code).
    across_bodies
        Infer A-links over all bodies of a clip together.
    edge_mask
        Learn the masks M of the S-links.
    bias
        Bias in the graph convolutions.
    dropout
        Of the blocks.
    input_norm
        ``"joint"`` (by joint and channel, as published, one layout only) or ``"channel"``.
    future_frames
        T', frames to predict; 0 for no prediction head.
    future_channels
        Width of the prediction head.
    temporal
        Temporal convolutions of the backbone: ``"single"`` (the paper) or ``"branches"``, see
        :class:`~asgcn_dgl.nn.MultiBranchTemporalConv` (a ``kernel_size`` of 3 is usual then).
    attention
        ``"frames"``, ``"joints"`` or ``"both"``: what a :class:`~asgcn_dgl.nn.PooledAttention` in
        every block of the backbone weighs; None (the paper) for no attention.
    structural_offsets
        Learn additive parts of the S-link operators of one hop, see
        :class:`~asgcn_dgl.nn.StructuralOffsets`.
    streams
        Inputs that the backbone is given side by side, each with an input norm of its own: names
        of :class:`~asgcn_dgl.nn.StreamFeatures`. The inference module and the prediction head
        see positions all the same. The paper's is ``("joint",)``: the features as they come.

    Raises
    ------
    ValueError
        For an option out of range.

    Examples
    --------
    >>> import torch
    >>> from asgcn_dgl.models import ASGCN
    >>> from asgcn_dgl.skeleton import get_layout
    >>> model = ASGCN.preset("small", get_layout("coco17"), num_classes=4, in_feats=2)
    >>> graph = model.graph_builder.structure(get_layout("coco17"), [1, 2])
    >>> out = model(graph, torch.randn(graph.num_nodes(), 32, 2))
    >>> out.logits.shape, out.future.shape
    (torch.Size([2, 4]), torch.Size([51, 10, 2]))
    """

    def __init__(
        self,
        layouts: SkeletonLayout | str | Sequence[SkeletonLayout | str],
        num_classes: int,
        in_feats: int = 3,
        *,
        channels: Sequence[int] = (64, 64, 64, 128, 128, 128, 256, 256, 256),
        strides: Sequence[int] = (1, 1, 1, 2, 1, 1, 2, 1, 1),
        kernel_size: int = 7,
        max_hop: int = 4,
        construction: str = "power",
        truncated: bool = False,
        normalization: str = "transition",
        num_actional: int = 3,
        actional_weight: float = 0.5,
        normalise: str = "paper",
        scale: float = 1.0,
        hard: bool = False,
        tau: float = 0.5,
        ghost_prior: float = 0.95,
        aim_frames: int = 50,
        aim_hidden: int = 128,
        aim_dropout: float = 0.5,
        aim_variance: float = 5e-4,
        links: str = "sampled",
        across_bodies: bool = False,
        edge_mask: bool = True,
        bias: bool = False,
        dropout: float = 0.5,
        input_norm: str = "joint",
        future_frames: int = 10,
        future_channels: int = 128,
        temporal: str = "single",
        attention: str | None = None,
        structural_offsets: bool = False,
        streams: Sequence[str] = ("joint",),
    ) -> None:
        super().__init__()
        # Everything but `self` and what Python adds: what from_config needs to make it again.
        given = {key: value for key, value in locals().items() if key not in ("self", "__class__")}
        self.layouts = as_layouts(layouts)
        given["layouts"] = [layout.to_dict() for layout in self.layouts]
        for name in ("channels", "strides", "streams"):
            given[name] = list(given[name])
        self._config = given
        if len(channels) != len(strides) or not channels:
            raise ValueError(
                f"channels and strides must be as many, at least one, got {len(channels)} and "
                f"{len(strides)}"
            )
        self.graph_builder = GraphBuilder(
            max_hop=max_hop,
            num_actional=num_actional,
            construction=construction,
            truncated=truncated,
            norm=normalization,
            across_bodies=across_bodies,
        )
        conv: dict[str, Any] = {
            "max_hop": max_hop,
            "num_actional": num_actional,
            "actional_weight": actional_weight,
            "construction": construction,
            "layouts": self.layouts if edge_mask else None,
            "truncated": truncated,
            "norm": normalization,
            "link_norm": normalise,
            "scale": scale,
            "bias": bias,
            "offsets": self.layouts if structural_offsets else None,
        }
        self.in_feats = in_feats
        self._sizes = {
            self.graph_builder.template(layout).key: layout.num_joints for layout in self.layouts
        }
        self._link_norm = normalise
        if links not in LINK_MODES:
            raise ValueError(f"links must be one of {LINK_MODES}, got {links!r}")
        self.links = links
        self.aim: AIM | None = None
        if num_actional:
            self.aim = AIM(
                in_feats,
                num_actional,
                num_frames=aim_frames,
                hidden_feats=aim_hidden,
                dropout=aim_dropout,
                tau=tau,
                hard=hard,
                ghost_prior=ghost_prior,
                variance=aim_variance,
            )
            self.aim.requires_grad_(links != "frozen")
        self.input_norm = _input_norm(input_norm, self.layouts, in_feats)
        self.streams: StreamFeatures | None = None
        self.stream_norms = nn.ModuleList()  # of the second stream and on
        if tuple(streams) != ("joint",):
            self.streams = StreamFeatures(self.layouts, self.graph_builder, streams)
            self.stream_norms.extend(
                _input_norm(input_norm, self.layouts, in_feats) for _ in self.streams.streams[1:]
            )
        widths = [in_feats * len(streams), *channels]
        self.blocks = nn.ModuleList(
            ASGCNBlock(
                widths[number],
                widths[number + 1],
                kernel_size,
                stride,
                dropout=dropout,
                residual=number > 0,
                conv=conv,
                temporal=temporal,
                attention=attention,
            )
            for number, stride in enumerate(strides)
        )
        self.recognition = RecognitionHead(channels[-1], num_classes)
        self.prediction: PredictionHead | None = None
        if future_frames:
            self.prediction = PredictionHead(
                channels[-1],
                in_feats,
                future_frames,
                hidden_feats=future_channels,
                narrow_feats=(future_channels // 2, future_channels // 4),
                dropout=dropout,
                conv=conv,
            )
        self.train()  # links that are not sampled are steady from the first

    @classmethod
    def preset(
        cls,
        name: str,
        layouts: SkeletonLayout | str | Sequence[SkeletonLayout | str],
        num_classes: int,
        in_feats: int = 3,
        **overrides: Any,
    ) -> ASGCN:
        """Make a model by the name of its size.

        Parameters
        ----------
        name
            ``"paper"`` (the full size) or ``"small"``.
        layouts, num_classes, in_feats
            As for the class.
        **overrides
            Options that shall differ from the preset's.

        Raises
        ------
        ValueError
            For an unknown name.
        """
        if name not in PRESETS:
            raise ValueError(f"preset must be one of {sorted(PRESETS)}, got {name!r}")
        return cls(layouts, num_classes, in_feats, **{**PRESETS[name], **overrides})

    @property
    def config(self) -> dict[str, Any]:
        """Arguments that make this model again, as plain JSON values."""
        return dict(self._config)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ASGCN:
        """Make a model from :attr:`config`."""
        options = dict(config)
        layouts = [SkeletonLayout.from_dict(layout) for layout in options.pop("layouts")]
        return cls(layouts, **options)

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        norms = (self.input_norm, *self.stream_norms)
        parts = (self.aim, *norms, *self.blocks, self.recognition, self.prediction)
        for part in parts:
            if part is not None:
                part.reset_parameters()

    def train(self, mode: bool = True) -> ASGCN:
        """Set training mode; A-links that are not sampled are made as in evaluation."""
        super().train(mode)
        if self.links != "sampled" and self.aim is not None:
            self.aim.eval()
        return self

    def forward(
        self,
        graph: Any,
        feat: Tensor,
        mask: Tensor | None = None,
        last: Tensor | None = None,
        *,
        predict: bool = True,
        generator: torch.Generator | None = None,
    ) -> ASGCNOutput:
        """Recognise and predict.

        Parameters
        ----------
        graph
            Structure, or DGL graph, of B clips with N joints, from :attr:`graph_builder`.
        feat
            (N, T, D).
        mask
            (N, T) bool, where a joint exists; None for everywhere.
        last
            (N, D) last observed pose; None for the last frame of ``feat`` that exists.
        predict
            Whether to run the prediction head.
        generator
            Source of the Gumbel noise in training.

        Returns
        -------
        ASGCNOutput
            Class logits, future poses, links and features. In evaluation they do not depend on
            the other clips of the batch, beyond rounding.
        """
        if feat.dim() != 3 or feat.shape[1] < 1 or feat.shape[2] != self.in_feats:
            raise ValueError(
                f"feat must be (joints, frames, {self.in_feats}) with at least one frame, "
                f"got shape {tuple(feat.shape)}"
            )
        self._check(graph)
        mask = as_mask(mask, feat)
        feat = zero_missing(feat, mask)
        links = None if self.aim is None else self.aim(graph, feat, mask, generator)
        pose = last
        if pose is None and predict and self.prediction is not None:
            pose = last_frame(feat, mask)
        structure = structure_of(graph)
        if structure is None:
            weight = None if links is None else links.weight
            logits, future, hidden = self._backbone(graph, feat, mask, weight, pose, predict)
            return ASGCNOutput(logits, future, links, hidden)
        matrices = None
        if links is not None:
            matrices = link_matrices(structure, links.weight, self._link_norm)
        # The convolutions compute in this order: the features are brought to it once.
        first = structure.with_joints_first()
        feat, mask, pose = (
            None if rows is None else structure.rows_joints_first(rows)
            for rows in (feat, mask, pose)
        )
        logits, future, hidden = self._backbone(first, feat, mask, matrices, pose, predict)
        if future is not None:
            future = structure.rows_in_graph_order(future)
        return ASGCNOutput(logits, future, links, structure.rows_in_graph_order(hidden))

    def _backbone(
        self,
        graph: Any,
        feat: Tensor,
        mask: Tensor | None,
        edge_weight: EdgeWeight | None,
        pose: Tensor | None,
        predict: bool,
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Logits, future poses and features, in the graph's own order."""
        hidden, exists = self._normalize(graph, feat, mask), mask
        for block in self.blocks:
            assert isinstance(block, ASGCNBlock)
            hidden, exists = block(graph, hidden, edge_weight, exists), block.out_mask(exists)
        logits = self.recognition(graph, hidden, exists)
        future = None
        if predict and self.prediction is not None:
            future = self.prediction(graph, hidden, pose, edge_weight, exists)
        return logits, future, hidden

    def _check(self, graph: Any) -> None:
        """Refuse skeletons that the model was not made for."""
        across = self.graph_builder.across_bodies if self.aim is not None else None
        check_structures(graph, self._sizes, across)

    def _normalize(self, graph: Any, feat: Tensor, mask: Tensor | None) -> Tensor:
        if self.streams is None:
            return _normalized(self.input_norm, graph, feat, mask)
        parts = [
            _normalized(norm, graph, *part)
            for norm, part in zip(
                (self.input_norm, *self.stream_norms), self.streams(graph, feat, mask), strict=True
            )
        ]
        return torch.cat(parts, dim=-1)


def _normalized(norm: nn.Module, graph: Any, feat: Tensor, mask: Tensor | None) -> Tensor:
    out: Tensor = norm(graph, feat, mask) if isinstance(norm, InputNorm) else norm(feat, mask)
    return out


def _input_norm(
    kind: str, layouts: Sequence[SkeletonLayout], in_feats: int
) -> InputNorm | MaskedBatchNorm:
    if kind == "channel":
        return MaskedBatchNorm(in_feats)
    if kind != "joint":
        raise ValueError(f"input_norm must be 'joint' or 'channel', got {kind!r}")
    if len(layouts) > 1:
        raise ValueError(
            f"input_norm must be 'channel' for {len(layouts)} layouts: 'joint' serves one only"
        )
    return InputNorm(layouts[0].num_joints, in_feats)
