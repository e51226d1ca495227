"""Output of pose estimators, written as those programs write it."""

from __future__ import annotations

import json

import numpy as np


def walkers(frames=6, joints=25, bodies=2, seed=0):
    """(M, T, V, 3) bodies that walk towards each other, in pixels, with scores."""
    rng = np.random.default_rng(seed)
    rest = (
        rng.uniform(0, 60, (bodies, 1, joints, 2))
        + 200 * np.arange(1, bodies + 1)[:, None, None, None]
    )
    step = np.array([4, -4])[np.arange(bodies) % 2][:, None, None] * np.arange(frames)[:, None]
    pos = rest + np.stack([step, 0 * step], axis=-1)[:, :, :]
    score = rng.uniform(0.2, 1, (bodies, frames, joints, 1))
    return np.concatenate([pos + np.zeros((bodies, frames, joints, 1)), score], axis=-1).round(3)


def write_openpose(folder, poses, video="video", first=0, key="pose_keypoints_2d"):
    """A file a frame; in every other frame the persons come the other way round."""
    folder.mkdir(parents=True, exist_ok=True)
    for frame in range(poses.shape[1]):
        people = [
            {"person_id": [-1], key: each.ravel().tolist(), "face_keypoints_2d": []}
            for each in poses[:: -1 if frame % 2 else 1, frame]
        ]
        path = folder / f"{video}_{frame + first:012d}_keypoints.json"
        path.write_text(json.dumps({"version": 1.3, "people": people}))


def write_alphapose(path, poses, idx=True, ids="{}.jpg"):
    entries = [
        {
            "image_id": ids.format(frame),
            "category_id": 1,
            "keypoints": poses[body, frame].ravel().tolist(),
            "score": 2.5,
            **({"idx": [float(body)]} if idx else {}),
        }
        for frame in range(poses.shape[1])
        for body in (range(len(poses)) if frame % 2 else reversed(range(len(poses))))
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(sorted(entries, key=lambda entry: entry["image_id"])))


def write_deeplabcut(path, poses, joints, animals=(), scored=True):
    coords = ("x", "y", "likelihood")[: 2 + scored]
    columns = [
        (animal, joint, axis)
        for animal in (animals or ("",))
        for joint in joints
        for axis in coords
    ]
    rows = [["scorer", *["DLC_resnet50_mouseMay1shuffle1_1000"] * len(columns)]]
    if animals:
        rows.append(["individuals", *[animal for animal, _, _ in columns]])
    rows.append(["bodyparts", *[joint for _, joint, _ in columns]])
    rows.append(["coords", *[axis for _, _, axis in columns]])
    for frame in range(poses.shape[1]):
        values = poses[:, frame, :, : len(coords)].ravel()
        rows.append([frame, *("" if np.isnan(value) else value for value in values)])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(",".join(map(str, row)) for row in rows) + "\n")
