"""The AS-GCN model: input norm, A-links, backbone, two heads."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from asgcn_dgl.models.config import ASGCNConfig, LinkMode, options_of
from asgcn_dgl.models.pretrained import Pretrained
from asgcn_dgl.nn import (
    AIM,
    ASGCNBlock,
    ASGConv,
    ForecastHead,
    InputNorm,
    Links,
    MaskedBatchNorm,
    NarrowPredictionHead,
    PredictionHead,
    RecognitionHead,
    StreamFeatures,
)
from asgcn_dgl.nn.agconv import EdgeWeight
from asgcn_dgl.nn.masks import as_layouts
from asgcn_dgl.ops import link_matrices
from asgcn_dgl.ops.frames import as_mask, hold_last, last_frame, last_frames, zero_missing
from asgcn_dgl.skeleton import GraphBuilder, SkeletonLayout
from asgcn_dgl.skeleton.graph import check_structures, structure_of

FORECAST_BLOCKS = 3  # of the prediction head 'dct'


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
        (N, T_out, D) of the last block; of all backbones where each stream has its own.
    stream_logits
        (S, B, K) of each stream where it has a backbone of its own.
    """

    logits: Tensor
    future: Tensor | None
    links: Links | None
    features: Tensor
    stream_logits: Tensor | None = None


class GraphModel(Pretrained):
    """What models on graphs of skeletons have in common."""

    layouts: tuple[SkeletonLayout, ...]
    graph_builder: GraphBuilder
    in_feats: int

    def _take(self, config: ASGCNConfig) -> None:
        self.config, self.in_feats = config, config.in_feats
        self.layouts = as_layouts(config.layouts)
        self.graph_builder = builder = GraphBuilder(**options_of(GraphBuilder, config))
        self._sizes = {builder.template(each).key: each.num_joints for each in self.layouts}

    def _check_input(self, graph: Any, feat: Tensor, *, links: bool) -> None:
        """Refuse features of another size, and skeletons that the model was not made for."""
        if feat.dim() != 3 or feat.shape[1] < 1 or feat.shape[2] != self.in_feats:
            raise ValueError(
                f"feat must be (joints, frames, {self.in_feats}) with at least one frame, "
                f"got shape {tuple(feat.shape)}"
            )
        check_structures(graph, self._sizes, self.graph_builder.across_bodies if links else None)

    def _joints_first(
        self, graph: Any, links: Links | None, *rows: Tensor | None
    ) -> tuple[Any, EdgeWeight | None, list[Any], Callable[[Tensor], Tensor]]:
        """Bring a graph, links and rows to the order in which the convolutions compute, once.

        The last that is returned brings rows back.
        """
        structure = structure_of(graph)
        if structure is None:
            return graph, None if links is None else links.weight, list(rows), lambda out: out
        weight = None
        if links is not None:
            weight = link_matrices(structure, links.weight, self.config.link_norm)
        ordered = [None if each is None else structure.rows_joints_first(each) for each in rows]
        return structure.with_joints_first(), weight, ordered, structure.rows_in_graph_order


