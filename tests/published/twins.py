"""Dense twins of the published models with the published names of weights, and nothing else.

Written from what the published codes compute: ST-GCN (Yan et al. 2018), PYSKL's ST-GCN and
ST-GCN++ (Duan et al. 2022), AS-GCN (Li et al. 2019). Operators are ``A[k, v, w]``, from v to w.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

DILATIONS = (1, 2, 3, 4)


def hops(bones, joints, most):
    """Distances in bones, infinite beyond ``most``."""
    near = np.eye(joints)
    for i, j in bones:
        near[i, j] = near[j, i] = 1
    distance = np.full((joints, joints), np.inf)
    for hop in range(most, -1, -1):
        distance[np.linalg.matrix_power(near, hop) > 0] = hop
    return distance


def spatial_strategy(layout, most):
    """ST-GCN's: root, then from farther and from nearer joints for each hop."""
    distance = hops(layout.bones, layout.num_joints, most)
    depth = distance[layout.center]
    within = (distance <= most).astype(float)
    share = within / within.sum(axis=0)
    nearer = depth[:, None] < depth[None, :]  # the sender is nearer to the center
    found = []
    for hop in range(most + 1):
        ring = np.where(distance == hop, share, 0.0)
        found += [ring] if hop == 0 else [ring * ~nearer, ring * nearer]
    return torch.tensor(np.stack(found))


def inward_outward(layout):
    """PYSKL's 'spatial': loops, from the center outward to each joint, and the way back."""
    joints = layout.num_joints
    depth = hops(layout.bones, joints, joints)[layout.center]
    inward = np.zeros((joints, joints))
    for i, j in layout.bones:
        near, far = (i, j) if depth[i] < depth[j] else (j, i)
        inward[near, far] = 1
    normal = [m / np.maximum(m.sum(axis=0), 1) for m in (inward, inward.T)]
    return torch.tensor(np.stack([np.eye(joints), *normal]))


