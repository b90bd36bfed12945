"""What the scan and the model are measured against: two loops over time, the network as published, AST.

The pure-torch baseline is the package's own "torch" back end. A work-efficient odd-even scan (Blelloch's) with the
same hand-written backward was tried in its place, at every stage, forward and backward, with one and two threads:
it is neither faster nor slower beyond the spread, since exponentials and softplus take most of the time.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lung_srad import kernels
from lung_srad.method import cross_merge, cross_scan
from lung_srad.models import Classifier

LOOPS = ("indexed", "unbound")
Recurrence = Callable[[Tensor, Tensor, Tensor], Tensor]


def indexed(decay: Tensor, drive: Tensor, C: Tensor) -> Tensor:
    """Returns y (B, KC, L), indexing each step; its backward fills three full-size tensors for every one.

    Shape: decay, drive (B, KC, L, N); C (B, KC, N, L).
    """
    state, ys = torch.zeros_like(decay[:, :, 0]), []
    for t in range(decay.shape[2]):
        state = decay[:, :, t] * state + drive[:, :, t]
        ys.append(torch.einsum("bcn,bcn->bc", state, C[:, :, :, t]))
    return torch.stack(ys, dim=2)


def unbound(decay: Tensor, drive: Tensor, C: Tensor) -> Tensor:
    """Returns the same over unbound steps: the loop at its best."""
    state, ys = torch.zeros_like(decay[:, :, 0]), []
    for a, b, c in zip(decay.unbind(2), drive.unbind(2), C.unbind(3), strict=True):
        state = a * state + b
        ys.append(torch.einsum("bcn,bcn->bc", state, c))
    return torch.stack(ys, dim=2)


def loop_backend(recurrence: Recurrence) -> kernels.Backend:
    """Returns a back end with the upstream data flow: tokens copied for four directions, B and C for each channel."""

    def selective_scan(u, delta, A, B, C, D, delta_bias, delta_softplus):
        if delta_bias is not None:
            delta = delta + delta_bias.unsqueeze(-1)
        if delta_softplus:
            delta = F.softplus(delta)
        B, C = (x.repeat_interleave(u.shape[1] // B.shape[1], dim=1) for x in (B, C))
        decay = torch.exp(torch.einsum("bcl,cn->bcln", delta, A))
        drive = torch.einsum("bcl,bcnl,bcl->bcln", delta, B, u)
        y = recurrence(decay, drive, C)
        return y if D is None else y + u * D.unsqueeze(-1)

    def ss2d(x, projected, dt_weight, dt_bias, A, D):
        rank, states = dt_weight.shape[-1], A.shape[-1]
        low, B, C = paths(projected.unflatten(-1, (4, -1))).split([rank, states, states], dim=2)
        delta = torch.einsum("bkrl,kcr->bkcl", low, dt_weight).flatten(1, 2)
        tokens = cross_scan(x.permute(0, 3, 1, 2)).flatten(1, 2)
        ys = selective_scan(tokens, delta, A, B, C, D, dt_bias.flatten(), True)
        return cross_merge(ys.unflatten(1, (4, -1)), x.shape[1:3]).permute(0, 2, 3, 1)

    return kernels.Backend(selective_scan=selective_scan, ss2d=ss2d)


def paths(x: Tensor) -> Tensor:
    """Returns each direction's own values along its path: (B, H, W, 4, X) -> (B, 4, X, H*W)."""
    return torch.stack([cross_scan(x[..., k, :].permute(0, 3, 1, 2))[:, k] for k in range(4)], dim=1)


def register_loops() -> None:
    """Adds the loops to the back ends, in front: the last one is the preferred one."""
    own = {name: kernels.BACKENDS[name] for name in kernels.available()}
    kernels.BACKENDS.clear()
    kernels.BACKENDS.update({"indexed": loop_backend(indexed), "unbound": loop_backend(unbound)} | own)


