"""A training from beginning to end: AIM alone, everything together, validation, test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
from pytorch_lightning.strategies import DDPStrategy

from asgcn_dgl.data import Reader
from asgcn_dgl.errors import InputError
from asgcn_dgl.files import in_short, write_json, write_npz
from asgcn_dgl.models import ASGCN, Forecaster
from asgcn_dgl.nn import sync_norms
from asgcn_dgl.training import DivergenceError, build, callbacks
from asgcn_dgl.training.build import reuse_memory
from asgcn_dgl.training.callbacks import say
from asgcn_dgl.training.checkpoint import (
    ANOTHER,
    load_checkpoint,
    load_model,
    make_record,
    model_weights,
)
from asgcn_dgl.training.clips import RunClips, killed_workers, run_layouts
from asgcn_dgl.training.config import RunConfig
from asgcn_dgl.training.datamodule import SkeletonDataModule
from asgcn_dgl.training.evaluate import evaluate, format_result, measure
from asgcn_dgl.training.files import DIVERGED, LOCK, RunDir, model_file
from asgcn_dgl.training.finetune import (
    InitPart,
    start_config,
    take_layout,
    take_weights,
)
from asgcn_dgl.training.forecasting import ForecastData, ForecastTraining
from asgcn_dgl.training.modules import AIMWarmUp, JointTraining, Phase
from asgcn_dgl.training.report import format_summary

Record = Mapping[str, Any]

# What a resumed run cannot change: its clips, its numbers, and whose state its checkpoints hold.
KEPT = (
    *("clips.protocol", "clips.validation", "clips.stream"),
    *("model.link_mode", "aim.joint_optimizer", "trainer.seed"),
)


def train(
    config: RunConfig,
    folder: str | Path,
    *,
    resume: bool = False,
    test: bool = True,
    init: str | Path | None = None,
    init_part: InitPart = "all",
    note: str = "",
) -> dict[str, Any]:
    """Train a model and write a run folder.

    Parameters
    ----------
    config
        Options of the run.
    folder
        Folder of the run; it must be new or empty unless ``resume``.
    resume
        Continue the run in the folder. The weights are then those of a run that was never
        interrupted.
    test
        Read the test clips once, when all is trained.
    init
        Start from the weights of this model: a run, a checkpoint, or a folder of
        ``save_pretrained``. Its options of the model take the place of those in ``config``; a head
        for another number of classes is new.
    init_part
        'all', or 'backbone': the input norms and the blocks alone. Heads and inference module are
        then new, by the options in ``config``.
    note
        A line for the beginning of the log, such as where the options come from.

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
    build.check_devices(config)
    notes = [note, callbacks.check_loggers(config.trainer.loggers)]
    build.set_threads(config)
    if build.is_main():
        _check_folder(run, resume)
    with run.lock() if build.is_main() else nullcontext():
        if build.is_main():
            _check_folder(run, resume)  # another process may have finished there
        start = None if init is None or resume else load_model(model_file(init)).model
        if start is not None:
            config = start_config(config, start, init_part)
        clips = RunClips(config, build.progress_wanted(config))
        config = clips.config  # with what the clips decided
        names = list(clips.set.class_names)
        if start is not None:
            take_layout(config, clips.set, start)
        layouts = run_layouts(config, clips.set)
        model = build.build_model(config, layouts, len(names), clips.num_dims)
        if start is not None:
            notes.append(take_weights(model, start, str(init), init_part))
        windows = None
        if isinstance(model, Forecaster):
            windows = ForecastData(model, config, clips.train_clips, clips.held_out_clips)
        else:
            model.freeze(config.trainer.freeze)
        record = make_record(model, names, config, clips.set.origins, clips.scored)
        _check_resumable(run, model, config, resume, clips.set)
        if build.is_main():
            if not resume:
                run.log.unlink(missing_ok=True)
            run.write_config(config)
            run.checkpoints.mkdir(exist_ok=True)
        for line in (_opening(run, clips, model, resume), *notes, *_choices(clips)):
            if line:
                say(run.log, line)
        try:
            seconds = {
                name: _fit(run, clips, phase(clips, model, record, windows), resume)
                for name, phase in (_STAGES if windows is None else _FORECAST).items()
            }
        except DivergenceError as error:
            stop = DivergenceError(f"{error}. {_way_on(run)}")
            say(run.log, f"{DIVERGED}{stop}")
            raise stop from error
        if not build.is_main():  # the others helped to train; one is enough to look
            return {}
        result = _validate(run, clips, seconds)
        tested = evaluate(run.path) if test and clips.tested else None
        if windows is None:
            say(run.log, format_summary(run, seconds, result or None, tested))
        return tested if tested is not None else result


def _choices(clips: RunClips) -> Iterator[str]:
    """Yield lines about what the options and the machine decide."""
    options, (precision, reason) = clips.config.trainer, build.precision_of(clips.config)
    if options.freeze:
        yield f"not trained: {', '.join(options.freeze)}"
    if clips.views:
        yield f"clips.views: {clips.views}"
    if reason:
        yield f"precision {precision}: {reason} (trainer.precision auto)"
    on_cpu = build.device_of(clips.config).type == "cpu"
    if options.reuse_memory and on_cpu and reuse_memory():
        yield "memory of large tensors is kept for reuse (trainer.reuse_memory)"


