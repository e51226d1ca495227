from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.linalg import expm
from scipy.spatial.transform import Rotation

from asgcn_dgl.data.rotations import (
    axis_to_matrix,
    expmap_to_matrix,
    forward_kinematics,
    matrix_to_euler,
)

VECTORS = arrays.arrays(np.float64, (4, 3), elements=st.floats(-7, 7))


@settings(deadline=None)
@given(VECTORS)
def test_exponential_map_is_the_matrix_exponential(vectors):
    found = expmap_to_matrix(vectors)
    for (x, y, z), matrix in zip(vectors, found, strict=True):
        np.testing.assert_allclose(
            matrix, expm(np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])), atol=1e-9
        )
    np.testing.assert_allclose(found, Rotation.from_rotvec(vectors).as_matrix(), atol=1e-12)
    np.testing.assert_allclose(found @ found.swapaxes(-1, -2), np.tile(np.eye(3), (4, 1, 1)),
                               atol=1e-12)  # fmt: skip


@pytest.mark.parametrize("size", [0.0, 1e-300, 1e-12, 1e-6])
def test_small_angles_lose_nothing(size):
    matrix = expmap_to_matrix(np.array([size, 0.0, 0.0]))
    assert matrix[2, 1] == pytest.approx(size, rel=1e-12, abs=0)
    assert matrix[0, 0] == 1.0


def test_axes():
    for axis, name in enumerate("xyz"):
        np.testing.assert_allclose(
            axis_to_matrix(axis, np.array([0.7, -2.0])),
            Rotation.from_euler(name, [[0.7], [-2.0]]).as_matrix(),
            atol=1e-12,
        )


@settings(deadline=None)
@given(VECTORS)
def test_euler_angles_are_the_fields(vectors):
    matrix = expmap_to_matrix(vectors)
    euler = matrix_to_euler(matrix)
    back = Rotation.from_euler("xyz", euler).as_matrix()  # Rz Ry Rx of columns
    np.testing.assert_allclose(back, matrix.swapaxes(-1, -2), atol=1e-6)
    assert (np.abs(euler[:, 1]) <= np.pi / 2).all()


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("first", [0.0, 0.4, -2.5])
@pytest.mark.parametrize("third", [0.0, 1.1])
def test_euler_angles_at_the_pole(sign, first, third):
    turned = Rotation.from_euler("xyz", [first, sign * np.pi / 2, third]).as_matrix()
    euler = matrix_to_euler(turned.T)
    assert euler[2] == 0.0 and euler[1] == pytest.approx(sign * np.pi / 2)
    np.testing.assert_allclose(Rotation.from_euler("xyz", euler).as_matrix(), turned, atol=1e-6)


def test_three_joints_worked_by_hand():
    """An arm along x, turned at shoulder and elbow by a quarter about z."""
    quarter = axis_to_matrix(2, np.array(np.pi / 2))
    rotation = np.stack([quarter, quarter, np.eye(3)])[None]
    offset = np.array([[0.0, 0, 5], [2, 0, 0], [1, 0, 0]])
    pos = forward_kinematics(rotation, offset, [-1, 0, 1])
    # The upper arm points along y, the forearm back along x.
    np.testing.assert_allclose(pos[0], [[0, 0, 5], [0, 2, 5], [-1, 2, 5]], atol=1e-12)


@settings(deadline=None)
@given(arrays.arrays(np.float64, (2, 5, 3), elements=st.floats(-4, 4)), st.integers(0, 23))
def test_positions_are_products_of_affine_matrices(expmap, shape):
    """An independent formula: 4 x 4 matrices multiplied along each chain from the root."""
    parents = [-1, 0, shape % 2, (shape // 2) % 3, (shape // 6) % 4]
    offset = np.random.default_rng(shape).normal(size=(5, 3))
    pos = forward_kinematics(expmap_to_matrix(expmap), offset, parents)
    for frame in range(2):
        for joint in range(5):
            chain, at = [], joint
            while at >= 0:
                chain.insert(0, at)
                at = parents[at]
            total = np.eye(4)
            for each in chain:
                step = np.eye(4)
                step[:3, :3] = Rotation.from_rotvec(expmap[frame, each]).as_matrix()
                step[:3, 3] = offset[each]
                total = total @ step
            np.testing.assert_allclose(pos[frame, joint], total[:3, 3], atol=1e-9)


def test_bones_keep_their_length():
    rng = np.random.default_rng(0)
    parents = [-1, 0, 1, 1, 3]
    offset = rng.normal(size=(5, 3))
    pos = forward_kinematics(expmap_to_matrix(rng.normal(size=(20, 5, 3))), offset, parents)
    length = np.linalg.norm(pos[:, 1:] - pos[:, parents[1:]], axis=-1)
    np.testing.assert_allclose(length, np.tile(np.linalg.norm(offset[1:], axis=-1), (20, 1)))


def test_a_parent_stands_before_its_joint():
    with pytest.raises(ValueError, match="parents must precede"):
        forward_kinematics(np.zeros((1, 2, 3, 3)), np.zeros((2, 3)), [1, -1])
