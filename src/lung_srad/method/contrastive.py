"""The contrast between clean and mixed samples: Eq. 8-10 (§3.5.2, §3.6). Defaults are the paper's reading."""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..errors import ConfigError, ShapeError, message, nearest
from ._checked import checked
from .patch_mix import Mix


@checked
def project_pair(
    project: Callable[[Tensor], Tensor],
    f: Float[Tensor, "B C"],
    *f_mix: Float[Tensor, "B C"],
    stop: Literal["mixed", "original"] = "mixed",
    project_on: Literal["both", "mixed"] = "both",
) -> tuple[Float[Tensor, "B P"], ...]:
    """Returns the unit rows q̂ of the original and q̃̂ of the mixed samples (Eq. 8), one q̃̂ for each ``f_mix``.

    The gradient stops at the features of one side; the head h = ``project`` lies behind them and learns from
    both. It is called once per branch, so that its batch statistics are those of one branch. The public code
    stops the originals and leaves them without a head (DECISIONS #1, #2).

    >>> f, f_mix = torch.ones(2, 4, requires_grad=True), torch.ones(2, 4, requires_grad=True)
    >>> q, q_mix = project_pair(torch.nn.Linear(4, 3), f, f_mix)
    >>> (q * q_mix).sum().backward()
    >>> f.grad is not None, f_mix.grad is None
    (True, True)

    Raises:
        ShapeError: branches of different size, or a head that changes the width of one side only.
    """
    if stop == "mixed":
        f_mix = tuple(branch.detach() for branch in f_mix)
    else:
        f = f.detach()
    q = project(f) if project_on == "both" else f
    rows = (q, *(project(branch) for branch in f_mix))
    for branch in rows[1:]:
        if branch.shape != q.shape:
            seen, allowed = f"mixed rows {tuple(branch.shape)}", f"the original rows are {tuple(q.shape)}"
            remedy = "as many samples in each branch; project_on='mixed' needs a head that keeps the width"
            raise ShapeError(message("project_pair: project", seen, allowed, remedy))
    return tuple(F.normalize(branch, dim=-1) for branch in rows)


@checked
def patch_mix_info_nce(
    q: Float[Tensor, "B P"],
    q_mix: Float[Tensor, "B P"],
    mix: Mix,
    *,
    temperature: float = 0.2,
    form: Literal["log_of_mean", "mean_of_logs"] = "log_of_mean",
    anchor: Literal["original", "mixed"] = "original",
    positive: Literal["holds_anchor", "printed"] = "holds_anchor",
    reduction: Literal["mean", "sum"] = "mean",
    lam: Literal["true", "drawn"] = "true",
) -> Float[Tensor, ""]:
    """Returns the Patch-Mix InfoNCE loss (Eq. 9) of unit rows.

    Each anchor has two positives among the rows of the other branch: its own, with weight λ, and a partner,
    with weight 1 - λ. Mixed sample i holds x_i and, in its band, x_π(i). So original i is held by the mixed
    samples i and π⁻¹(i), and mixed sample i holds the originals i and π(i). Eq. 9 as printed takes the mixed
    sample π(i) for original i, which does not hold it; so does ``positive="printed"`` (DECISIONS #6).

    >>> from lung_srad.method import AxisMix
    >>> mix = AxisMix("time", start=0, width=0, perm=torch.tensor([1, 0]), lam=1.0, lam_drawn=1.0)
    >>> q = torch.eye(2)
    >>> patch_mix_info_nce(q, q, mix, temperature=1.0)  # log(1 + 1/e)
    tensor(0.3133)

    Raises:
        ConfigError: a temperature that is not positive.
        ShapeError: the mix was drawn for another batch.
    """
    if not temperature > 0:
        where, remedy = "patch_mix_info_nce: temperature", "the paper takes 0.2"
        raise ConfigError(message(where, str(temperature), "greater than 0", remedy))
    if len(mix.perm) != len(q):
        seen, allowed = f"a batch of {len(mix.perm)}", f"q has {len(q)} rows"
        raise ShapeError(message("patch_mix_info_nce: mix", seen, allowed, "give the mix of these rows"))
    partner = mix.perm.to(q.device)
    if anchor == "original" and positive == "holds_anchor":
        partner = partner.argsort()  # π⁻¹
    sim = q @ q_mix.mT / temperature  # (original, mixed)
    log_p = (sim if anchor == "original" else sim.mT).log_softmax(dim=-1)  # (anchor, candidate)
    log_p = torch.stack((log_p.diagonal(), log_p.gather(1, partner[:, None]).squeeze(1)))  # (2, B)
    share = mix.lam if lam == "true" else mix.lam_drawn
    weight = log_p.new_tensor([[share], [1 - share]])  # of the own row and of the partner's
    losses = -(weight.log() + log_p).logsumexp(0) if form == "log_of_mean" else -(weight * log_p).sum(0)
    return losses.mean() if reduction == "mean" else losses.sum()


def total_loss(parts: Mapping[str, Float[Tensor, ""]], weights: Mapping[str, float] | None = None) -> Float[Tensor, ""]:
    """Returns the weighted sum of the parts of the objective (Eq. 10); a part without a weight counts once.

    >>> parts = {"ce": torch.tensor(1.0), "time": torch.tensor(2.0), "freq": torch.tensor(4.0)}
    >>> total_loss(parts), total_loss(parts, {"freq": 0.5})
    (tensor(7.), tensor(5.))

    Raises:
        ConfigError: no parts, or a weight for a part that is not there.
    """
    weights = weights or {}
    if not parts:
        raise ConfigError(message("total_loss: parts", "none", "needs at least one", "e.g. {'ce': loss}"))
    for name in weights.keys() - parts.keys():
        where, remedy = "total_loss: weights", nearest(name, parts)
        raise ConfigError(message(where, repr(name), "must name a part", remedy))
    return torch.stack([weights.get(name, 1.0) * part for name, part in parts.items()]).sum()
