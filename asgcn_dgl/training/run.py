"""A training from beginning to end: AIM alone, everything together, validation, test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import TensorBoardLogger

from asgcn_dgl.errors import InputError
from asgcn_dgl.files import write_json, write_npz
from asgcn_dgl.models import ASGCN, STGCN
from asgcn_dgl.nn import sync_norms
from asgcn_dgl.training.build import (
    build_model,
    check_devices,
    future_frames,
    set_threads,
    thawed,
)
from asgcn_dgl.training.callbacks import EpochLog, ProgressBar, SaveCheckpoints, say
from asgcn_dgl.training.checkpoint import (
    AtomicCheckpointIO,
    load_checkpoint,
    load_model,
    model_weights,
)
from asgcn_dgl.training.clips import ClipsModule
from asgcn_dgl.training.config import RunConfig
from asgcn_dgl.training.errors import DivergenceError
from asgcn_dgl.training.evaluate import evaluate, evaluation_datasets, figures, score
from asgcn_dgl.training.files import DIVERGED, RunDir
from asgcn_dgl.training.modules import AIMWarmUp, JointTraining, Phase
from asgcn_dgl.training.parallel import count_processes, is_main
from asgcn_dgl.training.pictures import LinkPictures
from asgcn_dgl.training.progress import progress_wanted, quiet_lightning
from asgcn_dgl.training.report import closing, report

__all__ = ["train"]

# What a resumed run cannot change: its clips, its numbers, and whose state its checkpoints hold.
KEPT = (
    ("clips", "protocol"),
    ("clips", "validation"),
    ("clips", "stream"),
    ("aim", "joint"),
    ("aim", "joint_optimizer"),
    ("trainer", "seed"),
)


def train(
    config: RunConfig, folder: str | Path, *, resume: bool = False, test: bool = True
) -> dict[str, Any]:
    """Train a model and write a run folder.

    Parameters
    ----------
    config
        Options of the run.
    folder
        Folder of the run; it must be new or empty unless ``resume``.
    resume
        Go on with what the folder holds. The weights are then those of a run that was never
        interrupted.
    test
        Read the test clips once, when all is trained.

    Returns
    -------
    dict
        Figures of the test clips, or of the validation clips without ``test``; empty if there are
        none of either.

    Raises
    ------
    InputError
        If the options, the data or the folder cannot be used; nothing is written then.
    DivergenceError
        If a loss or gradient is not finite.
    """
    run = RunDir(Path(folder))
    if is_main():
        _check_folder(run, resume)
    check_devices(config)
    set_threads(config)
    clips = ClipsModule(config, progress_wanted(config))
    names = list(clips.set.class_names)
    model = build_model(config, clips.set.layouts, len(names), clips.num_dims)
    _check_resumable(run, model, config, resume)
    if is_main():
        run.write_config(config)
        run.checkpoints.mkdir(exist_ok=True)
    say(run.log, _opening(run, clips, model, resume))
    try:
        seconds = {
            "warm_up": _warm_up(run, model, clips, names, resume),
            "joint": _train_jointly(run, model, clips, names, resume),
        }
    except DivergenceError as error:
        stop = DivergenceError(f"{error}. {_way_on(run)}")
        say(run.log, f"{DIVERGED}{stop}")
        raise stop from error
    if not is_main():  # the others helped to train; one is enough to look
        return {}
    result = _validate(run, clips, seconds)
    tested = evaluate(run.path) if test else None
    say(run.log, closing(run, seconds, result or None, tested))
    return tested if tested is not None else result


def _way_on(run: RunDir) -> str:
    """Say what is left to go on from."""
    for file in (run.checkpoints / "last.ckpt", run.checkpoints / "aim.ckpt"):
        if file.is_file():
            return (
                f"{file} is from before: 'asgcn-dgl train --resume --out {run.path}' goes on from "
                "it, with such an option beside it"
            )
    return f"No checkpoint is written yet: train anew in another --out, or remove {run.path}"


def _check_folder(run: RunDir, resume: bool) -> None:
    """Refuse to write over a run, or to go on with none."""
    if resume:
        run.read_config()
    elif run.path.exists() and not _is_empty(run.path):
        raise InputError(
            f"{run.path}: already there and not empty; give another --out, or go on with "
            "that run by --resume"
        )


def _is_empty(path: Path) -> bool:
    """Tell whether a folder holds nothing but what a run left that was killed at its very start."""
    return path.is_dir() and all(each.name.startswith(".config.yaml.") for each in path.iterdir())


def _check_resumable(run: RunDir, model: ASGCN | STGCN, config: RunConfig, resume: bool) -> None:
    """Refuse checkpoints that the options do not fit, before anything is written."""
    if resume and any(run.checkpoints.glob("*.ckpt")):
        was, wanted = run.read_config().to_dict(), config.to_dict()
        for section, name in KEPT:
            if was[section][name] != wanted[section][name]:
                raise InputError(
                    f"{section}.{name}: {run.path} was trained with {was[section][name]}, and a "
                    f"resumed run cannot change to {wanted[section][name]}; train anew in another "
                    "--out"
                )
    for file in (run.checkpoints / "aim.ckpt", run.checkpoints / "last.ckpt"):
        if resume and file.is_file():
            own = {name: tensor.shape for name, tensor in model.state_dict().items()}
            kept = model_weights(load_checkpoint(file)["state_dict"])
            if own != {name: tensor.shape for name, tensor in kept.items()}:
                raise InputError(
                    f"{file}: holds a model of another shape; resume without options of "
                    "the model, or train anew in another --out"
                )


def _opening(run: RunDir, clips: ClipsModule, model: ASGCN | STGCN, resume: bool) -> str:
    """Return the first line of the log."""
    count = sum(parameter.numel() for parameter in model.parameters())
    return (
        f"{'resuming' if resume else 'run'} {run.path}: {clips.config.data}, {clips.protocol}, "
        f"{clips.config.stream} stream; {len(clips.train_clips)} clips to learn from, "
        f"{len(clips.held_out_clips)} held out; {count:,} parameters; "
        f"seed {clips.config.trainer.seed}"
    )


def _warm_up(
    run: RunDir, model: ASGCN | STGCN, clips: ClipsModule, names: list[str], resume: bool
) -> float:
    """Train the inference module alone; return the seconds that it took."""
    config = clips.config
    if model.aim is None or config.aim.epochs == 0:
        return 0.0
    clips.prepare(
        model.graph_builder,
        mode="whole",
        future_frames=future_frames(model),
        batch_size=config.aim.batch_size or config.trainer.batch_size,
        repeat=1,
    )
    module = AIMWarmUp(model, config, names)
    saver = SaveCheckpoints(run.checkpoints, last="aim", best=False)
    with thawed(model):
        return _fit(run, module, clips, config.aim.epochs, saver, "aim", resume)


def _train_jointly(
    run: RunDir, model: ASGCN | STGCN, clips: ClipsModule, names: list[str], resume: bool
) -> float:
    """Train both heads, the A-links with them; return the seconds that it took."""
    config = clips.config
    clips.prepare_joint(model)
    module = JointTraining(model, config, names)
    saver = SaveCheckpoints(
        run.checkpoints, best=len(clips.held_out_clips) > 0, patience=config.trainer.early_stop
    )
    return _fit(run, module, clips, config.trainer.epochs, saver, "joint", resume)


def _fit(
    run: RunDir,
    module: Phase,
    clips: ClipsModule,
    epochs: int,
    saver: SaveCheckpoints,
    label: str,
    resume: bool,
) -> float:
    """Run a phase, from its checkpoint if it has one; return the seconds over all its sittings."""
    module.origins = clips.set.origins
    file = run.checkpoints / f"{saver.last}.ckpt"
    config = clips.config
    bar = ProgressBar() if progress_wanted(config) else None
    log = EpochLog(run.log, label, bar)
    if resume and file.is_file():
        checkpoint = load_checkpoint(file)
        saver.load_state_dict(checkpoint["callbacks"][saver.state_key])
        if checkpoint["epoch"] + 1 >= epochs or saver.exhausted:
            module.load_state_dict(checkpoint["state_dict"])
            log.load_state_dict(checkpoint["callbacks"][log.state_key])
            return log.seconds
    count = count_processes(config.trainer)
    if count.total > 1 and config.trainer.sync_norm:
        sync_norms(module)  # an averaged model has norms too
    callbacks: list[pl.Callback] = [log, saver]
    if config.trainer.link_pictures and module.model.aim is not None:
        callbacks.append(LinkPictures(clips.few_batches(module.model)))
    with quiet_lightning():
        trainer = pl.Trainer(
            max_epochs=epochs,
            accelerator=config.trainer.accelerator,
            devices=count.devices,
            num_nodes=count.nodes,
            strategy=count.strategy(),
            use_distributed_sampler=False,
            accumulate_grad_batches=config.trainer.accumulate,
            precision=config.trainer.precision,
            logger=TensorBoardLogger(
                run.path, name="tensorboard", version=label, default_hp_metric=False
            ),
            callbacks=callbacks if bar is None else [*callbacks, bar],
            plugins=[AtomicCheckpointIO()],
            check_val_every_n_epoch=config.trainer.eval_every,
            limit_val_batches=1.0 if len(clips.held_out_clips) else 0,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            enable_progress_bar=bar is not None,
            enable_model_summary=False,
        )
        try:
            trainer.fit(
                module,
                datamodule=clips,
                ckpt_path=file if resume and file.is_file() else None,
                weights_only=True,
            )
        except SystemExit as stop:  # Lightning's answer to Ctrl-C and to SIGTERM
            raise KeyboardInterrupt from stop
    if saver.exhausted:
        say(run.log, f"{label}: stopped early, no better after {saver.waited} validations")
    return log.seconds


def _validate(run: RunDir, clips: ClipsModule, seconds: dict[str, float]) -> dict[str, Any]:
    """Score the held-out clips with the chosen checkpoint, write and print the figures."""
    if not len(clips.held_out_clips):
        write_json(run.validation, {"split": "validation", "clips": 0, "seconds": seconds})
        return {}
    file = run.checkpoint()
    restored = load_model(file)
    datasets = evaluation_datasets(clips.held_out_clips, restored.model, restored.config)
    scores = score(restored.model, datasets, restored.config, "validation")
    result = figures(
        restored, *scores, split="validation", protocol=clips.protocol, checkpoint=file.stem
    )
    result["seconds"] = seconds
    write_json(run.validation, result)
    write_npz(run.validation_scores, **scores[0].arrays(restored.class_names))
    say(run.log, report(result))
    return result
