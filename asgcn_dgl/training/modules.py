"""The two phases of training as Lightning modules: AIM alone, then everything together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any, Literal

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from asgcn_dgl.data import Batch
from asgcn_dgl.models import ASGCN, ASGCNOutput, Forecaster
from asgcn_dgl.nn.aim import AIMLoss, link_divergence
from asgcn_dgl.training import DivergenceError
from asgcn_dgl.training.build import processes, rank, shares
from asgcn_dgl.training.checkpoint import RECORD, make_record
from asgcn_dgl.training.config import AIMConfig, ClipsConfig, OptimConfig, RunConfig
from asgcn_dgl.training.optim import (
    AveragedModel,
    joint_optimizer,
    learning_rate_factor,
    restore_options,
)
from asgcn_dgl.training.scoring import (
    PredictionScores,
    RecognitionScores,
    masked_distance,
    masked_mse,
)


class Phase(pl.LightningModule):
    """Common to both phases: seeds, checks for finite numbers, the record in checkpoints.

    ``running`` holds the losses of the latest batch, for the progress bar; parameters are described
    in :class:`JointTraining`.
    """

    number: int
    label: str
    optim: OptimConfig  # of phases with a schedule
    grad_clip: float | None = None
    average: AveragedModel | None  # no value here, which would hide that of an instance

    def __init__(
        self,
        model: ASGCN | Forecaster,
        *,
        class_names: Sequence[str] | None = None,
        seed: int = 0,
        clips: ClipsConfig | None = None,
        record: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.model: Any = model
        self.class_names = list(class_names or map(str, range(model.config.num_classes)))
        self.seed = seed
        if record is None:
            run = RunConfig(clips=clips or ClipsConfig(align="none"), model=model.config)
            record = make_record(model, self.class_names, run)
        self.record = record
        self.running: dict[str, Tensor] = {}

    def on_train_start(self) -> None:
        """Apply the options of a resumed run, not those in its checkpoint."""
        if self.trainer.ckpt_path is not None:
            schedules = [each.scheduler for each in self.trainer.lr_scheduler_configs]
            kept = [each for each in schedules if isinstance(each, LambdaLR)]
            restore_options(self.trainer.optimizers[0], self.make_optimizer(), kept)

    def evaluated(self) -> Any:
        """Return the model that evaluation uses: the averaged one, if there is one."""
        return self.model if self.average is None else self.average.module

    def make_optimizer(self) -> Optimizer:
        """Make the optimizer of the phase."""
        raise NotImplementedError

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the optimizer and its schedule, which moves with each optimizer step."""
        optimizer = self.make_optimizer()
        if self.trainer.train_dataloader is None:  # the batches of an epoch are not counted yet
            self.trainer.fit_loop.setup_data()
        pieces = self.trainer.accumulate_grad_batches
        steps = max(1, math.ceil(self.trainer.num_training_batches / pieces))
        epochs = self.trainer.max_epochs or 1
        if epochs < 1:  # the trainer counts steps
            epochs = max(1, self.trainer.max_steps // steps)
        schedule = LambdaLR(optimizer, learning_rate_factor(self.optim, steps, epochs))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_epoch_start(self) -> None:
        """Seed dropout and the noise of the links from (seed, phase, epoch), and the rank.

        So an epoch is the same whether the run was interrupted before it or not.
        """
        parts = [self.seed, self.number, self.current_epoch]
        parts += [rank()] if rank() else []
        torch.manual_seed(int(np.random.SeedSequence(parts).generate_state(1)[0]))

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Stop before bad weights are saved: a finite gradient may have been far too large."""
        if not self.trainer.is_last_batch:
            return
        norm = torch.stack([p.detach().norm() for p in self.model.parameters()]).norm()
        self.need_finite(norm, "norm of the weights")

    def kl_rise(self, share: float) -> float:
        """Factor on the divergence in this step, from 0 to 1 over a share of the phase."""
        if not share or self._trainer is None:  # of use without a trainer too
            return 1.0
        rise = share * self.trainer.estimated_stepping_batches
        return min(1.0, (self.global_step + 1) / rise) if rise else 1.0

    def need_finite(self, value: Tensor, what: str) -> None:
        """Raise DivergenceError where a number is NaN or infinite."""
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
        """Clip the gradient, and stop where it is not finite, before it reaches the weights."""
        if gradient_clip_val is not None:  # an option of the trainer
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.grad_clip or math.inf)
        # With float16 an overflow is expected: the scaler skips such a step by itself.
        if self.trainer.precision != "16-mixed":
            self.need_finite(norm, "gradient")

    def piece_factor(self, batch_idx: int) -> float:
        """Factor on the loss of a batch that is a piece of a step's."""
        batches = getattr(self.trainer.train_dataloader, "batch_sampler", None)
        return float(getattr(batches, "piece_factor", lambda batch: 1.0)(batch_idx))

    def log_parts(self, stage: str, parts: dict[str, Tensor], batch: Batch) -> None:
        """Log parts of the loss, a mean over the epoch's clips each, under ``stage/``."""
        how: Any = {"on_step": False, "on_epoch": True, "add_dataloader_idx": False}
        how |= {"batch_size": len(batch), "sync_dist": processes() > 1}
        for name, value in parts.items():
            self.log(f"{stage}/{name}", value.detach(), **how)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what :func:`~asgcn_dgl.load_model` needs."""
        checkpoint[RECORD] = self.record


class AIMWarmUp(Phase):
    """First phase: the inference module alone, with its own loss (Sec. 4.1; Adam).

    Its links are sampled, whatever ``link_mode`` the model has for the second phase.

    Parameters
    ----------
    model
        A model with A-links.
    aim
        Options: ``lr``, ``pred_steps`` and ``kl_warmup`` are used.
    **others
        ``class_names``, ``seed``, ``clips`` and ``record``, see :class:`JointTraining`.

    Examples
    --------
    >>> from asgcn_dgl.models import ASGCN
    >>> module = AIMWarmUp(ASGCN.preset("small", "hand21", 5), AIMConfig(lr=1e-3))
    >>> type(module.configure_optimizers()).__name__
    'Adam'
    """

    number = 0
    label = "AIM warm-up"

    def __init__(self, model: ASGCN, aim: AIMConfig | None = None, **others: Any) -> None:
        if model.aim is None:
            raise ValueError("model must have A-links (num_actional of 1 or more) to warm them up")
        super().__init__(model, **others)
        self.options = aim or AIMConfig()

    def setup(self, stage: str) -> None:
        """Let links be sampled in this phase."""
        self._link_mode = self.model.link_mode
        self.model.set_link_mode("sampled")

    def teardown(self, stage: str) -> None:
        """Leave the model with the link mode that it had."""
        self.model.set_link_mode(self._link_mode)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return AIM's loss of a batch."""
        losses = self.losses(batch, self.kl_rise(self.options.kl_warmup))
        self.need_finite(losses.loss, "loss")
        self.running = {name: value.detach() for name, value in losses._asdict().items()}
        self.log_parts("train", self.running, batch)
        (share,) = shares(len(batch.feat), device=self.device)
        return losses.loss * share * self.piece_factor(batch_idx)

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Log AIM's loss of a batch of whole clips (first loader)."""
        if dataloader_idx == 0:
            self.log_parts("val", self.losses(batch)._asdict(), batch)

    def losses(self, batch: Batch, kl_weight: float = 1.0) -> AIMLoss:
        """Return AIM's loss and its two parts."""
        assert self.model.aim is not None
        given = (batch.structure, batch.feat, batch.mask)
        steps = self.options.pred_steps
        return self.model.aim.loss(*given, pred_steps=steps, kl_weight=kl_weight)

    def make_optimizer(self) -> Adam:
        """Return Adam over the parameters of AIM."""
        assert self.model.aim is not None
        return Adam(self.model.aim.parameters(), lr=self.options.lr)

    def configure_optimizers(self) -> Optimizer:
        """Return the optimizer; its learning rate is constant."""
        return self.make_optimizer()


class JointTraining(Phase):
    """Second phase: recognition and prediction, with the A-links flowing through the encoder.

    The loss is L = L_recog + w L_predict (Sec. 5.1), and AIM's own loss where it is kept on. The
    encoder is tuned further by it, or frozen.

    Parameters
    ----------
    model
        The model.
    optim
        Gradient descent and its schedule, which covers the trainer's ``max_epochs``.
        ``base_batch`` is not used: scale ``lr`` yourself.
    aim
        Options of the inference module in this phase: learning rate, optimizer, weights of its
        loss and of the links' divergence.
    prediction_weight
        w.
    prediction_loss
        ``"squared"`` (Eq. 6) or ``"distance"``.
    class_names
        Names of the classes; by default their numbers.
    seed
        Seed of dropout and of the noise of the links.
    clips
        How clips are prepared. Checkpoints hold it, so that
        :func:`~asgcn_dgl.training.predict_clip` prepares a clip as training did; by default with
        the defaults of :class:`~asgcn_dgl.data.SkeletonDataset`.
    record
        All that checkpoints say of the model, instead of what is made of these options, see
        ``asgcn_dgl.training.checkpoint.make_record``.

    Examples
    --------
    >>> from asgcn_dgl.models import ASGCN
    >>> model = ASGCN.preset("small", "hand21", 5)
    >>> module = JointTraining(model, OptimConfig(lr=0.02, schedule="constant"))
    >>> module.make_optimizer().param_groups[-1]["lr"]
    0.02
    """

    number = 1
    label = "joint training"

    def __init__(
        self,
        model: ASGCN,
        optim: OptimConfig | None = None,
        aim: AIMConfig | None = None,
        *,
        prediction_weight: float = 0.01,
        prediction_loss: Literal["squared", "distance"] = "squared",
        class_names: Sequence[str] | None = None,
        seed: int = 0,
        clips: ClipsConfig | None = None,
        record: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(model, class_names=class_names, seed=seed, clips=clips, record=record)
        self.optim = optim or OptimConfig()
        self.aim = aim or AIMConfig()
        self.prediction_weight = prediction_weight
        self.prediction_loss = masked_mse if prediction_loss == "squared" else masked_distance
        self.grad_clip = self.optim.grad_clip
        averages = self.optim.ema is not None or self.optim.average_last is not None
        self.average = AveragedModel(model, self.optim.ema) if averages else None
        self._steps = 0  # after which the average was last moved
        self.recognition = RecognitionScores()
        self.prediction = PredictionScores()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the joint loss of a batch."""
        weight = self.prediction_weight
        out: ASGCNOutput = self.model(
            batch.structure, batch.feat, batch.mask, batch.observed, predict=weight > 0
        )
        smoothing = self.optim.label_smoothing
        streams = out.logits[None] if out.stream_logits is None else out.stream_logits
        each = [F.cross_entropy(s, batch.label, label_smoothing=smoothing) for s in streams]
        # Name, value (a backbone of its own learns as if alone), weight, and what it is a mean of.
        parts: list[tuple[str, Tensor, float, Tensor | int]] = [
            ("recognition", torch.stack(each).sum(), 1.0, len(batch))
        ]
        if out.future is not None:
            error = self.prediction_loss(out.future, batch.future, batch.future_mask)
            parts.append(("prediction", error, weight, batch.future_mask.sum()))
        joints = len(batch.feat)
        if self.aim.loss_weight > 0 and out.links is not None:
            given = (out.links, batch.structure, batch.feat, batch.mask)
            own = self.model.aim.loss_of(*given, pred_steps=self.aim.pred_steps).loss
            parts.append(("aim", own, self.aim.loss_weight, joints))
        if self.aim.joint_kl > 0 and out.links is not None:
            divergence = link_divergence(out.links.logits, self.model.config.ghost_prior)
            rise = self.aim.joint_kl * self.kl_rise(self.aim.kl_warmup)
            parts.append(("divergence", divergence.sum() / joints, rise, joints))
        local = reduce(add, [factor * part for _, part, factor, _ in parts])
        self.need_finite(local, "loss")
        self.running = {"loss": local.detach(), **{name: part.detach() for name, part, *_ in parts}}
        answer = out.logits.detach()
        if smoothing or out.stream_logits is not None:  # of the answer, as on the validation clips
            self.running["recognition"] = F.cross_entropy(answer, batch.label)
        self.running["top1"] = 100 * (answer.argmax(dim=-1) == batch.label).float().mean()
        self.log_parts("train", self.running, batch)
        factors = shares(*(count for *_, count in parts), device=self.device)
        losses = [w * f * part for (_, part, w, _), f in zip(parts, factors, strict=True)]
        return reduce(add, losses) * self.piece_factor(batch_idx)

    def on_train_epoch_start(self) -> None:
        """Seed, and count steps from here."""
        super().on_train_epoch_start()
        self._steps = self.global_step

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Move the averaged weights towards the new ones, where a step was taken."""
        super().on_train_batch_end(outputs, batch, batch_idx)
        if self.average is not None and self.global_step > self._steps:
            last, epochs = self.optim.average_last, self.trainer.max_epochs or 1
            if last is None or self.current_epoch >= epochs - last:
                self.average.update(self.model, batch)
            elif self.trainer.is_last_batch:
                self.average.follow(self.model)
        self._steps = self.global_step

    def on_validation_epoch_start(self) -> None:
        """Start the scores of the validation clips."""
        self.recognition, self.prediction = RecognitionScores(), PredictionScores()

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Score a batch: whole clips (first loader), or clips without their future (second)."""
        predict = dataloader_idx == 1
        given = (batch.structure, batch.feat, batch.mask, batch.observed)
        out = self.evaluated()(*given, predict=predict)
        (self.prediction if predict else self.recognition).update(batch, out)

    def on_validation_epoch_end(self) -> None:
        """Log the figures of the validation clips."""
        self.recognition.gather()
        self.prediction.gather()
        loss = self.recognition.loss()
        self.need_finite(torch.tensor(loss), "loss on the held-out clips")
        future = self.prediction.summary() or {}
        found = {"loss": loss, **self.recognition.summary(self.class_names), **future}
        for name in ("loss", "top1", "mean_class", *(["mpjpe", "zero_velocity"] if future else [])):
            value = found[name]
            # The same in every process already; Lightning wants to hear that it may be averaged.
            self.log(f"val/{name}", value, prog_bar=name == "top1", sync_dist=processes() > 1)

    def make_optimizer(self) -> Optimizer:
        """Return gradient descent over all parameters; AIM may have an optimizer of its own."""
        return joint_optimizer(self.model, self.optim, self.aim)