def gather(x, operators):
    """Convolve (n, k c, t, v) features of k relations."""
    n, kc, t, v = x.shape
    k = operators.shape[-3]
    x = x.view(n, k, kc // k, t, v)
    kind = "nkvw" if operators.dim() == 4 else "kvw"
    return torch.einsum(f"nkctv,{kind}->nctw", x, operators)


def temporal(width, kernel, stride, pad=True, transposed=False):
    make = nn.ConvTranspose2d if transposed else nn.Conv2d
    padding = ((kernel - 1) // 2, 0) if pad else 0
    return nn.Sequential(
        nn.BatchNorm2d(width),
        nn.ReLU(),
        make(width, width, (kernel, 1), (stride, 1), padding),
        nn.BatchNorm2d(width),
        nn.Dropout(0.5),
    )


class GraphMap(nn.Module):
    def __init__(self, before, after, relations):
        super().__init__()
        self.conv = nn.Conv2d(before, after * relations, 1)


class Block(nn.Module):
    """Block of ST-GCN and AS-GCN."""

    def __init__(self, before, after, relations, kernel=9, stride=1, residual=True, pad=True):
        super().__init__()
        self.gcn = GraphMap(before, after, relations)
        self.tcn = temporal(after, kernel, stride, pad)
        self.identity = residual and before == after and stride == 1
        self.residual = None
        if residual and not self.identity:
            self.residual = nn.Sequential(
                nn.Conv2d(before, after, 1, (stride, 1)), nn.BatchNorm2d(after)
            )

    def forward(self, x, structural, actional=None, weight=0.5):
        beside = x if self.identity else 0 if self.residual is None else self.residual(x)
        x = both(self.gcn.conv(x), structural, actional, weight)
        return F.relu(self.tcn(x) + beside)


def both(x, structural, actional, weight):
    if actional is None:
        return gather(x, structural)
    types, relations = actional.shape[1], structural.shape[0]
    split = x.shape[1] // (types + relations) * relations
    return gather(x[:, :split], structural) + weight * gather(x[:, split:], actional)


def per_body(x, norm):
    """(n, c, t, v, m) to normalized (n m, c, t, v)."""
    n, c, t, v, m = x.shape
    x = norm(x.permute(0, 4, 3, 1, 2).reshape(n * m, v * c, t))
    return x.view(n * m, v, c, t).permute(0, 2, 3, 1)


class STGCN(nn.Module):
    """``forward`` takes (n, c, t, v, m)."""

    def __init__(self, layout, classes, dims=3, widths=(8, 8, 12, 16), strides=(1, 1, 2, 2)):
        super().__init__()
        self.register_buffer("A", spatial_strategy(layout, 1))
        self.data_bn = nn.BatchNorm1d(dims * layout.num_joints)
        sizes = zip((dims, *widths), widths, strides, strict=False)
        self.st_gcn_networks = nn.ModuleList(
            Block(a, b, 3, stride=s, residual=k > 0) for k, (a, b, s) in enumerate(sizes)
        )
        self.edge_importance = nn.ParameterList(nn.Parameter(self.A.clone()) for _ in widths)
        self.fcn = nn.Conv2d(widths[-1], classes, 1)

    def forward(self, x):
        n, m = x.shape[0], x.shape[-1]
        x = per_body(x, self.data_bn)
        for block, importance in zip(self.st_gcn_networks, self.edge_importance, strict=True):
            x = block(x, self.A * importance)
        pooled = F.avg_pool2d(x, x.shape[2:]).view(n, m, -1, 1, 1).mean(dim=1)
        return self.fcn(pooled).flatten(1)


class UnitGCN(nn.Module):
    def __init__(self, before, after, operators, adaptive, residual):
        super().__init__()
        self.adaptive, self.with_residual = adaptive, residual
        self.conv = nn.Conv2d(before, after * len(operators), 1)
        self.bn = nn.BatchNorm2d(after)
        self.down = None
        if residual and before != after:
            self.down = nn.Sequential(nn.Conv2d(before, after, 1), nn.BatchNorm2d(after))
        if adaptive == "init":
            self.A = nn.Parameter(operators.clone())
        else:
            self.register_buffer("A", operators.clone())
            self.PA = nn.Parameter(operators.clone())

    def forward(self, x):
        beside = 0
        if self.with_residual:
            beside = x if self.down is None else self.down(x)
        operators = {
            "init": lambda: self.A,
            "offset": lambda: self.A + self.PA,
            "importance": lambda: self.A * self.PA,
        }[self.adaptive]()
        return F.relu(self.bn(gather(self.conv(x), operators)) + beside)


class UnitTCN(nn.Module):
    def __init__(self, before, after, kernel=9, stride=1, dilation=1, norm=True):
        super().__init__()
        pad = (kernel - 1) * dilation // 2
        self.conv = nn.Conv2d(before, after, (kernel, 1), (stride, 1), (pad, 0), (dilation, 1))
        self.bn = nn.BatchNorm2d(after) if norm else nn.Identity()

    def forward(self, x):
        return self.bn(self.conv(x))


class MSTCN(nn.Module):
    def __init__(self, width, stride):
        super().__init__()
        share = width // 6
        first = width - 5 * share

        def start(size):
            return nn.Conv2d(width, size, 1), nn.BatchNorm2d(size), nn.ReLU()

        self.branches = nn.ModuleList(
            nn.Sequential(*start(size), UnitTCN(size, size, 3, stride, dilation, norm=False))
            for dilation, size in zip(DILATIONS, (first, share, share, share), strict=True)
        )
        pool = nn.MaxPool2d((3, 1), (stride, 1), (1, 0))
        self.branches.append(nn.Sequential(*start(share), pool))
        self.branches.append(nn.Conv2d(width, share, 1, (stride, 1)))
        self.transform = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, width, 1))
        self.bn = nn.BatchNorm2d(width)

    def forward(self, x):
        return self.bn(self.transform(torch.cat([branch(x) for branch in self.branches], dim=1)))


