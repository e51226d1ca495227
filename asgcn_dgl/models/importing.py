"""Published weights as models of this library.

ST-GCN (Yan et al., AAAI 2018), PYSKL's ST-GCN and ST-GCN++ (Duan et al., ACM MM 2022) and AS-GCN
(Li et al., CVPR 2019). The imported model gives the logits of the published code. Biases in front
of a batch norm are folded into its running mean, so that the weights are equal functions in
evaluation, and in training but for the first steps of the statistics.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor, nn

from asgcn_dgl.errors import InputError
from asgcn_dgl.files import in_short
from asgcn_dgl.models.asgcn import ASGCN
from asgcn_dgl.models.config import ASGCNConfig
from asgcn_dgl.models.pretrained import load_tensors
from asgcn_dgl.models.stgcn import STGCN
from asgcn_dgl.nn import AIMEncoder, ASGCNBlock, MaskedBatchNorm, MultiBranchTemporalConv
from asgcn_dgl.nn.heads import PUBLISHED_SHRINK
from asgcn_dgl.options import check
from asgcn_dgl.skeleton import GraphBuilder, SkeletonLayout, get_layout

__all__ = ["Source", "import_weights", "read_state"]

Source = Literal["st-gcn", "pyskl", "as-gcn"]

logger = logging.getLogger(__name__)

#: Layouts to try for so many joints, the usual one first.
_LAYOUTS = {
    25: ("ntu25", "ntu25_pyskl", "openpose25"),
    18: ("openpose18",),
    17: ("coco17",),
    21: ("hand21",),
    20: ("kinectv1_20",),
}
#: Parts of keys that only models have which this library cannot represent.
_OTHERS = (
    (r"(^|\.)(s?gcn3d\d*|sgcn\d+)\.", "MS-G3D", "its graphs join several frames"),
    (r"\.convs\.\d+\.conv[1-4]\.", "CTR-GCN", "its graphs differ from channel to channel"),
    (r"\.conv_[abd]\.", "2s-AGCN or AAGCN", "its graphs are computed from the features"),
    (r"\.gcn\.(alpha|beta)$", "DG-STGCN", "its graphs are computed from the features"),
    (r"Feature_Mask|\.shift_(in|out)", "Shift-GCN", "it shifts features between joints"),
)


class _Names(NamedTuple):
    """Prefixes of the keys of a source: of its parts, and within a block."""

    block: str  # before its number
    input_norm: str
    classifier: str
    spatial_norm: str = "tcn.0."
    temporal: str = "tcn.2."
    temporal_norm: str = "tcn.3."
    shortcut: str = "residual.0."
    shortcut_norm: str = "residual.1."


_NAMES: dict[Source, _Names] = {
    "st-gcn": _Names("st_gcn_networks.", "data_bn.", "fcn."),
    "pyskl": _Names(
        *("backbone.gcn.", "backbone.data_bn.", "cls_head.fc_cls."),
        *("gcn.bn.", "tcn.conv.", "tcn.bn.", "residual.conv.", "residual.bn."),
    ),
    "as-gcn": _Names("class_layer_", "data_bn.", "fcn."),
}


def import_weights(
    weights: str | Path | Sequence[str | Path] | Mapping[str, Any],
    source: Source,
    layout: SkeletonLayout | str | None = None,
    num_classes: int | None = None,
    *,
    bodies: int = 2,
    adaptive: Literal["importance", "offset"] = "importance",
) -> ASGCN:
    """Return a model with published weights, in evaluation mode.

    Parameters
    ----------
    weights
        The ``.pt`` or ``.pth`` file, several whose weights belong together (AS-GCN keeps its
        encoder in a second one), or a state dict.
    source
        ``"st-gcn"``, ``"pyskl"`` (ST-GCN and ST-GCN++) or ``"as-gcn"``.
    layout
        Layout of the joints; None for the supplied one whose operators the file has.
    num_classes
        K, to be checked against the file's.
    bodies
        Bodies that the published code computes of every clip.
    adaptive
        PYSKL's ``gcn_adaptive`` where the file has ``PA``: ``"importance"`` multiplies, and
        ``"offset"`` adds. Where it has none, the operators themselves are learned (``"init"``).

    Returns
    -------
    ASGCN
        The model; its type is that of the weights.

    Raises
    ------
    InputError
        If a file cannot be read, or its weights are not of the source.
    """
    if source not in get_args(Source):
        raise ValueError(f"source must be one of {', '.join(get_args(Source))}, got {source!r}")
    check(isinstance(bodies, int) and bodies >= 1, "bodies", "at least 1", bodies)
    layout = None if layout is None else get_layout(layout)
    if isinstance(weights, Mapping):
        state, name = _tensors(weights, "the state dict"), "the state dict"
    else:
        files = [weights] if isinstance(weights, str | Path) else list(weights)
        state, name = {}, ", ".join(str(file) for file in files)
        for file in files:
            state |= read_state(file)
    _check_source(state, source, name)
    found = _State(state, name, source)
    try:
        with torch.no_grad():
            model = _made(found, layout, num_classes, bodies, adaptive)
    except InputError:
        raise
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"{name}: weights at or near {found.last} do not fit ({in_short(error)}); its options "
            "differ from the published ones"
        ) from error
    found.finish()
    return model.eval()


def read_state(path: str | Path) -> dict[str, Tensor]:
    """Return the weights in a file by their published names, without running any code from it.

    Zipped and legacy files are read, with the weights at the top or nested as ``state_dict``, and
    prefixes ``module.`` are dropped.
    """
    wrong = "not a file of weights alone ({}); save its state dict by itself"
    return _tensors(load_tensors(path, wrong), str(path))


def _tensors(held: Any, name: str) -> dict[str, Tensor]:
    """Return the tensors of a state dict, which may be nested."""
    for key in ("state_dict", "model_state_dict", "model", "weights", "net"):
        if isinstance(held, Mapping) and isinstance(held.get(key), Mapping):
            held = held[key]
    found = {}
    if isinstance(held, Mapping):
        found = {str(k): v.detach() for k, v in held.items() if isinstance(v, Tensor)}
    if not found:
        raise InputError(f"{name}: holds no weights by name; give a file with a state dict")
    for prefix in ("module.", "model."):
        while all(key.startswith(prefix) for key in found):
            found = {key.removeprefix(prefix): value for key, value in found.items()}
    # MMAction2 has ST-GCN and PYSKL's models under names of its own.
    renamed = {"cls_head.fc.": "cls_head.fc_cls."}
    if any(key.startswith("backbone.st_gcn_networks.") for key in found):
        renamed = {"cls_head.fc.": "fcn.", "backbone.": ""}
    for old, new in renamed.items():
        found = {re.sub(f"^{re.escape(old)}", new, key): value for key, value in found.items()}
    return found


def _check_source(state: Mapping[str, Tensor], source: Source, name: str) -> None:
    for pattern, other, why in _OTHERS:
        if any(re.search(pattern, key) for key in state):
            raise InputError(f"{name}: weights of {other}, which cannot be imported: {why}")
    signs = {each: f"{names.block}0." for each, names in _NAMES.items()}
    are = [each for each, sign in signs.items() if any(key.startswith(sign) for key in state)]
    if source in are:
        return
    if are:
        raise InputError(f"{name}: weights of {are[0]}, not of {source}; give --from {are[0]}")
    some = ", ".join(list(state)[:3])
    raise InputError(
        f"{name}: not weights of {source}, which have names like {signs[source]}*; got {some}"
    )


class _Structure:
    """Layout and links whose operators are the published ones, or are replaced by those.

    ``order`` is the published relation of each of ours; ``additive``: what was learned beside the
    operators is added to them, not a factor; ``replaces``: the layout's operators do not count.
    """

    def __init__(
        self,
        layout: SkeletonLayout,
        options: Mapping[str, Any],
        order: Sequence[int],
        *,
        additive: bool = False,
        replaces: bool = False,
    ) -> None:
        self.layout, self.options, self.order = layout, options, list(order)
        self.additive, self.replaces = additive, replaces
        template = GraphBuilder(num_actional=0, **options).template(layout)
        place = (np.asarray(self.order)[template.relation], template.src, template.dst)
        self.place = tuple(torch.from_numpy(each) for each in place)
        self.weight = torch.from_numpy(template.weight)

    def operators(self, like: Tensor) -> Tensor:
        """Return the layout's own operators (R, V, V) in the published order, senders first."""
        own = torch.zeros(like.shape, dtype=self.weight.dtype)
        own[self.place] = self.weight
        return own.to(like.dtype)

    def has(self, operators: Tensor) -> bool:
        """Tell whether these are the layout's own operators."""
        return torch.allclose(self.operators(operators), operators, rtol=0, atol=1e-5)

    def set(self, block: ASGCNBlock, operators: Tensor | None, change: Tensor | None) -> None:
        """Set masks and offsets of a block, and bring its weights to our order of relations."""
        conv = block.spatial.structural
        assert conv.masks is not None and conv.relation_bias is not None
        for each in (conv.weight, conv.relation_bias):
            each.copy_(each[self.order])
        masks = conv.masks[self.layout.name]
        if conv.offsets is None:
            if operators is not None:  # theirs may be rounded to 32 bits
                masks.copy_(operators[self.place].to(masks.dtype) / self.weight.to(masks.dtype))
            if change is not None:
                masks.mul_(change[self.place])
            return
        assert operators is not None
        own = torch.zeros_like(operators) if self.replaces else self.operators(operators)
        if self.replaces:
            masks.zero_()
        if change is None:
            theirs = operators - own
        elif self.additive:
            theirs = change + (operators - own)
        else:
            theirs = operators * change - own
        (offsets,) = conv.offsets.by_structure().values()
        offsets.copy_(theirs[self.order].transpose(1, 2))


