"""Writing recordings in the text format of NTU RGB+D, and the whole synthetic set."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from asgcn_dgl.data.files import check_choice, need
from asgcn_dgl.data.synthetic.actions import ACTIONS, ActionList, Limb, Subject, stage
from asgcn_dgl.data.synthetic.body import NUM_JOINTS, SPINE_BASE, SPINE_SHOULDER, Array
from asgcn_dgl.data.synthetic.coordination import MIXED
from asgcn_dgl.data.synthetic.sensor import CAMERA_ANGLES, LOST, SETUPS, Recording, record
from asgcn_dgl.errors import InputError

MANIFEST = "synthetic.json"
"""File beside the clips that says how they were made."""

SETS: dict[str, ActionList] = {"synthetic": ACTIONS, "coordinated": MIXED}
"""Actions of each generated set."""

MAX_SUBJECTS, MAX_REPLICATIONS = 999, 999  # a name has three digits for each

# Focal length and principal point, in pixels, of Kinect v2's depth and colour cameras (nominal).
_DEPTH = (365.0, 256.0, 212.0)
_COLOR = (1060.0, 960.0, 540.0)

# x y z, depth x y, colour x y, orientation w x y z, tracking state. Orientations are zero, as the
# sensor itself writes them for joints whose orientation it does not estimate: nothing reads them.
_JOINT_LINE = "%.5f %.5f %.5f %.2f %.2f %.2f %.2f 0 0 0 0 %d\r\n"
_BODY_LINES = f"{NUM_JOINTS}\r\n" + _JOINT_LINE * NUM_JOINTS

# The first entry of every random stream, so that subjects and takes never share one.
_SUBJECT_STREAM, _TAKE_STREAM = 1, 2


def clip_name(action: int, subject: int, camera: int, replication: int) -> str:
    """Name of a clip as in NTU RGB+D; all numbers count from 1.

    Examples
    --------
    >>> clip_name(action=4, subject=2, camera=3, replication=1)
    'S002C003P002R001A004'
    """
    setup = (subject - 1) % len(SETUPS) + 1
    return f"S{setup:03d}C{camera:03d}P{subject:03d}R{replication:03d}A{action:03d}"


def plan_clips(
    clips_per_class: int, subjects: int, cameras: int, actions: str = "synthetic"
) -> list[tuple[int, int, int, int]]:
    """List (action, subject, camera, replication) of a set: subjects and cameras take turns.

    In the set ``"synthetic"`` every third subject, whom the split by subject keeps for the test,
    begins at the same camera; in others the three begin at each camera.
    """
    plan = []
    for action in range(1, len(SETS[actions]) + 1):
        for k in range(clips_per_class):
            turn, subject = divmod(k, subjects)
            first = subject if actions == "synthetic" else subject + subject // cameras
            camera = (first + turn) % cameras + 1
            plan.append((action, subject + 1, camera, turn // cameras + 1))
    return plan


def _project(joints: Array, camera: tuple[float, float, float]) -> Array:
    focal, x, y = camera
    depth = np.maximum(joints[..., 2:], 0.1)
    return [x, y] + [focal, -focal] * joints[..., :2] / depth


def _lean(joints: Array) -> Array:
    """Kinect's lean of the trunk to the side and forward, 1 for 45 degrees, ``(M, T, 2)``."""
    spine = joints[..., SPINE_SHOULDER, :] - joints[..., SPINE_BASE, :]
    tilt = np.arctan2(spine[..., [0, 2]], np.maximum(spine[..., 1:2], 1e-6)) * [1.0, -1.0]
    return np.clip(tilt / (np.pi / 4), -1.0, 1.0)


def format_skeleton(recording: Recording) -> str:
    """Return a recording in NTU RGB+D's text format."""
    joints, state, ids = recording.joints, recording.state, recording.body_id
    columns = [joints, _project(joints, _DEPTH), _project(joints, _COLOR), state[..., None]]
    table = np.concatenate(columns, axis=-1)
    table[state == LOST] = 0.0
    lean = _lean(joints)
    bodies, frames = ids.shape
    rows = table.reshape(bodies, frames, -1).tolist()
    lines = [f"{frames}\r\n"]
    for t in range(frames):
        seen = np.flatnonzero(ids[:, t])
        lines.append(f"{len(seen)}\r\n")
        for m in seen:
            x, y = lean[m, t]
            # id, clipped edges, confidence and state of the hands, restricted, lean, tracked
            lines.append(f"{ids[m, t]} 0 1 1 1 1 0 {x:.5f} {y:.5f} 2\r\n")
            lines.append(_BODY_LINES % tuple(rows[m][t]))
    return "".join(lines)


def write_atomically(path: Path, text: str) -> None:
    """Write a file under another name, then rename it: it is there whole or not at all."""
    temporary = path.with_name(path.name + ".part")
    try:
        temporary.write_bytes(text.encode("ascii"))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def draw_subject(seed: int, subject: int) -> Subject:
    """Person number `subject` (from 1) of the set with this seed."""
    return Subject.draw(np.random.default_rng([_SUBJECT_STREAM, seed, subject]))


