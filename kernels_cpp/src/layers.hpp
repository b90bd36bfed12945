// The layers around the scan: depthwise convolution with SiLU, layer norm, and the weight gradient of a linear layer.
#pragma once

#include "tile.hpp"

namespace ARCH {

inline V silu(V z, V& slope) {
    V s = 1.0f / (1.0f + exp2(at_most(z * -LOG2E, 126.0f)));
    slope = s * (1.0f + z * (1.0f - s));
    return z * s;
}

// ---------------------------------------------------------------------------------------------------------------------
// 3 × 3 depthwise convolution, zero padding of 1, then SiLU. Weights are (C, 9); one block is one vector of channels.

struct Taps {
    V at[9];
    Taps(const float* weight, const Block<1>& block) {
        for (int j = 0; j < 9; ++j) {
            V row[1];
            load_column<1>(row, weight + block.first * 9, 9, j, block);
            at[j] = row[0];
        }
    }
};

// Calls `with(tap, neighbour's token)` for the neighbours inside the grid.
template <class With>
inline void neighbours(int64_t i, int64_t j, int64_t height, int64_t width, With with) {
    for (int di = -1; di <= 1; ++di)
        for (int dj = -1; dj <= 1; ++dj)
            if (i + di >= 0 && i + di < height && j + dj >= 0 && j + dj < width)
                with((di + 1) * 3 + dj + 1, (i + di) * width + j + dj);
}

// The sum over all nine neighbours, without a test where none is outside.
template <class Value>
inline V convolve(int64_t i, int64_t j, int64_t height, int64_t width, const Taps& taps, bool mirrored, Value value) {
    V sum = V{};
    if (i > 0 && j > 0 && i + 1 < height && j + 1 < width) {
        for (int tap = 0; tap < 9; ++tap)
            sum += taps.at[mirrored ? 8 - tap : tap] * value((i + tap / 3 - 1) * width + j + tap % 3 - 1);
        return sum;
    }
    neighbours(i, j, height, width, [&](int tap, int64_t token) { sum += taps.at[mirrored ? 8 - tap : tap] * value(token); });
    return sum;
}

// A wide grid goes by tiles of columns, and the rows of a tile one after the other: what one row reads from memory
// the next two find in the cache.
template <class S>
void depthwise(const Depthwise& a) {
    const int64_t length = a.height * a.width, blocks = (a.channels + LANES - 1) / LANES;
    const int64_t room = (int64_t(1) << 15) / a.channels, columns = room < 16 ? 16 : room;
    const int64_t tiles = (a.width + columns - 1) / columns;
#pragma omp parallel for num_threads(a.threads) schedule(static)
    for (int64_t unit = 0; unit < a.batch * tiles * a.height; ++unit) {
        const int64_t i = unit % a.height, tile = unit / a.height % tiles, sample = unit / a.height / tiles;
        const S* x = static_cast<const S*>(a.x) + sample * length * a.channels;
        S* y = static_cast<S*>(a.y) + sample * length * a.channels;
        const int64_t begin = tile * columns, end = begin + columns < a.width ? begin + columns : a.width;
        for (int64_t b = 0; b < blocks; ++b) {
            Block<1> block(b, a.channels);
            Taps taps(a.weight, block);
            auto value = [&](int64_t token) { return load_some(x + token * a.channels + block.first, block.count); };
            auto column = [&](int64_t j, V* three) {  // the three neighbours at column j, zero outside
                bool inside = j >= 0 && j < a.width;
                for (int d = -1; d <= 1; ++d)
                    three[d + 1] = inside && i + d >= 0 && i + d < a.height ? value((i + d) * a.width + j) : V{};
            };
            V window[3][3];
            column(begin - 1, window[1]);
            column(begin, window[2]);
            for (int64_t j = begin; j < end; ++j) {
                for (int d = 0; d < 3; ++d) window[0][d] = window[1][d], window[1][d] = window[2][d];
                column(j + 1, window[2]);
                V slope, z = V{};
                for (int tap = 0; tap < 9; ++tap) z += taps.at[tap] * window[tap % 3][tap / 3];
                store_some(y + (i * a.width + j) * a.channels + block.first, silu(z, slope), block.count);
            }
        }
    }
}

// The gradient at the convolution's output goes into a slab (L), from which both others are made.
template <class S>
void depthwise_backward(const Depthwise& a, const void* grad_y, void* grad_x, float* grad_weight) {
    const int64_t length = a.height * a.width, blocks = (a.channels + LANES - 1) / LANES;
#pragma omp parallel num_threads(a.threads)
    {
        Buffer memory(length * LANES);
        V* slab = reinterpret_cast<V*>(memory.get());
#pragma omp for schedule(dynamic)
        for (int64_t unit = 0; unit < a.batch * blocks; ++unit) {
            Block<1> block(unit % blocks, a.channels);
            int64_t first = unit / blocks * length * a.channels + block.first;
            Taps taps(a.weight, block);
            V sums[9] = {};
            auto value = [&](int64_t token) {
                return load_some(static_cast<const S*>(a.x) + first + token * a.channels, block.count);
            };
            for (int64_t i = 0; i < a.height; ++i) {
                V of_row[9] = {};
                for (int64_t j = 0; j < a.width; ++j) {
                    int64_t token = i * a.width + j;
                    V slope, z = convolve(i, j, a.height, a.width, taps, false, value);
                    silu(z, slope);
                    V g = slope * load_some(static_cast<const S*>(grad_y) + first + token * a.channels, block.count);
                    slab[token] = g;
                    if (i > 0 && j > 0 && i + 1 < a.height && j + 1 < a.width)
                        for (int tap = 0; tap < 9; ++tap) of_row[tap] += g * value((i + tap / 3 - 1) * a.width + j + tap % 3 - 1);
                    else
                        neighbours(i, j, a.height, a.width, [&](int tap, int64_t other) { of_row[tap] += g * value(other); });
                }
                for (int tap = 0; tap < 9; ++tap) sums[tap] += of_row[tap];
            }
            for (int64_t i = 0; i < a.height; ++i)
                for (int64_t j = 0; j < a.width; ++j) {
                    V g = convolve(i, j, a.height, a.width, taps, true, [&](int64_t token) { return slab[token]; });
                    store_some(static_cast<S*>(grad_x) + first + (i * a.width + j) * a.channels, g, block.count);
                }
            float* own = grad_weight + (unit / blocks * a.channels + block.first) * 9;
            for (int tap = 0; tap < 9; ++tap) {
                V row[1] = {sums[tap]};
                store_column<1>(own, row, 9, tap, block);
            }
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Layer norm over the last axis: rows (rows, C). Mean and inverse deviation of each row are kept for the gradient.

template <class Each>
inline void columns(int64_t channels, Each each) {
    int64_t c = 0;
    for (; c + LANES <= channels; c += LANES) each(c, LANES);
    if (c < channels) each(c, int(channels - c));
}

template <class S, class T>
void norm(const Norm& a) {
#pragma omp parallel for num_threads(a.threads) schedule(static)
    for (int64_t row = 0; row < a.rows; ++row) {
        const S* x = static_cast<const S*>(a.x) + row * a.channels;
        T* y = static_cast<T*>(a.y) + row * a.channels;
        V sums = V{}, squares = V{};
        columns(a.channels, [&](int64_t c, int count) { sums += load_some(x + c, count); });
        float mean = sum(sums) / a.channels;
        columns(a.channels, [&](int64_t c, int count) {
            V d = load_some(x + c, count) - mean;
            if (count < LANES)
                for (int i = count; i < LANES; ++i) d[i] = 0;
            squares += d * d;
        });
        float inverse = 1.0f / __builtin_sqrtf(sum(squares) / a.channels + a.epsilon);
        columns(a.channels, [&](int64_t c, int count) {
            V normal = (load_some(x + c, count) - mean) * inverse;
            store_some(y + c, normal * load_some(a.weight + c, count) + load_some(a.bias + c, count), count);
        });
        a.statistics[2 * row] = mean, a.statistics[2 * row + 1] = inverse;
    }
}

// partial (units, 2, C): the gradients of weight and bias, to be summed over units.
template <class S, class T>
void norm_backward(const Norm& a, const void* grad_y, void* grad_x, float* partial) {
    const int64_t units = (a.rows + NORM_ROWS - 1) / NORM_ROWS;
#pragma omp parallel for num_threads(a.threads) schedule(static)
    for (int64_t unit = 0; unit < units; ++unit) {
        float *grad_weight = partial + unit * 2 * a.channels, *grad_bias = grad_weight + a.channels;
        memset(grad_weight, 0, 2 * a.channels * sizeof(float));
        for (int64_t row = unit * NORM_ROWS; row < a.rows && row < (unit + 1) * NORM_ROWS; ++row) {
            const S* x = static_cast<const S*>(a.x) + row * a.channels;
            const T* g = static_cast<const T*>(grad_y) + row * a.channels;
            S* to = static_cast<S*>(grad_x) + row * a.channels;
            float mean = a.statistics[2 * row], inverse = a.statistics[2 * row + 1];
            V sums = V{}, products = V{};
            columns(a.channels, [&](int64_t c, int count) {
                V own = load_some(g + c, count), normal = (load_some(x + c, count) - mean) * inverse;
                V weighted = own * load_some(a.weight + c, count);
                sums += weighted, products += weighted * normal;
                store_some(grad_weight + c, load_some(grad_weight + c, count) + own * normal, count);
                store_some(grad_bias + c, load_some(grad_bias + c, count) + own, count);
            });
            float average = sum(sums) / a.channels, slope = sum(products) / a.channels;
            columns(a.channels, [&](int64_t c, int count) {
                V normal = (load_some(x + c, count) - mean) * inverse;
                V weighted = load_some(g + c, count) * load_some(a.weight + c, count);
                store_some(to + c, (weighted - average - normal * slope) * inverse, count);
            });
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// weight (N, K) = gradᵀ · x, with grad (rows, N) and x (rows, K) as a layer leaves them: no transpose is made. Both are
// packed for some rows at a time, so that each load is of a whole vector and from near by.

constexpr int PACKED_ROWS = 512;
constexpr int OUT = LANES == 16 ? 8 : 4, VECTORS = LANES == 16 ? 3 : 2;  // a tile of sums that fits the registers
constexpr int WIDE = VECTORS * LANES;

// panel (count, width) = columns first .. first + width - 1 of matrix (count, columns), zero beyond the last.
inline void pack(float* panel, const float* matrix, int64_t columns, int64_t first, int width, int64_t count) {
    int inside = columns - first < width ? columns - first : width;
    if (inside < width) memset(panel, 0, count * width * sizeof(float));
    for (int64_t t = 0; t < count; ++t)
        for (int j = 0; j < inside; ++j) panel[t * width + j] = matrix[t * columns + first + j];
}

inline void multiply(float* weight, int64_t stride, const float* grad, const float* x, int64_t count, int rows, int64_t left,
                     bool add) {
    V sums[OUT][VECTORS] = {};
    for (int64_t t = 0; t < count; ++t)
        for (int i = 0; i < OUT; ++i)
            for (int v = 0; v < VECTORS; ++v) sums[i][v] += grad[t * OUT + i] * load(x + t * WIDE + v * LANES);
    for (int i = 0; i < rows; ++i)
        for (int v = 0; v < VECTORS; ++v) {
            int64_t inside = left - v * LANES;
            int lanes = inside < 0 ? 0 : inside < LANES ? inside : LANES;
            float* to = weight + i * stride + v * LANES;
            if (lanes) store_some(to, add ? load_some(to, lanes) + sums[i][v] : sums[i][v], lanes);
        }
}

inline void outer(const Outer& a) {
    const int64_t outs = (a.outputs + OUT - 1) / OUT, wides = (a.inputs + WIDE - 1) / WIDE;
    const int64_t cached = 5;  // panels of x that stay in the second-level cache: 5 × 96 KB
    Buffer memory(PACKED_ROWS * (outs * OUT + wides * WIDE));
    float *grads = memory.get(), *xs = grads + PACKED_ROWS * outs * OUT;
#pragma omp parallel num_threads(a.threads)
    for (int64_t first = 0; first < a.rows; first += PACKED_ROWS) {
        int64_t count = a.rows - first < PACKED_ROWS ? a.rows - first : PACKED_ROWS;
#pragma omp for schedule(static) nowait
        for (int64_t o = 0; o < outs; ++o)
            pack(grads + o * count * OUT, a.grad + first * a.outputs, a.outputs, o * OUT, OUT, count);
#pragma omp for schedule(static)
        for (int64_t w = 0; w < wides; ++w)
            pack(xs + w * count * WIDE, a.x + first * a.inputs, a.inputs, w * WIDE, WIDE, count);
        for (int64_t begin = 0; begin < wides; begin += cached) {
#pragma omp for schedule(static) nowait
            for (int64_t o = 0; o < outs; ++o)
                for (int64_t w = begin; w < wides && w < begin + cached; ++w) {
                    int64_t rows = a.outputs - o * OUT < OUT ? a.outputs - o * OUT : OUT;
                    multiply(a.weight + o * OUT * a.inputs + w * WIDE, a.inputs, grads + o * count * OUT,
                             xs + w * count * WIDE, count, rows, a.inputs - w * WIDE, first > 0);
                }
        }
#pragma omp barrier
    }
}

}  // namespace ARCH
