"""Pictures of the A-links in TensorBoard, one after each epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import TensorBoardLogger

from asgcn_dgl.data import Batch
from asgcn_dgl.nn import AIM

CELL = 8  # pixels of a pair of joints
MARGIN = 8  # pixels between the types


@torch.no_grad()
def mean_links(aim: AIM, batches: Sequence[Batch]) -> npt.NDArray[np.float64]:
    """Return the mean probability of each type between two joints, (C, V, V), without noise.

    Entry [c, i, j] is the link of type c + 1 from joint j to joint i. Each batch is a clip of one
    unit (a body, or all bodies where links join them); units of another size than the first are
    left out.
    """
    found: list[npt.NDArray[np.float64]] = []
    like = next(aim.parameters())
    for batch in batches:
        batch = batch.to(like.device)
        prob = aim(batch.structure, batch.feat.to(like.dtype), batch.mask).prob[:, 1:].double()
        joints = len(batch.feat) // (1 if _is_one_unit(batch) else int(batch.num_bodies.sum()))
        rows = prob.view(-1, joints * (joints - 1), prob.shape[1]).mean(dim=0)  # of the units
        mean = np.zeros((prob.shape[1], joints, joints))
        mean[:, ~np.eye(joints, dtype=bool)] = rows.t().cpu().numpy()
        if not found or mean.shape == found[0].shape:
            found.append(mean)
    return np.mean(found, axis=0)


def _is_one_unit(batch: Batch) -> bool:
    joints = len(batch.feat)
    return int(batch.structure.num_pairs) == joints * (joints - 1)


def links_image(links: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Return matrices (C, V, V) side by side as gray levels, each scaled to its largest entry.

    A row of cells is a receiving joint.

    Examples
    --------
    >>> links_image(np.array([[[0.0, 0.2], [0.1, 0.0]]])).shape
    (16, 16)
    """
    panels = []
    for number, matrix in enumerate(links):
        if number:
            panels.append(np.full((len(matrix) * CELL, MARGIN), 255, dtype=np.uint8))
        level = np.round(255 * matrix / max(float(matrix.max()), 1e-12)).astype(np.uint8)
        panels.append(np.kron(level, np.ones((CELL, CELL), dtype=np.uint8)))
    return np.concatenate(panels, axis=1)


class LinkPictures(Callback):
    """Log a picture of the mean A-links, and their strength, to TensorBoard after each epoch."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches = batches

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw."""
        loggers = [each for each in trainer.loggers if isinstance(each, TensorBoardLogger)]
        if not trainer.is_global_zero or not loggers:
            return
        logger = loggers[0]
        model = pl_module.model
        assert isinstance(model, torch.nn.Module) and isinstance(model.aim, AIM)
        model.aim.eval()
        links = mean_links(model.aim, self.batches)
        model.train()  # with links that are not sampled this leaves AIM in evaluation mode
        step = trainer.current_epoch + 1
        logger.experiment.add_image("a_links", links_image(links)[None], step)
        off = ~np.eye(links.shape[1], dtype=bool)
        for number, matrix in enumerate(links, start=1):
            logger.experiment.add_scalar(f"a_links/type_{number}", matrix[off].mean(), step)