def _way_on(run: RunDir) -> str:
    """Name the checkpoint to continue from."""
    for file in (run.checkpoints / "last.ckpt", run.checkpoints / "aim.ckpt"):
        if file.is_file():
            return (
                f"{file} is from before: 'asgcn-dgl train --resume --out {run.path}' continues "
                "from it, with such an option beside it"
            )
    return f"No checkpoint is written yet: train again in another --out, or remove {run.path}"


def _check_folder(run: RunDir, resume: bool) -> None:
    """Refuse to write over a run, or to resume where there is none."""
    if resume:
        run.read_config()
        return
    # What a run leaves that ended before its first epoch; it may be trained again.
    left = (LOCK, ".config.yaml.", "config.yaml", "train.log", "checkpoints")
    free = not run.path.exists() or (
        run.path.is_dir() and all(each.name.startswith(left) for each in run.path.iterdir())
    )
    if not free or any(run.checkpoints.glob("*")):
        raise InputError(
            f"{run.path}: already there and not empty; give another --out, or continue "
            "that run with --resume"
        )


def _check_resumable(
    run: RunDir, model: ASGCN, config: RunConfig, resume: bool, data: Reader
) -> None:
    """Refuse checkpoints that the options do not fit, before anything is written."""
    if not resume:
        return
    if any(run.checkpoints.glob("*.ckpt")):
        was, wanted = run.read_config().to_dict(), config.to_dict()
        for option in KEPT:
            section, name = option.split(".")
            if was[section][name] != wanted[section][name]:
                raise InputError(
                    f"{option}: {run.path} was trained with {was[section][name]}, and a resumed "
                    f"run cannot change to {wanted[section][name]}; train again in another --out"
                )
    own = {name: tensor.shape for name, tensor in model.state_dict().items()}
    for file in (run.checkpoints / "aim.ckpt", run.checkpoints / "last.ckpt"):
        if file.is_file():
            kept = model_weights(load_checkpoint(file)["state_dict"], file)
            if own != {name: tensor.shape for name, tensor in kept.items()}:
                raise InputError(
                    f"{file}: holds a model of another shape; resume without options of "
                    "the model, or train again in another --out"
                )
            load_model(file).check_data(data)


def _opening(run: RunDir, clips: RunClips, model: ASGCN, resume: bool) -> str:
    """Return the first line of the log."""
    count = sum(parameter.numel() for parameter in model.parameters())
    protocol = clips.protocol or "no split"
    return (
        f"{'resuming' if resume else 'run'} {run.path}: {clips.config.data}, {protocol}, "
        f"{clips.config.stream} stream; {len(clips.train_clips)} clips to learn from, "
        f"{len(clips.held_out_clips)} held out{clips.held_out_by}; {count:,} parameters; "
        f"seed {clips.config.trainer.seed}"
    )


class _Stage(NamedTuple):
    """A stage of training: what trains, on what, how long, and by what name it is logged."""

    module: Phase
    data: SkeletonDataModule | ForecastData
    epochs: int
    label: str
    last: str = "last"  # name of the latest checkpoint


def _warm_up(clips: RunClips, model: Any, record: Record, _: Any) -> _Stage | None:
    """Train the inference module alone."""
    config = clips.config
    if model.aim is None or config.aim.epochs == 0 or "aim" in config.trainer.freeze:
        return None
    data = _data(clips, model, "whole", config.aim.batch_size or config.trainer.batch_size)
    module = AIMWarmUp(model, config.aim, seed=config.trainer.seed, record=record)
    return _Stage(module, data, config.aim.epochs, "aim", "aim")


def _joint(clips: RunClips, model: Any, record: Record, _: Any) -> _Stage:
    """Train both heads, the A-links with them."""
    module, data = joint_phase(clips, model, record)
    return _Stage(module, data, clips.config.trainer.epochs, "joint")


def _forecast(clips: RunClips, model: Any, record: Record, windows: Any) -> _Stage:
    """Train a forecaster."""
    config, names = clips.config, clips.set.class_names
    options: Any = {"class_names": names, "seed": config.trainer.seed, "record": record}
    module = ForecastTraining(model, config.scaled_optim, config.forecast, **options)
    return _Stage(module, windows, config.trainer.epochs, "forecast")


#: Stages by the name of their seconds. Each is made when the one before has trained.
_STAGES: dict[str, Callable[..., _Stage | None]] = {"warm_up": _warm_up, "joint": _joint}
_FORECAST: dict[str, Callable[..., _Stage | None]] = {"forecast": _forecast}


def joint_phase(
    clips: RunClips,
    model: ASGCN,
    record: Record | None = None,
    kind: type[JointTraining] = JointTraining,
) -> tuple[JointTraining, SkeletonDataModule]:
    """Return what joint training of a run's model takes, as its options ask."""
    config = clips.config
    predicts = model.config.future_frames > 0 and config.prediction.weight > 0
    module = kind(
        model,
        config.scaled_optim,
        config.aim,
        prediction_weight=config.prediction.weight,
        prediction_loss=config.prediction.loss,
        class_names=clips.set.class_names,
        seed=config.trainer.seed,
        record=record,
    )
    mode = "mixed" if predicts else "whole"
    return module, _data(clips, model, mode, config.trainer.batch_size, config.clips.repeat)


