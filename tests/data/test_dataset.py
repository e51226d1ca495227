from __future__ import annotations

import functools
import importlib
import sys

import numpy as np
import pytest
from torch.utils.data import DataLoader

from asgcn_dgl.data import (
    SAMPLINGS,
    STREAMS,
    Center,
    Clip,
    ClipList,
    Compose,
    Crop,
    EpochSampler,
    FitBox,
    RandomFlip,
    RandomLoss,
    RandomMove,
    RandomNoise,
    RandomRotate,
    RandomScale,
    RandomShear,
    RandomSpeed,
    Sample,
    SkeletonDataset,
    collate,
    open_data,
    to_stream,
)
from asgcn_dgl.data.samples import recent_poses
from asgcn_dgl.errors import InputError
from asgcn_dgl.skeleton import GraphBuilder, get_layout

ARRAYS = ("feat", "mask", "last", "future", "future_mask")


def same(first: Sample, second: Sample) -> bool:
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in ARRAYS)


@pytest.fixture
def clips(make_clip):
    return [make_clip(1 + seed % 2, 20 + seed, seed=seed, label=seed) for seed in range(5)]


def test_whole_and_observed_by_hand(make_clip):
    clip = make_clip(2, 30)
    sample = SkeletonDataset([clip], num_frames=30, mode="whole", future_frames=4)[0]
    np.testing.assert_array_equal(sample.feat, clip.pos)
    np.testing.assert_array_equal(sample.last, clip.pos[:, -1])
    assert sample.future.shape == (2, 4, 25, 3)
    assert not sample.future_mask.any()
    assert not sample.future.any()
    sample = SkeletonDataset([clip], num_frames=26, mode="observed", future_frames=4)[0]
    np.testing.assert_array_equal(sample.feat, clip.pos[:, :26])
    np.testing.assert_array_equal(sample.last, clip.pos[:, 25])
    np.testing.assert_array_equal(sample.future, clip.pos[:, 26:])
    assert sample.future_mask.all()
    assert (sample.label, sample.name, sample.index) == (-1, "clip0", 0)


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("stream", STREAMS)
def test_the_future_does_not_leak_and_is_no_matter_of_stream_or_sampling(
    make_clip, stream, sampling
):
    clip = make_clip(1, 30)
    other = clip.with_pos(np.concatenate([clip.pos[:, :20], 5 + clip.pos[:, 20:]], axis=1))
    make = functools.partial(
        SkeletonDataset, num_frames=12, mode="observed", stream=stream, sampling=sampling
    )
    first, second = make([clip])[0], make([other])[0]
    np.testing.assert_array_equal(first.feat, second.feat)
    np.testing.assert_array_equal(first.last, clip.pos[:, 19])
    np.testing.assert_array_equal(first.future, clip.pos[:, 20:])
    np.testing.assert_array_equal(second.future, other.pos[:, 20:])
    assert first.feat.shape == (1, 12, 25, 3)


def test_the_box_is_that_of_the_observed_frames(make_clip):
    clip = make_clip(1, 30)
    far = clip.with_pos(np.concatenate([clip.pos[:, :20], 5 + clip.pos[:, 20:]], axis=1))
    move = Compose(Center(), FitBox())
    first, second = (
        SkeletonDataset([each], num_frames=20, mode="observed", transform=move)[0]
        for each in (clip, far)
    )
    np.testing.assert_allclose(first.feat, second.feat, atol=1e-6)
    np.testing.assert_allclose(first.feat.min(axis=(0, 1, 2)), -1, atol=1e-5)
    np.testing.assert_allclose(first.feat.max(axis=(0, 1, 2)), 1, atol=1e-5)
    low, high = (end(clip.pos[:, :20], axis=(0, 1, 2)) for end in (np.min, np.max))
    expected = 2 * (far.pos[:, 20:] - low) / (high - low) - 1
    np.testing.assert_allclose(second.future, expected, atol=1e-4)
    np.testing.assert_allclose(second.unit, (high - low) / 2, rtol=1e-5)
    plain = SkeletonDataset([clip], num_frames=20, mode="observed")[0]
    assert plain.unit is None
    batch = collate([first, plain], GraphBuilder())
    assert (batch.unit[25:] == 1).all() and batch.unit.shape == (50, 3)
    np.testing.assert_allclose(batch.unit[:25], np.tile(first.unit, (25, 1)))
    assert collate([plain], GraphBuilder()).unit is None


