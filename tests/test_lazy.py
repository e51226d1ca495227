"""What is imported when it is first asked for, and what reads recordings without torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import asgcn_dgl
import asgcn_dgl.data
import asgcn_dgl.models
import asgcn_dgl.skeleton
import asgcn_dgl.training
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


@pytest.mark.parametrize(
    "package",
    [asgcn_dgl, asgcn_dgl.data, asgcn_dgl.models, asgcn_dgl.skeleton, asgcn_dgl.training],
)
def test_every_public_name_is_there(package):
    assert all(hasattr(package, name) for name in package.__all__)
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match=rf"module '{package.__name__}' has no attribute 'no'"):
        package.no  # noqa: B018


def test_a_name_is_itself_however_its_module_was_imported():
    code = """
import asgcn_dgl.data.batch, asgcn_dgl.data.dataset, asgcn_dgl.skeleton.batch
from asgcn_dgl.data import collate, prepare, SkeletonDataset
from asgcn_dgl.skeleton import GraphBuilder
assert callable(collate) and callable(prepare)
assert collate is asgcn_dgl.data.batch.collate
assert SkeletonDataset is asgcn_dgl.data.dataset.SkeletonDataset
assert GraphBuilder is asgcn_dgl.skeleton.batch.GraphBuilder
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
import sys
from dataclasses import dataclass
from pathlib import Path
from asgcn_dgl.data.formats.folder import FolderReader

@dataclass(frozen=True)
class Told(FolderReader):
    def read(self, index):
        heavy = [name for name in sys.argv[3:] if name in sys.modules]
        (Path(sys.argv[2]) / f"told-{index}.txt").write_text(str(heavy))
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
    (printed,) = fresh(str(script), str(clips_root), str(tmp_path), *SLOW)
    told = [path.read_text() for path in tmp_path.glob("told-*.txt")]
    assert printed == f"[] {len(told)}" and set(told) == {"[]"}


EXTRAS = ("pytorch_lightning", "lightning_fabric", "jsonargparse", "yaml", "tensorboard",
          "torchmetrics", "sklearn", "matplotlib", "plotly", "pandas")  # fmt: skip


def test_a_model_is_loaded_and_used_without_any_extra(trained, clips_root):
    """As on a machine that has only what the package itself requires."""
    code = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in EXTRAS:
            raise ModuleNotFoundError(name)
EXTRAS = sys.argv[3].split(",")
sys.meta_path.insert(0, Missing())
import asgcn_dgl
from asgcn_dgl.data import open_file
restored = asgcn_dgl.load_model(sys.argv[1])
(clip,) = open_file(sys.argv[2])
found = asgcn_dgl.predict_clip(restored, clip)
print(len(found.probabilities), found.future.shape[1:], restored.class_names[0])
print([name for name in EXTRAS if name in sys.modules])
"""
    checkpoint = trained / "checkpoints" / "best.ckpt"
    clip = sorted(clips_root.glob("*.skeleton"))[0]
    found, imported = fresh("-c", code, str(checkpoint), str(clip), ",".join(EXTRAS))
    assert found == "13 (10, 25, 3) drink"
    assert imported == "[]"
