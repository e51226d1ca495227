from __future__ import annotations

import pytest

from asgcn_dgl.data import (
    AlignSpine,
    Center,
    Crop,
    FitBox,
    RandomFlip,
    RandomLoss,
    RandomMove,
    RandomNoise,
    RandomRotate,
    RandomScale,
    RandomShear,
    RandomSpeed,
    SelectBodies,
    ViewNormalize,
)
from asgcn_dgl.skeleton import GraphBuilder
from asgcn_dgl.training.clips import RunClips
from asgcn_dgl.training.config import ClipsConfig, RunConfig
from asgcn_dgl.training.datamodule import SkeletonDataModule
from asgcn_dgl.training.preparation import make_transform

PLAIN = {"rotate": 0.0, "scale": [1.0, 1.0]}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"align": "none"}, []),
        ({"align": "center"}, [Center()]),
        ({"align": "spine"}, [Center(), AlignSpine()]),
        ({"align": "view"}, [Center(), ViewNormalize()]),
        ({"align": "view_clip"}, [Center(), ViewNormalize(whole=True)]),
        ({"align": "published"}, [Center(), ViewNormalize(published=True)]),
        (
            {"align": "center", "max_bodies": 1, "body_rule": "tracking"},
            [SelectBodies(1, "tracking"), Center()],
        ),
        (
            {"align": "none", "speed": [0.8, 1.2], "shear": 0.1, "lose": 0.2},
            [RandomSpeed(0.8, 1.2), RandomShear(0.1), RandomLoss(0.2)],
        ),
        ({"align": "none", "rotate": 30.0}, [RandomRotate((30.0, 30.0, 30.0))]),
        (
            {"align": "none", "rotate": [9.0, 9.0, 0.0], "rotate_order": "zyx", "box": True},
            [RandomRotate((9.0, 9.0, 0.0), "zyx"), FitBox()],
        ),
        ({"align": "none", "rotate": [0.0, 0.0, 9.0]}, [RandomRotate((0.0, 0.0, 9.0))]),
        ({"align": "none", "scale": [0.5, 1.5]}, [RandomScale(0.5, 1.5)]),
        (
            {"align": "none", "crop": [0.5, 1.0], "flip": 0.5, "move": True, "noise": 0.1},
            [Crop(0.5, 1.0), RandomFlip(0.5), RandomMove(), RandomNoise(0.1)],
        ),
    ],
)
def test_options_make_transforms(options, expected):
    config = ClipsConfig(**{**PLAIN, **options})
    assert list(make_transform(config, training=True).transforms) == expected


def test_ranges_of_one_add_no_augmentation():
    given = {"rotate": 0.0, "scale": (1.0, 1.0), "speed": (1.0, 1.0), "crop": (1.0, 1.0)}
    steps = make_transform(ClipsConfig(**given), training=True).transforms
    assert list(steps) == [Center(), AlignSpine()]


def test_evaluation_is_not_augmented():
    config = ClipsConfig(rotate=60.0, scale=[0.5, 1.5], flip=0.5, noise=0.1, move=True)
    assert list(make_transform(config, training=False).transforms) == [Center(), AlignSpine()]
    config.box = True  # no augmentation: evaluated clips are brought into the box too
    assert list(make_transform(config, training=False).transforms)[-1] == FitBox()


def config_for(clips_root, **options):
    return RunConfig(root=str(clips_root), clips=ClipsConfig(num_frames=8, **options))


def test_parts_do_not_meet_and_leave_the_test_clips_alone(clips_root):
    clips = RunClips(config_for(clips_root))
    learnt = {clip.name for clip in clips.train_clips}
    held_out = {clip.name for clip in clips.held_out_clips}
    assert learnt and held_out and not learnt & held_out
    assert not [name for name in learnt | held_out if "P003" in name]
    assert len({name[8:12] for name in held_out}) == 1  # one subject, as a whole


def module_of(clips, mode, **options):
    builder = GraphBuilder(max_hop=1, num_actional=0)
    train, val = clips.datasets(mode, 10)
    return SkeletonDataModule(builder, train, val, batch_size=4, **options)


def test_epoch_repeats_clips_with_new_draws(clips_root):
    clips = RunClips(config_for(clips_root, validation="none"))
    data = module_of(clips, "mixed", repeat=3)
    assert data.val_dataloader() == []
    names = [name for batch in data.train_dataloader() for name in batch.names]
    assert len(names) == 3 * len(clips.train_clips)
    assert all(names.count(clip.name) == 3 for clip in clips.train_clips)


def test_validation_sees_clips_whole_and_without_their_end(clips_root):
    clips = RunClips(config_for(clips_root))
    whole, observed = module_of(clips, "mixed").val_dataloader()
    assert not any(batch.future_mask.any() for batch in whole)
    assert all(batch.future_mask.any() for batch in observed)
    assert len(module_of(clips, "whole").val_dataloader()) == 1