def test_streams_are_made_before_frames_are_chosen(make_clip):
    clip = make_clip(1, 30)
    sample = SkeletonDataset([clip], num_frames=10, stream="joint_motion")[0]
    np.testing.assert_array_equal(sample.feat, to_stream(clip, "joint_motion").pos[:, 1::3])


def test_short_clips_are_always_whole(make_clip):
    lengths = {
        frames: SkeletonDataset([make_clip(1, frames)], mode="observed", future_frames=10)[0]
        for frames in (1, 11, 12)
    }
    assert [bool(sample.future_mask.any()) for sample in lengths.values()] == [False, False, True]


def test_empty_ends_are_no_frames(make_clip):
    clip = make_clip(1, 30)
    mask = clip.mask.copy()
    mask[:, :3] = mask[:, -4:] = False
    dataset = SkeletonDataset([clip.with_pos(clip.pos, mask)], mode="observed", future_frames=2)
    np.testing.assert_array_equal(dataset[0].future, clip.pos[:, 24:26])
    assert dataset.clip(0).num_frames == 23


def test_missing_joints_are_not_scored_and_the_last_pose_holds(make_clip):
    clip = make_clip(1, 30)
    mask = clip.mask.copy()
    mask[0, 18:20, 3] = False  # lost at the end of what is observed
    mask[0, :20, 4] = False  # never observed
    mask[0, 25, 5] = False  # lost in the future
    sample = SkeletonDataset([clip.with_pos(clip.pos, mask)], mode="observed")[0]
    np.testing.assert_array_equal(sample.last[0, 3], clip.pos[0, 17, 3])
    assert not sample.last[0, 4].any()
    expected = np.ones((1, 10, 25), dtype=bool)
    expected[0, :, 4] = expected[0, 5, 5] = False
    np.testing.assert_array_equal(sample.future_mask, expected)
    assert (sample.future[~sample.future_mask] == 0).all()


def test_last_pose_by_hand(chain):
    pos = np.arange(1.0, 13.0).reshape(1, 3, 4, 1)
    mask = np.array([[[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]]], dtype=bool)
    last = recent_poses(Clip.from_positions("c", chain, pos, mask), 1)
    assert last[0, 0, :, 0].tolist() == [9, 6, 3, 0]


def test_one_rotation_for_input_last_and_future(make_clip):
    clip = make_clip(1, 30)
    dataset = SkeletonDataset(
        [clip], num_frames=20, mode="observed", transform=RandomRotate(180), seed=4
    )
    sample = dataset[0]
    whole = np.concatenate([sample.feat, sample.future], axis=1)
    matrix, *_ = np.linalg.lstsq(clip.pos.reshape(-1, 3), whole.reshape(-1, 3), rcond=None)
    np.testing.assert_allclose(clip.pos @ matrix, whole, atol=1e-5)
    np.testing.assert_allclose(clip.pos[:, 19] @ matrix, sample.last, atol=1e-5)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-5)


def test_mixed_mode_draws_its_share(make_clip):
    clips = [make_clip(1, 20)]
    for share, low, high in ((0, 0, 0), (0.3, 0.2, 0.4), (1, 1, 1)):
        dataset = SkeletonDataset(clips, num_frames=4, mode="mixed", future_share=share)
        drawn = np.mean([dataset[draw, 0].future_mask.any() for draw in range(300)])
        assert low <= drawn <= high


def test_samples_depend_on_seed_epoch_and_index_only(clips):
    make = functools.partial(
        SkeletonDataset,
        clips,
        num_frames=8,
        mode="mixed",
        training=True,
        transform=Compose(Center(), RandomRotate(), RandomScale()),
    )
    dataset = make(seed=1)
    forward = [dataset[divmod(draw, 5)] for draw in range(10)]
    backward = [make(seed=1)[divmod(draw, 5)] for draw in reversed(range(10))][::-1]
    assert all(same(a, b) for a, b in zip(forward, backward, strict=True))
    assert not same(forward[0], forward[5])  # the same clip in the next epoch
    assert not same(forward[0], make(seed=2)[0])
    assert [sample.index for sample in forward] == [0, 1, 2, 3, 4] * 2


