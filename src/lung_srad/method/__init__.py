"""Section 3 of the paper as pure functions: tensors in, tensors out. No weights, no state, no files.

    ==========================  =======  ====================================================
    :mod:`.ssm`                 Eq. 1-3  state-space recurrence, four-directional scan
    :mod:`.spectrum`            Eq. 4-5  how a layer treats each frequency, Gaussian smoothing
    :mod:`.patch_mix`           Eq. 6-7  mixing two samples along time or frequency
    :mod:`.contrastive`         Eq. 8-10 the contrast between clean and mixed, the total loss
    ==========================  =======  ====================================================

Glossary: the paper's letters, as arguments and in shapes. The shapes in a signature are checked at each call.

    =============  =========================================================================================
    in shapes
    rows           any leading dimensions
    B              batch: samples
    C              channels, or the width of a feature vector
    H, W           rows = frequency, columns = time of the grid of patches
    K, KC          scan directions (4 in SS2D); directions × channels, direction by direction. K: kernel size
    L              tokens of a sequence, H·W on a grid; the paper's n in §3.3
    N              states of one channel (1 in DASS)
    P              width of the projection (768)
    m              cells of a mix
    -------------  -----------------------------------------------------------------------------------------
    §3.1
    x, u; y        input and output of a state-space model; u where the input is a whole sequence
    h              hidden state
    A, B, C, D     state decay (diagonal), input, output, direct path
    Δ (delta)      step size, positive
    Ā, B̄           A_bar, B_bar: A and B of one discrete step
    -------------  -----------------------------------------------------------------------------------------
    §3.3, §3.4
    M, Λ           mixing matrix, and the same between Fourier modes
    F              discrete Fourier transform
    G̃, K, σ        Gaussian kernel of sum 1, its size, its width (sigma)
    -------------  -----------------------------------------------------------------------------------------
    §3.5
    π              perm: mixed sample i holds x_π(i) in its band
    t, w; f, h     start and width of the band in time; in frequency
    λ, β           lam: share of a sample that is its own; beta: λ ~ Beta(β, β)
    f_θ(x), h      f, f_mix: features of clean and mixed samples; project: the head
    sg             stop-gradient
    q̂, q̃̂           q, q_mix: projected features of length 1
    τ              temperature
    =============  =========================================================================================
"""

from .contrastive import patch_mix_info_nce, project_pair, total_loss
from .patch_mix import AxisMix, Mix, TokenMix, apply_mix, draw_mix, mix_freq, mix_time, mix_tokens
from .spectrum import (
    band_intensity,
    fourier_response,
    gaussian_kernel,
    gaussian_smooth,
    smooth_matrix,
    smoothing_response,
    spectral_response,
)
from .ssm import cross_merge, cross_scan, derivative, discretize, recurrence

__all__ = [
    "AxisMix",
    "Mix",
    "TokenMix",
    "apply_mix",
    "band_intensity",
    "cross_merge",
    "cross_scan",
    "derivative",
    "discretize",
    "draw_mix",
    "fourier_response",
    "gaussian_kernel",
    "gaussian_smooth",
    "mix_freq",
    "mix_time",
    "mix_tokens",
    "patch_mix_info_nce",
    "project_pair",
    "recurrence",
    "smooth_matrix",
    "smoothing_response",
    "spectral_response",
    "total_loss",
]
