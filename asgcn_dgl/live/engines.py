"""What computes an answer: a model of this library, or an ONNX file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from asgcn_dgl.data.samples import Seen
from asgcn_dgl.errors import InputError
from asgcn_dgl.files import in_short
from asgcn_dgl.skeleton import SkeletonLayout
from asgcn_dgl.training.config import ClipsConfig, RunConfig

METADATA = "asgcn_dgl"  # key of the metadata in an ONNX file, as asgcn_dgl.models.exporting writes


@dataclass(frozen=True)
class Facts:
    """What the use of a model needs to know.

    Attributes
    ----------
    layouts
        Skeletons that it serves.
    class_names
        Names of the classes, in the order of the logits.
    clips
        How its clips are prepared.
    coordinates
        Of a joint, the score among them.
    scored
        Whether the last one is a score; None if that is not known.
    future_frames
        Poses that it predicts; 0: none.
    past_frames
        Last poses that it is given as they were recorded; 0: the last one alone.
    most
        Bodies of a clip, at most; None for any number.
    """

    layouts: tuple[SkeletonLayout, ...]
    class_names: tuple[str, ...]
    clips: ClipsConfig
    coordinates: int
    scored: bool | None
    future_frames: int
    past_frames: int = 0
    most: int | None = None


class Engine(Protocol):
    """Something that answers."""

    facts: Facts

    def run(
        self, seen: Seen, layout: SkeletonLayout, predict: bool
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return logits (K,) and future poses (M, T', V, d), the latter if ``predict``."""


def load_engine(path: str | Path, checkpoint: str = "auto", threads: int | None = None) -> Engine:
    """Load a run, a checkpoint, a folder of ``save_pretrained``, or an ``.onnx`` file.

    Raises
    ------
    InputError
        If it cannot be used.
    """
    if Path(path).suffix == ".onnx":
        return OnnxEngine(path, threads)
    from asgcn_dgl.training.checkpoint import load_model
    from asgcn_dgl.training.files import model_file

    restored = load_model(model_file(Path(path), checkpoint))
    if restored.model.name == "forecaster":
        raise InputError(f"{path}: a forecaster recognizes nothing; use 'asgcn-dgl predict'")
    return TorchEngine(restored, threads)


class TorchEngine:
    """A model of this library.

    Parameters
    ----------
    restored
        As :func:`~asgcn_dgl.training.load_model` gives it.
    threads
        Threads of torch; None: as the run's options say.
    """

    def __init__(self, restored: Any, threads: int | None = None) -> None:
        import torch

        from asgcn_dgl.training.build import set_threads

        set_threads(restored.config)
        if threads is not None:
            torch.set_num_threads(threads)
        self._torch, self._model = torch, restored.model
        self._structures: dict[tuple[str, int], Any] = {}
        config = restored.model.config
        self.facts = Facts(
            tuple(restored.model.layouts),
            tuple(restored.class_names),
            restored.config.clips,
            config.in_feats,
            restored.scored,
            config.future_frames,
            config.past_frames if config.future_head == "dct" else 0,
        )

    def run(
        self, seen: Seen, layout: SkeletonLayout, predict: bool
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Compute."""
        bodies, _, joints, _ = seen.feat.shape
        key = (layout.name, bodies)
        if key not in self._structures:
            self._structures[key] = self._model.graph_builder.structure(layout, [bodies])
        feat = self._rows(seen.feat.swapaxes(1, 2))
        mask = None if seen.mask.all() else self._rows(seen.mask.swapaxes(1, 2))
        last = seen.recent.swapaxes(1, 2) if self.facts.past_frames else seen.last
        with self._torch.inference_mode():
            out = self._model(self._structures[key], feat, mask, self._rows(last), predict=predict)
        future = None
        if out.future is not None:
            future = out.future.unflatten(0, (bodies, joints)).transpose(1, 2).numpy()
        return out.logits[0].numpy(), future

    def _rows(self, array: np.ndarray) -> Any:
        """Return (M, V, ...) as a tensor of a row for each joint."""
        flat = array.reshape(-1, *array.shape[2:])
        return self._torch.from_numpy(np.ascontiguousarray(flat))


class OnnxEngine:
    """A file that ``asgcn-dgl export --to onnx`` wrote.

    Parameters
    ----------
    path
        The file.
    threads
        Threads of onnxruntime; None: all cores.

    Raises
    ------
    InputError
        If the file cannot be used, or onnxruntime is not installed.
    """

    def __init__(self, path: str | Path, threads: int | None = None) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise InputError(f"{path}: needs onnxruntime: pip install onnxruntime") from error
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # no warning that an input has a default
        if threads is not None:
            options.intra_op_num_threads = threads
        if not Path(path).is_file():
            raise InputError(f"{path}: no such file; give a run, a model's folder or an .onnx file")
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
            held = self._session.get_modelmeta().custom_metadata_map
        except Exception as error:  # onnxruntime raises its own types
            raise InputError(f"{path}: not an ONNX file ({in_short(error)})") from error
        try:
            values = json.loads(held[METADATA])
            self.facts, self._bodies = _facts(values), int(values["bodies"])
            outputs = list(values["outputs"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path}: does not say how clips are prepared ({in_short(error)}); make it by "
                "'asgcn-dgl export --to onnx'"
            ) from error
        if "logits" not in outputs:
            raise InputError(f"{path}: gives no logits; export it with outputs logits, future")
        inputs = (*self._session.get_inputs(), *self._session.get_overridable_initializers())
        self._inputs = {each.name for each in inputs}

    def run(
        self, seen: Seen, layout: SkeletonLayout, predict: bool
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Compute; there may be fewer bodies than the file is for, and more have been left out."""
        bodies = len(seen.feat)
        given = {"pos": seen.feat, "mask": seen.mask, "last": seen.last, "recent": seen.recent}
        filled = {}
        for name in self._inputs & set(given):
            array = given[name].astype(bool if name == "mask" else np.float32)
            absent = np.zeros((self._bodies - bodies, *array.shape[1:]), dtype=array.dtype)
            filled[name] = np.concatenate([array, absent])[None]
        names = ["logits", "future"] if predict else ["logits"]
        found = self._session.run(names, filled)
        return found[0][0], found[1][0, :bodies] if predict else None


def _facts(values: Mapping[str, Any]) -> Facts:
    preparation, names = values["preparation"], values["class_names"]
    clips = ClipsConfig(sampling="own", num_frames=100_000, align="none")
    if preparation.get("run"):
        clips = RunConfig.from_dict(dict(preparation["run"])).clips
    count = int(values.get("classes", len(names)))
    return Facts(
        (SkeletonLayout.from_dict(values["layout"]),),
        tuple(names) or tuple(f"class_{number}" for number in range(count)),
        clips,
        int(values["coordinates"]),
        preparation.get("scored"),
        int(values["future_frames"]) if "future" in values["outputs"] else 0,
        int(values.get("past_frames", 0)),
        most=int(values["bodies"]),
    )
