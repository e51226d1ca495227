import numpy as np
import pytest
import torch

from asgcn_dgl.data import Clip
from asgcn_dgl.data.windows import Augment, WindowSet
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import GraphBuilder, get_layout

BUILDER = GraphBuilder(max_hop=1, num_actional=0)


def clip(name="a", frames=20, bodies=1, label=0, layout="coco17", fps=None, hidden=None):
    """Coordinate 0 is the frame, 1 the joint, 2 the body, all from 1."""
    layout = get_layout(layout)
    pos = np.stack(
        np.meshgrid(
            np.arange(bodies) + 1,
            np.arange(frames) + 1,
            np.arange(layout.num_joints) + 1,
            indexing="ij",
        ),
        axis=-1,
    )[..., [1, 2, 0]].astype(np.float32)
    mask = np.ones(pos.shape[:-1], dtype=bool)
    if hidden is not None:
        mask[hidden] = False
    meta = {} if fps is None else {"fps": fps}
    return Clip.from_positions(name, layout, pos, mask, label, meta)


def test_windows_are_stretches_of_the_recording():
    windows = WindowSet([clip(frames=9), clip("b", 7, label=1)], 3, 2)
    assert len(windows) == 5 + 3
    assert windows.start.tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
    assert windows.recording.tolist() == [0] * 5 + [1] * 3
    batch = windows.batch([1, 6], BUILDER)
    assert batch.feat.shape == (34, 3, 3) and batch.future.shape == (34, 2, 3)
    assert batch.feat[0, :, 0].tolist() == [2, 3, 4] and batch.future[0, :, 0].tolist() == [5, 6]
    assert batch.feat[:17, 0, 1].tolist() == list(range(1, 18))
    assert batch.feat[17, :, 0].tolist() == [2, 3, 4]
    torch.testing.assert_close(batch.last, batch.feat[:, -1])
    assert batch.mask is None and bool(batch.future_mask.all())
    assert batch.label.tolist() == [0, 1] and batch.names == ["a@1", "b@1"]


def test_the_rate_chooses_frames():
    recordings = [clip(frames=12, fps=50), clip("b", 12, fps=25), clip("c", 12)]
    windows = WindowSet(recordings, 2, 2, rate=25)
    assert windows.steps == [2, 1, 1]
    assert windows.start[windows.recording == 0].tolist() == [0, 2, 4]
    batch = windows.batch([1], BUILDER)
    assert batch.feat[0, :, 0].tolist() == [3, 5] and batch.future[0, :, 0].tolist() == [7, 9]
    every = WindowSet(recordings, 2, 2, rate=25, every_start=True)
    assert every.start[every.recording == 0].tolist() == [0, 1, 2, 3, 4, 5]


def test_layouts_and_bodies_share_a_batch():
    windows = WindowSet([clip(bodies=2), clip("b", layout="hand21"), clip("c")], 3, 2)
    first = [int(np.flatnonzero(windows.recording == n)[0]) for n in range(3)]
    batch = windows.batch([first[1], first[0], first[2]], BUILDER)
    assert batch.structure.num_nodes() == 34 + 21 + 17
    assert batch.num_bodies.tolist() == [2, 1, 1] and batch.names == ["a@0", "b@0", "c@0"]
    assert batch.feat[:34, 0, 2].tolist() == [1] * 17 + [2] * 17


def test_missing_joints_are_masked():
    hidden = np.zeros((1, 20, 17), dtype=bool)
    hidden[0, 1, 4] = hidden[0, 3, 5] = True
    hidden[0, :3, 6] = True
    batch = WindowSet([clip(hidden=hidden)], 3, 2).batch([0], BUILDER)
    assert (~batch.mask).nonzero().tolist() == [[4, 1], [6, 0], [6, 1], [6, 2]]
    # What was never seen is not to be forecast.
    assert (~batch.future_mask).nonzero().tolist() == [[5, 0], [6, 0], [6, 1]]


def test_balance():
    windows = WindowSet([clip(frames=24), clip("b", 9, label=1)], 3, 2)
    share = {balance: windows.shares(balance)[windows.label == 1].sum() for balance in (0, 0.5, 1)}
    assert share[0] == pytest.approx(0.5) and share[1] == pytest.approx(0.2)
    assert share[0.5] == pytest.approx(5**0.5 / (5**0.5 + 20**0.5))


def test_mirror_and_reverse():
    generator = torch.Generator().manual_seed(0)
    windows = WindowSet([clip()], 3, 2)
    batch = windows.batch([0], BUILDER, Augment(flip=1.0, reverse=1.0), generator)
    order = get_layout("coco17").mirror_index
    assert (-batch.feat[0, :, 0]).tolist() == [5, 4, 3]
    assert (-batch.future[0, :, 0]).tolist() == [2, 1]
    assert (batch.feat[:, 0, 1] - 1).tolist() == order.tolist()


def test_slower_windows_lie_between_frames():
    windows = WindowSet([clip(frames=60)], 3, 2)
    batch = windows.batch([7] * 64, BUILDER, Augment(slow=0.5), torch.Generator().manual_seed(0))
    time = torch.cat([batch.feat, batch.future], dim=1)[::17, :, 0]
    step = time.diff(dim=1)
    torch.testing.assert_close(step, step[:, :1].expand_as(step))
    assert float(step.min()) >= 0.499 and float(step.max()) == 1
    assert 16 < int((step[:, 0] == 1).sum()) < 48
    assert bool((time[:, 0] == 8).all())


def test_noise_is_on_what_is_seen_alone():
    windows = WindowSet([clip()], 3, 2)
    batch = windows.batch([0], BUILDER, Augment(noise=0.5), torch.Generator().manual_seed(0))
    clean = windows.batch([0], BUILDER)
    assert 0.3 < float((batch.feat - clean.feat).std()) < 0.7
    assert torch.equal(batch.future, clean.future) and torch.equal(batch.last, clean.last)


def test_augmentation_changes_no_recording():
    windows = WindowSet([clip()], 3, 2)
    before = windows.batch([0], BUILDER)
    windows.batch([0], BUILDER, Augment(1.0, 1.0, 0.5, 1.0), torch.Generator().manual_seed(0))
    assert torch.equal(windows.batch([0], BUILDER).feat, before.feat)


def test_recordings_that_are_too_short():
    assert len(WindowSet([clip(frames=4), clip("b", frames=5)], 3, 2)) == 1
    with pytest.raises(InputError, match=r"3 \+ 2"):
        WindowSet([clip(frames=4)], 3, 2)
