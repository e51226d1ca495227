"""Real and synthetic recordings: readers, clips, transforms, streams, datasets, batches.

What needs torch is imported when it is asked for: a process that only reads recordings, as the
workers of :func:`prepare` do, starts without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgcn_dgl.data.clip import Clip, RecordingName
from asgcn_dgl.data.coupled import CoupledMotion, coupled_motion
from asgcn_dgl.data.formats.bvh import read_bvh
from asgcn_dgl.data.formats.layout_file import read_layout
from asgcn_dgl.data.formats.mocap import CMU, H36M, angles_to_positions, read_angles, read_mocap
from asgcn_dgl.data.formats.ntu import parse_ntu_name, read_ntu, read_sample_names
from asgcn_dgl.data.formats.nw_ucla import parse_nw_ucla_name, read_nw_ucla
from asgcn_dgl.data.persons import (
    BODY_RULES,
    NOISE_RULES,
    DropNoise,
    JoinTracks,
    SelectBodies,
    rank_bodies,
)
from asgcn_dgl.data.prepare import Summary, prepare
from asgcn_dgl.data.reader import ClipList, Format, Joined, Origin, Reader, Split, Subset
from asgcn_dgl.data.registry import FORMATS, format_options, open_data, open_file
from asgcn_dgl.data.rotations import expmap_to_matrix, forward_kinematics, matrix_to_euler
from asgcn_dgl.data.samples import MISSING, STREAMS, HandleMissing, to_stream
from asgcn_dgl.data.store import Store, open_store
from asgcn_dgl.data.survey import Survey, survey
from asgcn_dgl.data.transforms import (
    SAMPLINGS,
    AlignSpine,
    Center,
    Compose,
    Crop,
    FitBox,
    LoopSample,
    PublishedView,
    RandomFlip,
    RandomLoss,
    RandomMove,
    RandomNoise,
    RandomRotate,
    RandomSample,
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
    from asgcn_dgl.data.dataset import Sample, SkeletonDataset
    from asgcn_dgl.data.sampling import EpochSampler, LengthBatches
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "batch": ("Batch", "collate"),
            "dataset": ("Sample", "SkeletonDataset"),
            "sampling": ("EpochSampler", "LengthBatches"),
        },
    )

__all__ = [
    "BODY_RULES",
    "CMU",
    "FORMATS",
    "H36M",
    "MISSING",
    "NOISE_RULES",
    "SAMPLINGS",
    "STREAMS",
    "AlignSpine",
    "Batch",
    "Center",
    "Clip",
    "ClipList",
    "Compose",
    "CoupledMotion",
    "Crop",
    "DropNoise",
    "EpochSampler",
    "FitBox",
    "Format",
    "HandleMissing",
    "JoinTracks",
    "Joined",
    "LengthBatches",
    "LoopSample",
    "Origin",
    "PublishedView",
    "RandomFlip",
    "RandomLoss",
    "RandomMove",
    "RandomNoise",
    "RandomRotate",
    "RandomSample",
    "RandomScale",
    "RandomShear",
    "RandomSpeed",
    "Reader",
    "RecordingName",
    "RepeatPad",
    "Resample",
    "Sample",
    "SelectBodies",
    "Shorten",
    "SkeletonDataset",
    "Split",
    "Store",
    "Subset",
    "Summary",
    "Survey",
    "Transform",
    "UniformSample",
    "ViewNormalize",
    "ZeroPad",
    "angles_to_positions",
    "collate",
    "coupled_motion",
    "expmap_to_matrix",
    "format_options",
    "forward_kinematics",
    "frame_sampler",
    "matrix_to_euler",
    "open_data",
    "open_file",
    "open_store",
    "parse_ntu_name",
    "parse_nw_ucla_name",
    "prepare",
    "rank_bodies",
    "read_angles",
    "read_bvh",
    "read_layout",
    "read_mocap",
    "read_ntu",
    "read_nw_ucla",
    "read_sample_names",
    "survey",
    "to_stream",
]