class PysklBlock(nn.Module):
    def __init__(self, before, after, operators, stride, residual, adaptive, multi):
        super().__init__()
        self.gcn = UnitGCN(before, after, operators, adaptive, multi)
        self.tcn = MSTCN(after, stride) if multi else UnitTCN(after, after, 9, stride)
        self.identity = residual and before == after and stride == 1
        self.residual = None
        if residual and not self.identity:
            self.residual = UnitTCN(before, after, 1, stride)

    def forward(self, x):
        beside = x if self.identity else 0 if self.residual is None else self.residual(x)
        return F.relu(self.tcn(self.gcn(x)) + beside)


class Pyskl(nn.Module):
    """PYSKL's ST-GCN, or ST-GCN++ with ``multi``; names begin with backbone and cls_head."""

    def __init__(self, layout, classes, dims=3, *, adaptive="importance", multi=False, graph=None):
        super().__init__()
        widths, strides = (12, 12, 18, 24), (1, 1, 2, 2)
        operators = graph
        if graph is None:
            operators = inward_outward(layout) if multi else spatial_strategy(layout, 1)
        self.backbone = nn.Module()
        self.backbone.data_bn = nn.BatchNorm1d(dims * layout.num_joints)
        sizes = zip((dims, *widths), widths, strides, strict=False)
        self.backbone.gcn = nn.ModuleList(
            PysklBlock(a, b, operators, s, k > 0, adaptive, multi)
            for k, (a, b, s) in enumerate(sizes)
        )
        self.cls_head = nn.Module()
        self.cls_head.fc_cls = nn.Linear(widths[-1], classes)

    def forward(self, x):
        n, m = x.shape[0], x.shape[-1]
        x = per_body(x, self.backbone.data_bn)
        for block in self.backbone.gcn:
            x = block(x)
        return self.cls_head.fc_cls(x.mean(dim=(2, 3)).view(n, m, -1).mean(dim=1))


class MLP(nn.Module):
    def __init__(self, before, hidden):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(before, hidden), nn.Linear(hidden, hidden)
        self.bn = nn.BatchNorm1d(hidden)

    def forward(self, x):
        x = F.elu(self.fc2(F.elu(self.fc1(x))))
        return self.bn(x.flatten(0, 1)).view(x.shape)


class Encoder(nn.Module):
    """Model 2 of AS-GCN: its encoder, whose decoder has no counterpart."""

    def __init__(self, joints, dims, frames, hidden, types):
        super().__init__()
        self.encoder = nn.Module()
        inputs = (frames * dims, 2 * hidden, hidden, 3 * hidden)
        for number, size in enumerate(inputs, start=1):
            setattr(self.encoder, f"mlp{number}", MLP(size, hidden))
        self.encoder.fc_out = nn.Linear(hidden, types + 1)
        self.decoder = nn.Module()
        self.decoder.out_fc1 = nn.Linear(hidden, hidden)
        send, receive = (torch.ones(joints, joints) - torch.eye(joints)).nonzero().t()
        self.send, self.receive, self.joints = send, receive, joints

    def pairs(self, x):
        return torch.cat([x[:, self.receive], x[:, self.send]], dim=2)

    def logits(self, x):
        """(n, v, t, c) to (n, pairs, types), sender by sender."""
        net = self.encoder
        skip = net.mlp2(self.pairs(net.mlp1(x.flatten(2))))
        nodes = skip.new_zeros(len(x), self.joints, skip.shape[2])
        nodes = nodes.index_add(1, self.receive, skip) / self.joints
        hidden = net.mlp3(nodes)
        return net.fc_out(net.mlp4(torch.cat([self.pairs(hidden), skip], dim=2)))

    def forward(self, x):
        """(n, c, t, v, m) to operators (n m, types, v, v), without noise."""
        n, c, t, v, m = x.shape
        logits = self.logits(x.permute(0, 4, 3, 2, 1).reshape(n * m, v, t, c))
        chosen = F.one_hot(logits.argmax(dim=2), logits.shape[2]).to(x.dtype)[:, :, 1:]
        links = x.new_zeros(n * m, v, v, chosen.shape[2])
        links[:, self.send, self.receive] = chosen
        links = links.permute(0, 3, 1, 2) + torch.eye(v, dtype=x.dtype)
        return links * (1 / links.sum(dim=2, keepdim=True) + 1e-10) * 0.1