def test_evaluation_does_not_change_from_epoch_to_epoch(clips):
    for sampling in SAMPLINGS:
        dataset = SkeletonDataset(clips, num_frames=8, sampling=sampling)
        assert all(same(dataset[index], dataset[1, index]) for index in range(5))


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on one core
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(clips, workers):
    steps = (RandomSpeed(), Crop(), RandomRotate(), RandomScale(), RandomShear(), RandomFlip())
    dataset = SkeletonDataset(
        clips,
        num_frames=8,
        mode="mixed",
        training=True,
        transform=Compose(*steps, RandomMove(), RandomNoise(), RandomLoss()),
        missing="interpolate",
    )
    sampler = EpochSampler(len(dataset), seed=3, repeat=2)
    sampler.set_epoch(1)
    batches = [
        list(
            DataLoader(
                dataset,
                batch_size=4,
                sampler=sampler,
                num_workers=number,
                collate_fn=functools.partial(collate, builder=GraphBuilder(1, 1)),
            )
        )
        for number in (0, workers)
    ]
    for first, second in zip(*batches, strict=True):
        assert first.names == second.names
        assert first.structure.num_nodes() == second.structure.num_nodes()
        for name in ("feat", "last", "future", "future_mask", "label"):
            assert getattr(first, name).equal(getattr(second, name))


def test_files_are_read_once_or_each_time(write_ntu):
    path = write_ntu(frames=4)
    reader = open_data(path)
    eager = SkeletonDataset(reader, num_frames=4)
    lazy = SkeletonDataset(reader, num_frames=4, cache=False)
    first = (eager[0], eager[1, 0])
    assert same(lazy[0], first[0]) and same(lazy[1, 0], first[1])
    path.unlink()
    assert same(eager[0], first[0])
    with pytest.raises(InputError, match="cannot be read"):
        lazy[0]


def test_some_recordings_of_a_reader(clips):
    dataset = SkeletonDataset(ClipList.of(clips), [3, 0], num_frames=8)
    assert [(sample.index, sample.label) for sample in dataset] == [(0, 3), (1, 0)]
    assert len(dataset) == 2 and dataset.clip(1).label == 0


def test_an_index_past_the_end_is_an_error(clips):
    """What torch asks of a dataset; passes over it are the sampler's business."""
    dataset = SkeletonDataset(clips, num_frames=8)
    assert len(dataset) == 5
    assert [sample.index for sample in dataset] == [0, 1, 2, 3, 4]
    for index in (5, -1, (0, 5), (3, -1), (-1, 0)):
        with pytest.raises(IndexError):
            dataset[index]


def test_no_number_of_frames_keeps_each_length(clips):
    dataset = SkeletonDataset(clips, num_frames=None)
    assert [sample.feat.shape[1] for sample in dataset] == [20, 21, 22, 23, 24]


def test_a_sampling_of_ones_own(clips):
    dataset = SkeletonDataset(clips, sampling=lambda clip, rng: clip.frames(slice(0, 3)))
    np.testing.assert_array_equal(dataset[0].feat, clips[0].pos[:, :3])


def test_no_future_frames(clips):
    sample = SkeletonDataset(clips, num_frames=8, mode="observed", future_frames=0)[1]
    assert sample.future.shape == (2, 0, 25, 3)


def test_other_coordinates_and_layouts(make_clip):
    sample = SkeletonDataset([make_clip(layout="coco17", dims=2)], mode="observed")[0]
    assert sample.feat.shape == (1, 64, 17, 2)
    assert sample.layout == get_layout("coco17")


def test_unusable_clips_are_refused(make_clip, write_ntu):
    with pytest.raises(InputError, match="no clip is given"):
        SkeletonDataset([])
    with pytest.raises(InputError, match="the dataset holds no clip"):
        SkeletonDataset([make_clip()], indices=[])
    with pytest.raises(InputError, match=r"label 10 is not one of 0\.\.9"):
        SkeletonDataset([make_clip(label=10)], num_classes=10)
    with pytest.raises(InputError, match="label -1 is not one of"):
        SkeletonDataset([make_clip()], num_classes=10)
    path = write_ntu()
    path.write_text("rubbish")
    with pytest.raises(InputError, match="line 1: 'rubbish'"):
        SkeletonDataset(open_data(path))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"stream": "bones"}, "stream must be one of joint"),
        ({"mode": "half"}, "mode must be one of whole, observed, mixed, got 'half'"),
        ({"future_frames": -1}, "future_frames must be at least 0, got -1"),
        ({"future_share": 2}, r"future_share must be within 0\.\.1, got 2"),
        ({"num_frames": 0}, "num_frames must be at least 1 or None, got 0"),
        ({"sampling": "spiral"}, "sampling must be one of uniform"),
        ({"sampling": "spiral", "num_frames": None}, "sampling must be one of uniform"),
    ],
)
def test_bad_options_are_refused(make_clip, options, text):
    with pytest.raises(ValueError, match=text):
        SkeletonDataset([make_clip()], **options)


