from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from asgcn_dgl.data import Clip, collate
from asgcn_dgl.errors import InputError
from asgcn_dgl.experiments.gallery import Gallery, examine, open_gallery
from asgcn_dgl.experiments.links import link_matrix
from asgcn_dgl.models import ASGCN
from asgcn_dgl.skeleton import get_layout
from asgcn_dgl.training.checkpoint import Restored
from asgcn_dgl.training.clips import make_dataset
from asgcn_dgl.training.config import ClipsConfig, RunConfig, TrainerConfig
from asgcn_dgl.training.files import RunDir

LAYOUT = get_layout("hand21")


@pytest.fixture(scope="module")
def gallery(run_dir):
    return open_gallery(run_dir)


@pytest.fixture(scope="module")
def exhibits(gallery):
    return gallery.exhibits(range(len(gallery.names)))


def test_says_what_evaluation_said(gallery, exhibits):
    assert [exhibit.name for exhibit in exhibits] == gallery.names
    assert [exhibit.label for exhibit in exhibits] == gallery.labels.tolist()
    found = np.stack([exhibit.probabilities for exhibit in exhibits])
    assert found == pytest.approx(gallery.probabilities, abs=1e-5)
    assert gallery.checkpoint == "last"
    assert set(gallery.history) == {"aim", "joint"}


def test_predictions_have_the_error_that_evaluation_measured(gallery, exhibits):
    """Turning poses back to the recording's coordinates leaves distances as they are."""
    errors = []
    for exhibit in exhibits:
        start = exhibit.num_frames - exhibit.steps
        known = exhibit.mask[:, start:] & exhibit.mask[:, :start].any(axis=1)[:, None]
        distance = np.linalg.norm(exhibit.future - exhibit.pos[:, start:], axis=-1)
        errors.append(distance[known])
    error = np.concatenate(errors).mean()
    assert error == pytest.approx(gallery.metrics["prediction"]["mpjpe"], rel=1e-3)


def test_links_and_responses_are_those_of_the_clip_alone(gallery, exhibits):
    restored = gallery.restored
    for place in (0, 10, 12):
        exhibit = exhibits[place]
        clip = gallery.test.read(place)
        dataset = make_dataset([clip], restored.config, "whole", future_frames=10)
        batch = collate([dataset[0]], restored.model.graph_builder)
        with torch.no_grad():
            out = restored.model(batch.structure, batch.feat, batch.mask, batch.last, predict=False)
        for kind in (1, 2):
            expected = link_matrix(out.links.prob[:, kind].numpy(), 25)
            for body in range(exhibit.num_bodies):
                assert exhibit.body_links(body)[kind - 1] == pytest.approx(expected[body], abs=1e-5)
        norm = out.features.norm(dim=-1).numpy().reshape(exhibit.num_bodies, 25, -1)
        assert exhibit.response.swapaxes(1, 2) == pytest.approx(norm, rel=1e-3, abs=1e-5)


def test_responses_know_their_frames(exhibits):
    for exhibit in exhibits:
        times = exhibit.response_frames
        assert len(times) == 6  # 12 frames, of which every second is a step of the last block
        assert (np.diff(times) > 0).all()
        assert times[0] >= 0 and times[-1] < exhibit.num_frames


def test_sample_shows_every_cell_of_the_confusion_matrix():
    labels = np.repeat([0, 1, 2], [10, 5, 2])
    predicted = np.array([0] * 7 + [1, 1, 2] + [1] * 4 + [0] + [2, 2])
    gallery = Gallery(
        RunDir(Path("run")),
        None,
        [str(n) for n in range(17)],
        {},
        "last",
        labels,
        np.eye(3)[predicted],
        [],
    )
    chosen = gallery.sample(7)
    pairs = set(zip(labels.tolist(), predicted.tolist(), strict=True))
    assert {(labels[k], predicted[k]) for k in chosen} == pairs  # six cells, and one more
    assert len(chosen) == 7 and chosen == sorted(chosen)
    assert np.bincount(labels[gallery.sample(17, per_class=2)]).tolist() == [2, 2, 2]
    assert gallery.sample(100) == list(range(17))
    assert gallery.sample(9) == gallery.sample(9)


def test_names_that_are_not_there(gallery, run_dir):
    assert gallery.place(gallery.names[3]) == 3
    with pytest.raises(InputError, match=f"{run_dir}: no test clip 'nobody'"):
        gallery.place("nobody")
    with pytest.raises(InputError, match="no class 'fly'; choose of drink, wave"):
        gallery.class_number("fly")
    drinking = replace(gallery, labels=np.zeros_like(gallery.labels))
    with pytest.raises(InputError, match=r"no test clip of class 'wave'; choose of drink$"):
        drinking.class_number("wave")


