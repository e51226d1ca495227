"""# Train with your own Lightning trainer

The two phases of training are Lightning modules, and the clips are a Lightning data module. The
command `asgcn-dgl train` puts them together with its own logs and checkpoints; here they run under
a trainer, a logger and callbacks that you choose. {py:class}`~asgcn_dgl.training.AIMWarmUp` trains
the A-link inference module alone, {py:class}`~asgcn_dgl.training.JointTraining` trains everything.
"""

# %%
# It needs the extra `train`. The clips are made up: a puppet that waves, nods or kicks. Use your
# own: {py:class}`~asgcn_dgl.data.SkeletonDataset` takes any list of clips.
import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger

from asgcn_dgl import ASGCN, Clip, SkeletonDataset, SkeletonLayout, load_model, predict_clip
from asgcn_dgl.training import (
    AIMConfig,
    AIMWarmUp,
    ClipsConfig,
    JointTraining,
    OptimConfig,
    SkeletonDataModule,
)

puppet = SkeletonLayout.from_bones(
    "puppet",
    [("hip", "chest"), ("chest", "head"), ("chest", "hand"), ("hip", "foot")],
    center="hip",
)
PLACES = {"hip": (0, 0), "chest": (0, 1), "head": (0, 2), "hand": (1, 1), "foot": (0, -1)}
ACTIONS = {"wave": "hand", "nod": "head", "kick": "foot"}


def draw_clips(count, rng):
    rest = np.array([PLACES[joint] for joint in puppet.joints], dtype=float)
    clips = []
    for number in range(count):
        label = number % len(ACTIONS)
        joint = puppet.index(list(ACTIONS.values())[label])
        pos = rest + rng.normal(scale=0.1, size=(1, 40, *rest.shape))  # body, frame, joint, x y
        pos[0, :, joint, 0] += 0.4 * np.sin(rng.uniform(0.3, 0.6) * np.arange(40))
        clips.append(Clip.from_positions(f"clip{number}", puppet, pos, label=label))
    return clips


# %% Model and clips
# `mode="mixed"` hides the end of some clips, which the model learns to predict; validation sees the
# clips whole.
FRAMES = 24
pl.seed_everything(0)
clips = draw_clips(120, np.random.default_rng(0))
model = ASGCN(
    puppet,
    num_classes=len(ACTIONS),
    in_feats=2,
    channels=[16, 32],
    strides=[1, 2],
    max_hop=2,
    num_actional=1,
    aim_hidden=16,
    future_channels=16,
    dropout=0.1,
)
data = SkeletonDataModule(
    model.graph_builder,
    train=SkeletonDataset(
        clips[:90], training=True, num_frames=FRAMES, mode="mixed", future_frames=10
    ),
    val=SkeletonDataset(clips[90:], num_frames=FRAMES),
    batch_size=15,
)

# %% First phase: what the A-links are
# Any trainer does; this one writes nothing.
aim = AIMConfig(lr=2e-3)
quiet = {"logger": False, "enable_checkpointing": False, "enable_model_summary": False}
warm_up = pl.Trainer(max_epochs=2, accelerator="cpu", enable_progress_bar=False, **quiet)
warm_up.fit(AIMWarmUp(model, aim), datamodule=data)

# %% Second phase: both heads
# The figures of validation are logged as `val/top1`, `val/loss`, ... for callbacks and loggers.
checkpoint = ModelCheckpoint(dirpath="checkpoints", monitor="val/top1", mode="max")
trainer = pl.Trainer(
    max_epochs=8,
    accelerator="cpu",
    logger=CSVLogger("logs"),
    callbacks=[
        checkpoint,
        EarlyStopping("val/loss", patience=4),
        LearningRateMonitor("step"),
    ],
    log_every_n_steps=1,
    enable_progress_bar=False,
    enable_model_summary=False,
)
module = JointTraining(
    model,
    OptimConfig(lr=0.05, warmup_epochs=0.5),
    aim,
    prediction_weight=0.1,
    class_names=list(ACTIONS),
    clips=ClipsConfig(num_frames=FRAMES, align="none"),  # as above: checkpoints say so
)
trainer.fit(module, datamodule=data)
print(f"best accuracy {checkpoint.best_model_score:.1f} % in {checkpoint.best_model_path}")

# %% Use it
# A checkpoint holds the model's options, its skeleton and the class names; to load it and to
# predict needs neither Lightning nor any other extra.
restored = load_model(checkpoint.best_model_path)
with torch.no_grad():
    found = predict_clip(restored, draw_clips(1, np.random.default_rng(1))[0])
likeliest = restored.class_names[found.probabilities.argmax()]
print(f"{likeliest}, {found.probabilities.max():.0%}; next poses: {found.future.shape}")
