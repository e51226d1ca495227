"""Rotations of joints: exponential maps, matrices, Euler angles, forward kinematics.

Matrices act on columns: ``R @ x`` turns x. Motion-capture sets for pose prediction multiply rows
instead, ``x @ R``; readers of such sets transpose what :func:`expmap_to_matrix` gives.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from asgcn_dgl.data.files import need


def expmap_to_matrix(expmap: np.ndarray) -> np.ndarray:
    """Return rotation matrices (..., 3, 3) of exponential maps (..., 3) in radians.

    Examples
    --------
    >>> import numpy as np
    >>> expmap_to_matrix(np.array([0, 0, np.pi / 2])).round(6) + 0.0
    array([[ 0., -1.,  0.],
           [ 1.,  0.,  0.],
           [ 0.,  0.,  1.]])
    """
    from scipy.spatial.transform import Rotation  # here: it is slow to import

    expmap = np.asarray(expmap, dtype=np.float64)
    return Rotation.from_rotvec(expmap.reshape(-1, 3)).as_matrix().reshape(*expmap.shape, 3)


def axis_to_matrix(axis: int, angle: ArrayLike) -> np.ndarray:
    """Return rotation matrices (..., 3, 3) about axis 0, 1 or 2 by angles (...) in radians."""
    angle = np.asarray(angle, dtype=np.float64)
    out = np.zeros((*angle.shape, 3, 3))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out[..., axis, axis] = 1.0
    out[..., i, i] = out[..., j, j] = np.cos(angle)
    out[..., j, i] = np.sin(angle)
    out[..., i, j] = -out[..., j, i]
    return out


def matrix_to_euler(matrix: np.ndarray) -> np.ndarray:
    """Return the Euler angles (..., 3) of rotations (..., 3, 3) that pose prediction scores.

    The angles (a, b, c) are those of the field's code, ``R.T = Rz(c) @ Ry(b) @ Rx(a)``, with b
    within ±π/2, in radians. Where b is ±π/2 the split between a and c is free: c is 0 then. (The
    published code reads a wrong entry of the matrix in that case.)

    Examples
    --------
    >>> import numpy as np
    >>> matrix_to_euler(expmap_to_matrix(np.array([0.5, 0.0, 0.0]))).round(6) + 0.0
    array([-0.5,  0. ,  0. ])
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    sine = np.clip(-matrix[..., 0, 2], -1, 1)
    locked = np.abs(sine) > 1 - 1e-12
    first = np.arctan2(matrix[..., 1, 2], matrix[..., 2, 2])
    third = np.arctan2(matrix[..., 0, 1], matrix[..., 0, 0])
    alone = np.arctan2(-matrix[..., 2, 1], matrix[..., 1, 1])
    return np.stack(
        [np.where(locked, alone, first), np.arcsin(sine), np.where(locked, 0.0, third)], axis=-1
    )


def forward_kinematics(
    rotation: np.ndarray, offset: np.ndarray, parents: Sequence[int] | np.ndarray
) -> np.ndarray:
    """Return positions x (T, V, 3) from rotations R (T, V, 3, 3) relative to the parents.

    :math:`G_i = G_{p(i)} R_i` and :math:`x_i = x_{p(i)} + G_{p(i)} o_i` with the bone o, ``offset``
    (V, 3) or (T, V, 3), in the parent's frame; a root's is its position. ``parents`` (V,) must
    precede their joints; -1 marks a root.

    Examples
    --------
    >>> import numpy as np
    >>> turn = expmap_to_matrix(np.array([[[0, 0, np.pi / 2], [0, 0, 0]]]))
    >>> forward_kinematics(turn, np.array([[0.0, 1, 0], [2, 0, 0]]), [-1, 0]).round(6).tolist()
    [[[0.0, 1.0, 0.0], [0.0, 3.0, 0.0]]]
    """
    offset = np.broadcast_to(offset, rotation.shape[:-1])
    turned = np.empty(rotation.shape)
    pos = np.empty(offset.shape)
    for joint, parent in enumerate(parents):
        need(parent < joint, f"parents must precede their joints, got {parent} of {joint}")
        if parent < 0:
            turned[:, joint], pos[:, joint] = rotation[:, joint], offset[:, joint]
            continue
        turned[:, joint] = turned[:, parent] @ rotation[:, joint]
        bone = (turned[:, parent] @ offset[:, joint, :, None])[..., 0]
        pos[:, joint] = pos[:, parent] + bone
    return pos
