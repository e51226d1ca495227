"""Facts of the supplied layouts: joints in the order of the data, bones, parts, drawing poses.

Every supplied layout is a tree, so one table tells all of it. A row is a joint: its name, the
neighbour on the way to the centre (``""`` for the centre itself), its body part, and its place in
the drawing, x to the right and y up as the viewer sees a body that faces the viewer, hence the
body's left at positive x. Names that begin with ``left_`` and ``right_`` make the mirror pairs.
Poses are about 2 units high, bodies with the hips at the origin. They are for drawing only: joints
that share a place in the recordings are set a little apart here, to be told from one another.
"""

from __future__ import annotations

from typing import Any

Row = tuple[str, str, str, float, float]

# NTU RGB+D, Kinect v2 (joints as listed with the data set, counted from 1 there). The hand's bones
# are ST-GCN's and AS-GCN's: hand - thumb - tip, where others hang both on the hand.
_NTU25: tuple[Row, ...] = (
    ("spine_base", "spine_mid", "torso", 0.0, 0.0),
    ("spine_mid", "spine_shoulder", "torso", 0.0, 0.26),
    ("neck", "spine_shoulder", "head", 0.0, 0.62),
    ("head", "neck", "head", 0.0, 0.8),
    ("left_shoulder", "spine_shoulder", "left_arm", 0.21, 0.46),
    ("left_elbow", "left_shoulder", "left_arm", 0.34, 0.18),
    ("left_wrist", "left_elbow", "left_arm", 0.42, -0.08),
    ("left_hand", "left_wrist", "left_arm", 0.45, -0.18),
    ("right_shoulder", "spine_shoulder", "right_arm", -0.21, 0.46),
    ("right_elbow", "right_shoulder", "right_arm", -0.34, 0.18),
    ("right_wrist", "right_elbow", "right_arm", -0.42, -0.08),
    ("right_hand", "right_wrist", "right_arm", -0.45, -0.18),
    ("left_hip", "spine_base", "left_leg", 0.12, -0.04),
    ("left_knee", "left_hip", "left_leg", 0.16, -0.5),
    ("left_ankle", "left_knee", "left_leg", 0.18, -0.93),
    ("left_foot", "left_ankle", "left_leg", 0.28, -1.0),
    ("right_hip", "spine_base", "right_leg", -0.12, -0.04),
    ("right_knee", "right_hip", "right_leg", -0.16, -0.5),
    ("right_ankle", "right_knee", "right_leg", -0.18, -0.93),
    ("right_foot", "right_ankle", "right_leg", -0.28, -1.0),
    ("spine_shoulder", "", "torso", 0.0, 0.5),
    ("left_hand_tip", "left_thumb", "left_arm", 0.49, -0.32),
    ("left_thumb", "left_hand", "left_arm", 0.39, -0.25),
    ("right_hand_tip", "right_thumb", "right_arm", -0.49, -0.32),
    ("right_thumb", "right_hand", "right_arm", -0.39, -0.25),
)

# OpenPose's COCO model with 18 joints, as in Kinetics-Skeleton. The hips hang on the shoulders, as
# in ST-GCN and AS-GCN; OpenPose itself draws them to the neck.
_OPENPOSE18: tuple[Row, ...] = (
    ("nose", "neck", "head", 0.0, 0.75),
    ("neck", "", "torso", 0.0, 0.5),
    ("right_shoulder", "neck", "right_arm", -0.21, 0.48),
    ("right_elbow", "right_shoulder", "right_arm", -0.34, 0.18),
    ("right_wrist", "right_elbow", "right_arm", -0.43, -0.1),
    ("left_shoulder", "neck", "left_arm", 0.21, 0.48),
    ("left_elbow", "left_shoulder", "left_arm", 0.34, 0.18),
    ("left_wrist", "left_elbow", "left_arm", 0.43, -0.1),
    ("right_hip", "right_shoulder", "right_leg", -0.13, 0.0),
    ("right_knee", "right_hip", "right_leg", -0.16, -0.5),
    ("right_ankle", "right_knee", "right_leg", -0.18, -1.0),
    ("left_hip", "left_shoulder", "left_leg", 0.13, 0.0),
    ("left_knee", "left_hip", "left_leg", 0.16, -0.5),
    ("left_ankle", "left_knee", "left_leg", 0.18, -1.0),
    ("right_eye", "nose", "head", -0.06, 0.82),
    ("left_eye", "nose", "head", 0.06, 0.82),
    ("right_ear", "right_eye", "head", -0.13, 0.78),
    ("left_ear", "left_eye", "head", 0.13, 0.78),
)

# COCO has no neck and no torso joint. COCO's own 19 drawing limbs close loops between eyes, ears,
# shoulders and hips; the bones here are the tree that skeleton recognition uses (PYSKL, MMAction2),
# which keeps left and right apart and hangs both shoulders on the nose, its centre.
_COCO17: tuple[Row, ...] = (
    ("nose", "", "head", 0.0, 0.75),
    ("left_eye", "nose", "head", 0.06, 0.82),
    ("right_eye", "nose", "head", -0.06, 0.82),
    ("left_ear", "left_eye", "head", 0.13, 0.78),
    ("right_ear", "right_eye", "head", -0.13, 0.78),
    ("left_shoulder", "nose", "left_arm", 0.21, 0.48),
    ("right_shoulder", "nose", "right_arm", -0.21, 0.48),
    ("left_elbow", "left_shoulder", "left_arm", 0.34, 0.18),
    ("right_elbow", "right_shoulder", "right_arm", -0.34, 0.18),
    ("left_wrist", "left_elbow", "left_arm", 0.43, -0.1),
    ("right_wrist", "right_elbow", "right_arm", -0.43, -0.1),
    ("left_hip", "left_shoulder", "left_leg", 0.13, 0.0),
    ("right_hip", "right_shoulder", "right_leg", -0.13, 0.0),
    ("left_knee", "left_hip", "left_leg", 0.16, -0.5),
    ("right_knee", "right_hip", "right_leg", -0.16, -0.5),
    ("left_ankle", "left_knee", "left_leg", 0.18, -1.0),
    ("right_ankle", "right_knee", "right_leg", -0.18, -1.0),
)

# Kinect v1 in the SDK's order: NW-UCLA, UTKinect, MSR Daily Activity. (The files of MSR Action 3D
# number the same joints differently: reorder them first.) Centre as in NTU, between the shoulders.
_KINECTV1_20: tuple[Row, ...] = (
    ("hip_center", "spine", "torso", 0.0, 0.0),
    ("spine", "shoulder_center", "torso", 0.0, 0.18),
    ("shoulder_center", "", "torso", 0.0, 0.52),
    ("head", "shoulder_center", "head", 0.0, 0.78),
    ("left_shoulder", "shoulder_center", "left_arm", 0.21, 0.46),
    ("left_elbow", "left_shoulder", "left_arm", 0.34, 0.18),
    ("left_wrist", "left_elbow", "left_arm", 0.42, -0.08),
    ("left_hand", "left_wrist", "left_arm", 0.46, -0.2),
    ("right_shoulder", "shoulder_center", "right_arm", -0.21, 0.46),
    ("right_elbow", "right_shoulder", "right_arm", -0.34, 0.18),
    ("right_wrist", "right_elbow", "right_arm", -0.42, -0.08),
    ("right_hand", "right_wrist", "right_arm", -0.46, -0.2),
    ("left_hip", "hip_center", "left_leg", 0.12, -0.05),
    ("left_knee", "left_hip", "left_leg", 0.16, -0.5),
    ("left_ankle", "left_knee", "left_leg", 0.18, -0.93),
    ("left_foot", "left_ankle", "left_leg", 0.28, -1.0),
    ("right_hip", "hip_center", "right_leg", -0.12, -0.05),
    ("right_knee", "right_hip", "right_leg", -0.16, -0.5),
    ("right_ankle", "right_knee", "right_leg", -0.18, -0.93),
    ("right_foot", "right_ankle", "right_leg", -0.28, -1.0),
)

# Human3.6M's 32 joints and their kinematic tree (parents as in LearnTrajDep); the root is the
# centre, so that the layout's parents are the kinematic ones. All 32 are kept: spine lies on hips,
# left_shoulder and right_shoulder on neck, each hand_thumb on its hand, each wrist_site on its
# wrist_end, and the sites are ends of bones that never turn.
_H36M32: tuple[Row, ...] = (
    ("hips", "", "torso", 0.0, 0.0),
    ("right_up_leg", "hips", "right_leg", -0.12, -0.04),
    ("right_leg", "right_up_leg", "right_leg", -0.16, -0.5),
    ("right_foot", "right_leg", "right_leg", -0.18, -0.91),
    ("right_toe_base", "right_foot", "right_leg", -0.26, -0.97),
    ("right_toe_site", "right_toe_base", "right_leg", -0.33, -1.0),
    ("left_up_leg", "hips", "left_leg", 0.12, -0.04),
    ("left_leg", "left_up_leg", "left_leg", 0.16, -0.5),
    ("left_foot", "left_leg", "left_leg", 0.18, -0.91),
    ("left_toe_base", "left_foot", "left_leg", 0.26, -0.97),
    ("left_toe_site", "left_toe_base", "left_leg", 0.33, -1.0),
    ("spine", "hips", "torso", 0.0, 0.08),
    ("spine1", "spine", "torso", 0.0, 0.28),
    ("neck", "spine1", "head", 0.0, 0.54),
    ("head", "neck", "head", 0.0, 0.7),
    ("head_site", "head", "head", 0.0, 0.86),
    ("left_shoulder", "spine1", "left_arm", 0.08, 0.47),
    ("left_arm", "left_shoulder", "left_arm", 0.21, 0.46),
    ("left_fore_arm", "left_arm", "left_arm", 0.34, 0.18),
    ("left_hand", "left_fore_arm", "left_arm", 0.42, -0.08),
    ("left_hand_thumb", "left_hand", "left_arm", 0.38, -0.15),
    ("left_thumb_site", "left_hand_thumb", "left_arm", 0.36, -0.23),
    ("left_wrist_end", "left_hand", "left_arm", 0.46, -0.19),
    ("left_wrist_site", "left_wrist_end", "left_arm", 0.48, -0.27),
    ("right_shoulder", "spine1", "right_arm", -0.08, 0.47),
    ("right_arm", "right_shoulder", "right_arm", -0.21, 0.46),
    ("right_fore_arm", "right_arm", "right_arm", -0.34, 0.18),
    ("right_hand", "right_fore_arm", "right_arm", -0.42, -0.08),
    ("right_hand_thumb", "right_hand", "right_arm", -0.38, -0.15),
    ("right_thumb_site", "right_hand_thumb", "right_arm", -0.36, -0.23),
    ("right_wrist_end", "right_hand", "right_arm", -0.46, -0.19),
    ("right_wrist_site", "right_wrist_end", "right_arm", -0.48, -0.27),
)

# CMU motion capture, 38 joints (parents as in LearnTrajDep); the root is the centre. All are kept:
# the hip joints and lower_back lie on hips, neck and the shoulders on spine1, finger bases and
# thumbs on the hands.
_CMU38: tuple[Row, ...] = (
    ("hips", "", "torso", 0.0, 0.0),
    ("left_hip_joint", "hips", "left_leg", 0.06, -0.02),
    ("left_up_leg", "left_hip_joint", "left_leg", 0.13, -0.07),
    ("left_leg", "left_up_leg", "left_leg", 0.16, -0.5),
    ("left_foot", "left_leg", "left_leg", 0.18, -0.91),
    ("left_toe_base", "left_foot", "left_leg", 0.26, -0.97),
    ("left_toe_site", "left_toe_base", "left_leg", 0.33, -1.0),
    ("right_hip_joint", "hips", "right_leg", -0.06, -0.02),
    ("right_up_leg", "right_hip_joint", "right_leg", -0.13, -0.07),
    ("right_leg", "right_up_leg", "right_leg", -0.16, -0.5),
    ("right_foot", "right_leg", "right_leg", -0.18, -0.91),
    ("right_toe_base", "right_foot", "right_leg", -0.26, -0.97),
    ("right_toe_site", "right_toe_base", "right_leg", -0.33, -1.0),
    ("lower_back", "hips", "torso", 0.0, 0.08),
    ("spine", "lower_back", "torso", 0.0, 0.22),
    ("spine1", "spine", "torso", 0.0, 0.38),
    ("neck", "spine1", "head", 0.0, 0.48),
    ("neck1", "neck", "head", 0.0, 0.58),
    ("head", "neck1", "head", 0.0, 0.71),
    ("head_site", "head", "head", 0.0, 0.86),
    ("left_shoulder", "spine1", "left_arm", 0.08, 0.45),
    ("left_arm", "left_shoulder", "left_arm", 0.21, 0.46),
    ("left_fore_arm", "left_arm", "left_arm", 0.34, 0.18),
    ("left_hand", "left_fore_arm", "left_arm", 0.42, -0.08),
    ("left_finger_base", "left_hand", "left_arm", 0.45, -0.16),
    ("left_hand_index1", "left_finger_base", "left_arm", 0.47, -0.24),
    ("left_index_site", "left_hand_index1", "left_arm", 0.48, -0.32),
    ("left_thumb", "left_hand", "left_arm", 0.38, -0.15),
    ("left_thumb_site", "left_thumb", "left_arm", 0.36, -0.23),
    ("right_shoulder", "spine1", "right_arm", -0.08, 0.45),
    ("right_arm", "right_shoulder", "right_arm", -0.21, 0.46),
    ("right_fore_arm", "right_arm", "right_arm", -0.34, 0.18),
    ("right_hand", "right_fore_arm", "right_arm", -0.42, -0.08),
    ("right_finger_base", "right_hand", "right_arm", -0.45, -0.16),
    ("right_hand_index1", "right_finger_base", "right_arm", -0.47, -0.24),
    ("right_index_site", "right_hand_index1", "right_arm", -0.48, -0.32),
    ("right_thumb", "right_hand", "right_arm", -0.38, -0.15),
    ("right_thumb_site", "right_thumb", "right_arm", -0.36, -0.23),
)

