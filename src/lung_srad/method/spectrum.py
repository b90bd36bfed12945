"""How a layer mixes tokens, by frequency (paper §3.3), and the smoothing that follows: Eq. 4-5 (§3.4).

Frequency here is that of variation from token to token, not the pitch of a sound.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Complex, Float
from torch import Tensor

from ..errors import ConfigError, ShapeError, message
from ._checked import checked

_LARGE, _HELD = 2048, 2**18  # tokens; values of Λ


@checked
def fourier_response(matrix: Float[Tensor, "L L"], *, grid: tuple[int, int] | None = None) -> Complex[Tensor, "L L"]:
    """Returns Λ = F M F⁻¹: what a mixing matrix does to each frequency j, as its share of each frequency i.

    With ``grid`` = (H, W) the tokens are a grid, row by row, and F is the transform in two dimensions.
    The transforms run in double precision, whatever M has.

    >>> average = torch.full((3, 3), 1 / 3)  # keeps the mean and nothing else
    >>> fourier_response(average).abs().round(decimals=6)
    tensor([[1., 0., 0.],
            [0., 0., 0.],
            [0., 0., 0.]], dtype=torch.float64)

    Raises:
        ShapeError: the grid does not have L tokens.
    Reference: §3.3, with the unitary F, whose scale cancels in Λ.
    """
    L = matrix.shape[0]
    shape = _grid_of(L, grid, "fourier_response")
    rows, columns = tuple(range(len(shape))), tuple(range(len(shape), 2 * len(shape)))
    M = matrix.double().reshape(*shape, *shape)
    response: Tensor = torch.fft.fftn(torch.fft.ifftn(M, dim=columns), dim=rows)
    return response.reshape(L, L)


@checked
def band_intensity(response: Complex[Tensor, "L L"]) -> Float[Tensor, " L"]:
    """Returns the intensity of each band i, (1/n) Σ_j |Λ_ij|.

    >>> band_intensity(torch.tensor([[3 + 4j, 1 + 0j], [0j, 2j]]))
    tensor([3., 1.])

    Reference: §3.3.
    """
    return response.abs().mean(dim=-1)


@checked
def spectral_response(
    matrix: Float[Tensor, "L L"], grid: tuple[int, int] | None = None
) -> Float[Tensor, " L"] | Float[Tensor, "H W"]:
    """Returns the response curve of Fig. 1 and 2, not normalised, DC first: (L,), or (H, W) over a grid.

    It is ``band_intensity(fourier_response(matrix))``, without ever holding Λ: half of its columns, since M is real,
    a few at a time. Up to 2,048 tokens the transforms run in double precision, beyond that in that of M.

    >>> spectral_response(torch.eye(4))  # the identity treats all bands alike
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    >>> spectral_response(torch.eye(6), grid=(2, 3)).shape
    torch.Size([2, 3])

    Raises:
        ShapeError: the grid does not have L tokens.
    """
    L = matrix.shape[0]
    shape = _grid_of(L, grid, "spectral_response")
    dims = tuple(range(-len(shape), 0))
    dtype = torch.float64 if L <= _LARGE else matrix.dtype
    parts = [torch.fft.ihfftn(M.to(dtype).reshape(-1, *shape), dim=dims) for M in matrix.split(_LARGE)]
    half = torch.cat(parts)  # (L, ..., shape[-1] // 2 + 1): M F⁻¹ for half of all frequencies j
    last = half.shape[-1]
    inner = torch.arange(last, device=matrix.device)
    inner = ((inner > 0) & (2 * inner < shape[-1])).expand(half.shape[1:]).flatten()  # the half lacks -j of these j
    curve = mirrored = matrix.new_zeros(shape, dtype=dtype)
    some = max(1, _HELD // L)
    for columns, lacks in zip(half.reshape(L, -1).split(some, dim=1), inner.split(some), strict=True):
        shares = torch.fft.fftn(columns.mT.reshape(-1, *shape), dim=dims).abs()
        curve = curve + shares.sum(0)
        mirrored = mirrored + shares[lacks].sum(0)
    curve = curve + mirrored.flip(dims).roll((1,) * len(dims), dims)  # |Λ_(i, -j)| = |Λ_(-i, j)|
    return (curve / L).to(matrix.dtype)


def _grid_of(tokens: int, grid: tuple[int, int] | None, where: str) -> tuple[int, ...]:
    """Returns the shape that the tokens have, all in a row where there is no grid."""
    shape = grid or (tokens,)
    if torch.Size(shape).numel() != tokens:
        allowed = f"the matrix mixes {tokens} tokens"
        remedy = "leave out class tokens, keep H × W"
        raise ShapeError(message(f"{where}: grid", str(grid), allowed, remedy))
    return shape


def gaussian_kernel(size: int, sigma: float) -> Float[Tensor, " K"]:
    """Returns the Gaussian G̃ of odd length K = size, scaled to sum to one (Eq. 4).

    >>> gaussian_kernel(5, 3.0)
    tensor([0.1782, 0.2105, 0.2225, 0.2105, 0.1782])

    Raises:
        ConfigError: an even size (Eq. 4 would make it one tap shorter), or a sigma that is not positive.
    """
    if size < 1 or size % 2 == 0:
        remedy = f"use {max(size, 2) - 1} or {max(size, 2) + 1}"
        raise ConfigError(message("gaussian_kernel: size", str(size), "odd, so that it has a centre", remedy))
    if not sigma > 0:
        remedy = "the paper takes 3"
        raise ConfigError(message("gaussian_kernel: sigma", str(sigma), "greater than 0", remedy))
    k = torch.arange(size, dtype=torch.float64) - size // 2
    return torch.softmax(-((k / sigma) ** 2) / 2, dim=0).to(torch.get_default_dtype())


@checked
def gaussian_smooth(x: Float[Tensor, "B C H W"], kernel: Float[Tensor, " K"]) -> Float[Tensor, "B C H W"]:
    """Returns G̃_H * (G̃_W * x), each channel by itself, same shape (Eq. 5).

    Beyond the border there are zeros, so values fade within K // 2 cells of it (DECISIONS #15).

    >>> gaussian_smooth(torch.ones(1, 1, 3, 3), torch.tensor([0.25, 0.5, 0.25])).squeeze()
    tensor([[0.5625, 0.7500, 0.5625],
            [0.7500, 1.0000, 0.7500],
            [0.5625, 0.7500, 0.5625]])

    Raises:
        ShapeError: a kernel of even length, which has no centre.
    """
    C, (K,) = x.shape[1], kernel.shape
    if K % 2 == 0:
        raise ShapeError(message("gaussian_smooth: kernel", f"length {K}", "odd", "see gaussian_kernel"))
    along_w = kernel.to(x).expand(C, 1, 1, K)
    x = F.conv2d(x, along_w, padding=(0, K // 2), groups=C)
    return F.conv2d(x, along_w.mT, padding=(K // 2, 0), groups=C)


@checked
def smooth_matrix(
    matrix: Float[Tensor, "L L"],
    grid: tuple[int, int],
    kernel: Float[Tensor, " K"],
    *,
    padding: Literal["zeros", "circular"] = "zeros",
) -> Float[Tensor, "L L"]:
    """Returns G·M: what a layer of mixing matrix M does when its output is smoothed (§3.4, Fig. 2).

    "zeros" is Eq. 5 as networks apply it. "circular" lets the grid go on at its other side; then, and then only,
    smoothing does to each frequency of the grid what :func:`smoothing_response` says.

    >>> smooth_matrix(torch.eye(3), (1, 3), torch.tensor([0.25, 0.5, 0.25]), padding="circular")
    tensor([[0.5000, 0.2500, 0.2500],
            [0.2500, 0.5000, 0.2500],
            [0.2500, 0.2500, 0.5000]])

    Raises:
        ShapeError: the grid does not have L tokens, or a kernel of even length.
    """
    H, W = _grid_of(matrix.shape[0], grid, "smooth_matrix")
    images = matrix.mT.reshape(1, -1, H, W)  # each column of M is an image: what one token feeds
    if padding == "zeros":
        return gaussian_smooth(images, kernel).reshape(-1, H * W).mT
    K = len(kernel)
    if K % 2 == 0:
        raise ShapeError(message("smooth_matrix: kernel", f"length {K}", "odd", "see gaussian_kernel"))
    for dim in (2, 3):
        images = torch.stack([kernel[k].to(images) * images.roll(k - K // 2, dim) for k in range(K)]).sum(0)
    return images.reshape(-1, H * W).mT


def smoothing_response(grid: tuple[int, int], kernel: Float[Tensor, " K"]) -> Float[Tensor, "H W"]:
    """Returns Ĝ, the factor of each frequency of a grid under smoothing that goes round: (H, W), DC (1) first.

    >>> smoothing_response((1, 4), torch.tensor([0.25, 0.5, 0.25])).abs()
    tensor([[1.0000, 0.5000, 0.0000, 0.5000]])
    """
    k = torch.arange(len(kernel), dtype=torch.float64) - len(kernel) // 2
    turns = [torch.outer(torch.arange(n, dtype=torch.float64) / n, k) for n in grid]
    along_h, along_w = ((kernel.double() * torch.cos(2 * torch.pi * turn)).sum(1) for turn in turns)
    return torch.outer(along_h, along_w).to(kernel.dtype)
