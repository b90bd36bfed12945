"""The spectral response of a mixing matrix, and Eq. 4 and 5."""

import numpy as np
import pytest
import torch

from lung_srad.errors import ConfigError, ShapeError
from lung_srad.method import (
    band_intensity,
    fourier_response,
    gaussian_kernel,
    gaussian_smooth,
    smooth_matrix,
    smoothing_response,
    spectral_response,
    spectrum,
)

F64 = torch.float64


def random(*shape, seed=0):
    return torch.randn(shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def dft(n):
    """The unitary DFT matrix of the paper, its rows the basis vectors."""
    k = torch.arange(n, dtype=F64)
    return torch.polar(torch.full((n, n), n**-0.5, dtype=F64), -2 * torch.pi * torch.outer(k, k) / n)


def test_response_is_the_product_with_the_dft_matrices():
    M, F = random(7, 7), dft(7)
    expected = F @ M.to(F.dtype) @ torch.linalg.inv(F)
    torch.testing.assert_close(fourier_response(M), expected)
    torch.testing.assert_close(band_intensity(fourier_response(M)), expected.abs().sum(1) / 7)


def test_response_over_a_grid_is_the_product_with_the_kronecker_dft():
    M, F = random(12, 12), torch.kron(dft(3), dft(4))
    expected = F @ M.to(F.dtype) @ torch.linalg.inv(F)
    torch.testing.assert_close(fourier_response(M, grid=(3, 4)), expected)
    torch.testing.assert_close(spectral_response(M, (3, 4)), expected.abs().mean(1).view(3, 4))


def test_identity_is_flat_and_averaging_is_dc_only():
    torch.testing.assert_close(spectral_response(torch.eye(16)), torch.full((16,), 1 / 16))
    torch.testing.assert_close(spectral_response(torch.eye(16), grid=(2, 8)), torch.full((2, 8), 1 / 16))
    average = torch.full((16, 16), 1 / 16, dtype=F64)
    dc = torch.zeros(16, dtype=F64)
    dc[0] = 1 / 16
    torch.testing.assert_close(spectral_response(average), dc)


def test_a_circulant_gives_the_fft_of_its_kernel():
    kernel = random(9)
    M = torch.stack([kernel.roll(j) for j in range(9)], dim=1)
    torch.testing.assert_close(fourier_response(M), torch.diag(torch.fft.fft(kernel)))
    torch.testing.assert_close(spectral_response(M), torch.fft.fft(kernel).abs() / 9)


@pytest.mark.parametrize(("size", "grid"), [(1, None), (9, None), (10, None), (12, (3, 4)), (15, (3, 5)), (6, (6, 1))])
def test_half_of_the_columns_is_enough(size, grid):
    M = random(size, size)
    expected = band_intensity(fourier_response(M, grid=grid)).reshape(grid or (-1,))
    torch.testing.assert_close(spectral_response(M, grid), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("grid", [None, (3, 8)])
def test_streaming_does_not_show(monkeypatch, grid):
    M = random(24, 24)
    whole = spectral_response(M, grid)
    monkeypatch.setattr(spectrum, "_HELD", 5 * 24)
    torch.testing.assert_close(spectral_response(M, grid), whole, rtol=1e-12, atol=1e-14)
    monkeypatch.setattr(spectrum, "_LARGE", 7)
    torch.testing.assert_close(spectral_response(M.float(), grid), whole.float(), rtol=1e-4, atol=1e-6)


def test_response_keeps_the_kind_of_number_and_lets_gradients_through():
    M = torch.rand(6, 6, requires_grad=True)
    curve = spectral_response(M)
    assert curve.dtype == torch.float32
    curve.sum().backward()
    assert M.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("attention_ast_layer4", 0.1165),
        ("mixing_dass_stage2_block2", 0.4040),
        ("mixing_dass_stage2_block2_onedir", 0.5547),
    ],
)
def test_the_authors_matrices_have_the_stated_share_outside_dc(shared, name, share):
    M = torch.from_numpy(np.load(shared / "reference" / f"{name}.npy"))
    curve = spectral_response(M)
    # One unit in the last digit: 0.4040 is stated where this and the DFT matrices below find 0.40406.
    assert (curve[1:].max() / curve[0]).item() == pytest.approx(share, abs=1e-4)
    F = dft(len(M))
    oracle = (F @ M.to(F.dtype) @ F.mH).abs().mean(1)
    torch.testing.assert_close(curve.double(), oracle, rtol=1e-6, atol=0)
    torch.testing.assert_close(spectral_response(M.double()), oracle, rtol=0, atol=1e-10)


def test_the_authors_matrix_over_its_grid(shared):
    """The peaks of the flattened response are frequencies of time alone: bin 8 m is (0, m) on 8 × 64 tokens."""
    M = torch.from_numpy(np.load(shared / "reference" / "mixing_dass_stage2_block2.npy")).double()
    line, plane = spectral_response(M), spectral_response(M, (8, 64))
    F = torch.kron(dft(8), dft(64))
    torch.testing.assert_close(plane.flatten(), (F @ M.to(F.dtype) @ F.mH).abs().mean(1), rtol=0, atol=1e-10)
    shares = [f"{value:.3f}" for value in line[8:33:8] / line[0]]
    assert shares == ["0.404", "0.319", "0.201", "0.161"]
    assert [f"{value:.3f}" for value in plane[0, 1:5] / plane[0, 0]] == ["0.403", "0.318", "0.201", "0.161"]
    assert (plane[1:, 1:] / plane[0, 0]).max() <= 0.083


def test_eq4_kernel_of_the_paper():
    assert [f"{v:.4f}" for v in gaussian_kernel(5, 3.0)] == ["0.1782", "0.2105", "0.2225", "0.2105", "0.1782"]


