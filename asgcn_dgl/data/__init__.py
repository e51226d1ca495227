"""Real and synthetic recordings: readers, clips, transforms, streams, datasets, batches."""

from __future__ import annotations

from asgcn_dgl.data.clip import Clip, RecordingName
from asgcn_dgl.data.collate import Batch, collate
from asgcn_dgl.data.dataset import EpochSampler, Sample, SkeletonDataset, read_clips
from asgcn_dgl.data.ntu import parse_ntu_name, read_ntu, read_sample_names
from asgcn_dgl.data.nw_ucla import parse_nw_ucla_name, read_nw_ucla
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
    RandomMove,
    RandomNoise,
    RandomRotate,
    RandomScale,
    RepeatPad,
    Resample,
    Transform,
    UniformSample,
    ViewNormalize,
    ZeroPad,
    frame_sampler,
)

__all__ = [
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
    "EpochSampler",
    "Protocol",
    "RandomFlip",
    "RandomMove",
    "RandomNoise",
    "RandomRotate",
    "RandomScale",
    "RecordingName",
    "RepeatPad",
    "Resample",
    "Sample",
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
