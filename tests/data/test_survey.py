from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from asgcn_dgl.data import Clip
from asgcn_dgl.data.reader import UNKNOWN, Reader, Split
from asgcn_dgl.data.survey import Doubt, bone_lengths, survey
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import SkeletonLayout

STICK = SkeletonLayout.from_bones("stick", [("low", "middle"), ("middle", "high")])


@dataclass(frozen=True)
class Listed(Reader):
    clips: tuple[Clip, ...] = ()

    def read(self, index):
        return self.clips[index]


def stick(name, frames=10, label=0, bodies=1, **changes):
    """A stick of two bones, 1 and 2 long, that walks."""
    pos = np.zeros((bodies, frames, 3, 3))
    pos[..., 1] = (1.0, 2.0, 4.0)
    pos[..., 0] = 0.1 * np.arange(frames)[:, None] + 5
    clip = Clip.from_positions(name, STICK, pos, label=label)
    for (frame, joint), place in changes.get("moved", {}).items():
        clip.pos[0, frame, joint] = place
    for frame, joint in changes.get("lost", ()):
        clip.pos[0, frame, joint], clip.mask[0, frame, joint] = 0, False
    return clip


def listed(*clips, **facts):
    return Listed(tuple(clip.name for clip in clips), STICK, clips=clips, **facts)


def test_bones_are_measured_where_both_ends_are_seen():
    mean, spread = bone_lengths(stick("a", lost=[(0, 2), (3, 2)], moved={(5, 0): (5.5, 0.5, 0)}))
    assert mean == pytest.approx([(9 * 1 + 1.5) / 10, 2.0])
    assert spread == pytest.approx([0.15, 0.0], abs=1e-6)
    gone = stick("b", frames=2, lost=[(0, 2), (1, 2)])
    assert np.isnan(bone_lengths(gone)[0][1])


def test_frames_a_second_are_counted():
    clips = [
        replace(stick(name), meta={"fps": fps})
        for name, fps in zip("abc", (25, 25, 1 / 3), strict=True)
    ]
    found = survey(listed(*clips, stick("d")))
    assert found.rates == {25.0: 2, 0.333: 1}
    assert "frames a second: 0.333 (1 recordings), 25 (2 recordings)" in str(found)
    assert "frames a second" not in str(survey(listed(stick("d"))))


def test_everything_is_counted():
    clips = [
        stick("a"),
        stick("b", frames=20, label=1, bodies=2),
        stick("c", label=-1, lost=[(0, 2)]),
        stick("d", frames=12, label=1),
    ]
    split = Split(("a", "b"), ("d",))
    steps = []
    found = survey(
        listed(*clips, class_names=("stand", "walk"), splits={"mine": split}),
        lambda done, of: steps.append((done, of)),
    )
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert found.recordings == 4 and found.unlabelled == 1
    assert found.classes == {"stand": 1, "walk": 2}
    assert found.bodies == {1: 3, 2: 1} and found.frames == (10, 11.0, 20)
    assert found.splits == {"mine": (2, 1)}
    assert found.missing_joints["high"] == pytest.approx(1 / 72)
    assert found.missing == pytest.approx(1 / 72 / 3)
    assert found.bones["low - middle"] == pytest.approx((1.0, 0.0), abs=1e-6)
    assert found.doubts == ()
    text = str(found)
    for said in ("4 recordings of 10 to 20 frames", "split mine: 2 train, 1 test", "high 1.39 %"):
        assert said in text


@pytest.mark.parametrize(
    ("clip", "reason"),
    [
        (stick("x", frames=3), "only 3 frames"),
        (stick("x", lost=[(f, j) for f in range(5) for j in (1, 2)]), "33 % of its joints"),
        (stick("x", moved={(5, 0): (40, 1, 0)}), "a joint jumps by"),
        (
            stick("x", moved={(f, 1): (5 + 0.1 * f, 1 + 0.5 * (f % 3), 0) for f in range(10)}),
            "its bones change their length",
        ),
    ],
)
def test_doubtful_clips_are_named(clip, reason):
    doubts = survey(listed(clip)).doubts
    assert {doubt.name for doubt in doubts} == {"x"}
    assert any(reason in doubt.reason for doubt in doubts)


def test_what_stands_still_is_doubtful():
    pos = np.ones((1, 10, 3, 3)) * np.arange(1, 4)[:, None]
    still = Clip.from_positions("still", STICK, pos)
    assert [doubt.reason for doubt in survey(listed(still)).doubts] == ["nothing moves"]


def test_many_doubts_are_cut_short():
    found = replace(survey(listed(stick("a"))), doubts=(Doubt("a", "odd"),) * 25)
    assert str(found).endswith("  a: odd\n  ... and 5 more (--json has all)")


def test_nothing_to_look_at_is_refused():
    with pytest.raises(InputError, match="holds no recording"):
        survey(listed())


def test_subjects_are_counted():
    people = (3, 3, 5)
    numbers = [UNKNOWN._replace(subject=subject) for subject in people]
    found = survey(listed(*(stick(f"c{n}") for n in range(3)), numbers=numbers))
    assert found.subjects == {3: 2, 5: 1}
    assert "subjects: 2, 1 to 2 recordings each" in str(found)
    assert "subjects: 2, 3 recordings each" in str(replace(found, subjects={3: 3, 5: 3}))
    assert "subjects" not in str(survey(listed(stick("c"))))