class ASGCN(GraphModel, nn.Module):
    """Actional-structural graph convolutional network (Fig. 2).

    Parameters
    ----------
    layouts
        The layout, or layouts, of the clips; or an :class:`ASGCNConfig`, and nothing else.
    num_classes
        K.
    in_feats
        D, features of a joint in a frame; also the coordinates of predicted poses.
    **options
        Further options by name, see :class:`ASGCNConfig`.

    Attributes
    ----------
    config
        All options: ``type(model)(model.config)`` makes such a model again.

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

    name: ClassVar[str] = "asgcn"

    def __init__(
        self,
        layouts: ASGCNConfig | SkeletonLayout | str | Sequence[SkeletonLayout | str],
        num_classes: int | None = None,
        in_feats: int = 3,
        **options: Any,
    ) -> None:
        super().__init__()
        config = given_config(type(self).name, layouts, num_classes, in_feats, options)
        self._take(config)
        conv = {**conv_options(config), "shared": config.shared_weights}
        self.aim: AIM | None = None
        if config.num_actional:
            self.aim = AIM(
                config.in_feats,
                config.num_actional,
                num_frames=config.aim_frames,
                ghost_prior=config.ghost_prior,
                variance=config.aim_variance,
                **encoder_options(config),
            )
        self.input_norm = self._make_input_norm()
        self.streams: StreamFeatures | None = None
        self.stream_norms = nn.ModuleList()  # of the second stream and on
        if config.made_streams is not None:
            self.streams = StreamFeatures(self.layouts, self.graph_builder, config.made_streams)
            self.stream_norms.extend(self._make_input_norm() for _ in config.streams[1:])
        late = config.stream_fusion == "late"
        first = config.in_feats * (1 if late else len(config.streams))
        self.blocks = self._make_blocks(first, conv)
        self.recognition = RecognitionHead(config.channels[-1], config.num_classes)
        self.stream_blocks = nn.ModuleList()  # of the second stream and on, as their heads
        self.stream_heads = nn.ModuleList()
        for _ in config.streams[1:] if late else ():
            self.stream_blocks.append(self._make_blocks(first, conv))
            self.stream_heads.append(RecognitionHead(config.channels[-1], config.num_classes))
        self.prediction: PredictionHead | NarrowPredictionHead | ForecastHead | None = None
        sizes = (config.channels[-1] * (1 + len(self.stream_heads)), config.in_feats)
        width, frames = config.future_channels, config.future_frames
        common: dict[str, Any] = {"hidden_feats": width, "dropout": config.dropout, "conv": conv}
        if frames and config.future_head == "dct":
            self.prediction = ForecastHead(
                *sizes,
                config.past_frames,
                frames,
                num_blocks=FORECAST_BLOCKS,
                coefficients=config.coefficients,
                unit=config.motion_unit,
                **common,
            )
        elif frames and config.future_head == "narrow":
            self.prediction = NarrowPredictionHead(*sizes, frames, **common)
        elif frames:
            narrow, published = (width // 2, width // 4), config.future_head == "published"
            self.prediction = PredictionHead(
                *sizes, frames, narrow_feats=narrow, published=published, **common
            )
        self.frozen: tuple[str, ...] = ()
        self.set_link_mode(config.link_mode)

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
            ``"paper"`` (the full size), ``"small"`` or ``"light"``.
        layouts, num_classes, in_feats
            As for the class.
        **overrides
            Options that differ from the preset's.

        Raises
        ------
        ValueError
            For an unknown name, or an option that breaks its rule.
        """
        data = (layouts, num_classes, in_feats)
        return cls(ASGCNConfig.preset(name, *data, name=cls.name, **overrides))

    def set_link_mode(self, mode: LinkMode) -> None:
        """Choose what A-links are in training, see :class:`ASGCNConfig`; it starts training mode.

        Parameters
        ----------
        mode
            ``"sampled"``, ``"steady"`` or ``"frozen"``.
        """
        self.link_mode = mode
        if self.aim is not None:
            self.aim.requires_grad_(mode != "frozen" and "aim" not in self.frozen)
        self.train()  # links that are not sampled are steady at once

    def freeze(self, parts: Sequence[str]) -> None:
        """Leave parts of the model as they are in training, the statistics of norms included.

        Parameters
        ----------
        parts
            ``"aim"``, ``"backbone"`` (input norms and blocks), ``"recognition"`` or
            ``"prediction"``; those that are not named are trained.

        Raises
        ------
        ValueError
            For another name.
        """
        own = self._parts()
        for name in parts:
            if name not in own:
                raise ValueError(f"parts must be of {', '.join(own)}, got {name!r}")
        self.frozen = tuple(parts)
        for name, modules in own.items():
            for module in modules:
                module.requires_grad_(name not in parts)
        self.set_link_mode(self.link_mode)

    def _parts(self) -> dict[str, list[nn.Module]]:
        parts: dict[str, list[nn.Module | None]] = {
            "aim": [self.aim],
            "backbone": [self.input_norm, self.stream_norms, self.blocks, self.stream_blocks],
            "recognition": [self.recognition, self.stream_heads],
            "prediction": [self.prediction],
        }
        return {name: [m for m in held if m is not None] for name, held in parts.items()}

    def _make_blocks(self, in_feats: int, conv: dict[str, Any]) -> nn.ModuleList:
        """Make the blocks of a backbone."""
        widths = [in_feats, *self.config.channels]
        options = options_of(ASGCNBlock, self.config)
        return nn.ModuleList(
            ASGCNBlock(
                widths[n], widths[n + 1], stride=stride, residual=n > 0, conv=conv, **options
            )
            for n, stride in enumerate(self.config.strides)
        )

    def _make_input_norm(self) -> InputNorm | MaskedBatchNorm:
        if self.config.input_norm == "channel":
            return MaskedBatchNorm(self.in_feats)
        return InputNorm(self.layouts[0].num_joints, self.in_feats)

    def reset_parameters(self) -> None:
        """Draw new weights."""
        towers = (self.blocks, *self.stream_blocks)
        blocks = (block for tower in towers for block in tower.children())
        norms = (self.input_norm, *self.stream_norms)
        heads = (self.recognition, *self.stream_heads, self.prediction)
        for part in (self.aim, *norms, *blocks, *heads):
            if part is not None:
                part.reset_parameters()

    def train(self, mode: bool = True) -> ASGCN:
        """Set training mode; what is frozen and links that are not sampled are as in evaluation."""
        super().train(mode)
        for name in self.frozen:
            for module in self._parts()[name]:
                module.eval()
        if self.link_mode != "sampled" and self.aim is not None:
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
        """Recognize and predict.

        Parameters
        ----------
        graph
            Structure, or DGL graph, of B clips with N joints, from ``graph_builder``.
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
        self._check_input(graph, feat, links=self.aim is not None)
        mask = as_mask(mask, feat)
        feat = zero_missing(feat, mask)
        pose = last
        if pose is None and predict and self.prediction is not None:
            pose = self.last_poses(feat, mask)
        if not self.config.masked:
            mask = None
        whole, nodes, pairs = graph, None, None
        if self.config.fixed_bodies is not None:
            structure = structure_of(graph)
            if structure is None:
                raise ValueError(
                    "graph must be made by the model's graph_builder where config.fixed_bodies is "
                    "set"
                )
            whole, nodes, pairs = structure.with_bodies(self.config.fixed_bodies)
        if nodes is None or pairs is None:
            return self._compute(whole, feat, mask, pose, predict, generator)
        feat = feat.new_zeros(whole.num_nodes(), *feat.shape[1:]).index_copy(0, nodes, feat)
        if pose is not None:
            pose = pose.new_zeros(whole.num_nodes(), *pose.shape[1:]).index_copy(0, nodes, pose)
        out = self._compute(whole, feat, mask, pose, predict, generator)
        return ASGCNOutput(
            out.logits,
            None if out.future is None else out.future[nodes],
            None if out.links is None else Links(*(each[pairs] for each in out.links)),
            out.features[nodes],
            out.stream_logits,
        )

    def last_poses(self, feat: Tensor, mask: Tensor | None) -> Tensor:
        """Return the poses that the prediction head starts from, where no others are given.

        (N, D) of the last frame that exists, or (N, P, D) for the head 'dct', of features
        (N, T, D) without gaps in it and a mask (N, T).
        """
        if not isinstance(self.prediction, ForecastHead):
            return last_frame(feat, mask)
        count = self.config.past_frames
        return last_frames(feat, count) if mask is None else hold_last(feat, mask, count)

    def _compute(
        self,
        graph: Any,
        feat: Tensor,
        mask: Tensor | None,
        pose: Tensor | None,
        predict: bool,
        generator: torch.Generator | None,
    ) -> ASGCNOutput:
        """Recognize and predict the bodies that the graph has."""
        links = None if self.aim is None else self.aim(graph, feat, mask, generator)
        graph, weight, (feat, mask, pose), back = self._joints_first(graph, links, feat, mask, pose)
        inputs = [(feat, mask)] if self.streams is None else self.streams(graph, feat, mask)
        norms = (self.input_norm, *self.stream_norms)
        hiddens = [
            norm(graph, *each) if isinstance(norm, InputNorm) else norm(*each)
            for norm, each in zip(norms, inputs, strict=True)
        ]
        if not self.stream_heads:
            hiddens = [hiddens[0] if len(hiddens) == 1 else torch.cat(hiddens, dim=-1)]
        logits, features, exists = [], [], mask
        towers = (self.blocks, *self.stream_blocks)
        heads = (self.recognition, *self.stream_heads)
        for hidden, tower, head in zip(hiddens, towers, heads, strict=True):
            exists = mask
            for block in tower.children():
                assert isinstance(block, ASGCNBlock)
                hidden, exists = block(graph, hidden, weight, exists), block.out_mask(exists)
            logits.append(head(graph, hidden, exists))
            features.append(hidden)
        hidden = features[0] if len(features) == 1 else torch.cat(features, dim=-1)
        future = None
        if predict and self.prediction is not None:
            future = back(self.prediction(graph, hidden, pose, weight, exists))
        if len(logits) == 1:
            return ASGCNOutput(logits[0], future, links, back(hidden))
        each = torch.stack(logits)
        shares = torch.log_softmax(each, dim=-1)  # of which the mean is taken
        whole = torch.logsumexp(shares, dim=0) - math.log(len(each))
        return ASGCNOutput(whole, future, links, back(hidden), each)


def conv_options(config: ASGCNConfig) -> dict[str, Any]:
    """Return what the graph convolutions of a model are made with."""
    layouts = as_layouts(config.layouts)
    return {
        **options_of(ASGConv, config),
        "layouts": layouts if config.edge_mask else None,
        "offsets": layouts if config.structural_offsets else None,
    }


def encoder_options(config: ASGCNConfig) -> dict[str, Any]:
    """Return what the encoder of the A-links of a model is made with, but for its frames."""
    return {
        "hidden_feats": config.aim_hidden,
        "dropout": config.aim_dropout,
        "tau": config.tau,
        "hard": config.hard,
        "motion": config.aim_motion,
    }


def given_config(
    name: str, first: Any, num_classes: int | None, in_feats: int, options: Mapping[str, Any]
) -> ASGCNConfig:
    """Return the options that a constructor was given, in either form."""
    if not isinstance(first, ASGCNConfig):
        if num_classes is None:
            raise TypeError("num_classes is missing")
        return ASGCNConfig.preset("paper", first, num_classes, in_feats, name=name, **options)
    if num_classes is not None or options:
        raise TypeError("an ASGCNConfig holds all options: give it alone")
    if name not in ("asgcn", first.name):  # an ASGCN can be of any options, ST-GCN's too
        raise ValueError(f"config.name must be {name!r}, got {first.name!r}")
    return first
