"""The two phases of training as Lightning modules: AIM alone, then everything together."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from asgcn_dgl.data import Batch
from asgcn_dgl.data.formats.source import Origin
from asgcn_dgl.models import ASGCN, STGCN, ASGCNOutput
from asgcn_dgl.nn import Links
from asgcn_dgl.nn.aim import AIMLoss
from asgcn_dgl.training.averaging import AveragedModel
from asgcn_dgl.training.checkpoint import RECORD, make_record
from asgcn_dgl.training.config import RunConfig
from asgcn_dgl.training.errors import DivergenceError
from asgcn_dgl.training.optim import joint_optimizer, learning_rate_factor, restore_options
from asgcn_dgl.training.parallel import processes, rank, shares
from asgcn_dgl.training.scoring import PredictionScores, RecognitionScores, masked_mse

__all__ = ["AIMWarmUp", "JointTraining", "Phase"]


class Phase(pl.LightningModule):
    """What both phases share: seeds, checks for finite numbers, the record in checkpoints.

    Parameters
    ----------
    model
        The model; it keeps its weights from phase to phase.
    config
        Options of the run.
    class_names
        Names of the classes.

    Attributes
    ----------
    origins
        Formats and options that the clips were read with, for the record.
    """

    number: int
    label: str

    def __init__(self, model: ASGCN | STGCN, config: RunConfig, class_names: list[str]) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.class_names = class_names
        self.origins: tuple[Origin, ...] = ()
        self.running: dict[str, Tensor] = {}  # of the latest batch, for the progress bar

    def on_train_start(self) -> None:
        """Let the options hold that a resumed run was given, not those in its checkpoint."""
        schedules = [each.scheduler for each in self.trainer.lr_scheduler_configs]
        kept = [each for each in schedules if isinstance(each, LambdaLR)]
        restore_options(self.trainer.optimizers[0], self.make_optimizer(), kept)

    def make_optimizer(self) -> Optimizer:
        """Make the optimiser of the phase, as its options ask."""
        raise NotImplementedError

    def on_train_epoch_start(self) -> None:
        """Seed dropout and the links' noise anew, from (seed, phase, epoch).

        So an epoch is the same whether the run was interrupted before it or not. Each process but
        the first adds its number, since its clips are others.
        """
        parts = [self.config.trainer.seed, self.number, self.current_epoch]
        parts += [rank()] if rank() else []
        torch.manual_seed(int(np.random.SeedSequence(parts).generate_state(1)[0]))

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Stop before spoilt weights are saved: a finite gradient may have been far too large."""
        if not self.trainer.is_last_batch:
            return
        norm = torch.stack([p.detach().norm() for p in self.model.parameters()]).norm()
        self._need_finite(norm, "norm of the weights")

    def check_finite(self, loss: Tensor) -> None:
        """Stop with a clear message where the loss of a step is not a number.

        Raises
        ------
        DivergenceError
            If it is NaN or infinite.
        """
        self._need_finite(loss, "loss")

    def _need_finite(self, value: Tensor, what: str) -> None:
        if not bool(torch.isfinite(value)):
            raise DivergenceError(
                f"{self.label}: the {what} became {value.detach().item()} in epoch "
                f"{self.current_epoch + 1}, step {self.global_step + 1}. Try a lower learning "
                "rate, optim.grad_clip, or trainer.precision 32-true"
            )

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradient, and stop where it is not finite: before it can spoil the weights."""
        limit = self.clip_norm()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), limit or math.inf)
        # With float16 an overflow is expected: the scaler skips such a step by itself.
        if self.config.trainer.precision != "16-mixed":
            self._need_finite(norm, "gradient")

    def clip_norm(self) -> float | None:
        """Return the largest norm of the gradient."""
        return self.config.optim.grad_clip

    def piece_factor(self, batch_idx: int) -> float:
        """Factor on the loss of a batch that is a piece of a step's."""
        batches = getattr(self.trainer.train_dataloader, "batch_sampler", None)
        return float(getattr(batches, "piece_factor", lambda batch: 1.0)(batch_idx))

    def log_parts(self, stage: str, parts: dict[str, Tensor], batch: Batch) -> None:
        """Log parts of the loss, a mean over the epoch's clips each, under ``stage/``."""
        for name, value in parts.items():
            self.log(
                f"{stage}/{name}",
                value.detach(),
                on_step=False,
                on_epoch=True,
                batch_size=len(batch),
                sync_dist=processes() > 1,
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what the use of the model needs."""
        checkpoint[RECORD] = make_record(self.model, self.config, self.class_names, self.origins)


class AIMWarmUp(Phase):
    """First phase: the inference module alone, with its own loss (Sec. 4.1; Adam)."""

    number = 0
    label = "AIM warm-up"

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return AIM's loss of a batch."""
        losses = self.losses(batch, self.kl_weight())
        self.check_finite(losses.loss)
        self.log_parts("train", losses._asdict(), batch)
        self.running = {name: value.detach() for name, value in losses._asdict().items()}
        (share,) = shares(len(batch.feat), device=self.device)
        return losses.loss * share * self.piece_factor(batch_idx)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log AIM's loss of a batch."""
        self.log_parts("val", self.losses(batch)._asdict(), batch)

    def losses(self, batch: Batch, kl_weight: float = 1.0) -> AIMLoss:
        """Return AIM's loss and its two parts."""
        aim = self.model.aim
        assert aim is not None, "a model without A-links has no warm-up"
        return aim.loss(
            batch.structure,
            batch.feat,
            batch.mask,
            pred_steps=self.config.aim.pred_steps,
            kl_weight=kl_weight,
        )

    def kl_weight(self) -> float:
        """Weight of the divergence in this step, from 0 to 1."""
        rise = self.config.aim.kl_warmup * self.trainer.estimated_stepping_batches
        return min(1.0, (self.global_step + 1) / rise) if rise else 1.0

    def clip_norm(self) -> float | None:
        """Return None: the warm-up is not clipped."""
        return None

    def make_optimizer(self) -> Adam:
        """Return Adam over the parameters of AIM."""
        assert self.model.aim is not None, "a model without A-links has no warm-up"
        return Adam(self.model.aim.parameters(), lr=self.config.aim.lr)

    def configure_optimizers(self) -> Optimizer:
        """Return the optimiser: its learning rate stays."""
        return self.make_optimizer()


class JointTraining(Phase):
    """Second phase: recognition and prediction, with the A-links flowing through the encoder.

    The loss is L = L_recog + w L_predict (Sec. 5.1), and AIM's own loss where it is kept on. The
    encoder is tuned further by it, or frozen.
    """

    number = 1
    label = "joint training"

    def __init__(self, model: ASGCN | STGCN, config: RunConfig, class_names: list[str]) -> None:
        super().__init__(model, config, class_names)
        decay = config.optim.ema
        self.average = None if decay is None else AveragedModel(model, decay)
        self._steps = 0  # after which the average was last moved
        self.recognition = RecognitionScores()
        self.prediction = PredictionScores()

    def evaluated(self) -> nn.Module:
        """Return the model that evaluation uses: the averaged one, if there is one."""
        return self.model if self.average is None else self.average.module

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the joint loss of a batch."""
        weight = self.config.prediction.weight
        out: ASGCNOutput = self.model(
            batch.structure, batch.feat, batch.mask, batch.last, predict=weight > 0
        )
        smoothing = self.config.optim.label_smoothing
        recognition = F.cross_entropy(out.logits, batch.label, label_smoothing=smoothing)
        right = (out.logits.detach().argmax(dim=-1) == batch.label).float().mean()
        parts = {"recognition": recognition}
        weights: list[float] = [1.0]
        counts: list[Tensor | int] = [len(batch)]
        if out.future is not None:
            parts["prediction"] = masked_mse(out.future, batch.future, batch.future_mask)
            weights.append(weight)
            counts.append(batch.future_mask.sum())
        if self.config.aim.loss_weight > 0 and out.links is not None:
            parts["aim"] = self.aim_loss(batch, out.links)
            weights.append(self.config.aim.loss_weight)
            counts.append(len(batch.feat))
        losses = list(parts.values())
        local = sum(w * part for w, part in zip(weights, losses, strict=True))
        assert isinstance(local, Tensor)
        self.check_finite(local)
        self.running = {
            name: value.detach()
            for name, value in {"loss": local, **parts, "top1": 100 * right}.items()
        }
        self.log_parts("train", self.running, batch)
        factors = shares(*counts, device=self.device)
        loss = sum(w * f * part for w, f, part in zip(weights, factors, losses, strict=True))
        assert isinstance(loss, Tensor)
        return loss * self.piece_factor(batch_idx)

    def aim_loss(self, batch: Batch, links: Links) -> Tensor:
        """AIM's own loss, of the links that the joint loss has seen."""
        assert self.model.aim is not None
        losses = self.model.aim.loss_of(
            links,
            batch.structure,
            batch.feat,
            batch.mask,
            pred_steps=self.config.aim.pred_steps,
        )
        return losses.loss

    def on_train_epoch_start(self) -> None:
        """Seed, and count steps from here."""
        super().on_train_epoch_start()
        self._steps = self.global_step

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Move the averaged weights towards the new ones, where a step was taken."""
        super().on_train_batch_end(outputs, batch, batch_idx)
        if self.average is not None and self.global_step > self._steps:
            self.average.update(self.model, batch)
        self._steps = self.global_step

    def on_validation_epoch_start(self) -> None:
        """Start the scores of the validation clips."""
        self.recognition, self.prediction = RecognitionScores(), PredictionScores()

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Score a batch: whole clips (first loader), or clips without their future (second)."""
        predict = dataloader_idx == 1
        out = self.evaluated()(batch.structure, batch.feat, batch.mask, batch.last, predict=predict)
        (self.prediction if predict else self.recognition).update(batch, out)

    def on_validation_epoch_end(self) -> None:
        """Log the figures of the validation clips."""
        self.recognition.gather()
        self.prediction.gather()
        loss = self.recognition.loss()
        self._need_finite(torch.tensor(loss), "loss on the held-out clips")
        summary = self.recognition.summary(self.class_names)
        found = {
            "loss": loss,
            "top1": summary["top1"],
            "mean_class": summary["mean_class"],
        }
        future = self.prediction.summary()
        if future is not None:
            found |= {name: future[name] for name in ("mpjpe", "zero_velocity")}
        for name, value in found.items():
            # The same in every process already; Lightning wants to hear that it may be averaged.
            self.log(f"val/{name}", value, prog_bar=name == "top1", sync_dist=processes() > 1)

    def make_optimizer(self) -> Optimizer:
        """Return gradient descent over all parameters; AIM may have an optimiser of its own."""
        return joint_optimizer(self.model, self.config)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return gradient descent and its schedule, a step of which is a step of the optimiser."""
        options = self.config.optim
        optimizer = self.make_optimizer()
        epochs = self.config.trainer.epochs
        steps = max(1, int(self.trainer.estimated_stepping_batches) // epochs)
        schedule = LambdaLR(optimizer, learning_rate_factor(options, steps, epochs))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }
