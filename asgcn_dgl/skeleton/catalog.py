"""Facts of the supplied layouts: joints in the order of the data, bones, parts, drawing poses.

Every supplied layout is a tree, so one table tells all of it. A row is a joint: its name, the
neighbour on the way to the centre (``""`` for the centre itself), its body part, and its place in
the drawing, x to the right and y up as the viewer sees a body that faces the viewer, hence the
body's left at positive x. Names that begin with ``left_`` and ``right_`` make the mirror pairs; of
the right the name alone is given, in its place among the data's joints.
Poses are about 2 units high, bodies with the hips at the origin. They are for drawing only: joints
that share a place in the recordings are set a little apart here, to be told from one another.
"""

from __future__ import annotations

from typing import Any

Row = tuple[str, str, str, float, float]


def _mirrored(row: Row) -> Row:
    """The row of the other side's joint."""
    name, inward, part, x, y = row
    right = [text.replace("left_", "right_", 1) for text in (name, inward, part)]
    return right[0], right[1], right[2], -x, y


def _rows(*rows: Row | str) -> tuple[Row, ...]:
    """A table in which the name of a joint of the right stands for the mirror image of the left."""
    lefts = {row[0]: row for row in rows if not isinstance(row, str)}
    return tuple(
        _mirrored(lefts[row.replace("right_", "left_", 1)]) if isinstance(row, str) else row
        for row in rows
    )


# NTU RGB+D, Kinect v2 (joints as listed with the data set, counted from 1 there). The hand's bones
# are ST-GCN's and AS-GCN's: hand - thumb - tip, where others hang both on the hand.
_NTU25 = _rows(
    ("spine_base", "spine_mid", "torso", 0.0, 0.0),
    ("spine_mid", "spine_shoulder", "torso", 0.0, 0.26),
    ("neck", "spine_shoulder", "head", 0.0, 0.62),
    ("head", "neck", "head", 0.0, 0.8),
    ("left_shoulder", "spine_shoulder", "left_arm", 0.21, 0.46),
    ("left_elbow", "left_shoulder", "left_arm", 0.34, 0.18),
    ("left_wrist", "left_elbow", "left_arm", 0.42, -0.08),
    ("left_hand", "left_wrist", "left_arm", 0.45, -0.18),
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "right_hand",
    ("left_hip", "spine_base", "left_leg", 0.12, -0.04),
    ("left_knee", "left_hip", "left_leg", 0.16, -0.5),
    ("left_ankle", "left_knee", "left_leg", 0.18, -0.93),
    ("left_foot", "left_ankle", "left_leg", 0.28, -1.0),
    "right_hip",
    "right_knee",
    "right_ankle",
    "right_foot",
    ("spine_shoulder", "", "torso", 0.0, 0.5),
    ("left_hand_tip", "left_thumb", "left_arm", 0.49, -0.32),
    ("left_thumb", "left_hand", "left_arm", 0.39, -0.25),
    "right_hand_tip",
    "right_thumb",
)

# Kinect v2 as PYSKL joins its joints: both the tip of a hand and its thumb hang on the hand.
_NTU25_PYSKL = tuple(
    (name, inward.replace("thumb", "hand"), part, x, y) for name, inward, part, x, y in _NTU25
)

# OpenPose's COCO model with 18 joints, as in Kinetics-Skeleton. The hips hang on the shoulders, as
# in ST-GCN and AS-GCN; OpenPose itself draws them to the neck.
_OPENPOSE18 = _rows(
    ("nose", "neck", "head", 0.0, 0.75),
    ("neck", "", "torso", 0.0, 0.5),
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    ("left_shoulder", "neck", "left_arm", 0.21, 0.48),
    ("left_elbow", "left_shoulder", "left_arm", 0.34, 0.18),
    ("left_wrist", "left_elbow", "left_arm", 0.43, -0.1),
    "right_hip",
    "right_knee",
    "right_ankle",
    ("left_hip", "left_shoulder", "left_leg", 0.13, 0.0),
    ("left_knee", "left_hip", "left_leg", 0.16, -0.5),
    ("left_ankle", "left_knee", "left_leg", 0.18, -1.0),
    "right_eye",
    ("left_eye", "nose", "head", 0.06, 0.82),
    "right_ear",
    ("left_ear", "left_eye", "head", 0.13, 0.78),
)

# COCO has no neck and no torso joint. COCO's own 19 drawing limbs close loops between eyes, ears,
# shoulders and hips; the bones here are the tree that skeleton recognition uses (PYSKL, MMAction2),
# which keeps left and right apart and hangs both shoulders on the nose, its centre.
_COCO17 = _rows(
    ("nose", "", "head", 0.0, 0.75),
    ("left_eye", "nose", "head", 0.06, 0.82),
    "right_eye",
    ("left_ear", "left_eye", "head", 0.13, 0.78),
    "right_ear",
    ("left_shoulder", "nose", "left_arm", 0.21, 0.48),
    "right_shoulder",
    ("left_elbow", "left_shoulder", "left_arm", 0.34, 0.18),
    "right_elbow",
    ("left_wrist", "left_elbow", "left_arm", 0.43, -0.1),
    "right_wrist",
    ("left_hip", "left_shoulder", "left_leg", 0.13, 0.0),
    "right_hip",
    ("left_knee", "left_hip", "left_leg", 0.16, -0.5),
    "right_knee",
    ("left_ankle", "left_knee", "left_leg", 0.18, -1.0),
    "right_ankle",
)

# Kinect v1 in the SDK's order: NW-UCLA, UTKinect, MSR Daily Activity. (The files of MSR Action 3D
# number the same joints differently: reorder them first.) Centre as in NTU, between the shoulders.
_KINECTV1_20 = _rows(
    ("hip_center", "spine", "torso", 0.0, 0.0),
    ("spine", "shoulder_center", "torso", 0.0, 0.18),
    ("shoulder_center", "", "torso", 0.0, 0.52),
    ("head", "shoulder_center", "head", 0.0, 0.78),
    ("left_shoulder", "shoulder_center", "left_arm", 0.21, 0.46),
    ("left_elbow", "left_shoulder", "left_arm", 0.34, 0.18),
    ("left_wrist", "left_elbow", "left_arm", 0.42, -0.08),
    ("left_hand", "left_wrist", "left_arm", 0.46, -0.2),
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "right_hand",
    ("left_hip", "hip_center", "left_leg", 0.12, -0.05),
    ("left_knee", "left_hip", "left_leg", 0.16, -0.5),
    ("left_ankle", "left_knee", "left_leg", 0.18, -0.93),
    ("left_foot", "left_ankle", "left_leg", 0.28, -1.0),
    "right_hip",
    "right_knee",
    "right_ankle",
    "right_foot",
)

# Human3.6M's 32 joints and their kinematic tree (parents as in LearnTrajDep); the root is the
# centre, so that the layout's parents are the kinematic ones. All 32 are kept: spine lies on hips,
# left_shoulder and right_shoulder on neck, each hand_thumb on its hand, each wrist_site on its
# wrist_end, and the sites are ends of bones that never turn.
_H36M32 = _rows(
    ("hips", "", "torso", 0.0, 0.0),
    "right_up_leg",
    "right_leg",
    "right_foot",
    "right_toe_base",
    "right_toe_site",
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
    "right_shoulder",
    "right_arm",
    "right_fore_arm",
    "right_hand",
    "right_hand_thumb",
    "right_thumb_site",
    "right_wrist_end",
    "right_wrist_site",
)

# CMU motion capture, 38 joints (parents as in LearnTrajDep); the root is the centre. All are kept:
# the hip joints and lower_back lie on hips, neck and the shoulders on spine1, finger bases and
# thumbs on the hands.
_CMU38 = _rows(
    ("hips", "", "torso", 0.0, 0.0),
    ("left_hip_joint", "hips", "left_leg", 0.06, -0.02),
    ("left_up_leg", "left_hip_joint", "left_leg", 0.13, -0.07),
    ("left_leg", "left_up_leg", "left_leg", 0.16, -0.5),
    ("left_foot", "left_leg", "left_leg", 0.18, -0.91),
    ("left_toe_base", "left_foot", "left_leg", 0.26, -0.97),
    ("left_toe_site", "left_toe_base", "left_leg", 0.33, -1.0),
    "right_hip_joint",
    "right_up_leg",
    "right_leg",
    "right_foot",
    "right_toe_base",
    "right_toe_site",
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
    "right_shoulder",
    "right_arm",
    "right_fore_arm",
    "right_hand",
    "right_finger_base",
    "right_hand_index1",
    "right_index_site",
    "right_thumb",
    "right_thumb_site",
)


def _without(rows: tuple[Row, ...], center: str, *dropped: str) -> tuple[Row, ...]:
    """Return a table without some joints; what hung on one hangs on the next inward, or the center.

    A name stands for the left joint and the right one: ``arm`` for ``left_arm`` and ``right_arm``.
    """
    gone = {f"{side}{name}" for name in dropped for side in ("", "left_", "right_")}
    inward = {row[0]: row[1] for row in rows}

    def next_kept(joint: str) -> str:
        while (joint := inward[joint]) in gone:
            pass
        return joint or center

    return tuple(
        (name, "" if name == center else next_kept(name), part, x, y)
        for name, _, part, x, y in rows
        if name not in gone
    )


# The joints that published pose prediction models: those left out stay fixed to the root, or lie on
# another joint.
_CMU25 = _without(
    _CMU38,
    "spine",
    *("hips", "hip_joint", "up_leg", "lower_back", "neck", "shoulder", "finger_base", "thumb"),
)
_H36M22 = _without(
    _H36M32, "spine1", "hips", "up_leg", "spine", "shoulder", "hand_thumb", "wrist_site"
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


# MediaPipe Pose (BlazePose), 33 landmarks in its order. MediaPipe draws loops (mouth, palm, foot,
# torso) and leaves the face apart; the tree here hangs both shoulders on the nose, as COCO's does.
_MEDIAPIPE33 = _rows(
    ("nose", "", "head", 0.0, 0.72),
    ("left_eye_inner", "nose", "head", 0.06, 0.79),
    ("left_eye", "left_eye_inner", "head", 0.12, 0.82),
    ("left_eye_outer", "left_eye", "head", 0.18, 0.81),
    "right_eye_inner",
    "right_eye",
    "right_eye_outer",
    ("left_ear", "left_eye_outer", "head", 0.25, 0.76),
    "right_ear",
    ("left_mouth", "nose", "head", 0.05, 0.62),
    "right_mouth",
    ("left_shoulder", "nose", "left_arm", 0.21, 0.48),
    "right_shoulder",
    ("left_elbow", "left_shoulder", "left_arm", 0.34, 0.18),
    "right_elbow",
    ("left_wrist", "left_elbow", "left_arm", 0.43, -0.1),
    "right_wrist",
    ("left_pinky", "left_wrist", "left_arm", 0.52, -0.22),
    "right_pinky",
    ("left_index", "left_wrist", "left_arm", 0.45, -0.25),
    "right_index",
    ("left_thumb", "left_wrist", "left_arm", 0.37, -0.19),
    "right_thumb",
    ("left_hip", "left_shoulder", "left_leg", 0.13, 0.0),
    "right_hip",
    ("left_knee", "left_hip", "left_leg", 0.16, -0.5),
    "right_knee",
    ("left_ankle", "left_knee", "left_leg", 0.18, -0.92),
    "right_ankle",
    ("left_heel", "left_ankle", "left_leg", 0.14, -1.0),
    "right_heel",
    ("left_foot_index", "left_ankle", "left_leg", 0.28, -1.0),
    "right_foot_index",
)

# OpenPose's BODY_25: order and bones are those that it draws.
_OPENPOSE25 = _rows(
    ("nose", "neck", "head", 0.0, 0.75),
    ("neck", "", "torso", 0.0, 0.5),
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    ("left_shoulder", "neck", "left_arm", 0.21, 0.48),
    ("left_elbow", "left_shoulder", "left_arm", 0.34, 0.18),
    ("left_wrist", "left_elbow", "left_arm", 0.43, -0.1),
    ("mid_hip", "neck", "torso", 0.0, 0.0),
    "right_hip",
    "right_knee",
    "right_ankle",
    ("left_hip", "mid_hip", "left_leg", 0.12, -0.03),
    ("left_knee", "left_hip", "left_leg", 0.16, -0.5),
    ("left_ankle", "left_knee", "left_leg", 0.18, -0.92),
    "right_eye",
    ("left_eye", "nose", "head", 0.06, 0.82),
    "right_ear",
    ("left_ear", "left_eye", "head", 0.13, 0.78),
    ("left_big_toe", "left_ankle", "left_leg", 0.26, -1.0),
    ("left_small_toe", "left_big_toe", "left_leg", 0.33, -0.98),
    ("left_heel", "left_ankle", "left_leg", 0.14, -1.0),
    "right_big_toe",
    "right_small_toe",
    "right_heel",
)

# SMPL's 24 joints and kinematic tree (Loper et al., 2015); the root is the centre, as in motion
# capture.
_SMPL24 = _rows(
    ("pelvis", "", "torso", 0.0, 0.0),
    ("left_hip", "pelvis", "left_leg", 0.1, -0.06),
    "right_hip",
    ("spine1", "pelvis", "torso", 0.0, 0.12),
    ("left_knee", "left_hip", "left_leg", 0.15, -0.5),
    "right_knee",
    ("spine2", "spine1", "torso", 0.0, 0.23),
    ("left_ankle", "left_knee", "left_leg", 0.18, -0.92),
    "right_ankle",
    ("spine3", "spine2", "torso", 0.0, 0.34),
    ("left_foot", "left_ankle", "left_leg", 0.28, -1.0),
    "right_foot",
    ("neck", "spine3", "head", 0.0, 0.58),
    ("left_collar", "spine3", "left_arm", 0.08, 0.46),
    "right_collar",
    ("head", "neck", "head", 0.0, 0.8),
    ("left_shoulder", "left_collar", "left_arm", 0.21, 0.48),
    "right_shoulder",
    ("left_elbow", "left_shoulder", "left_arm", 0.34, 0.18),
    "right_elbow",
    ("left_wrist", "left_elbow", "left_arm", 0.42, -0.08),
    "right_wrist",
    ("left_hand", "left_wrist", "left_arm", 0.46, -0.2),
    "right_hand",
)

# AMASS and others without SMPL's hands (Mahmood et al., 2019).
_SMPL22 = tuple(row for row in _SMPL24 if not row[0].endswith("_hand"))

# Human3.6M's 17 joints as VideoPose3D and MMPose keep them.
_H36M17 = _rows(
    ("hip", "", "torso", 0.0, 0.0),
    "right_hip",
    "right_knee",
    "right_foot",
    ("left_hip", "hip", "left_leg", 0.12, -0.03),
    ("left_knee", "left_hip", "left_leg", 0.16, -0.5),
    ("left_foot", "left_knee", "left_leg", 0.18, -1.0),
    ("spine", "hip", "torso", 0.0, 0.26),
    ("thorax", "spine", "torso", 0.0, 0.5),
    ("neck", "thorax", "head", 0.0, 0.66),
    ("head", "neck", "head", 0.0, 0.82),
    ("left_shoulder", "thorax", "left_arm", 0.21, 0.46),
    ("left_elbow", "left_shoulder", "left_arm", 0.34, 0.18),
    ("left_wrist", "left_elbow", "left_arm", 0.43, -0.1),
    "right_shoulder",
    "right_elbow",
    "right_wrist",
)

# MPII Human Pose (Andriluka et al., 2014); shoulders hang on the upper neck, as MMPose draws them.
_MPII16 = _rows(
    "right_ankle",
    "right_knee",
    "right_hip",
    ("left_hip", "pelvis", "left_leg", 0.12, -0.03),
    ("left_knee", "left_hip", "left_leg", 0.16, -0.5),
    ("left_ankle", "left_knee", "left_leg", 0.18, -1.0),
    ("pelvis", "thorax", "torso", 0.0, 0.0),
    ("thorax", "", "torso", 0.0, 0.4),
    ("upper_neck", "thorax", "head", 0.0, 0.58),
    ("head_top", "upper_neck", "head", 0.0, 0.85),
    "right_wrist",
    "right_elbow",
    "right_shoulder",
    ("left_shoulder", "upper_neck", "left_arm", 0.21, 0.48),
    ("left_elbow", "left_shoulder", "left_arm", 0.34, 0.18),
    ("left_wrist", "left_elbow", "left_arm", 0.43, -0.1),
)

# Halpe's 26 joints, AlphaPose's (Li et al., 2020). The face, which AlphaPose does not draw to the
# rest, hangs on the top of the head by the nose.
_HALPE26 = _rows(
    ("nose", "head", "head", 0.0, 0.75),
    ("left_eye", "nose", "head", 0.06, 0.82),
    "right_eye",
    ("left_ear", "left_eye", "head", 0.13, 0.78),
    "right_ear",
    ("left_shoulder", "neck", "left_arm", 0.21, 0.48),
    "right_shoulder",
    ("left_elbow", "left_shoulder", "left_arm", 0.34, 0.18),
    "right_elbow",
    ("left_wrist", "left_elbow", "left_arm", 0.43, -0.1),
    "right_wrist",
    ("left_hip", "hip", "left_leg", 0.12, -0.03),
    "right_hip",
    ("left_knee", "left_hip", "left_leg", 0.16, -0.5),
    "right_knee",
    ("left_ankle", "left_knee", "left_leg", 0.18, -0.92),
    "right_ankle",
    ("head", "neck", "head", 0.0, 0.95),
    ("neck", "", "torso", 0.0, 0.54),
    ("hip", "neck", "torso", 0.0, 0.0),
    ("left_big_toe", "left_heel", "left_leg", 0.26, -1.03),
    "right_big_toe",
    ("left_small_toe", "left_heel", "left_leg", 0.33, -0.98),
    "right_small_toe",
    ("left_heel", "left_ankle", "left_leg", 0.14, -1.02),
    "right_heel",
)

# The 68 points of a face in the order of iBUG 300-W, which COCO-WholeBody takes over: the jaw from
# the right ear to the left, brows, nose, eyes, lips. A name of two sides stands for both points,
# the right one first in the order below.
_FACE: dict[str, tuple[str, float, float]] = {
    "jaw_1": ("jaw_2", 0.205, 0.8),
    "jaw_2": ("jaw_3", 0.2, 0.755),
    "jaw_3": ("jaw_4", 0.19, 0.71),
    "jaw_4": ("jaw_5", 0.172, 0.668),
    "jaw_5": ("jaw_6", 0.147, 0.63),
    "jaw_6": ("jaw_7", 0.116, 0.6),
    "jaw_7": ("jaw_8", 0.08, 0.578),
    "jaw_8": ("chin", 0.04, 0.565),
    "chin": ("lip_bottom", 0.0, 0.56),
    "brow_1": ("brow_2", 0.175, 0.885),
    "brow_2": ("brow_3", 0.145, 0.905),
    "brow_3": ("brow_4", 0.11, 0.915),
    "brow_4": ("brow_5", 0.075, 0.912),
    "brow_5": ("bridge_1", 0.042, 0.9),
    "bridge_1": ("bridge_2", 0.0, 0.858),
    "bridge_2": ("bridge_3", 0.0, 0.828),
    "bridge_3": ("nose_tip", 0.0, 0.798),
    "nose_tip": ("nose", 0.0, 0.77),
    "nostril_1": ("nostril_2", 0.044, 0.727),
    "nostril_2": ("nose_base", 0.022, 0.717),
    "nose_base": ("nose", 0.0, 0.712),
    "eye_corner_1": ("eye_upper_1", 0.138, 0.845),
    "eye_upper_1": ("eye_upper_2", 0.112, 0.862),
    "eye_upper_2": ("eye_corner_2", 0.078, 0.862),
    "eye_corner_2": ("bridge_1", 0.052, 0.845),
    "eye_lower_2": ("eye_corner_2", 0.078, 0.828),
    "eye_lower_1": ("eye_lower_2", 0.112, 0.828),
    "lip_corner": ("lip_upper_1", 0.084, 0.655),
    "lip_upper_1": ("lip_upper_2", 0.054, 0.678),
    "lip_upper_2": ("lip_top", 0.024, 0.69),
    "lip_top": ("nose_base", 0.0, 0.684),
    "lip_lower_1": ("lip_lower_2", 0.054, 0.628),
    "lip_lower_2": ("lip_bottom", 0.024, 0.614),
    "lip_bottom": ("mouth_bottom", 0.0, 0.61),
    "mouth_corner": ("lip_corner", 0.06, 0.655),
    "mouth_upper": ("mouth_top", 0.03, 0.665),
    "mouth_top": ("lip_top", 0.0, 0.662),
    "mouth_lower": ("mouth_bottom", 0.03, 0.642),
    "mouth_bottom": ("mouth_top", 0.0, 0.64),
}
_FACE_ORDER: tuple[str, ...] = (
    *(f"right_jaw_{n}" for n in range(1, 9)),
    "chin",
    *(f"left_jaw_{n}" for n in range(8, 0, -1)),
    *(f"right_brow_{n}" for n in range(1, 6)),
    *(f"left_brow_{n}" for n in range(5, 0, -1)),
    *("bridge_1", "bridge_2", "bridge_3", "nose_tip"),
    *("right_nostril_1", "right_nostril_2", "nose_base", "left_nostril_2", "left_nostril_1"),
    *("right_eye_corner_1", "right_eye_upper_1", "right_eye_upper_2"),
    *("right_eye_corner_2", "right_eye_lower_2", "right_eye_lower_1"),
    *("left_eye_corner_2", "left_eye_upper_2", "left_eye_upper_1"),
    *("left_eye_corner_1", "left_eye_lower_1", "left_eye_lower_2"),
    *("right_lip_corner", "right_lip_upper_1", "right_lip_upper_2", "lip_top"),
    *("left_lip_upper_2", "left_lip_upper_1", "left_lip_corner"),
    *("left_lip_lower_1", "left_lip_lower_2", "lip_bottom"),
    *("right_lip_lower_2", "right_lip_lower_1"),
    *("right_mouth_corner", "right_mouth_upper", "mouth_top", "left_mouth_upper"),
    *("left_mouth_corner", "left_mouth_lower", "mouth_bottom", "right_mouth_lower"),
)

# Places of COCO's joints that would lie in a face or on a foot.
_MOVED = {
    "nose": (0.0, 0.742),
    "eye": (0.095, 0.79),
    "ear": (0.25, 0.86),
    "ankle": (0.18, -0.93),
}


def _sided(name: str) -> tuple[str, str, int]:
    """Side (with its underline), the rest of the name, and the sign of x."""
    for side, sign in (("left_", 1), ("right_", -1)):
        if name.startswith(side):
            return side, name.removeprefix(side), sign
    return "", name, 1


def _wholebody133() -> tuple[Row, ...]:
    """COCO-WholeBody (Jin et al., 2020): COCO's 17, 6 of the feet, 68 of the face, two hands.

    The body's bones are those of ``coco17``, toes and heel hang on the ankle, hands on the wrist;
    the face, of which the set draws no bones, is a tree on the nose.
    """
    rows: list[Row] = []
    for name, inward, part, x, y in _COCO17:
        side, rest, sign = _sided(name)
        if rest in _MOVED:
            x, y = sign * _MOVED[rest][0], _MOVED[rest][1]
        rows.append((name, inward, part, x, y))
    feet = (("big_toe", 0.25, -1.0), ("small_toe", 0.31, -0.97), ("heel", 0.14, -1.0))
    for side, sign in (("left_", 1), ("right_", -1)):
        for toe, x, y in feet:
            rows.append((f"{side}{toe}", f"{side}ankle", f"{side}leg", sign * x, y))
    for name in _FACE_ORDER:
        side, rest, sign = _sided(name)
        inward, x, y = _FACE[rest]
        alone = inward == "nose" or inward in _FACE_ORDER  # a point in the middle
        rows.append((name, inward if alone else side + inward, "head", sign * x, y))
    for side, sign in (("left_", 1), ("right_", -1)):
        for name, inward, _, x, y in _HAND21:
            hang = f"{side}hand_{inward}" if inward else f"{side}wrist"
            place = (sign * (0.47 + 0.13 * x), -0.28 - 0.13 * y)
            rows.append((f"{side}hand_{name}", hang, f"{side}hand", *place))
    return tuple(rows)


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
    _facts(
        "ntu25_pyskl",
        _NTU25_PYSKL,
        ("spine_base", "spine_mid"),
        ("right_shoulder", "left_shoulder"),
    ),
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
    _facts("cmu25", _CMU25, ("spine", "spine1"), ("right_arm", "left_arm")),
    _facts("h36m22", _H36M22, ("spine1", "neck"), ("right_arm", "left_arm")),
    _facts("hand21", _HAND21),
    _facts("mediapipe33", _MEDIAPIPE33, None, ("right_shoulder", "left_shoulder")),
    _facts("openpose25", _OPENPOSE25, ("mid_hip", "neck"), ("right_shoulder", "left_shoulder")),
    _facts("smpl24", _SMPL24, ("pelvis", "neck"), ("right_shoulder", "left_shoulder")),
    _facts("smpl22", _SMPL22, ("pelvis", "neck"), ("right_shoulder", "left_shoulder")),
    _facts("h36m17", _H36M17, ("hip", "thorax"), ("right_shoulder", "left_shoulder")),
    _facts("mpii16", _MPII16, ("pelvis", "thorax"), ("right_shoulder", "left_shoulder")),
    _facts("halpe26", _HALPE26, ("hip", "neck"), ("right_shoulder", "left_shoulder")),
    _facts("wholebody133", _wholebody133(), None, ("right_shoulder", "left_shoulder")),
)
