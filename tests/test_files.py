from __future__ import annotations

import os
import stat

import numpy as np
import pytest

from asgcn_dgl.files import atomic_path, write_json, write_npz


def test_failed_writing_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "metrics.json"
    write_json(path, {"top1": 1.0})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"top1": float("nan")})
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == '{\n  "top1": 1.0\n}\n'
    assert os.listdir(tmp_path) == ["metrics.json"]


def test_files_can_be_read_like_any_other(tmp_path):
    plain = tmp_path / "plain"
    plain.touch()
    write_npz(tmp_path / "deep" / "scores.npz", logits=np.zeros(3))
    mode = (tmp_path / "deep" / "scores.npz").stat().st_mode
    assert stat.S_IMODE(mode) == stat.S_IMODE(plain.stat().st_mode)
    assert np.load(tmp_path / "deep" / "scores.npz")["logits"].shape == (3,)