class Recon(nn.Module):
    """Last layer of the prediction head."""

    def __init__(self, before, after, relations):
        super().__init__()
        self.gcn_recon = nn.Module()
        self.gcn_recon.deconv = nn.ConvTranspose2d(before, after * relations, 1)
        self.tcn_recon = temporal(after, 1, 1, pad=False, transposed=True)

    def forward(self, x, structural, actional, weight=0.5):
        return self.tcn_recon(both(self.gcn_recon.deconv(x), structural, actional, weight))


class ASGCN(nn.Module):
    """Model 1 of AS-GCN."""

    def __init__(self, layout, classes, dims=3, future=10, types=2, hops=4):
        super().__init__()
        self.register_buffer("A", spatial_strategy(layout, hops))
        self.dims, self.future = dims, future
        relations = len(self.A) + types
        self.data_bn = nn.BatchNorm1d(dims * layout.num_joints)
        widths, strides = (6, 6, 8, 8), (1, 1, 2, 2)
        sizes = zip((dims, *widths), widths, strides, strict=False)
        for k, (a, b, s) in enumerate(sizes):
            setattr(self, f"class_layer_{k}", Block(a, b, relations, stride=s, residual=k > 0))
        head = [(9, 1), (9, 2), (9, 2), (9, 2), (3, 2), (5, 1)]
        for k, (kernel, stride) in enumerate(head):
            full = k < 5
            block = Block(8 if k == 0 else 10, 10, relations, kernel, stride, full, full)
            setattr(self, f"recon_layer_{k}", block)
        self.recon_layer_6 = Recon(10 + dims, dims * future, relations)
        self.edge_importance = nn.ParameterList(nn.Parameter(self.A.clone()) for _ in range(9))
        self.edge_importance_recon = nn.ParameterList(
            nn.Parameter(self.A.clone()) for _ in range(9)
        )
        self.fcn = nn.Conv2d(widths[-1], classes, 1)

    def forward(self, x, last, actional):
        """Logits, and poses (n m, c, t, v) after the last one (n m, c, v)."""
        n, m = x.shape[0], x.shape[-1]
        x = per_body(x, self.data_bn)
        for k in range(4):
            x = getattr(self, f"class_layer_{k}")(x, self.A * self.edge_importance[k], actional)
        pooled = F.avg_pool2d(x, x.shape[2:]).view(n, m, -1, 1, 1).mean(dim=1)
        logits = self.fcn(pooled).flatten(1)
        for k in range(7):
            if k == 6:
                x = torch.cat([x, last.unsqueeze(2)], dim=1)
            operators = self.A * self.edge_importance_recon[k]
            x = getattr(self, f"recon_layer_{k}")(x, operators, actional)
        poses = last.repeat(1, self.future, 1) + x.squeeze(2)
        return logits, poses.view(n * m, self.dims, self.future, -1)


def randomized(model, seed=0):
    """Draw all weights and statistics, so that none is what it was made with."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith("num_batches_tracked") or name == "A":
                continue
            if name.endswith("gcn.A") and name.replace("gcn.A", "gcn.PA") in model.state_dict():
                continue
            noise = torch.randn(value.shape, generator=generator, dtype=value.dtype)
            if name.endswith("running_var"):
                value.copy_(0.5 + noise.abs())
            elif name.endswith(("running_mean", "bias")):
                value.copy_(0.3 * noise)
            elif value.dim() > 1 and not name.endswith(("A", *"0123456789")):
                value.copy_(noise / value[0].numel() ** 0.5)
            else:
                value.copy_(1 + 0.3 * noise)
        for module in model.modules():  # sums over joints stay as large as what is summed
            if isinstance(module, UnitGCN) and module.adaptive != "importance":
                full = module.A if module.adaptive == "init" else module.PA
                full /= full.shape[-1]
    return model.eval()
