"""Forecaster: how a motion goes on, as a change of its last pose in few smooth coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from asgcn_dgl.models.asgcn import GraphModel, conv_options, encoder_options, given_config
from asgcn_dgl.models.config import ASGCNConfig
from asgcn_dgl.nn import AIMEncoder, ForecastNet, Links
from asgcn_dgl.ops.frames import as_mask, hold_last, last_frames
from asgcn_dgl.skeleton import SkeletonLayout


class ForecastOutput(NamedTuple):
    """What a forecaster says of N joints.

    Attributes
    ----------
    future
        (N, T', d) poses that follow.
    links
        A-links of the batch, as of the observed frames; None without actional types.
    """

    future: Tensor
    links: Links | None


class Forecaster(GraphModel, ForecastNet):
    """Forecast poses by residual graph blocks on the coefficients of a motion over time.

    The coefficients and the residual blocks are those of :class:`~asgcn_dgl.nn.ForecastNet`.

    Mao et al., *Learning Trajectory Dependencies for Human Motion Prediction*, ICCV 2019, forecast
    in such coefficients; Guo et al., *Back to MLP*, WACV 2023, found layer norms and few maps to
    be enough. The blocks here are those of this library's graph convolution.

    Parameters
    ----------
    layouts
        The layout, or layouts, of the clips; or an :class:`ASGCNConfig` of the name 'forecaster',
        and nothing else.
    in_feats
        d, coordinates of a joint.
    **options
        Options by name, see :class:`ASGCNConfig`: ``past_frames``, ``future_frames``,
        ``coefficients``, ``channels`` (the width of each block, all equal), ``motion_unit``,
        ``dropout``, and those of the links.

    Attributes
    ----------
    config
        All options: ``Forecaster(model.config)`` makes such a model again.

    Raises
    ------
    ValueError
        For an option out of range.

    Examples
    --------
    >>> import torch
    >>> from asgcn_dgl.models import Forecaster
    >>> from asgcn_dgl.skeleton import get_layout
    >>> model = Forecaster("coco17", in_feats=2, channels=[16, 16], num_actional=2)
    >>> graph = model.graph_builder.structure(get_layout("coco17"), [1, 2])
    >>> out = model(graph, torch.randn(51, 10, 2))
    >>> out.future.shape, model(graph, torch.randn(51, 30, 2), frames=60).future.shape
    (torch.Size([51, 25, 2]), torch.Size([51, 60, 2]))
    """

    name: ClassVar[str] = "forecaster"

    def __init__(
        self,
        layouts: ASGCNConfig | SkeletonLayout | str | Sequence[SkeletonLayout | str],
        in_feats: int = 3,
        **options: Any,
    ) -> None:
        classes = None if isinstance(layouts, ASGCNConfig) else 0
        config = given_config(self.name, layouts, classes, in_feats, options)
        super().__init__(
            config.in_feats,
            config.past_frames,
            config.future_frames,
            hidden_feats=config.channels[0],
            num_blocks=len(config.channels),
            coefficients=config.coefficients,
            unit=config.motion_unit,
            dropout=config.dropout,
            conv=conv_options(config),
        )
        self._take(config)
        self.encoder: AIMEncoder | None = None
        if config.num_actional:
            self.encoder = AIMEncoder(
                config.in_feats,
                config.num_actional,
                num_frames=config.past_frames,
                ghost=config.ghost_prior > 0,
                **encoder_options(config),
            )

    def reset_parameters(self) -> None:
        """Draw new weights."""
        super().reset_parameters()
        if self.encoder is not None:
            self.encoder.reset_parameters()

    def forward(
        self,
        graph: Any,
        feat: Tensor,
        mask: Tensor | None = None,
        *,
        frames: int | None = None,
        generator: torch.Generator | None = None,
    ) -> ForecastOutput:
        """Forecast.

        Parameters
        ----------
        graph
            Structure, or DGL graph, of N joints, from ``graph_builder``.
        feat
            (N, T, d) observed poses. The last ``config.past_frames`` count; before fewer, the first
            pose is repeated.
        mask
            (N, T) bool, where a joint was seen; None for everywhere. A joint that is missing for
            a while stays where it was seen last. What is forecast of one that is never seen means
            nothing, and changes nothing else.
        frames
            Poses to forecast; by default ``config.future_frames``. More are forecast from the
            forecast, as if it had been observed.
        generator
            Source of the Gumbel noise in training.

        Raises
        ------
        ValueError
            If the features or the graph do not fit.
        """
        self._check_input(graph, feat, links=self.encoder is not None)
        frames = self.config.future_frames if frames is None else frames
        if frames < 1:
            raise ValueError(f"frames must be at least 1, got {frames!r}")
        mask, count = as_mask(mask, feat), self.config.past_frames
        past, seen = last_frames(feat, count), None
        if mask is not None:
            here = last_frames(mask, count)
            past, seen = hold_last(past, here, count), here.any(dim=1)
        future, links = self._step(graph, past, seen, generator)
        while future.shape[1] < frames:
            past = torch.cat([past, future], dim=1)[:, -count:]
            more, _ = self._step(graph, past, seen, generator)
            future = torch.cat([future, more], dim=1)
        return ForecastOutput(future[:, :frames], links)

    def _step(
        self, graph: Any, past: Tensor, seen: Tensor | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Links | None]:
        """Forecast T' frames from P."""
        links: Links | None = None
        if self.encoder is not None:
            shown = None if seen is None else seen.unsqueeze(1).expand(past.shape[:2])
            links = self.encoder(graph, past / self.unit, shown, generator)
        graph, weight, (past, seen), back = self._joints_first(graph, links, past, seen)
        return back(self.extend(graph, past, weight, seen)), links
