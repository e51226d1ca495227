"""A model as one file for onnxruntime, or as a program for torch alone.

Both take ``pos`` (clips, bodies, frames, joints, coordinates) and ``mask`` (clips, bodies, frames,
joints), true where a joint exists; a body that is absent is masked everywhere. The numbers of clips
and frames are free. An ONNX file of a recognizer with future poses also takes ``last`` (clips,
bodies, joints, coordinates), the last pose, or, for the prediction head 'dct', ``recent`` (clips,
bodies, past frames, joints, coordinates), the last poses; both may be left out where they are the
last frames that exist.
"""

from __future__ import annotations

import inspect
import json
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from asgcn_dgl.errors import InputError
from asgcn_dgl.files import atomic_path
from asgcn_dgl.models.asgcn import ASGCN
from asgcn_dgl.models.forecaster import Forecaster
from asgcn_dgl.ops.frames import zero_missing
from asgcn_dgl.skeleton import SkeletonLayout, get_layout

__all__ = ["METADATA", "OUTPUTS", "ClipProgram", "Exported", "write_onnx", "write_program"]

OUTPUTS = ("logits", "links", "future")
METADATA = "asgcn_dgl"
"""Key of the metadata in a file: layout, classes, preparation of clips, outputs."""

LIMIT = 1e-3  # largest difference from the model, by its largest output, with which a file is kept
FRAMES = 8192  # at most


@dataclass(frozen=True)
class Exported:
    """A file that was written: its bytes, its largest difference from the model, its ONNX opset."""

    path: Path
    size: int
    difference: float
    opset: int | None = None

    def __str__(self) -> str:
        """Say it in a line."""
        opset = "" if self.opset is None else f"opset {self.opset}, "
        return (
            f"written: {self.path} ({opset}{self.size / 1e6:.2f} MB; "
            f"largest difference from the model {self.difference:.1e})"
        )


