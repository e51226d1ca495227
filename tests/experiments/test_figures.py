from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from asgcn_dgl.cli import main
from asgcn_dgl.errors import InputError
from asgcn_dgl.experiments.figures import FIGURES, Choice, Scene, contrasting, figure_names
from asgcn_dgl.experiments.gallery import open_gallery
from asgcn_dgl.skeleton import SkeletonLayout

PAPER = ("fig3", "fig8", "fig9", "fig10")


@pytest.fixture(scope="module")
def galleries(run_dir, baseline_dir):
    return open_gallery(run_dir), open_gallery(baseline_dir)


@pytest.fixture(scope="module")
def subject(galleries):
    return Scene(*galleries, Choice())


def titles(fig):
    parts = fig.subfigs or [fig]
    return [axis.get_title() for part in parts for axis in part.axes]


def test_figures_of_the_paper_by_one_command(run_dir, baseline_dir, tmp_path, capsys):
    command = ["figures", str(run_dir), f"--out={tmp_path}", f"--baseline={baseline_dir}"]
    assert main([*command, "--format=pdf", "--only", *PAPER]) == 0
    assert capsys.readouterr().out.count("drawn: ") == 4
    for name in PAPER:
        assert (tmp_path / f"{name}.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.slow
def test_every_figure_that_the_run_has(run_dir, tmp_path):
    assert main(["figures", str(run_dir), f"--out={tmp_path}", "--pose=real"]) == 0
    written = {path.stem for path in tmp_path.glob("*.png")}
    assert written == set(FIGURES) - {"responses_baseline", "fig10"}


def test_names_of_what_a_run_has(galleries):
    ours, baseline = galleries
    every = figure_names(Scene(ours, baseline, Choice()))
    assert every == [name for name in FIGURES if name != "fig10"]
    few = figure_names(Scene(ours, baseline, Choice(actions=["wave", "kick"])))
    assert set(every) - set(few) == {"fig8"}  # the same picture as a_links
    without = set(figure_names(Scene(baseline, None, Choice())))
    assert without.isdisjoint({"a_links", "fig3", "fig8", "fig10", "responses_baseline"})
    assert {"confusion", "curves", "fig9", "s_links", "strip"} <= without


def test_fig9_shows_time_actions_and_the_baseline(subject):
    labels = titles(FIGURES["fig9"](subject))
    assert labels[-2:] == ["(c) AS-GCN, AS-links", "(c) ST-GCN"]
    assert sum(label.startswith("frame ") for label in labels) == 4
    assert sum(label.startswith("(b)") for label in labels) == 2


def test_fig8_shows_the_asked_actions(galleries):
    asked = Scene(galleries[0], None, Choice(actions=["wave", "kick"], threshold=0.0))
    assert titles(FIGURES["fig8"](asked)) == ["wave", "kick"]
    assert sorted(asked.class_links) == list(range(13))
    mean = asked.class_links[1]
    assert mean.shape == (2, 25, 25)
    assert (mean.sum(axis=0) <= 1 + 1e-6).all()


def test_prediction_is_of_the_asked_clip_in_millimetres(galleries):
    name = galleries[0].names[5]
    asked = Scene(galleries[0], None, Choice(clip=name))
    fig = FIGURES["fig10"](asked)
    assert name in fig.get_suptitle()
    times = [f"t + {time} frames" for time in (2, 4, 6, 8, 10)]
    assert titles(fig) == ["last seen", *times]
    errors = [text.get_text() for axis in fig.axes for text in axis.texts]
    assert all(error.endswith(" mm") for error in errors) and len(errors) == 5


def test_a_clip_of_two_bodies_shows_both_or_says_which(galleries):
    scene = Scene(*galleries, Choice(threshold=0.0))
    pair = next(each for each in scene.exhibits.values() if len(each.bodies_seen) == 2)
    scene.clip = scene.moving_clip = pair
    assert titles(FIGURES["a_links_clip"](scene)) == ["body 1 of 2", "body 2 of 2"]
    which = f"body {pair.leader + 1} of 2"
    for name in ("link_matrices", "responses_time", "responses_baseline", "prediction"):
        assert FIGURES[name](scene).get_suptitle().replace("\n", " ").endswith(which), name
    alone = next(each for each in scene.exhibits.values() if len(each.bodies_seen) == 1)
    scene.clip = alone
    assert titles(FIGURES["a_links_clip"](scene)) == [""]


def test_links_between_bodies_are_said_to_be_left_out(galleries):
    scene = Scene(galleries[0], None, Choice())
    pair = next(each for each in scene.exhibits.values() if len(each.bodies_seen) == 2)
    scene.clip = replace(pair, links=np.full_like(pair.links, 0.1))
    place = galleries[0].place(pair.name)
    for linked in (False, True):
        if linked:
            scene.exhibits[place] = scene.clip
        for name in ("a_links", "fig3"):
            heading = FIGURES[name](scene).get_suptitle().replace("\n", " ")
            assert "mean over 1 clip" in heading
            assert ("; links between bodies are not drawn" in heading) == linked, name
    heading = FIGURES["a_links_clip"](scene).get_suptitle().replace("\n", " ")
    assert heading.endswith("; links between bodies are not drawn")


def test_links_below_the_threshold_are_not_said_to_be_above(galleries):
    scene = Scene(galleries[0], None, Choice(threshold=0.999999))
    for name in ("a_links", "a_links_clip"):
        note = FIGURES[name](scene).legends[0].get_title().get_text().replace("\n", " ")
        assert note.startswith("10 strongest A-links, none of a probability > 0.999999")
    assert "mean over 1 clip of each action" in FIGURES["a_links"](scene).get_suptitle()
    assert "of one clip: " in FIGURES["a_links_clip"](scene).get_suptitle()


def test_link_matrices_of_linked_bodies_are_of_both(galleries):
    scene = Scene(galleries[0], None, Choice())
    pair = next(each for each in scene.exhibits.values() if len(each.bodies_seen) == 2)
    links = np.where(pair.links.sum(axis=0) == 0, 0.1, pair.links)
    scene.clip = replace(pair, links=links / links.sum(axis=0).max())
    fig = FIGURES["link_matrices"](scene)
    assert fig.axes[0].images[0].get_array().shape == (50, 50)
    assert len(fig.axes[0].child_axes) == 1
    assert "body" not in fig.get_suptitle()


def test_curves_are_in_the_unit_of_the_recordings(galleries):
    ours = galleries[0]
    epochs = {"joint": {"val/mpjpe": {1: 0.5}}}
    config = replace(ours.restored.config, clips=replace(ours.restored.config.clips, unit=2.0))
    gallery = replace(ours, restored=replace(ours.restored, config=config))
    vars(gallery)["history"] = epochs
    for unit, name, value in (("none", "unit of the recordings", 1.0), (None, "mm", 1000.0)):
        fig = FIGURES["curves"](Scene(gallery, None, Choice(unit=unit)))
        assert fig.axes[0].get_title().replace("\n", " ") == f"prediction error ({name})"
        assert fig.axes[0].lines[0].get_ydata().tolist() == [value]


def test_units_are_told_or_left_out(galleries):
    for unit, ends in (("none", ""), ("cm", " mm")):
        fig = FIGURES["fig10"](Scene(galleries[0], None, Choice(unit=unit)))
        errors = [text.get_text() for axis in fig.axes for text in axis.texts]
        assert errors and all(error.endswith(" mm") == bool(ends) for error in errors)


def test_figures_fit_a_column(galleries):
    narrow = Scene(*galleries, Choice(page_width=3.35))
    for name in (*PAPER, "s_links", "strip", "confusion", "per_class", "curves", "link_matrices"):
        assert FIGURES[name](narrow).get_figwidth() <= 3.36, name
    for name in ("a_links", "link_matrices"):
        assert FIGURES[name](narrow).get_figheight() <= 9, name


def test_actions_that_do_not_fit_a_page_are_chosen(galleries, monkeypatch):
    monkeypatch.setattr("asgcn_dgl.experiments.figures._ROWS", 1)
    fig = FIGURES["a_links"](Scene(galleries[0], None, Choice(page_width=3.35)))
    assert len(titles(fig)) == 4
    heading = fig.get_suptitle().replace("\n", " ")
    assert heading.startswith("A-links of the 4 of 13 actions whose links differ most")


def test_contrasting_classes_differ_from_one_another():
    links = {k: np.full((3, 3), value) for k, value in enumerate([0.0, 0.02, 0.5, 0.52, 1.0])}
    assert contrasting(links, 3) == [0, 2, 4]
    assert contrasting({7: np.zeros((2, 2))}, 3) == [7]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--only", "fig7"], "--only fig7: no such figure; choose of skeleton"),
        (["--only", "responses_baseline"], "give --baseline RUN_DIR"),
        (["--only", "strip", "--clip=nobody"], "no test clip 'nobody'"),
        (["--only", "fig8", "--actions", "fly"], "no class 'fly'"),
        (["--only", "s_links", "--joint=tail"], "--joint tail: layout 'ntu25' has spine_base"),
        (["--threshold=2"], "--threshold must be from 0 to below 1, got 2"),
    ],
)
def test_mistakes_give_one_line(run_dir, tmp_path, capsys, options, words):
    assert main(["figures", str(run_dir), f"--out={tmp_path / 'new'}", *options]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_runs_without_links_and_of_other_clips_are_refused(galleries, run_dir):
    alone = Scene(galleries[1], None, Choice())
    for name in ("fig3", "fig8", "a_links_clip", "link_matrices"):
        with pytest.raises(InputError, match="its model has no A-links"):
            FIGURES[name](alone)
    with pytest.raises(InputError, match="no test clip with a prediction"):
        FIGURES["fig10"](alone)
    other = replace(galleries[1], names=list(reversed(galleries[1].names)))
    with pytest.raises(InputError, match="its test clips are not those of"):
        Scene(galleries[0], other, Choice())


def test_an_asked_clip_stands_for_its_action(galleries):
    name = galleries[0].names[5]
    for gallery in galleries:
        scene = Scene(gallery, None, Choice(clip=name, threshold=0.0))
        assert len(titles(FIGURES["responses_actions"](scene))) == 5
    with pytest.raises(InputError, match=f"{name}: has no prediction"):
        FIGURES["fig10"](scene)
    heading = FIGURES["fig3"](Scene(galleries[0], None, Choice(clip=name))).get_suptitle()
    assert name in heading.replace("\n", " ") and "mean" not in heading


def test_a_short_clip_is_drawn_frame_by_frame(galleries):
    scene = Scene(galleries[0], None, Choice())
    whole = next(iter(scene.exhibits.values()))
    scene.clip = replace(whole, pos=whole.pos[:, :3], mask=whole.mask[:, :3], future=None)
    assert titles(FIGURES["responses_time"](scene)) == ["frame 0", "frame 1", "frame 2"]


def test_a_skeleton_without_hands_shows_its_most_telling_joint(galleries):
    scene = Scene(galleries[0], None, Choice())
    scene.layout = SkeletonLayout.from_bones(
        "leg", [("hip", "knee"), ("knee", "foot")], center="hip"
    )
    assert scene.joint == "knee"


def test_a_run_without_epochs_has_no_curves(galleries):
    gallery = replace(galleries[0])
    vars(gallery)["history"] = {}
    scene = Scene(gallery, None, Choice())
    assert "curves" not in figure_names(scene)
    with pytest.raises(InputError, match=r"train\.log: no epochs in it"):
        FIGURES["curves"](scene)