class _State:
    """Weights by published name, each taken once, and the parts of a model that they go into."""

    def __init__(self, state: Mapping[str, Tensor], name: str, source: Source) -> None:
        self.left = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
        self.name, self.source, self.names = name, source, _NAMES[source]
        self.last = ""  # that was looked at

    def keys(self, prefix: str) -> list[str]:
        """Return the prefix with each number that follows it in a key, from 0 on."""
        found: list[str] = []
        while self.any(f"{prefix}{len(found)}."):
            found.append(f"{prefix}{len(found)}.")
        return found

    def any(self, prefix: str) -> bool:
        """Tell whether a key begins so."""
        return any(key.startswith(prefix) for key in self.left)

    def look(self, key: str) -> Tensor:
        """Return a tensor and leave it."""
        if key not in self.left:
            raise InputError(f"{self.name}: holds no {key!r}, which such weights have")
        self.last = key
        return self.left[key]

    def take(self, key: str) -> Tensor:
        """Return a tensor and count it as used."""
        self.look(key)
        return self.left.pop(key)

    def optional(self, key: str) -> Tensor | None:
        """Take a tensor that may be absent."""
        return self.take(key) if key in self.left else None

    def drop(self, prefix: str) -> int:
        """Leave out all keys that begin so; return how many there were."""
        keys = [key for key in self.left if key.startswith(prefix)]
        for key in keys:
            del self.left[key]
        return len(keys)

    def put(self, target: Tensor | None, value: Tensor, key: str) -> None:
        """Copy a value into a parameter of the same shape."""
        assert target is not None
        self.expect(target.shape, value, key)
        target.copy_(value)

    def expect(self, shape: Sequence[int], value: Tensor, key: str) -> None:
        """Refuse a value of another shape."""
        if value.shape != tuple(shape):
            raise InputError(
                f"{self.name}: {key} has shape {tuple(value.shape)} where {tuple(shape)} "
                "is expected; its options differ from the published ones"
            )

    def move(self, key: str, target: Tensor) -> None:
        """Take a tensor into a parameter; that of a convolution of one place is a matrix here."""
        value = self.take(key)
        self.put(target, value.flatten(1) if value.dim() == 4 else value, key)

    def finish(self) -> None:
        """Refuse weights of which nothing was made."""
        if self.left:
            some = ", ".join(list(self.left)[:3])
            raise InputError(
                f"{self.name}: {len(self.left)} weights have no counterpart here ({some}, ...)"
            )

    def linear(self, linear: nn.Linear, prefix: str) -> None:
        """Take a map with its bias."""
        self.move(f"{prefix}weight", linear.weight)
        self.move(f"{prefix}bias", linear.bias)

    def norm(self, norm: Any, prefix: str, bias: Tensor | float = 0.0) -> None:
        """Take a batch norm, and into its mean the bias of what is in front of it."""
        for name in ("weight", "bias", "running_var", "running_mean"):
            target, key = getattr(norm, name), f"{prefix}{name}"
            value = self.take(key)
            if value.numel() == target.numel():  # an input norm has a row for each joint here
                value = value.view(target.shape)
            self.put(target, value - bias if name == "running_mean" else value, key)

    def map_and_norm(self, linear: nn.Linear, norm: Any, conv: str, bn: str) -> None:
        """Take a convolution of one place and its batch norm."""
        self.move(f"{conv}weight", linear.weight)
        self.norm(norm, bn, self.take(f"{conv}bias"))

    def spatial(self, block: ASGCNBlock, prefix: str, *, transposed: bool = False) -> None:
        """Take the maps and biases of all relations, in their order, those of A-links last."""
        conv, key = block.spatial, f"{prefix}weight"
        weight, bias = self.take(key).flatten(1), self.take(f"{prefix}bias")
        if transposed:  # (D, R O, 1, 1)
            weight = weight.t()
        parts = [part for part in (conv.structural, conv.actional) if part is not None]
        sizes = [len(part.etypes) for part in parts]
        relations, out_feats = sum(sizes), conv.structural.out_feats
        self.expect((relations * out_feats, conv.structural.in_feats), weight, key)
        weight = weight.reshape(relations, out_feats, -1).transpose(1, 2)
        biases = bias.view(relations, -1).split(sizes)
        for part, maps, shifts in zip(parts, weight.split(sizes), biases, strict=True):
            self.put(part.weight, maps, key)
            self.put(part.relation_bias, shifts, f"{prefix}bias")

    def block(
        self,
        block: Any,
        key: str,
        structure: _Structure,
        operators: Tensor | None,
        change: Tensor | None,
    ) -> None:
        """Take a block of a backbone."""
        names = self.names
        self.spatial(block, f"{key}gcn.conv.")
        structure.set(block, operators, change)
        self.norm(block.spatial_norm, f"{key}{names.spatial_norm}")
        if block.conv_shortcut is not None:
            maps = (block.conv_shortcut, block.conv_shortcut_norm)
            self.map_and_norm(*maps, f"{key}gcn.down.0.", f"{key}gcn.down.1.")
        if isinstance(block.temporal, MultiBranchTemporalConv):
            self.branches(block, block.temporal, f"{key}tcn.")
        else:
            conv = f"{key}{names.temporal}"
            weight = self.take(f"{conv}weight").transpose(2, 3)
            self.put(block.temporal.weight, weight, f"{conv}weight")
            self.norm(block.temporal_norm, f"{key}{names.temporal_norm}", self.take(f"{conv}bias"))
        if block.shortcut is not None:
            maps = (block.shortcut, block.shortcut_norm)
            self.map_and_norm(*maps, f"{key}{names.shortcut}", f"{key}{names.shortcut_norm}")

    def branches(self, block: ASGCNBlock, conv: MultiBranchTemporalConv, key: str) -> None:
        """Take the temporal convolution of ST-GCN++, whose branches begin with one map here."""
        keys = [f"{key}branches.{number}." for number in range(len(conv.kernels) + 2)]
        joined = f"{key}branches.*."
        norm = ("weight", "bias", "running_mean", "running_var")
        for name in ("0.weight", "0.bias", *(f"1.{each}" for each in norm)):
            self.left[joined + name] = torch.cat([self.take(each + name) for each in keys[:-1]])
        self.map_and_norm(conv.reduce, conv.reduce_norm, f"{joined}0.", f"{joined}1.")
        shifts = []
        for kernel, each in zip(conv.kernels, keys, strict=False):
            name = f"{each}3.conv.weight"
            self.put(kernel, self.take(name).transpose(2, 3), name)
            shifts.append(self.take(f"{each}3.conv.bias"))
        shifts.append(shifts[-1].new_zeros(conv.widths[len(conv.kernels)]))  # of the maximum
        self.move(f"{keys[-1]}weight", conv.point.weight)
        shifts.append(self.take(f"{keys[-1]}bias"))
        assert conv.mix is not None
        self.norm(conv.joined_norm, f"{key}transform.0.", torch.cat(shifts))
        self.map_and_norm(conv.mix, block.temporal_norm, f"{key}transform.2.", f"{key}bn.")

    def prediction(
        self, head: Any, keys: Sequence[str], structure: _Structure, operators: Tensor | None
    ) -> None:
        """Take the head of AS-GCN that predicts poses."""
        changes = [self.optional(f"edge_importance_recon.{n}") for n in range(len(keys))]
        for block, key, change in zip(head.shrink, keys, changes, strict=False):
            self.block(block, key, structure, operators, change)
        block, key = head.last, keys[-1]
        self.spatial(block, f"{key}gcn_recon.deconv.", transposed=True)
        structure.set(block, operators, changes[-1])
        self.norm(block.spatial_norm, f"{key}tcn_recon.0.")
        weight = self.take(f"{key}tcn_recon.2.weight").transpose(0, 1)
        norm = MaskedBatchNorm(weight.shape[0]).to(weight.dtype).eval()
        self.norm(norm, f"{key}tcn_recon.3.", self.take(f"{key}tcn_recon.2.bias"))
        gain, shift = norm.steady()
        # Theirs is coordinate by coordinate, here frame by frame.
        order = torch.arange(len(gain)).view(head.pose_feats, head.future_frames).t().flatten()
        weight = (weight * gain.view(-1, 1, 1, 1))[order]
        self.put(block.temporal.weight, weight, f"{key}tcn_recon.2.weight")
        self.put(block.temporal.bias, shift[order], f"{key}tcn_recon.3.bias")

    def encoder(self, encoder: AIMEncoder, joints: int) -> None:
        """Take the encoder that infers the A-links of AS-GCN."""
        # Their second map of joints takes the sum over the others divided by V, ours the mean over
        # V - 1; and theirs does not see the joint again.
        key = "encoder.mlp3.fc1.weight"
        weight = self.take(key) * ((joints - 1) / joints)
        both = zip(encoder.joint_maps, encoder.link_maps, strict=True)
        maps: list[Any] = [each for pair in both for each in pair]
        missing = weight.new_zeros(len(weight), maps[2].first.in_features - weight.shape[1])
        self.left[key] = torch.cat([weight, missing], dim=1)
        for number, each in enumerate(maps, start=1):
            self.linear(each.first, f"encoder.mlp{number}.fc1.")
            self.linear(each.second, f"encoder.mlp{number}.fc2.")
            self.norm(each.norm, f"encoder.mlp{number}.bn.")
        self.linear(encoder.out, "encoder.fc_out.")