class ClipProgram(nn.Module):
    """A model as a function of arrays.

    Parameters
    ----------
    model
        The model; it is left in evaluation mode.
    bodies
        Bodies of each clip.
    outputs
        Names out of ``logits``, ``links`` and ``future``; None for all that the model has.
    layout
        Which of the model's layouts; None for its only one.

    Raises
    ------
    ValueError
        For an output that the model does not have, or a layout that it does not serve.

    Examples
    --------
    >>> import torch
    >>> from asgcn_dgl.models import STGCN
    >>> program = ClipProgram(STGCN("coco17", 4, channels=(8,), strides=(1,)), bodies=2)
    >>> program(torch.randn(3, 2, 20, 17, 3), torch.ones(3, 2, 20, 17, dtype=torch.bool))[0].shape
    torch.Size([3, 4])
    """

    def __init__(
        self,
        model: ASGCN | Forecaster,
        bodies: int = 1,
        outputs: Sequence[str] | None = None,
        layout: SkeletonLayout | str | None = None,
    ) -> None:
        super().__init__()
        forecasts = isinstance(model, Forecaster)
        links = model.encoder if isinstance(model, Forecaster) else model.aim
        future = forecasts or model.prediction is not None
        has = {"logits": not forecasts, "links": links is not None, "future": future}
        self.outputs = tuple(name for name in OUTPUTS if has[name]) if outputs is None else outputs
        for name in self.outputs:
            if not has.get(name, False):
                there = ", ".join(each for each in OUTPUTS if has[each])
                raise ValueError(f"outputs must be out of {there} for this model, got {name!r}")
        if bodies < 1 or model.config.fixed_bodies not in (None, bodies):
            wanted = model.config.fixed_bodies or "at least 1"
            raise ValueError(f"bodies must be {wanted} for this model, got {bodies}")
        names = [each.name for each in model.layouts]
        if layout is None and len(names) > 1:
            raise ValueError(f"layout must be one of {', '.join(names)}, got none")
        self.layout = model.layouts[0] if layout is None else get_layout(layout)
        if self.layout not in model.layouts:
            raise ValueError(f"layout must be one of {', '.join(names)}, got {self.layout.name!r}")
        self.poses: str | None = None  # the input of last poses
        if not forecasts and "future" in self.outputs:
            self.poses = "recent" if model.config.future_head == "dct" else "last"
        self.model, self.bodies = model.eval(), bodies

    def forward(self, pos: Tensor, mask: Tensor, last: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return the outputs for positions (B, M, T, V, D) and a mask (B, M, T, V).

        ``last`` holds the last observed positions, which predicted poses start from: (B, M, V, D),
        or (B, M, P, V, D) of the last P frames for the prediction head 'dct'; None, or NaN in it,
        for those of the last frames that exist.

        Logits (B, K); probabilities of the A-links (B, M, V (V - 1), C + 1), the ghost first, pairs
        by receiver, or (B, M V (M V - 1), C + 1) across bodies; future poses (B, M, T', V, D).
        """
        clips, bodies, frames, joints, dims = pos.shape
        torch._check(mask.shape[0] == clips)
        torch._check(mask.shape[2] == frames)
        model, builder = self.model, self.model.graph_builder
        structure = builder.uniform(self.layout, clips, self.bodies, like=pos)
        feat = pos.transpose(2, 3).reshape(clips * bodies * joints, frames, dims)
        here = mask.transpose(2, 3).reshape(clips * bodies * joints, frames)
        if isinstance(model, Forecaster):
            out: Any = model(structure, feat, here)
        else:
            if last is not None:
                if self.poses == "recent":
                    last = last.transpose(2, 3)
                own = model.last_poses(zero_missing(feat, here), here)
                # The default of the input has one clip, so that this is where shapes must meet.
                own = own.view(clips, bodies, joints, *last.shape[3:])
                last = torch.where(last.isnan(), own, last).flatten(0, 2)
            out = model(structure, feat, here, last, predict="future" in self.outputs)
        made: list[Tensor] = []
        for name in self.outputs:
            if name == "logits":
                made.append(out.logits)
            elif name == "future":
                future = out.future.view(clips, self.bodies, joints, -1, dims)
                made.append(future.transpose(2, 3))
            else:
                total = self.bodies * joints
                pairs = (total * (total - 1),)
                if not builder.across_bodies:
                    pairs = (self.bodies, joints * (joints - 1))  # type: ignore[assignment]
                made.append(out.links.prob.view(clips, *pairs, -1))
        return tuple(made)

    def example(self, clips: int, frames: int, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Return random clips of the program's sizes, some of their joints missing."""
        shape = (clips, self.bodies, frames, self.layout.num_joints)
        draw = torch.Generator().manual_seed(seed)
        like = next(self.model.parameters())
        pos = torch.randn(*shape, self.model.in_feats, generator=draw, dtype=like.dtype)
        return pos, torch.rand(shape, generator=draw) > 0.1

    def no_pose(self, clips: int) -> Tensor:
        """Return a ``last`` that leaves the last poses to the frames."""
        like = next(self.model.parameters())
        past = (self.model.config.past_frames,) if self.poses == "recent" else ()
        shape = (clips, self.bodies, *past, self.layout.num_joints, self.model.in_feats)
        return torch.full(shape, math.nan, dtype=like.dtype)

    @property
    def least_frames(self) -> int:
        """Frames of the shortest clip that a program of torch takes."""
        if isinstance(self.model, Forecaster):
            return 2
        config = self.model.config
        shrinks = "future" in self.outputs and config.future_head in ("paper", "published")
        return (16 if shrinks else 1) * math.prod(config.strides) + 1

    def metadata(self) -> dict[str, Any]:
        """Return what the use of a file needs to know, in plain values."""
        return {
            "layout": self.layout.to_dict(),
            "classes": self.model.config.num_classes,
            "class_names": list(self.model.class_names),
            "preparation": dict(self.model.preparation),
            "bodies": self.bodies,
            "coordinates": self.model.in_feats,
            "future_frames": self.model.config.future_frames,
            "past_frames": self.model.config.past_frames if self.poses == "recent" else 0,
            "outputs": list(self.outputs),
        }


def write_onnx(program: ClipProgram, path: str | Path) -> Exported:
    """Write a model as an ONNX file, if that gives the same results.

    InputError if it would not; ImportError where onnx, onnxscript or onnxruntime is not installed.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(f"this needs {error.name}: pip install 'asgcn_dgl[export]'") from error
    names = ["pos", "mask", *([] if program.poses is None else [program.poses])]
    with _quiet():
        made = torch.onnx.export(
            _exported(program, program.poses is not None),
            dynamo=True,
            input_names=names,
            output_names=list(program.outputs),
            verbose=False,
        )
    assert made is not None
    inputs = {each.name: each for each in made.model.graph.inputs}
    if program.poses is not None:  # an input that may be left out has a value
        import onnx_ir

        value = onnx_ir.tensor(program.no_pose(1).numpy(), name=program.poses)
        inputs[program.poses].const_value = value
        made.model.graph.register_initializer(inputs[program.poses])
    if hasattr(made, "rename_axes"):  # an older torch has it not
        axes: Any = inputs["pos"].shape
        made.rename_axes({axes[0]: "clips", axes[2]: "frames"})
    made.model.metadata_props[METADATA] = json.dumps(program.metadata())
    with atomic_path(path) as temporary:
        made.save(temporary)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # no warning that an input has a default
        session = onnxruntime.InferenceSession(
            str(temporary), options, providers=["CPUExecutionProvider"]
        )

        def run(*given: Tensor) -> list[Tensor]:
            arrays = dict(zip(names, [each.numpy() for each in given], strict=False))
            return [torch.from_numpy(each) for each in session.run(None, arrays)]

        difference = _difference(program, run, path, (1, 3), program.poses is not None)
    opset = made.model.opset_imports[""]
    return Exported(Path(path), Path(path).stat().st_size, difference, opset)


def write_program(program: ClipProgram, path: str | Path) -> Exported:
    """Write a model as a ``torch.export`` program, if that gives the same results.

    The program takes two clips or more. InputError if the results would differ.
    """
    text = json.dumps(program.metadata())
    with _quiet(), atomic_path(path) as temporary:
        torch.export.save(_exported(program), temporary, extra_files={METADATA: text})
        loaded = torch.export.load(temporary).module()
        difference = _difference(program, loaded, path, (2, 3))
    return Exported(Path(path), Path(path).stat().st_size, difference)


def exports() -> bool:
    """Say whether torch is new enough to export a model: 2.6 is not."""
    known = inspect.signature(torch.export.export).parameters
    return "prefer_deferred_runtime_asserts_over_guards" in known


def _exported(program: ClipProgram, takes_last: bool = False) -> torch.export.ExportedProgram:
    if not exports():
        raise InputError(f"torch {torch.__version__} cannot export a model; take a newer torch")
    least = program.least_frames
    clips = torch.export.Dim("clips", min=2, max=2**16)
    free = {0: clips, 2: torch.export.Dim("frames", min=least, max=FRAMES)}
    given: tuple[Tensor, ...] = program.example(3, least + 47)
    shapes: dict[str, Any] = {"pos": free, "mask": free}
    if takes_last:
        given, shapes["last"] = (*given, program.no_pose(3)), {0: clips}
    return torch.export.export(
        program, given, dynamic_shapes=shapes, prefer_deferred_runtime_asserts_over_guards=True
    )


@torch.no_grad()
def _difference(
    program: ClipProgram,
    run: Callable[..., Sequence[Tensor]],
    path: str | Path,
    clips: Sequence[int],
    takes_last: bool = False,
) -> float:
    """Return the largest difference from the model, by its largest output where that is above 1.

    InputError if it is too large for the file to be kept.
    """
    worst = 0.0
    least, seen = program.least_frames, program.model.config.aim_frames
    for number in clips:
        for frames in {least, least + seen, max(least, 2 * seen)}:
            given: tuple[Tensor, ...] = program.example(number, frames, seed=frames)
            if takes_last and number > 1:  # else it is left out
                shape = program.no_pose(number).shape
                first = given[0][:, :, :1]
                past = first.expand(shape) if program.poses == "recent" else first.squeeze(2)
                given = (*given, past.contiguous())
            for got, wanted in zip(run(*given), program(*given), strict=True):
                scale = max(1.0, float(wanted.abs().max()))
                worst = max(worst, float((got - wanted).abs().max()) / scale)
    if not worst < LIMIT:
        raise InputError(f"{path}: not written, for it would differ from the model by {worst:.1e}")
    return worst


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep to itself what the exporter says of its own workings."""
    names = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")
    before = {logging.getLogger(name): logging.getLogger(name).level for name in names}
    for each in before:
        each.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, level in before.items():
            each.setLevel(level)
