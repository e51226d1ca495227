"""The phases and the data module in a script of one's own: other trainers, loggers, callbacks."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from torch.nn import functional as F
from torch.utils.data import DataLoader

from asgcn_dgl.data import Clip, SkeletonDataset, collate
from asgcn_dgl.models import ASGCN
from asgcn_dgl.nn.aim import link_divergence
from asgcn_dgl.skeleton import get_layout
from asgcn_dgl.training import (
    AIMConfig,
    AIMWarmUp,
    ClipsConfig,
    JointTraining,
    OptimConfig,
    SkeletonDataModule,
    load_model,
    predict_clip,
)

LAYOUT = get_layout("hand21")
QUIET = {
    "accelerator": "cpu",
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "log_every_n_steps": 1,
}


@pytest.fixture(autouse=True)
def lightnings_own_advice():
    own = (".*LeafSpec.*", ".*not have many workers.*", ".*in eval mode.*", ".*no `val_data.*")
    with warnings.catch_warnings():
        for text in own:
            warnings.filterwarnings("ignore", message=text)
        yield


@pytest.fixture(scope="module")
def clips():
    rng = np.random.default_rng(0)
    poses = rng.normal(size=(9, 1, 16, 21, 3)).cumsum(axis=2) / 5
    return [
        Clip.from_positions(f"clip{k}", LAYOUT, pos, label=k % 3) for k, pos in enumerate(poses)
    ]


def model_of(**options):
    torch.manual_seed(0)
    sizes = {"channels": [8], "strides": [2], "max_hop": 1, "num_actional": 1, "aim_hidden": 8,
             "aim_frames": 8, "future_frames": 3, "future_channels": 8}  # fmt: skip
    return ASGCN(LAYOUT, 3, **{**sizes, **options})


def data_of(model, clips, **options):
    seen = {"num_frames": 8, "future_frames": 3}
    train = SkeletonDataset(clips[:6], training=True, mode="mixed", **seen)
    val = [SkeletonDataset(clips[6:], mode=mode, **seen) for mode in ("whole", "observed")]
    return SkeletonDataModule(model.graph_builder, train, val, batch_size=3, **options)


def test_both_phases_run_under_any_trainer(clips, tmp_path):
    model = model_of(link_mode="steady")
    data = data_of(model, clips)
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    plain = pl.Trainer(max_epochs=1, logger=False, enable_checkpointing=False, **QUIET)
    plain.fit(AIMWarmUp(model, AIMConfig(pred_steps=2)), datamodule=data)
    moved = {name.split(".")[0] for name, p in model.named_parameters()
             if not torch.equal(p, start[name])}  # fmt: skip
    assert moved == {"aim"}
    assert model.link_mode == "steady" and not model.aim.training
    checkpoint = ModelCheckpoint(dirpath=tmp_path / "best", monitor="val/top1", mode="max")
    trainer = pl.Trainer(
        max_epochs=2,
        logger=CSVLogger(tmp_path / "logs"),
        callbacks=[checkpoint, EarlyStopping("val/loss", patience=5)],
        gradient_clip_val=1.0,
        **QUIET,
    )
    prepared = ClipsConfig(num_frames=8, align="none")
    module = JointTraining(model, OptimConfig(lr=0.01), class_names=["a", "b", "c"], clips=prepared)
    trainer.fit(module, datamodule=data)
    assert {"val/top1", "val/mpjpe", "train/recognition"} <= set(trainer.callback_metrics)
    restored = load_model(checkpoint.best_model_path)
    assert (restored.class_names, restored.config.clips) == (["a", "b", "c"], prepared)
    found = predict_clip(restored, clips[0])
    assert found.probabilities.shape == (3,) and found.future.shape == (1, 3, 21, 3)


def test_the_loss_of_recognition_is_that_of_the_answer_of_all_streams(clips):
    model = model_of(
        num_actional=0, future_frames=0, streams=["joint", "bone"], stream_fusion="late"
    ).eval()
    batch = next(iter(data_of(model, clips).train_dataloader()))
    module = JointTraining(model)
    module.log_parts = lambda *args: None  # without a trainer
    module.piece_factor = lambda index: 1.0
    with torch.no_grad():
        loss = module.training_step(batch, 0)
        out = model(batch.structure, batch.feat, batch.mask, batch.observed)
    each = [F.cross_entropy(logits, batch.label) for logits in out.stream_logits]
    assert loss.item() == pytest.approx(sum(each).item())
    answer = F.cross_entropy(out.logits, batch.label).item()
    assert module.running["recognition"].item() == pytest.approx(answer)
    assert answer < loss.item()


def test_a_loader_of_ones_own_will_do(clips):
    """No sampler and no data module of ours, and a trainer that counts steps."""
    model = model_of(num_actional=0, future_frames=0)
    join = functools.partial(collate, builder=model.graph_builder)
    loader = DataLoader(SkeletonDataset(clips, num_frames=8), batch_size=3, collate_fn=join)
    module = JointTraining(model, OptimConfig(lr=0.01, schedule="cosine", warmup_epochs=0))
    trainer = pl.Trainer(
        max_steps=6, max_epochs=-1, limit_val_batches=0, logger=False,
        enable_checkpointing=False, **QUIET,
    )  # fmt: skip
    trainer.fit(module, loader)
    # The schedule covers the six steps: two epochs of three.
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-9)


def test_checkpoints_resume_with_the_options_that_are_given(clips, tmp_path):
    model = model_of()
    data = data_of(model, clips)
    options = {"logger": False, "enable_checkpointing": False, **QUIET}
    first = pl.Trainer(max_epochs=1, **options)
    first.fit(JointTraining(model, OptimConfig(lr=0.01)), datamodule=data)
    first.save_checkpoint(tmp_path / "first.ckpt")
    second = pl.Trainer(max_epochs=2, **options)
    module = JointTraining(model_of(), OptimConfig(lr=0.004, schedule="constant"))
    second.fit(module, datamodule=data, ckpt_path=tmp_path / "first.ckpt", weights_only=True)
    assert second.current_epoch == 2
    assert second.optimizers[0].param_groups[-1]["lr"] == 0.004


def test_a_warm_up_needs_links():
    with pytest.raises(ValueError, match="model must have A-links"):
        AIMWarmUp(model_of(num_actional=0))


def test_an_epoch_is_the_same_on_any_number_of_pieces(clips):
    """The clips of a step do not depend on the pieces that it is worked through in."""
    model = model_of()

    def steps(**options):
        loader = data_of(model, clips, seed=3, **options).train_dataloader()
        return [name for batch in loader for name in batch.names]

    assert steps() == steps(accumulate=3)
    assert sorted(steps(repeat=2)) == sorted(2 * [clip.name for clip in clips[:6]])


def test_links_have_their_price_in_joint_training(clips):
    """Without it, links cost nothing once the warm-up is over."""
    divergence = {}
    for weight in (0.0, 1.0):
        model = model_of(link_mode="steady", future_frames=0, dropout=0.0)
        options = {"logger": False, "enable_checkpointing": False, **QUIET}
        trainer = pl.Trainer(max_epochs=6, **options)
        aim = AIMConfig(joint_kl=weight, kl_warmup=0.5, joint_optimizer="adam", joint_lr=0.01)
        module = JointTraining(model, OptimConfig(lr=0.01, schedule="constant"), aim)
        data = data_of(model, clips)
        trainer.fit(module, datamodule=data)
        assert ("train/divergence" in trainer.callback_metrics) == (weight > 0)
        batch = next(iter(data.train_dataloader()))
        links = model.eval()(batch.structure, batch.feat, batch.mask).links
        divergence[weight] = link_divergence(links.logits, 0.95).mean().item()
    assert divergence[1.0] < 0.5 * divergence[0.0]
