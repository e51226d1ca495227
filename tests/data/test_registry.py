from __future__ import annotations

import os

import numpy as np
import pytest

from asgcn_dgl.data import FORMATS, Joined, Origin, open_data, open_file, prepare
from asgcn_dgl.data.registry import recognize
from asgcn_dgl.data.synthetic import write_synthetic
from asgcn_dgl.errors import InputError


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw") / "clips"
    write_synthetic(folder, clips_per_class=2, subjects=3)
    return folder


def test_folders_are_recognized(root, tmp_path, write_ntu, write_nw_ucla):
    assert open_data(root).origin.format == "synthetic"
    write_ntu("S001C001P001R001A001", folder=tmp_path / "small")
    write_ntu("S018C001P001R001A061", folder=tmp_path / "large")
    assert recognize(tmp_path / "small").name == "ntu60"
    assert recognize(tmp_path / "large").name == "ntu120"
    assert recognize(write_nw_ucla()).name == "nw_ucla"
    prepare(open_data(root), tmp_path / "store")
    assert open_data(tmp_path / "store").place == str(tmp_path / "store")
    assert open_data(tmp_path / "store", "ntu60").class_names == open_data(root).class_names


def test_what_is_not_recognized(tmp_path):
    with pytest.raises(InputError, match=r"not recognized as any of store, ntu60, .*own; give a"):
        open_data(tmp_path)
    (tmp_path / "a.xyz").write_text("words")
    with pytest.raises(InputError, match=r"a\.xyz: not recognized .* a file of one of these"):
        open_data(tmp_path / "a.xyz")
    with pytest.raises(InputError, match="cannot be read"):
        open_data(tmp_path / "absent")


def test_names_and_options_that_are_not_there(root):
    with pytest.raises(InputError, match=r"unknown format 'ntu' \(did you mean 'ntu60' or"):
        open_data(root, "ntu")
    with pytest.raises(InputError, match="no option 'step'; its options are drop, max_bodies"):
        open_data(root, "synthetic", step=2)


def test_several_roots(root, tmp_path):
    other = tmp_path / "other"
    write_synthetic(other, clips_per_class=1, subjects=1)
    listed = open_data([root, other], "synthetic")
    written = open_data(os.pathsep.join(map(str, (root, other))), "synthetic")
    assert isinstance(listed, Joined) and len(listed) == 39
    assert listed.names == written.names and listed.splits == written.splits
    with pytest.raises(InputError, match="is inside"):
        open_data([root, root / "inside"])
    with pytest.raises(InputError, match="give the folders"):
        open_data([])


def test_one_file_is_read_as_the_models_were(root):
    path = next(iter(sorted(root.glob("*A011.skeleton"))))
    assert open_file(path).read(0).num_bodies == 2
    origins = [Origin.of("synthetic", max_bodies=1)]
    assert open_file(path, origins=origins).read(0).num_bodies == 1
    assert open_file(path, (), {"max_bodies": None}, origins).read(0).num_bodies >= 2
    with pytest.raises(InputError, match="no option 'drop' for NTU files"):
        open_file(path, (), {"drop": "x"})


def test_classes_that_are_numbers_get_names(tmp_path):
    (tmp_path / "layout.json").write_text('"coco17"')
    np.savez(tmp_path / "a.npz", keypoints=np.ones((4, 17, 2)), label=2)
    assert open_data(tmp_path).class_names == ("class 0", "class 1", "class 2")
    assert set(FORMATS) >= {"store", "own", "bvh"}
