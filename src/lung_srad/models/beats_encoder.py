"""The encoder of BEATs: positions by convolution, then post-norm blocks whose attention knows relative positions.

Parameter names and shapes are those of the official checkpoints.

Reference: Chen et al. 2022 (BEATs); its gated relative position bias is that of WavLM (Chen et al. 2021), its scaled
residual sums are DeepNorm's (Wang et al. 2022).
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lung_srad.models.stochastic_depth import StochasticDepth

BUCKETS, DISTANCE = 320, 800  # of relative positions: how many there are, and from where on all are alike
KERNEL, GROUPS = 128, 16  # of the convolution that tells positions
GATES = 4  # values that are summed into one gate


@dataclass(frozen=True)
class EncoderSize:
    """Width, depth and heads; the MLP is four times as wide."""

    width: int
    layers: int
    heads: int


def relative_buckets(length: int) -> Tensor:
    """Returns the bucket of each pair of tokens, what asks in rows, what is asked in columns: (L, L).

    One half of the buckets is for what comes later. In each half the near ones have a bucket for every distance, the
    others share those that are left, on a logarithmic scale up to :data:`DISTANCE`.
    """
    half = BUCKETS // 2
    exact = half // 2
    places = torch.arange(length)
    offset = places - places[:, None]  # (L, L), positive where the column comes later
    distance = offset.abs()
    share = torch.log(distance.clamp_min(exact).float() / exact) / math.log(DISTANCE / exact)
    shared = (exact + (share * (half - exact)).long()).clamp_max(half - 1)
    return torch.where(distance < exact, distance, shared) + half * (offset > 0)


class PositionConvolution(nn.Module):
    """A grouped convolution over tokens, its weight a direction and a length per tap (weight normalisation)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        weight = torch.empty(width, width // GROUPS, KERNEL).normal_(std=math.sqrt(4 / (KERNEL * width)))
        self.weight_g = nn.Parameter(weight.norm(dim=(0, 1), keepdim=True))  # (1, 1, taps)
        self.weight_v = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """Returns as many tokens as there were, zeros around them: (B, L, C) -> (B, L, C)."""
        length = self.weight_v.norm(dim=(0, 1), keepdim=True).clamp_min(torch.finfo(self.weight_v.dtype).tiny)
        y = F.conv1d(x.mT, self.weight_g * self.weight_v / length, self.bias, padding=KERNEL // 2, groups=GROUPS)
        return y[..., :-1].mT  # an even kernel gives one token too many


class GatedAttention(nn.Module):
    """Attention with a bias for each relative position, which every token opens or closes for itself."""

    def __init__(self, size: EncoderSize, *, first: bool) -> None:
        super().__init__()
        width, self.heads = size.width, size.heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))
        self.grep_linear = nn.Linear(width // size.heads, 2 * GATES)
        self.grep_a = nn.Parameter(torch.ones(1, size.heads, 1, 1))
        if first:  # all blocks share it; official files repeat it in each
            self.relative_attention_bias = nn.Embedding(BUCKETS, size.heads)
            nn.init.xavier_normal_(self.relative_attention_bias.weight)

    def by_heads(self, x: Tensor) -> Tensor:
        """Returns (B, L, C) -> (B, heads, L, C / heads)."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def gated(self, q: Tensor, bias: Tensor, padding: Tensor | None) -> Tensor:
        """Returns what is added to the scores, of q (B, heads, L, d) and bias (heads, L, L): (B, heads, L, L)."""
        opened = self.grep_linear(q).unflatten(3, (2, GATES)).sum(4).sigmoid()  # (B, heads, L, 2)
        update, reset = opened.split(1, 3)
        added = (update * (reset * self.grep_a - 1) + 2) * bias
        return added if padding is None else added.masked_fill(padding[:, None, None], -math.inf)

    def forward(self, x: Tensor, bias: Tensor, padding: Tensor | None) -> Tensor:
        """Returns (B, L, C) -> (B, L, C); nothing attends where ``padding`` (B, L) is true."""
        q, k, v = (self.by_heads(project(x)) for project in (self.q_proj, self.k_proj, self.v_proj))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=self.gated(q, bias, padding).to(q.dtype))
        return self.out_proj(y.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention, then an MLP; each residual sum is normalised, and what passes by is larger (DeepNorm)."""

    def __init__(self, size: EncoderSize, *, first: bool, layer_drop: float) -> None:
        super().__init__()
        self.self_attn = GatedAttention(size, first=first)
        self.self_attn_layer_norm = nn.LayerNorm(size.width)
        self.fc1 = nn.Linear(size.width, 4 * size.width)
        self.fc2 = nn.Linear(4 * size.width, size.width)
        self.final_layer_norm = nn.LayerNorm(size.width)
        self.alpha = (2 * size.layers) ** 0.25
        self.depth = StochasticDepth(layer_drop)
        _init_deep_norm(self, (8 * size.layers) ** -0.25)

    def forward(self, x: Tensor, bias: Tensor, padding: Tensor | None) -> Tensor:
        """Returns (B, L, C) -> (B, L, C); in training, samples that are drawn pass the whole block by."""
        rows = self.depth.rows(x)
        if len(rows) == 0:
            return x
        if len(rows) == len(x):
            return self.whole(x, bias, padding)
        return x.index_copy(0, rows, self.whole(x[rows], bias, None if padding is None else padding[rows]).to(x.dtype))

    def whole(self, x: Tensor, bias: Tensor, padding: Tensor | None) -> Tensor:
        """Returns (B, L, C) -> (B, L, C)."""
        x = self.self_attn_layer_norm(self.alpha * x + self.self_attn(x, bias, padding))
        return self.final_layer_norm(self.alpha * x + self.fc2(F.gelu(self.fc1(x))))


def _init_deep_norm(block: Block, gain: float) -> None:
    """Draws the weights of a block as DeepNorm asks for: values and MLP small, so that many blocks can be trained."""
    attention = block.self_attn
    for layer in (attention.q_proj, attention.k_proj):
        nn.init.xavier_normal_(layer.weight)
    for layer in (attention.v_proj, attention.out_proj, block.fc1, block.fc2):
        nn.init.xavier_normal_(layer.weight, gain=gain)
    for layer in (attention.q_proj, attention.k_proj, attention.v_proj, attention.out_proj, block.fc1, block.fc2):
        nn.init.zeros_(layer.bias)


class Encoder(nn.Module):
    """Positions, norm, blocks.

    ``gradient_decay`` scales the gradient that leaves each block towards the input; one leaves it as it is.
    """

    def __init__(self, size: EncoderSize, *, layer_drop: float, gradient_decay: float) -> None:
        super().__init__()
        self.pos_conv = nn.Sequential(PositionConvolution(size.width), nn.GELU())
        self.layer_norm = nn.LayerNorm(size.width)
        self.layers = nn.ModuleList(
            Block(size, first=layer == 0, layer_drop=layer_drop) for layer in range(size.layers)
        )
        self.gradient_decay = gradient_decay

    def bias(self, length: int) -> Tensor:
        """Returns the bias of each pair of tokens: (heads, L, L)."""
        table = self.layers[0].self_attn.relative_attention_bias.weight  # (buckets, heads)
        return table[relative_buckets(length).to(table.device)].permute(2, 0, 1)

    def forward(self, x: Tensor, padding: Tensor | None = None) -> Tensor:
        """Returns the last block's tokens: (B, L, C) -> (B, L, C).

        Where ``padding`` (B, L) is true there is nothing to hear: the other tokens are those of a shorter input.
        """
        if padding is not None:
            x = x.masked_fill(padding[..., None], 0)
        x = self.layer_norm(x + self.pos_conv(x))
        bias = self.bias(x.shape[1])
        for layer in self.layers:
            if self.gradient_decay != 1 and x.requires_grad:
                x.register_hook(lambda gradient: gradient * self.gradient_decay)
            x = layer(x, bias, padding)
        return x
