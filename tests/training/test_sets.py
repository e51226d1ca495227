"""Sets as people have them: without a split, with unusable recordings, with other classes."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from asgcn_dgl.cli import main

JOINTS = ["hip", "head", "left_hand", "right_hand"]
LAYOUT = "name: puppet\njoints: [hip, head, left_hand, right_hand]\nbones: [[hip, head], "
LAYOUT += "[head, left_hand], [head, right_hand]]\ncenter: hip\n"


def write_set(folder, names=("sit", "wave"), split="", broken=0, subjects=True):
    """Eight recordings of a puppet; of the first ``broken`` one coordinate is infinite."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    head = ["clip", "label", *(["subject"] if subjects else []), *(["split"] if split else [])]
    rows = [",".join(head)]
    for number in range(8):
        pos = rng.normal(size=(30, 4, 3)).astype(np.float32)
        if number < broken:
            pos[3, 1, 0] = np.inf
        np.savez(folder / f"c{number}.npz", keypoints=pos)
        row = [f"c{number}", names[number % 2]]
        row += [str(number // 2)] if subjects else []
        row += [split if number > 5 else "train"] if split else []
        rows.append(",".join(row))
    (folder / "clips.csv").write_text("\n".join(rows) + "\n")
    (folder / "layout.yaml").write_text(LAYOUT)
    return folder


@pytest.fixture
def command(tiny):
    kept = [option for option in tiny[1:] if not option.startswith(("--data", "--root"))]
    return lambda root, out, *more: main(
        ["train", "--data=own", f"--root={root}", f"--out={out}", *kept, *more]
    )


@pytest.mark.parametrize("by", ["subject", "random", "none"])
def test_a_set_without_a_split_trains(command, tmp_path, caplog, capsys, by):
    root = write_set(tmp_path / "set", subjects=by == "subject")
    assert command(root, tmp_path / "run", f"--clips.validation={by}") == 0
    assert "come without a split" in caplog.text and "'split' of clips.csv" in caplog.text
    assert not (tmp_path / "run" / "metrics.json").exists()
    assert main(["evaluate", str(tmp_path / "run")]) == 2
    assert "'split' of clips.csv" in capsys.readouterr().err


def test_a_split_that_tests_nothing_is_told_before_training(command, tmp_path, caplog):
    root = write_set(tmp_path / "set", split="train")
    assert command(root, tmp_path / "run") == 0
    assert "none of its 8 recordings is for testing under split 'split'" in caplog.text
    assert (tmp_path / "run" / "checkpoints" / "best.ckpt").is_file()


def test_without_subjects_the_message_names_the_option(command, tmp_path, capsys):
    root = write_set(tmp_path / "set", subjects=False)
    assert command(root, tmp_path / "run") == 2
    assert "--clips.validation random" in capsys.readouterr().err


def test_unusable_raw_recordings_are_left_out_and_counted(command, tmp_path, caplog, capsys):
    root = write_set(tmp_path / "set", split="test", broken=2)
    assert command(root, tmp_path / "strict", "--clips.strict=true") == 2
    assert "is inf" in capsys.readouterr().err
    assert command(root, tmp_path / "run", "--clips.validation=none") == 0
    assert "2 of 6 recordings (33.3 %) are left out" in caplog.text
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["clips"] == 2


def test_prepare_counts_losses_by_cause_and_is_loud(tmp_path, capsys):
    root = write_set(tmp_path / "set", broken=3)
    assert main(["prepare", "--data=own", f"--root={root}", f"--out={tmp_path / 'store'}"]) == 0
    told = capsys.readouterr().out
    assert told.count("dropped 3, such as ") == 1 and "c0.npz: " in told
    assert "WARNING: 38 % of the recordings are lost" in told


def test_classes_in_another_order_are_refused(command, tmp_path, capsys):
    """A:B and B:A number their classes in another order."""
    first = write_set(tmp_path / "a", ("run", "walk"), split="test")
    second = write_set(tmp_path / "b", ("sit", "wave"), split="test")
    run = tmp_path / "run"
    assert command(f"{first}:{second}", run) == 0
    capsys.readouterr()
    for wrong in (["evaluate"], ["report"], ["figures"]):
        assert main([*wrong, str(run), f"--root={second}:{first}"]) == 2
        assert "class 0 is 'sit', but it is 'run' in the set" in capsys.readouterr().err
    assert main(["train", "--resume", f"--out={run}", f"--root={second}:{first}"]) == 2
    assert "class 0 is 'sit', but it is 'run'" in capsys.readouterr().err
    assert main(["evaluate", str(run), f"--root={first}:{second}"]) == 0
    assert main(["evaluate", str(run), f"--root={second}"]) == 2
    assert main(["evaluate", str(run), f"--root={first}"]) == 0


def test_another_skeleton_is_refused(command, tmp_path, capsys):
    root = write_set(tmp_path / "set", split="test")
    assert command(root, tmp_path / "run") == 0
    other = tmp_path / "other"
    shutil.copytree(root, other)
    (other / "layout.yaml").write_text(LAYOUT.replace("left_hand", "paw"))
    assert main(["evaluate", str(tmp_path / "run"), f"--root={other}"]) == 2
    assert "its skeleton 'puppet' is not one that the model" in capsys.readouterr().err


@pytest.mark.parametrize("dims", [2, 4])
def test_another_number_of_coordinates_is_one_line(command, tmp_path, capsys, dims):
    root = write_set(tmp_path / "set", split="test")
    assert command(root, tmp_path / "run") == 0
    capsys.readouterr()
    new = tmp_path / "new.npz"
    np.savez(new, keypoints=np.ones((20, 4, dims)))
    assert main(["predict", str(tmp_path / "run"), str(new)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and ("joints of 2 coordinates, where" in told or dims == 4)


def test_predict_reads_a_store_and_a_folder(command, tmp_path, capsys):
    root = write_set(tmp_path / "set", split="test")
    assert command(root, tmp_path / "run") == 0
    assert main(["prepare", "--data=own", f"--root={root}", f"--out={tmp_path / 'store'}"]) == 0
    capsys.readouterr()
    for place in ("set", "store"):
        assert main(["predict", str(tmp_path / "run"), str(tmp_path / place)]) == 0
        assert capsys.readouterr().out.count("1 body, 30 frames") == 8


def test_another_unit_is_warned_of_and_taken_out(command, tmp_path, caplog, capsys):
    """A set in pixels trains as the same set about one unit high."""
    small = write_set(tmp_path / "small", split="test")
    large = write_set(tmp_path / "large", split="test")
    for path in large.glob("*.npz"):
        np.savez(path, keypoints=500 * np.load(path)["keypoints"] + [960, 540, 0])
    assert command(large, tmp_path / "found") == 0
    assert "units across" in caplog.text and "--clips.unit" in caplog.text
    caplog.clear()
    assert command(small, tmp_path / "a") == 0
    assert command(large, tmp_path / "b", "--clips.unit=500") == 0
    assert "units across" not in caplog.text
    found = json.loads((tmp_path / "found" / "metrics.json").read_text())["prediction"]
    assert main(["evaluate", str(tmp_path / "found")]) == 0
    first, second = (json.loads((tmp_path / n / "metrics.json").read_text()) for n in "ab")
    assert second["losses"]["prediction"] == pytest.approx(first["losses"]["prediction"], rel=0.01)
    for name in ("mpjpe", "zero_velocity"):
        wanted = pytest.approx(500 * first["prediction"][name], rel=0.01)
        assert second["prediction"][name] == wanted
        assert found[name] == pytest.approx(500 * first["prediction"][name], rel=0.2)
    for name, root in (("a", small), ("b", large)):
        command_line = ["predict", str(tmp_path / name), str(root / "c6.npz")]
        assert main([*command_line, f"--out={tmp_path / name}.npz"]) == 0
    future = [np.load(tmp_path / f"{name}.npz")["future_0"] for name in "ab"]
    np.testing.assert_allclose(future[1], 500 * future[0] + [960, 540, 0], atol=15)


def test_inspect_tells_sizes_and_rates(tmp_path, capsys):
    root = write_set(tmp_path / "set", split="test")
    for number, path in enumerate(sorted(root.glob("*.npz"))):
        pos = 500 * np.load(path)["keypoints"]
        np.savez(path, keypoints=pos, fps=25 if number else 30)
    store = str(tmp_path / "store")
    assert main(["prepare", "--data=own", f"--root={root}", f"--out={store}"]) == 0
    assert main(["inspect", store]) == 0
    told = capsys.readouterr().out
    assert "no --clips.unit is given" in told and "frames a second differ" in told


def test_frame_rates_are_warned_of_and_brought_to_one(command, tmp_path, caplog, capsys):
    root = write_set(tmp_path / "set", split="test")
    for number, path in enumerate(sorted(root.glob("*.npz"))):
        np.savez(path, keypoints=np.load(path)["keypoints"], fps=50 if number % 2 else 25)
    assert command(root, tmp_path / "warned") == 0
    assert "frames a second differ" in caplog.text and "--clips.rate 25" in caplog.text
    caplog.clear()
    assert command(root, tmp_path / "run", "--clips.rate=25") == 0
    assert "frames a second differ" not in caplog.text
    assert main(["evaluate", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "run"), str(root / "c1.npz")]) == 0
    assert "1 body, 15 frames" in capsys.readouterr().out