# One hand, the order of OpenPose, FreiHAND and MediaPipe. Each finger hangs on the wrist (MediaPipe
# draws the palm as a loop instead). A single hand has no mirror pairs: its mirror image is the
# other hand, joint for joint. Drawn as a right hand seen from its back.
_HAND21: tuple[Row, ...] = (
    ("wrist", "", "palm", 0.0, -1.0),
    ("thumb_cmc", "wrist", "thumb", -0.26, -0.78),
    ("thumb_mcp", "thumb_cmc", "thumb", -0.5, -0.48),
    ("thumb_ip", "thumb_mcp", "thumb", -0.66, -0.22),
    ("thumb_tip", "thumb_ip", "thumb", -0.78, 0.0),
    ("index_mcp", "wrist", "index", -0.27, 0.0),
    ("index_pip", "index_mcp", "index", -0.32, 0.36),
    ("index_dip", "index_pip", "index", -0.35, 0.6),
    ("index_tip", "index_dip", "index", -0.37, 0.8),
    ("middle_mcp", "wrist", "middle", -0.03, 0.06),
    ("middle_pip", "middle_mcp", "middle", -0.03, 0.48),
    ("middle_dip", "middle_pip", "middle", -0.03, 0.76),
    ("middle_tip", "middle_dip", "middle", -0.03, 1.0),
    ("ring_mcp", "wrist", "ring", 0.2, 0.0),
    ("ring_pip", "ring_mcp", "ring", 0.25, 0.38),
    ("ring_dip", "ring_pip", "ring", 0.28, 0.63),
    ("ring_tip", "ring_dip", "ring", 0.3, 0.84),
    ("pinky_mcp", "wrist", "pinky", 0.4, -0.12),
    ("pinky_pip", "pinky_mcp", "pinky", 0.5, 0.14),
    ("pinky_dip", "pinky_pip", "pinky", 0.56, 0.32),
    ("pinky_tip", "pinky_dip", "pinky", 0.61, 0.5),
)


def _facts(
    name: str,
    rows: tuple[Row, ...],
    spine: tuple[str, str] | None = None,
    shoulders: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """Turn a table into the arguments of ``SkeletonLayout.from_bones``."""
    joints = [row[0] for row in rows]
    parts: dict[str, list[str]] = {}
    for joint, _, part, _, _ in rows:
        parts.setdefault(part, []).append(joint)
    lefts = [joint for joint in joints if joint.startswith("left_")]
    return {
        "name": name,
        "joints": joints,
        "bones": [(joint, inward) for joint, inward, *_ in rows if inward],
        "center": next(joint for joint, inward, *_ in rows if not inward),
        "mirror": [(left, "right_" + left.removeprefix("left_")) for left in lefts],
        "parts": parts,
        "pose": [(x, y) for *_, x, y in rows],
        "spine": spine,
        "shoulders": shoulders,
    }


SUPPLIED: tuple[dict[str, Any], ...] = (
    _facts("ntu25", _NTU25, ("spine_base", "spine_mid"), ("right_shoulder", "left_shoulder")),
    _facts("openpose18", _OPENPOSE18, None, ("right_shoulder", "left_shoulder")),
    _facts("coco17", _COCO17, None, ("right_shoulder", "left_shoulder")),
    _facts(
        "kinectv1_20",
        _KINECTV1_20,
        ("hip_center", "shoulder_center"),  # spine lies too near hip_center to point up reliably
        ("right_shoulder", "left_shoulder"),
    ),
    _facts("h36m32", _H36M32, ("hips", "neck"), ("right_arm", "left_arm")),
    _facts("cmu38", _CMU38, ("hips", "spine1"), ("right_arm", "left_arm")),
    _facts("hand21", _HAND21),
)