def _data(
    clips: RunClips, model: ASGCN, mode: str, batch_size: int, repeat: int = 1
) -> SkeletonDataModule:
    """Return the clips of a phase: how they are seen, how many at a time, and how often."""
    options = clips.config
    return SkeletonDataModule(
        model.graph_builder,
        *clips.datasets(mode, model.config.future_frames),
        batch_size=batch_size,
        eval_batch_size=options.trainer.eval_batch_size,
        accumulate=options.trainer.accumulate,
        repeat=repeat,
        seed=options.trainer.seed,
        workers=options.clips.workers,
        by_length=options.clips.sampling == "own",
    )


def _fit(run: RunDir, clips: RunClips, phase: _Stage | None, resume: bool) -> float:
    """Run a phase, from its checkpoint if it has one; return the seconds over all its sittings."""
    if phase is None:
        return 0.0
    module, data, epochs, label, last = phase
    file = run.checkpoints / f"{last}.ckpt"
    options = clips.config.trainer
    best = label == "joint" and len(clips.held_out_clips) > 0
    patience = options.early_stop if best else None
    saver = callbacks.SaveCheckpoints(run.checkpoints, last, best, patience)
    bar = callbacks.ProgressBar() if build.progress_wanted(clips.config) else None
    log = callbacks.EpochLog(run.log, label, bar, run.history)
    resumed = resume and file.is_file()
    if resumed:
        checkpoint = load_checkpoint(file)
        _restore(saver, checkpoint, file)
        data.first_epoch = checkpoint["epoch"] + 1
        if checkpoint["epoch"] + 1 >= epochs or saver.exhausted:
            module.load_state_dict(checkpoint["state_dict"])
            _restore(log, checkpoint, file)
            return log.seconds
    devices, nodes = build.count_processes(options.devices, options.nodes)
    several = devices * nodes > 1
    if several and options.sync_norm:
        sync_norms(module)  # an averaged model has norms too
    watching: list[pl.Callback] = [log, saver, *([] if bar is None else [bar])]
    if options.link_pictures and getattr(module.model, "aim", None) is not None:
        watching.append(callbacks.LinkPictures(clips.few_batches(module.model)))
    loggers = callbacks.make_loggers(options.loggers, run.path, label)
    with callbacks.quiet_lightning(), killed_workers():
        trainer = pl.Trainer(
            max_epochs=epochs,
            accelerator=options.accelerator,
            devices=devices,
            num_nodes=nodes,
            # A batch without a known future trains no prediction head.
            strategy=DDPStrategy(find_unused_parameters=True) if several else "auto",
            use_distributed_sampler=False,
            accumulate_grad_batches=options.accumulate,
            precision=build.precision_of(clips.config)[0],
            logger=loggers,
            callbacks=watching,
            plugins=[callbacks.AtomicCheckpointIO()],
            check_val_every_n_epoch=options.eval_every,
            limit_val_batches=1.0 if data.val else 0,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            enable_progress_bar=bar is not None,
            enable_model_summary=False,
        )
        try:
            path = file if resumed else None
            trainer.fit(module, datamodule=data, ckpt_path=path, weights_only=True)
            callbacks.close_loggers(loggers)
        except SystemExit as stop:  # Lightning's answer to Ctrl-C and to SIGTERM
            raise KeyboardInterrupt from stop
        except (InputError, DivergenceError, OSError):
            raise
        except Exception as error:
            if log.begun or not resume:
                raise
            # Damage that the reader of checkpoints did not see: what Lightning restores.
            raise InputError(
                f"{file}: training cannot be resumed from it ({in_short(error)}); remove it to "
                "train this phase again"
            ) from error
    if saver.exhausted:
        say(run.log, f"{label}: stopped early, no better after {saver.waited} validations")
    return log.seconds


def _restore(callback: pl.Callback, checkpoint: Record, file: Path) -> None:
    """Give a callback its state."""
    try:
        callback.load_state_dict(checkpoint["callbacks"][callback.state_key])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{file}: callbacks.{type(callback).__name__} is damaged ({in_short(error)}); {ANOTHER}"
        ) from error


def _validate(run: RunDir, clips: RunClips, seconds: dict[str, float]) -> dict[str, Any]:
    """Score the held-out clips with the chosen checkpoint, write and print the figures."""
    if not len(clips.held_out_clips):
        write_json(run.validation, {"split": "validation", "clips": 0, "seconds": seconds})
        return {}
    file = run.checkpoint()
    restored = load_model(file)
    result, scores = measure(restored, clips.held_out_clips, "validation", clips.protocol, file)
    result["seconds"] = seconds
    write_json(run.validation, result)
    if scores:
        write_npz(run.validation_scores, **scores)
    say(run.log, format_result(result))
    return result