def test_needs_an_evaluated_run(run_dir, tmp_path, clips_root):
    with pytest.raises(InputError, match="not the folder of a run"):
        open_gallery(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(run_dir, copy)
    (copy / "metrics.json").write_text("{")
    with pytest.raises(InputError, match=r"metrics.json: not valid JSON"):
        open_gallery(copy)
    (copy / "scores.npz").unlink()
    with pytest.raises(InputError, match="not evaluated yet; 'asgcn-dgl evaluate"):
        open_gallery(copy)
    few = tmp_path / "few"
    few.mkdir()
    for file in [*clips_root.glob("*P001*"), *clips_root.glob("*P003*A001*")]:
        shutil.copy(file, few)
    with pytest.raises(InputError, match=r"scores of 13 clips, but .* holds 1 test clips"):
        open_gallery(run_dir, root=few)


def test_files_that_do_not_belong_together_are_named(run_dir, tmp_path, monkeypatch):
    copy = tmp_path / "copy"
    shutil.copytree(run_dir, copy)
    metrics = json.loads((copy / "metrics.json").read_text())
    metrics["per_class"].popitem()
    (copy / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(InputError, match=r"metrics.json: per_class holds 12 of 13 classes"):
        open_gallery(copy)
    scores = dict(np.load(copy / "scores.npz"))
    scores["class_names"] = scores["class_names"][::-1]
    np.savez(copy / "scores.npz", **scores)
    with pytest.raises(InputError, match=r"its class_names are not those of .*last.ckpt"):
        open_gallery(copy)
    forecaster = replace(open_gallery(run_dir).restored.config)
    forecaster.model = SimpleNamespace(name="forecaster")
    monkeypatch.setattr(RunDir, "read_config", lambda run: forecaster)
    with pytest.raises(InputError, match="a forecaster recognizes nothing"):
        open_gallery(run_dir)


def restored_of(sampling="uniform", frames=8, **options):
    torch.manual_seed(0)
    model = ASGCN(
        LAYOUT, 2, channels=(8, 8), strides=(1, 2), max_hop=1, num_actional=2, aim_hidden=8,
        future_channels=8, future_frames=3, **options,
    )  # fmt: skip
    config = RunConfig(
        clips=ClipsConfig(num_frames=frames, sampling=sampling, align="center"),
        trainer=TrainerConfig(accelerator="cpu", eval_batch_size=2, progress="off"),
    )
    return Restored(model.eval(), ["a", "b"], config, 1)


def clips_of(*frames, bodies=2):
    rng = np.random.default_rng(1)
    return [
        Clip.from_positions(f"clip{n}", LAYOUT, rng.normal(size=(bodies, n, 21, 3)), label=0)
        for n in frames
    ]


def test_links_between_bodies_where_they_are_inferred():
    within, across = (
        examine(restored_of(across_bodies=across), clips_of(10))[0] for across in (False, True)
    )
    assert within.links.shape == across.links.shape == (2, 42, 42)
    assert not within.links[:, :21, 21:].any()
    assert (across.links[:, :21, 21:] > 0).all()


def test_short_clips_have_no_prediction_and_padding_no_response():
    short, long = examine(restored_of("pad", frames=16), clips_of(4, 12))
    assert short.future is None
    assert short.response_frames.tolist() == [0, 2]
    assert long.future.shape == (2, 3, 21, 3)
    assert long.response_frames.tolist() == [0, 2, 4, 6, 8, 10]
    (alone,) = examine(restored_of("pad", frames=16), clips_of(4))
    assert alone.future is None


def test_bodies_that_were_not_seen_have_nothing():
    (clip,) = clips_of(10)
    mask = clip.mask.copy()
    mask[0] = False
    (exhibit,) = examine(restored_of(), [clip.with_pos(clip.pos, mask)])
    assert np.isnan(exhibit.future[0]).all() and np.isfinite(exhibit.future[1]).all()
    assert not exhibit.response[0].any() and exhibit.response[1].any()
    assert not exhibit.body_links(0).any() and exhibit.body_links(1).any()
    assert exhibit.leader == 1


def test_other_skeleton_is_refused():
    pos = np.ones((1, 20, 17, 3), dtype=np.float32)
    clip = Clip.from_positions("sitting", get_layout("coco17"), pos)
    with pytest.raises(InputError, match="sitting: its skeleton 'coco17'"):
        examine(restored_of(), [clip])
