"""A synthetic set of actions, written as genuine NTU RGB+D ``.skeleton`` files.

A kinematic body performs thirteen actions, three of them with a partner, before three cameras.
The files go through the very reader that real NTU RGB+D goes through.
"""

from asgcn_dgl.data.synthetic.actions import ACTIONS, Subject, perform
from asgcn_dgl.data.synthetic.body import PARENTS, Body
from asgcn_dgl.data.synthetic.coordination import COORDINATED, LIMBS, MIXED
from asgcn_dgl.data.synthetic.sensor import Recording, record
from asgcn_dgl.data.synthetic.writer import (
    MANIFEST,
    SETS,
    clip_name,
    draw_subject,
    format_skeleton,
    make_clip,
    moving_together,
    write_synthetic,
)

CLASS_NAMES: tuple[str, ...] = tuple(name for name, *_ in ACTIONS)
"""Names of the classes; action A001 is the first."""

TWO_PERSON_CLASSES: tuple[int, ...] = tuple(k for k, a in enumerate(ACTIONS) if a[1] == 2)
"""0-based labels of the classes in which two persons act."""

NUM_TWO_PERSON = len(TWO_PERSON_CLASSES)
"""Number of classes in which two persons act."""

TRAIN_SUBJECTS: tuple[int, ...] = tuple(p for p in range(1, 1000) if p % 3)
"""Training subjects of the split by subject; every third subject is kept for the test."""

TRAIN_CAMERAS: tuple[int, ...] = (2, 3)
"""Training cameras of the split by view, as in NTU RGB+D; camera 1 is kept for the test."""

__all__ = [
    "ACTIONS",
    "CLASS_NAMES",
    "COORDINATED",
    "LIMBS",
    "MANIFEST",
    "MIXED",
    "NUM_TWO_PERSON",
    "PARENTS",
    "SETS",
    "TRAIN_CAMERAS",
    "TRAIN_SUBJECTS",
    "TWO_PERSON_CLASSES",
    "Body",
    "Recording",
    "Subject",
    "clip_name",
    "draw_subject",
    "format_skeleton",
    "make_clip",
    "moving_together",
    "perform",
    "record",
    "write_synthetic",
]