def test_sampler_covers_each_pass():
    sampler = EpochSampler(7, seed=1, repeat=3)
    draws = list(sampler)
    assert len(draws) == len(sampler) == 21
    for number in range(3):
        drawn = draws[7 * number : 7 * number + 7]
        assert sorted(drawn) == [(number, clip) for clip in range(7)] != drawn
    assert draws == list(sampler)
    sampler.set_epoch(1)
    assert sorted(sampler) == [(number, clip) for number in (3, 4, 5) for clip in range(7)]
    assert list(EpochSampler(3, shuffle=False)) == [(0, 0), (0, 1), (0, 2)]


@pytest.mark.parametrize("options", [{"size": 0}, {"size": 3, "repeat": 0}])
def test_sampler_refuses_nothing_to_draw(options):
    with pytest.raises(ValueError, match="size and repeat must be at least 1"):
        EpochSampler(**options)


def test_reading_works_with_and_without_a_bar(write_ntu, monkeypatch):
    paths = [write_ntu(f"S001C001P001R001A00{number}") for number in (1, 2)]
    reader = open_data(paths[0].parent)
    assert [clip.label for clip in ClipList.load(reader, progress=True)] == [0, 1]
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.raises(ImportError):
        importlib.import_module("tqdm")
    assert [clip.label for clip in ClipList.load(reader, progress=True)] == [0, 1]


def test_gaps_are_not_filled_from_the_future(make_clip):
    clip = make_clip(1, 30)
    mask = clip.mask.copy()
    mask[0, 17:20, 3] = False  # ends with the observed part, of 20 frames
    clip = clip.with_pos(clip.pos, mask)
    sample = SkeletonDataset(
        [clip], num_frames=20, mode="observed", future_frames=10, missing="interpolate"
    )[0]
    np.testing.assert_array_equal(sample.feat[0, 17:, 3], clip.pos[0, [16] * 3, 3])
    assert sample.mask.all()
    np.testing.assert_array_equal(sample.future[0], clip.pos[0, 20:])


def test_several_choices_of_frames_spread_evenly_and_repeat(make_clip):
    clip = make_clip(1, 100)
    dataset = SkeletonDataset([clip], num_frames=10, num_clips=10)
    chosen = [
        [int((clip.pos[0, :, 0] == frame[0]).all(axis=1).argmax()) for frame in sample.feat[0]]
        for sample in (dataset[number, 0] for number in range(10))
    ]
    assert sorted(frame for each in chosen for frame in each) == list(range(100))
    assert all(np.diff(each).tolist() == [10] * 9 for each in chosen)
    assert same(dataset[3, 0], dataset[13, 0])
    assert same(
        SkeletonDataset([clip], num_frames=10)[0], SkeletonDataset([clip], num_frames=10)[1, 0]
    )
    with pytest.raises(ValueError, match="num_clips must be at least 1, got 0"):
        SkeletonDataset([clip], num_clips=0)


def test_mirrored_passes_follow_the_plain_ones(make_clip):
    clip = make_clip(1, 20)
    dataset = SkeletonDataset([clip], num_frames=5, num_clips=2, mirrored=True)
    assert dataset.num_passes == 4
    plain = SkeletonDataset(
        [RandomFlip(1.0)(clip, np.random.default_rng(0))], num_frames=5, num_clips=2
    )
    assert plain.num_passes == 2
    for number in range(2):
        assert not same(dataset[number, 0], plain[number, 0])
        assert same(dataset[2 + number, 0], plain[number, 0])
        assert same(dataset[4 + number, 0], dataset[number, 0])
    learning = SkeletonDataset([clip], num_frames=5, mirrored=True, training=True)
    np.testing.assert_array_equal(learning[1, 0].last, dataset[0, 0].last)


def test_a_future_score_is_the_last_one(make_clip):
    pos = np.random.default_rng(0).uniform(0.1, 1, size=(1, 30, 17, 3))
    clip = Clip.from_positions("clip", get_layout("coco17"), pos, scored=True)
    sample = SkeletonDataset([clip], num_frames=20, mode="observed", future_frames=10)[0]
    np.testing.assert_array_equal(sample.future[..., :2], clip.pos[:, 20:, :, :2])
    np.testing.assert_array_equal(
        sample.future[..., 2], np.repeat(clip.pos[:, 19:20, :, 2], 10, axis=1)
    )
