"""Partitions of a skeleton and its structural links (S-links) as sparse operators.

Every matrix acts on the left, ``X_out = A @ X``: ``A[i, j]`` weighs the message from joint j to
joint i.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from asgcn_dgl.skeleton.layouts import SkeletonLayout

PARTITIONS = ("root", "centripetal", "centrifugal")
CONSTRUCTIONS = ("power", "distance")
NORMS = ("transition", "symmetric")


def partition_matrices(layout: SkeletonLayout) -> dict[str, sparse.csr_array]:
    """Return the 0/1 matrices (V, V) of the three partitions of all neighborhoods (Sec. 3.1).

    The neighborhood of joint i is i itself and the joints it shares a bone with. ``root`` holds i
    and the neighbors as far from the center as i, ``centripetal`` the nearer, ``centrifugal`` the
    farther ones. The matrices sum to A + I.

    Examples
    --------
    >>> from asgcn_dgl.skeleton import SkeletonLayout
    >>> chain = SkeletonLayout.from_bones("chain", [(0, 1), (1, 2)], center=0)
    >>> partition_matrices(chain)["centripetal"].toarray().astype(int).tolist()
    [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    """
    num_joints = layout.num_joints
    bones = np.asarray(layout.bones, dtype=np.int64).reshape(-1, 2)
    loops = np.arange(num_joints)
    receiver = np.concatenate([loops, bones[:, 0], bones[:, 1]])
    sender = np.concatenate([loops, bones[:, 1], bones[:, 0]])
    depth = np.asarray(layout.distances)[layout.center]
    outward = np.sign(depth[sender] - depth[receiver])
    side = {"root": outward == 0, "centripetal": outward < 0, "centrifugal": outward > 0}
    return {
        name: _binary(receiver[side[name]], sender[side[name]], num_joints) for name in PARTITIONS
    }


def structural_operators(
    layout: SkeletonLayout,
    max_hop: int = 4,
    construction: str = "power",
    *,
    truncated: bool = False,
    norm: str = "transition",
) -> dict[str, sparse.csr_array]:
    r"""Return the operators of the structural relations, by edge type (Sec. 4.2, Eq. 5).

    Parameters
    ----------
    layout
        Skeleton of V joints.
    max_hop
        L, the largest number of hops, at least 1.
    construction
        ``"power"``, the paper's: relation (p, l) has the operator :math:`(\hat A^{(p)})^l`,
        :math:`\hat A = D^{-1} A`, for the three partitions p and l = 1..L. ``"distance"``, the
        published code's: for each hop h = 0..L the pairs of joints exactly h hops apart, split by
        whether the sender is nearer the center than the receiver (``centripetal_h``) or not
        (``centrifugal_h``), all divided by the number of joints within L hops of the receiver.
    truncated
        With ``"distance"``: count joints more than L hops from the center as equally far, as the
        published code does (needed only to import its weights).
    norm
        With ``"power"``: ``"transition"`` (AS-GCN; rows sum to at most 1) or ``"symmetric"``
        (ST-GCN, Eq. 1; rows are scaled by the in-degree and columns by the out-degree, which in a
        directed partition differ).

    Returns
    -------
    dict of str to csr_array
        Operators (V, V) float64 in the order of :func:`structural_etypes`, explicit zeros removed.
    """
    _check_options(max_hop, construction, norm)
    if construction == "distance":
        return _distance_operators(layout, max_hop, truncated)
    normalize = _transition if norm == "transition" else _symmetric
    base = {name: normalize(matrix) for name, matrix in partition_matrices(layout).items()}
    operators: dict[str, sparse.csr_array] = {}
    power = {name: sparse.eye_array(layout.num_joints, format="csr") for name in PARTITIONS}
    for hop in range(1, max_hop + 1):
        for name in PARTITIONS:
            power[name] = power[name] @ base[name]
            operators[f"{name}_{hop}"] = _tidy(power[name])
    return operators


def structural_etypes(max_hop: int = 4, construction: str = "power") -> tuple[str, ...]:
    """Return the structural edge types, in the order in which layers hold their weights.

    ``"power"`` has 3 L names, ``"distance"`` 1 + 2 L.

    Examples
    --------
    >>> structural_etypes(1)
    ('root_1', 'centripetal_1', 'centrifugal_1')
    >>> structural_etypes(1, "distance")
    ('root_0', 'centripetal_1', 'centrifugal_1')
    """
    _check_options(max_hop, construction, "transition")
    hops = range(1, max_hop + 1)
    if construction == "power":
        return tuple(f"{name}_{hop}" for hop in hops for name in PARTITIONS)
    return ("root_0", *(f"{name}_{hop}" for hop in hops for name in PARTITIONS[1:]))


def _distance_operators(
    layout: SkeletonLayout, max_hop: int, truncated: bool
) -> dict[str, sparse.csr_array]:
    distance = np.asarray(layout.distances)
    depth = distance[layout.center].astype(np.float64)
    if truncated:
        depth = np.where(depth <= max_hop, depth, np.inf)
    sender_nearer = depth[None, :] < depth[:, None]
    share = 1.0 / (distance <= max_hop).sum(axis=1, keepdims=True)
    operators = {"root_0": _tidy(sparse.csr_array(np.where(distance == 0, share, 0.0)))}
    for hop in range(1, max_hop + 1):
        ring = distance == hop
        for name, side in (("centripetal", sender_nearer), ("centrifugal", ~sender_nearer)):
            operators[f"{name}_{hop}"] = _tidy(sparse.csr_array(np.where(ring & side, share, 0.0)))
    return operators


def _check_options(max_hop: int, construction: str, norm: str) -> None:
    if int(max_hop) != max_hop or max_hop < 1:
        raise ValueError(f"max_hop must be a whole number of at least 1, got {max_hop!r}")
    if construction not in CONSTRUCTIONS:
        raise ValueError(f"construction must be one of {CONSTRUCTIONS}, got {construction!r}")
    if norm not in NORMS:
        raise ValueError(f"norm must be one of {NORMS}, got {norm!r}")


def _binary(row: np.ndarray, column: np.ndarray, size: int) -> sparse.csr_array:
    return _tidy(sparse.csr_array((np.ones(len(row)), (row, column)), shape=(size, size)))


def _tidy(matrix: sparse.csr_array) -> sparse.csr_array:
    """Return a copy with sorted columns and no stored zeros: the order of edges depends on it."""
    tidy = sparse.csr_array(matrix)
    tidy.sum_duplicates()
    tidy.eliminate_zeros()
    tidy.sort_indices()
    return tidy


def _inverse(degree: np.ndarray, power: float) -> np.ndarray:
    """Return degrees to a negative power, 0 where the degree is 0."""
    return np.where(degree > 0, np.maximum(degree, 1e-300) ** power, 0.0)


def _transition(matrix: sparse.csr_array) -> sparse.csr_array:
    return sparse.csr_array(sparse.diags_array(_inverse(matrix.sum(axis=1), -1.0)) @ matrix)


def _symmetric(matrix: sparse.csr_array) -> sparse.csr_array:
    left = sparse.diags_array(_inverse(matrix.sum(axis=1), -0.5))
    right = sparse.diags_array(_inverse(matrix.sum(axis=0), -0.5))
    return sparse.csr_array(left @ matrix @ right)