def _made(
    state: _State,
    layout: SkeletonLayout | str | None,
    num_classes: int | None,
    bodies: int,
    adaptive: str,
) -> ASGCN:
    """Make a model of the sizes of published weights, and take them into it."""
    names, name, keys = state.names, state.name, state.keys(state.names.block)
    pyskl = state.source == "pyskl"
    widths = [state.look(f"{key}{names.spatial_norm}weight").numel() for key in keys]
    first = state.look(f"{keys[0]}gcn.conv.weight")
    relations, dims = first.shape[0] // widths[0], first.shape[1]
    kernel, options = names.temporal, dict[str, Any]()
    heads: list[str] = []
    if state.source == "as-gcn":
        heads = state.keys("recon_layer_")
        options = _of_asgcn(state, heads, dims)
        relations -= options["num_actional"]
    norm = f"{names.input_norm}weight"
    operators: list[Tensor | None]
    if pyskl:
        operators = [state.take(f"{key}gcn.A") for key in keys]
        changes = [state.optional(f"{key}gcn.PA") for key in keys]
        found, joints = operators[0].shape[0], operators[0].shape[-1]  # type: ignore[union-attr]
        if relations != found:
            raise InputError(
                f"{name}: maps features after they are summed (gcn_conv_pos post), which cannot "
                "be represented"
            )
        if norm in state.left and state.look(norm).numel() != joints * dims:
            raise InputError(
                f"{name}: normalizes the input body by body (data_bn_type MVC), which cannot be "
                "represented"
            )
        if joints == 25:
            layout = layout or "ntu25_pyskl"
        if state.any(f"{keys[0]}tcn.branches."):
            kernel, options = "tcn.branches.0.3.conv.", {"temporal": "branches"}
        options["conv_residual"] = state.any(f"{keys[0]}gcn.down.")
    else:
        shared = state.optional("A")
        relations = relations if shared is None else len(shared)
        operators = [shared] * len(keys)
        changes = [state.optional(f"edge_importance.{number}") for number in range(len(keys))]
        joints = state.look(norm).numel() // dims
    learned = pyskl and changes[0] is None  # the operators are those of no layout
    additive = pyskl and not learned and adaptive == "offset"
    structure = _structure(
        operators[0], layout, joints, relations, name, learned=learned, additive=additive
    )
    classes = len(state.look(f"{names.classifier}weight"))
    if num_classes not in (None, classes):
        raise InputError(
            f"{name}: weights of {classes} classes, not {num_classes}; import them as they are, "
            "and 'train --init' makes a new head"
        )
    sizes = {
        "name": "stgcn",
        "num_classes": classes,
        "in_feats": dims,
        "channels": widths,
        # The published codes have a shortcut map where the stride is 2.
        "strides": [1] + [1 + (f"{key}{names.shortcut}weight" in state.left) for key in keys[1:]],
        "kernel_size": state.look(f"{keys[0]}{kernel}weight").shape[2],
        "num_actional": 0,
        "future_frames": 0,
        "bias": "relation",
        "structural_offsets": structure.additive or structure.replaces,
        "masked": False,
        "fixed_bodies": bodies,
    }
    config = ASGCNConfig(structure.layout, **{**sizes, **structure.options, **options})
    model: ASGCN = (STGCN if config.name == "stgcn" else ASGCN)(config).to(first.dtype)
    if norm in state.left or not pyskl:
        state.norm(model.input_norm, names.input_norm)
    else:  # one that leaves its input as it is
        model.input_norm.running_var.fill_(1.0 - model.input_norm.eps)  # type: ignore[union-attr]
    if pyskl and not learned and not additive:
        _warn_of_offset(name, operators[0], changes[0])
    for block, key, own, change in zip(model.blocks, keys, operators, changes, strict=True):
        state.block(block, key, structure, own, change)
    if heads:
        state.prediction(model.prediction, heads, structure, operators[0])
    if model.aim is not None:
        state.encoder(model.aim.encoder, joints)
        state.drop("edge_importance")  # the published code makes more than it uses
    state.linear(model.recognition.linear, names.classifier)
    return model