def make_clip(
    action: int,
    subject: int,
    camera: int,
    replication: int,
    *,
    seed: int = 0,
    noise: float = 0.01,
    losses: float = 1.0,
    actions: ActionList = ACTIONS,
) -> Recording:
    """Perform and record one clip; the arguments alone determine it.

    ``action``, ``subject``, ``camera`` and ``replication`` are the numbers in its name, from 1,
    ``seed`` is that of the set, ``actions`` are those of the set, see `SETS`; ``noise`` and
    ``losses`` as for :func:`record`. The partner in actions of two is another person who appears in
    no other role, so that a split by subject never meets a test subject in training.
    """
    rng, world, _ = _perform(action, subject, camera, replication, seed, actions)
    return record(world, camera, subject - 1, rng, noise=noise, losses=losses)


def moving_together(
    action: int,
    subject: int,
    camera: int,
    replication: int,
    *,
    seed: int = 0,
    actions: ActionList = MIXED,
) -> tuple[Limb, Limb] | None:
    """Return the limbs that move together in a clip, if its action is one of such a pair.

    Arguments as for :func:`make_clip`.
    """
    return _perform(action, subject, camera, replication, seed, actions)[2]


def _perform(
    action: int, subject: int, camera: int, replication: int, seed: int, actions: ActionList
) -> tuple[np.random.Generator, Array, tuple[Limb, Limb] | None]:
    """Return the random numbers of a clip, and what :func:`stage` does with them."""
    rng = np.random.default_rng([_TAKE_STREAM, seed, action, subject, camera, replication])
    partner = Subject.draw(rng)
    return rng, *stage(action - 1, draw_subject(seed, subject), partner, rng, actions)


def write_synthetic(
    root: str | os.PathLike[str],
    *,
    clips_per_class: int = 30,
    subjects: int = 10,
    cameras: int = 3,
    seed: int = 0,
    noise: float = 0.01,
    losses: float = 1.0,
    actions: str = "synthetic",
    progress: Callable[[int, int], object] | None = None,
) -> list[Path]:
    """Write the synthetic set as NTU RGB+D ``.skeleton`` files, and return them by class.

    Every clip is a performance of its own and depends on the seed and its own name only: a larger
    set holds the clips of a smaller one with as many subjects and cameras.

    Parameters
    ----------
    root
        Folder; made if it is not there. It may hold an earlier (even interrupted) writing of the
        same set, which is then completed, and no other ``.skeleton`` files.
    clips_per_class
        Clips of each of the classes.
    subjects, cameras
        Number of persons, and of viewpoints, 1 to 3; both take turns.
    seed
        Seed of everything; the same seed gives the same bytes.
    noise
        Standard deviation in meters of the sensor's noise at three meters; 0 for none.
    losses
        How often joints and bodies are lost, relative to the usual; 0 for never.
    actions
        Which actions, by the name of a set: ``"synthetic"`` or ``"coordinated"``.
    progress
        Called as ``progress(done, total)`` after each clip.

    Raises
    ------
    ValueError
        If a number is out of its range.
    InputError
        If `root` is a file or holds other ``.skeleton`` files.
    """
    check_choice("actions", actions, SETS)
    settings: dict[str, object] = {
        "clips_per_class": clips_per_class,
        "subjects": subjects,
        "cameras": cameras,
        "seed": seed,
        "noise": noise,
        "losses": losses,
    }
    most = subjects * cameras * MAX_REPLICATIONS
    people = f"{subjects} subjects and {cameras} cameras"
    rules = {
        "subjects": (1 <= subjects <= MAX_SUBJECTS, f"from 1 to {MAX_SUBJECTS}"),
        "cameras": (1 <= cameras <= len(CAMERA_ANGLES), f"from 1 to {len(CAMERA_ANGLES)}"),
        "clips_per_class": (1 <= clips_per_class <= most, f"from 1 to {most} with {people}"),
        "seed": (seed >= 0, "at least 0"),
        "noise": (0.0 <= noise < np.inf, "finite and at least 0"),
        "losses": (0.0 <= losses < np.inf, "finite and at least 0"),
    }
    for name, (good, limits) in rules.items():
        need(good, f"{name} must be {limits}, got {settings[name]}")
    if actions != "synthetic":  # whose folders were written before there was another
        settings["actions"] = actions
    folder = Path(root)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; give a folder for the synthetic set")
    folder.mkdir(parents=True, exist_ok=True)
    manifest, text = folder / MANIFEST, json.dumps(settings, indent=1) + "\n"
    ours = manifest.is_file() and manifest.read_bytes() == text.encode("ascii")
    if not ours and any(folder.glob("*.skeleton")):
        raise InputError(
            f"{folder}: holds .skeleton files that were not made with these settings "
            f"({json.dumps(settings)}); choose an empty folder"
        )
    write_atomically(manifest, text)
    plan = plan_clips(clips_per_class, subjects, cameras, actions)
    paths = []
    for done, numbers in enumerate(plan, start=1):
        path = folder / f"{clip_name(*numbers)}.skeleton"
        clip = make_clip(*numbers, seed=seed, noise=noise, losses=losses, actions=SETS[actions])
        write_atomically(path, format_skeleton(clip))
        paths.append(path)
        if progress is not None:
            progress(done, len(plan))
    return paths
