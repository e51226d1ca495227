from __future__ import annotations

import numpy as np
import pytest

from asgcn_dgl.data import open_data
from asgcn_dgl.data.formats.msr_action3d import (
    JOINTS,
    NAMES,
    SUBSETS,
    USED,
    read_msr_action3d,
)
from asgcn_dgl.errors import InputError


def write(path, frames=4, seed=0, lost=()):
    """Joint number n of a frame has the depth 2 + n / 100."""
    pos = np.random.default_rng(seed).uniform(-1, 1, size=(frames, 20, 4))
    pos[..., 2] = 2 + np.arange(20) / 100
    pos[list(lost)] = 0
    np.savetxt(path, pos.reshape(-1, 4), fmt="%.6f")
    return path


@pytest.fixture
def root(tmp_path):
    for action in range(1, 21):
        for subject in (1, 2):
            write(tmp_path / f"a{action:02d}_s{subject:02d}_e01_skeleton3D.txt")
    return tmp_path


def test_joints_find_their_places(tmp_path):
    path = write(tmp_path / "a20_s03_e02_skeleton3D.txt", lost=(1,))
    clip = read_msr_action3d(path)
    assert clip.name == "a20_s03_e02" and clip.label == 19 and clip.meta["subject"] == 3
    assert clip.mask[0, [0, 2, 3]].all() and not clip.mask[0, 1].any()
    depth = {joint: 2 + place / 100 for place, joint in enumerate(JOINTS)}
    expected = [depth[joint] for joint in clip.layout.joints]
    np.testing.assert_allclose(clip.pos[0, 0, :, 2], expected, rtol=1e-6)
    other = read_msr_action3d(path.rename(tmp_path / "new.txt"))
    assert other.label == -1
    assert open_data(tmp_path / "new.txt").origin.format == "msr_action3d"


def test_the_set_and_its_subsets(root):
    source = open_data(root)
    assert source.origin.format == "msr_action3d" and source.class_names == NAMES
    train, test = source.split("xsub")
    assert len(train) == len(test) == 20
    assert {source.recording(place).subject for place in test} == {2}
    for subset, actions in SUBSETS.items():
        part = open_data(root, subset=subset)
        assert part.class_names == tuple(NAMES[action - 1] for action in actions)
        assert [clip.label for clip in part] == list(part.labels)
        assert sorted(part.labels) == [number for number in range(8) for _ in "ab"]
        assert all(part.read(n).name == name for n, name in enumerate(part.names))
    (root / USED).write_text("a01_s01_e01\na02_s02_e01\n")
    assert open_data(root).names == ("a01_s01_e01", "a02_s02_e01")
    assert len(open_data(root, used=False)) == 40


def test_bad_files_are_named(root):
    path = root / "a01_s01_e01_skeleton3D.txt"
    whole = path.read_text()
    for text, told in (
        (whole.replace("0.", "x.", 1), "line 1: .* where x, y, z"),
        (whole + "1 2 3\n", "line 81: '1 2 3', where"),
        (whole + "1 2 3 4\n", "81 lines, which are not 20"),
        ("", "the file is empty"),
        ("0 0 0 0\n" * 20, "zero or missing"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=told) as caught:
            read_msr_action3d(path)
        assert str(caught.value).startswith(str(path))
    for options in ({"subset": "AS4"}, {"used": 1}):
        with pytest.raises(InputError, match="must be"):
            open_data(root, "msr_action3d", **options)
    (root / USED).write_text("a01_s09_e01\n")
    with pytest.raises(InputError, match=r"no sequence of files_used_in_cvpr12_paper\.txt in it"):
        open_data(root)
    path.rename(root / "a21_s01_e01_skeleton3D.txt")
    with pytest.raises(InputError, match="an action from 1 to 20"):
        open_data(root)


def test_the_real_set(shared_data):
    root = shared_data / "msr_action3d"
    if not root.is_dir():
        pytest.skip("no MSR-Action3D there")
    split = open_data(root).splits["xsub"]
    assert (len(split.train), len(split.test)) == (284, 273)
    sizes = [len(open_data(root, subset=subset)) for subset in SUBSETS]
    assert sizes == [219, 228, 222]