def _of_asgcn(state: _State, heads: Sequence[str], dims: int) -> dict[str, Any]:
    """Return the options that AS-GCN's weights have beyond a backbone's."""
    if not state.any("encoder."):
        raise InputError(
            f"{state.name}: holds no encoder.*, which infers the A-links; AS-GCN keeps it in a "
            "second file (model 2): give both"
        )
    if state.drop("decoder."):
        logger.info("the published decoder has no counterpart: that of the A-links is new")
    hidden, seen = state.look("encoder.mlp1.fc1.weight").shape
    options = {
        "name": "asgcn",
        "num_actional": state.look("encoder.fc_out.weight").shape[0] - 1,
        "actional_weight": 0.5,
        "link_norm": "self_loop",
        "scale": 0.1,
        "hard": True,
        "aim_frames": seen // dims,
        "aim_hidden": hidden,
        "link_mode": "steady",
    }
    if heads:
        if len(heads) != len(PUBLISHED_SHRINK) + 1:
            raise InputError(
                f"{state.name}: its prediction head has {len(heads)} layers, the published one "
                f"{len(PUBLISHED_SHRINK) + 1}"
            )
        future = state.look(f"{heads[-1]}tcn_recon.2.weight").shape[1]
        options["future_frames"] = future // dims
        options["future_channels"] = state.look(f"{heads[0]}tcn.2.weight").shape[0]
        options["future_head"] = "published"
    return options