class Published:
    """The network as published, around any back end: channels first, linear layers as 1x1 convolutions, eager.

    It shares the weights of a classifier and gives the same logits. The projections are made before the copies for
    four directions, not after, which favours it.
    """

    def __init__(self, net: Classifier) -> None:
        self.weights, self.depths = dict(net.named_parameters()), net.backbone.depths
        self.zero_grad = net.zero_grad

    def __call__(self, x: Tensor) -> Tensor:
        """Returns the logits: (B, 1, F, T) -> (B, classes)."""
        x = self.norm("patch_embed.2", self.halve("patch_embed.0", x))
        x = self.norm("patch_embed.7", self.halve("patch_embed.5", F.gelu(x)))
        for stage, depth in enumerate(self.depths):
            for block in range(depth):
                x = self.block(f"layers.{stage}.blocks.{block}", x)
            if stage + 1 < len(self.depths):
                x = self.halve(f"layers.{stage}.downsample.1", x)
                x = self.norm(f"layers.{stage}.downsample.3", x)
        x = self.norm("classifier.norm", x).mean((2, 3))
        return F.linear(x, self.weights["classifier.head.weight"], self.weights["classifier.head.bias"])

    def block(self, name: str, x: Tensor) -> Tensor:
        """Returns SS2D and MLP, each with norm and residual."""
        x = x + self.ss2d(f"{name}.op", self.norm(f"{name}.norm", x))
        hidden = F.gelu(self.linear(f"{name}.mlp.fc1", self.norm(f"{name}.norm2", x)))
        return x + self.linear(f"{name}.mlp.fc2", hidden)

    def ss2d(self, name: str, x: Tensor) -> Tensor:
        """Returns projection, depthwise convolution, scan, norm and projection."""
        w = {key: self.weights[f"{name}.{key}"] for key in ("conv2d.weight", "dt_projs_weight", "dt_projs_bias", "Ds")}
        x = self.linear(f"{name}.in_proj", x)
        x = F.silu(F.conv2d(x, w["conv2d.weight"], padding=1, groups=x.shape[1]))
        projected = F.conv2d(x, self.weights[f"{name}.x_proj_weight"].flatten(0, 1)[:, :, None, None])
        A = -torch.exp(self.weights[f"{name}.A_logs"])
        x, projected = x.permute(0, 2, 3, 1), projected.permute(0, 2, 3, 1)
        y = kernels.ss2d(x, projected, w["dt_projs_weight"], w["dt_projs_bias"], A, w["Ds"])
        return self.linear(f"{name}.out_proj", self.norm(f"{name}.out_norm", y.permute(0, 3, 1, 2)))

    def linear(self, name: str, x: Tensor) -> Tensor:
        """Returns a linear layer over channels, as a 1x1 convolution."""
        return F.conv2d(x, self.weights[f"{name}.weight"][:, :, None, None], self.weights.get(f"{name}.bias"))

    def halve(self, name: str, x: Tensor) -> Tensor:
        """Returns the strided 3x3 convolution."""
        return F.conv2d(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], stride=2, padding=1)

    def norm(self, name: str, x: Tensor) -> Tensor:
        """Returns the layer norm over channels."""
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return F.layer_norm(x.permute(0, 2, 3, 1), weight.shape, weight, bias).permute(0, 3, 1, 2)


class AST(nn.Module):
    """The audio spectrogram transformer of the AudioSet checkpoints (86 M parameters), with random weights."""

    def __init__(self, frames: int) -> None:
        from transformers import ASTConfig, ASTForAudioClassification  # seconds to import, and an extra

        super().__init__()
        config = ASTConfig(max_length=frames, num_labels=4, attn_implementation="sdpa")
        self.net = ASTForAudioClassification(config)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the logits: (B, 1, F, T) -> (B, 4)."""
        return self.net(x.squeeze(1).transpose(1, 2)).logits
