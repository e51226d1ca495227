from __future__ import annotations

from types import SimpleNamespace

from asgcn_dgl.training.callbacks import SaveCheckpoints


class Trainer:
    check_val_every_n_epoch = 2

    def __init__(self):
        self.current_epoch = 0
        self.callback_metrics = {}
        self.saved = []

    def save_checkpoint(self, path):
        self.saved.append(path.name)


def epoch(saver, trainer, top1, loss):
    trainer.callback_metrics = {"val/top1": top1, "val/loss": loss}
    trainer.saved = []
    saver.on_train_epoch_end(trainer, SimpleNamespace())
    trainer.current_epoch += 1
    return trainer.saved


def test_best_is_highest_then_of_lowest_loss_then_first(tmp_path):
    saver, trainer = SaveCheckpoints(tmp_path), Trainer()
    assert epoch(saver, trainer, 90, 0.1) == ["last.ckpt"]  # no validation in this epoch
    assert epoch(saver, trainer, 50, 1.0) == ["best.ckpt", "last.ckpt"]
    assert epoch(saver, trainer, 50, 1.0) == ["last.ckpt"]
    assert epoch(saver, trainer, 50, 0.9) == ["best.ckpt", "last.ckpt"]
    trainer.current_epoch += 1
    assert epoch(saver, trainer, 50, 0.9) == ["last.ckpt"]
    trainer.current_epoch += 1
    assert epoch(saver, trainer, 49, 0.1) == ["last.ckpt"]
    again = SaveCheckpoints(tmp_path)
    again.load_state_dict(saver.state_dict())
    assert again.best_score == (50, -0.9)


def test_without_validation_there_is_no_best(tmp_path):
    saver, trainer = SaveCheckpoints(tmp_path, last="aim", best=False), Trainer()
    trainer.current_epoch = 1
    assert epoch(saver, trainer, 50, 1.0) == ["aim.ckpt"]