def _structure(
    operators: Tensor | None,
    layout: SkeletonLayout | str | None,
    joints: int,
    relations: int,
    name: str,
    *,
    learned: bool,
    additive: bool,
) -> _Structure:
    """Find layout and links that have the published operators (R, V, V), senders first."""
    names = _LAYOUTS.get(joints, ()) if layout is None else (layout,)
    layouts = [get_layout(each) for each in names]
    for each in layouts:
        if each.num_joints != joints:
            raise InputError(
                f"{name}: weights of {joints} joints, but layout {each.name!r} has "
                f"{each.num_joints}; give --layout"
            )
    if not layouts:
        raise InputError(f"{name}: weights of {joints} joints; give their layout with --layout")
    if relations % 2 == 0 or relations < 3:
        raise InputError(f"{name}: {relations} relations of joints, where 1 + 2 hops are expected")
    hops = (relations - 1) // 2
    distance = {"max_hop": hops, "construction": "distance", "truncated": True}
    swapped = [0, *(k for hop in range(1, hops + 1) for k in (2 * hop, 2 * hop - 1))]
    power = {"max_hop": 1, "construction": "power", "norm": "transition"}
    if learned:
        if relations != 3:
            raise InputError(f"{name}: {relations} learned operators, where 3 are expected")
        return _Structure(layouts[0], power, range(3), replaces=True)
    for each in layouts:
        for options, order in ((distance, swapped), (power, range(3)))[
            : 2 if relations == 3 else 1
        ]:
            found = _Structure(each, options, order, additive=additive)
            if operators is None or found.has(operators):
                return found
    if relations != 3:
        raise InputError(
            f"{name}: its operators are not those of layout {layouts[0].name!r}; give --layout"
        )
    logger.info("the operators are not those of %s: they are kept as offsets", layouts[0].name)
    return _Structure(layouts[0], distance, swapped, additive=additive, replaces=True)


def _warn_of_offset(name: str, operators: Tensor | None, change: Tensor | None) -> None:
    """Say where masks look like offsets: where nothing is masked they were never trained."""
    assert operators is not None and change is not None
    elsewhere = change[operators == 0]
    if elsewhere.numel() and float(elsewhere.max() - elsewhere.min()) > 1e-3:
        logger.warning(
            "%s: PA differs where the operators are zero; if the model was trained with "
            "gcn_adaptive 'offset', import it with adaptive offset",
            name,
        )