@pytest.mark.parametrize(("size", "sigma"), [(1, 3.0), (3, 0.5), (7, 1.0), (9, 100.0), (5, 1e-200)])
def test_eq4_sums_to_one_is_symmetric_and_has_gaussian_ratios(size, sigma):
    kernel = gaussian_kernel(size, sigma)
    assert kernel.shape == (size,)
    assert kernel.sum().item() == pytest.approx(1, abs=1e-6)
    assert torch.equal(kernel, kernel.flip(0))
    k = torch.arange(size, dtype=F64) - size // 2
    torch.testing.assert_close(kernel / kernel[size // 2], torch.exp(-((k / sigma) ** 2) / 2).float())


def test_eq5_an_impulse_gives_the_outer_product_in_its_channel_alone():
    x = torch.zeros(2, 3, 9, 11)
    x[1, 2, 4, 5] = 1
    kernel = torch.tensor([0.1, 0.2, 0.4, 0.2, 0.1])
    expected = torch.zeros_like(x)
    expected[1, 2, 2:7, 3:8] = torch.outer(kernel, kernel)
    torch.testing.assert_close(gaussian_smooth(x, kernel), expected)


def test_eq5_orients_the_kernel_as_a_filter_does_and_treats_both_axes_alike():
    x = random(2, 3, 6, 7)
    smooth = gaussian_smooth(x, gaussian_kernel(5, 3.0))
    torch.testing.assert_close(smooth.mT, gaussian_smooth(x.mT, gaussian_kernel(5, 3.0)))


def test_eq5_keeps_a_constant_away_from_the_border_and_fades_at_it():
    smooth = gaussian_smooth(torch.ones(1, 2, 9, 10), gaussian_kernel(5, 3.0))
    torch.testing.assert_close(smooth[:, :, 2:-2, 2:-2], torch.ones(1, 2, 5, 6))
    inside = gaussian_kernel(5, 3.0)[2:].sum()
    torch.testing.assert_close(smooth[0, :, 0, 0], (inside**2).expand(2))


def test_eq5_is_self_adjoint_out_of_place_and_blind_to_memory_order():
    x, y, kernel = random(2, 3, 8, 6), random(2, 3, 8, 6, seed=1), gaussian_kernel(5, 3.0)
    before = x.clone()
    torch.testing.assert_close((gaussian_smooth(x, kernel) * y).sum(), (x * gaussian_smooth(y, kernel)).sum())
    assert torch.equal(x, before)
    last = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(gaussian_smooth(last, kernel), gaussian_smooth(x, kernel))


@pytest.mark.parametrize(("grid", "size"), [((8, 16), 5), ((5, 7), 3), ((2, 6), 5), ((1, 8), 7)])
def test_smoothing_that_goes_round_multiplies_each_frequency(grid, size):
    M, kernel = random(grid[0] * grid[1], grid[0] * grid[1]), gaussian_kernel(size, 3.0).double()
    factor = smoothing_response(grid, kernel)
    smoothed = smooth_matrix(M, grid, kernel, padding="circular")
    expected = factor.flatten().unsqueeze(1) * fourier_response(M, grid=grid)
    torch.testing.assert_close(fourier_response(smoothed, grid=grid), expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(spectral_response(smoothed, grid), factor.abs() * spectral_response(M, grid))
    assert factor[0, 0] == pytest.approx(1, abs=1e-6)


def test_smoothing_a_matrix_smooths_what_its_layer_gives():
    M, x, kernel = random(12, 12), random(12, seed=1), gaussian_kernel(5, 3.0).double()
    expected = gaussian_smooth((M @ x).view(1, 1, 3, 4), kernel).flatten()
    torch.testing.assert_close(smooth_matrix(M, (3, 4), kernel) @ x, expected)
    inside = smooth_matrix(random(99, 99), (9, 11), kernel) - smooth_matrix(
        random(99, 99), (9, 11), kernel, padding="circular"
    )
    assert inside.view(9, 11, 99)[2:-2, 2:-2].abs().max() < 1e-12  # they part at the border alone
    assert inside.abs().max() > 0.1


def test_wrong_arguments_say_what_is_wrong():
    with pytest.raises(ConfigError, match="gaussian_kernel: size: 4; odd, so that it has a centre; use 3 or 5"):
        gaussian_kernel(4, 3.0)
    for size in (0, -1):
        with pytest.raises(ConfigError, match=f"size: {size}; odd"):
            gaussian_kernel(size, 3.0)
    for sigma in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match=r"sigma: .*; greater than 0"):
            gaussian_kernel(5, sigma)
    with pytest.raises(ShapeError, match="gaussian_smooth: kernel: length 4; odd"):
        gaussian_smooth(torch.ones(1, 1, 4, 4), torch.ones(4))
    for padding in ("zeros", "circular"):
        with pytest.raises(ShapeError, match="kernel: length 4; odd"):
            smooth_matrix(torch.eye(6), (2, 3), torch.ones(4), padding=padding)
    with pytest.raises(ShapeError, match=r"smooth_matrix: grid: \(2, 4\); the matrix mixes 6 tokens"):
        smooth_matrix(torch.eye(6), (2, 4), torch.ones(3))
    with pytest.raises(ShapeError, match=r"gaussian_smooth: x: float32 \(4, 4\)"):
        gaussian_smooth(torch.ones(4, 4), torch.ones(3))
    with pytest.raises(ShapeError, match=r"fourier_response: matrix: float32 \(4, 5\); needs Float \(L, L\)"):
        fourier_response(torch.ones(4, 5))
    with pytest.raises(ShapeError, match=r"grid: \(2, 3\); the matrix mixes 8 tokens"):
        spectral_response(torch.eye(8), grid=(2, 3))
