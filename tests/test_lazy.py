"""What is imported when it is first asked for, and what reads recordings without torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import asgcn_dgl.data
import asgcn_dgl.skeleton
from asgcn_dgl.data import FORMATS

ROOT = Path(__file__).resolve().parents[1]
SLOW = ("torch", "dgl", "pytorch_lightning")


def fresh(*arguments):
    """Run an interpreter of its own and return the lines that it prints."""
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},  # this package, not one that is installed
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("package", [asgcn_dgl.data, asgcn_dgl.skeleton])
def test_every_public_name_is_there(package):
    assert all(hasattr(package, name) for name in package.__all__)
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match=rf"module '{package.__name__}' has no attribute 'no'"):
        package.no  # noqa: B018


def test_a_name_is_itself_however_its_module_was_imported():
    code = """
import asgcn_dgl.data.batch, asgcn_dgl.data.dataset, asgcn_dgl.skeleton.graph
from asgcn_dgl.data import collate, prepare, SkeletonDataset
from asgcn_dgl.skeleton import GraphBuilder
assert callable(collate) and callable(prepare)
assert collate is asgcn_dgl.data.batch.collate
assert SkeletonDataset is asgcn_dgl.data.dataset.SkeletonDataset
assert GraphBuilder is asgcn_dgl.skeleton.graph.GraphBuilder
"""
    fresh("-c", code)


def test_layouts_and_readers_need_no_torch():
    code = f"""
import sys
import asgcn_dgl.data, asgcn_dgl.data.survey, asgcn_dgl.data.synthetic, asgcn_dgl.skeleton
from asgcn_dgl.data import registry
from asgcn_dgl.skeleton import get_layout
get_layout("ntu25")
print([name for name in {SLOW!r} if name in sys.modules], len(registry.FORMATS))
"""
    assert fresh("-c", code) == [f"[] {len(FORMATS)}"]


def test_what_prepares_a_store_needs_no_torch(clips_root, tmp_path):
    """This process, and each of its workers, in which the source says what is imported."""
    (tmp_path / "told.py").write_text(
        """
import os, sys
from dataclasses import dataclass
from asgcn_dgl.data.formats.folder import FolderReader

@dataclass(frozen=True)
class Told(FolderReader):
    def read(self, index):
        with open(f"{sys.argv[2]}/{os.getpid()}.seen", "a") as file:
            print([name for name in sys.argv[3:] if name in sys.modules], file=file)
        return super().read(index)
"""
    )
    code = """
import sys
sys.path.insert(0, sys.argv[2])
if __name__ == "__main__":
    from asgcn_dgl.data import open_data, open_store, prepare
    from told import Told
    found = open_data(sys.argv[1], "synthetic")
    source = Told(**{name: getattr(found, name) for name in found.__dataclass_fields__})
    prepare(source, sys.argv[2] + "/store", workers=2, shard=len(source) // 2 + 1)
    open_store(sys.argv[2] + "/store").verify()
    print([name for name in sys.argv[3:] if name in sys.modules], len(source))
"""
    script = tmp_path / "script.py"
    script.write_text(code)
    (last,) = fresh(str(script), str(clips_root), str(tmp_path), *SLOW)
    seen = [path.read_text().splitlines() for path in tmp_path.glob("*.seen")]
    assert len(seen) == 2 and {line for lines in seen for line in lines} == {"[]"}
    assert last == f"[] {sum(map(len, seen))}"
