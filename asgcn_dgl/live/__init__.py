"""Recognition while poses come in, one frame at a time.

Nothing here imports torch: an ``.onnx`` file needs numpy and onnxruntime alone. (A run or a folder
of ``save_pretrained`` brings torch with it.)
"""

from __future__ import annotations

from asgcn_dgl.live.engines import Engine, Facts, OnnxEngine, TorchEngine, load_engine
from asgcn_dgl.live.recognizer import Answer, Recognizer
from asgcn_dgl.live.stream import Frame, follow, live, parse_line
from asgcn_dgl.live.tracks import Tracker

__all__ = [
    "Answer",
    "Engine",
    "Facts",
    "Frame",
    "OnnxEngine",
    "Recognizer",
    "TorchEngine",
    "Tracker",
    "follow",
    "live",
    "load_engine",
    "parse_line",
]
