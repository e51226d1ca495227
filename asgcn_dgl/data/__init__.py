"""Real and synthetic recordings: readers, clips, transforms, streams, datasets, batches.

What needs torch is imported when it is asked for: a process that only reads recordings, as the
workers of :func:`prepare` do, starts without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgcn_dgl.data.clip import Clip, RecordingName
from asgcn_dgl.data.missing import MISSING, HandleMissing
from asgcn_dgl.data.ntu import parse_ntu_name, read_ntu, read_sample_names
from asgcn_dgl.data.nw_ucla import parse_nw_ucla_name, read_nw_ucla
from asgcn_dgl.data.persons import BODY_RULES, NOISE_RULES, DropNoise, JoinTracks, SelectBodies
from asgcn_dgl.data.prepare import Summary, prepare
from asgcn_dgl.data.sets import SET_NAMES, ClipSet, Protocol, SkeletonSet, get_set
from asgcn_dgl.data.store import Store, open_store
from asgcn_dgl.data.stored import StoredSet, open_set
from asgcn_dgl.data.streams import STREAMS, to_stream
from asgcn_dgl.data.transforms import (
    SAMPLINGS,
    AlignSpine,
    Center,
    Compose,
    Crop,
    RandomFlip,
    RandomLoss,
    RandomMove,
    RandomNoise,
    RandomRotate,
    RandomScale,
    RandomShear,
    RandomSpeed,
    RepeatPad,
    Resample,
    Shorten,
    Transform,
    UniformSample,
    ViewNormalize,
    ZeroPad,
    frame_sampler,
)
from asgcn_dgl.lazy import on_demand

if TYPE_CHECKING:
    from asgcn_dgl.data.batch import Batch, collate
    from asgcn_dgl.data.dataset import Sample, SkeletonDataset, read_clips
    from asgcn_dgl.data.sampling import EpochSampler, LengthBatches
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "batch": ("Batch", "collate"),
            "dataset": ("Sample", "SkeletonDataset", "read_clips"),
            "sampling": ("EpochSampler", "LengthBatches"),
        },
    )

__all__ = [
    "BODY_RULES",
    "MISSING",
    "NOISE_RULES",
    "SAMPLINGS",
    "SET_NAMES",
    "STREAMS",
    "AlignSpine",
    "Batch",
    "Center",
    "Clip",
    "ClipSet",
    "Compose",
    "Crop",
    "DropNoise",
    "EpochSampler",
    "HandleMissing",
    "JoinTracks",
    "LengthBatches",
    "Protocol",
    "RandomFlip",
    "RandomLoss",
    "RandomMove",
    "RandomNoise",
    "RandomRotate",
    "RandomScale",
    "RandomShear",
    "RandomSpeed",
    "RecordingName",
    "RepeatPad",
    "Resample",
    "Sample",
    "SelectBodies",
    "Shorten",
    "SkeletonDataset",
    "SkeletonSet",
    "Store",
    "StoredSet",
    "Summary",
    "Transform",
    "UniformSample",
    "ViewNormalize",
    "ZeroPad",
    "collate",
    "frame_sampler",
    "get_set",
    "open_set",
    "open_store",
    "parse_ntu_name",
    "parse_nw_ucla_name",
    "prepare",
    "read_clips",
    "read_ntu",
    "read_nw_ucla",
    "read_sample_names",
    "to_stream",
]
