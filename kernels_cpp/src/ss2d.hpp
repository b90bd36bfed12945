// SS2D: the scan of a grid in four directions with their low-rank step sizes, merged (Eq. 3 of the paper).
//
// One unit of work is a sample and some blocks of channels (and one direction, where there are more threads than
// that). Its tokens are read where they lie, in the order of the direction: no copy of the grid is made, and
// neither step sizes nor a direction's output ever leave the cache.
#pragma once

#include "tile.hpp"

namespace ARCH {

// Token of each step of a chunk: rows, columns, rows back, columns back.
inline void path(int direction, int64_t first, int steps, int64_t height, int64_t width, int64_t* token) {
    const int64_t last = height * width - 1, sign = direction < 2 ? 1 : -1;
    int64_t at = direction < 2 ? first : last - first;
    if (direction % 2 == 0) {
        for (int t = 0; t < steps; ++t) token[t] = at + sign * t;
        return;
    }
    int64_t row = at % height, column = at / height;
    for (int t = 0; t < steps; ++t) {
        token[t] = row * width + column;
        row += sign;
        if (row == height) row = 0, ++column;
        if (row < 0) row = height - 1, --column;
    }
}

// tile (STEPS × block) = bias + low (STEPS × rank) · weight (rank × block); four steps at a time share the weights.
template <int NV>
inline void expand(Tile<NV>& tile, const float* const* low, const V (*weight)[NV], const V (&bias)[NV], int rank,
                   int steps) {
    for (int t = 0; t < steps; t += 4) {
        V sums[4][NV];
        for (int i = 0; i < 4; ++i)
            for (int v = 0; v < NV; ++v) sums[i][v] = bias[v];
        for (int r = 0; r < rank; ++r)
            for (int i = 0; i < 4; ++i)
                for (int v = 0; v < NV; ++v) sums[i][v] += low[t + i][r] * weight[r][v];
        for (int i = 0; i < 4; ++i)
            for (int v = 0; v < NV; ++v) tile.at[t + i][v] = sums[i][v];
    }
}

// weight (rank × block) += lowᵀ (rank × STEPS) · grad (STEPS × block)
template <int NV>
inline void reduce_weight(V (*weight)[NV], const Tile<NV>& grad, const float* const* low, int rank, int steps) {
    for (int r = 0; r < rank; r += 4) {
        V sums[4][NV] = {};
        int rows = rank - r < 4 ? rank - r : 4;
        if (rows == 4)
            for (int t = 0; t < steps; ++t)
                for (int i = 0; i < 4; ++i)
                    for (int v = 0; v < NV; ++v) sums[i][v] += low[t][r + i] * grad.at[t][v];
        else
            for (int i = 0; i < rows; ++i)
                for (int t = 0; t < steps; ++t)
                    for (int v = 0; v < NV; ++v) sums[i][v] += low[t][r + i] * grad.at[t][v];
        for (int i = 0; i < rows; ++i)
            for (int v = 0; v < NV; ++v) weight[r + i][v] += sums[i][v];
    }
}

// low (STEPS × rank) += grad (STEPS × block) · rows (block × rank, padded to whole vectors), P vectors of a row at once.
template <int P, int NV>
inline void reduce_columns(float* const* low, int first, const Tile<NV>& grad, const V* rows, int rank, int padded,
                           int steps) {
    constexpr int TIMES = 8 / P;  // eight sums keep both multipliers busy
    for (int t = 0; t < steps; t += TIMES) {
        const float* lanes = reinterpret_cast<const float*>(&grad.at[t][0]);
        V sums[TIMES][P] = {};
        for (int c = 0; c < NV * LANES; ++c)
            for (int i = 0; i < TIMES; ++i)
                for (int p = 0; p < P; ++p) sums[i][p] += lanes[i * NV * LANES + c] * rows[c * padded + first + p];
        for (int i = 0; i < TIMES && t + i < steps; ++i)
            for (int p = 0; p < P; ++p) {
                float* to = low[t + i] + (first + p) * LANES;
                int left = rank - (first + p) * LANES, count = left < LANES ? left : LANES;
                store_some(to, load_some(to, count) + sums[i][p], count);
            }
    }
}
template <int NV>
inline void reduce_low(float* const* low, const Tile<NV>& grad, const V* rows, int rank, int padded, int steps) {
    int p = 0;
    for (; p + 2 <= padded; p += 2) reduce_columns<2>(low, p, grad, rows, rank, padded, steps);
    if (p < padded) reduce_columns<1>(low, p, grad, rows, rank, padded, steps);
}

// What one direction of one block of channels reads.
template <int NV, class S>
struct Direction {
    const Ss2d& a;
    Block<NV> block;
    int k, columns, rank, states;
    int64_t length, chunks;
    bool far;  // the grid is larger than a cache
    const S *x, *projected;
    Buffer memory;
    V (*weight)[NV];
    V (*rate)[NV];
    V (*h)[NV];
    V bias[NV];
    float* narrow;               // (STEPS, columns): a chunk's rows of `projected`, where they are not float
    const float* rows[STEPS];    // each step's low-rank step sizes, B and C

    Direction(const Ss2d& a, int64_t sample, int k, const Block<NV>& block)
        : a(a), block(block), k(k), columns(a.rank + 2 * a.states), rank(a.rank), states(a.states),
          length(a.height * a.width), chunks((length + STEPS - 1) / STEPS), far(length * a.channels > int64_t(1) << 21),
          x(static_cast<const S*>(a.x) + sample * length * a.channels + block.first),
          projected(static_cast<const S*>(a.projected) + sample * length * 4 * columns + k * columns),
          memory((a.rank + 2 * a.states) * Block<NV>::WIDTH + STEPS * columns) {
        weight = reinterpret_cast<V(*)[NV]>(memory.get());
        rate = weight + rank;
        h = rate + states;
        narrow = reinterpret_cast<float*>(h + states);
        const float* own = a.dt_weight + (k * a.channels + block.first) * rank;
        for (int r = 0; r < rank; ++r) load_column(weight[r], own, rank, r, block);
        load_row(bias, a.dt_bias + k * a.channels + block.first, block);
        for (int n = 0; n < states; ++n) {
            load_column(rate[n], a.A + (k * a.channels + block.first) * states, states, n, block);
            for (int v = 0; v < NV; ++v) rate[n][v] *= LOG2E, h[n][v] = V{};
        }
    }
    Shared shared() const { return {rows, rank, rank + states}; }
    const float* widened(const float* row, float*) const { return row; }
    const float* widened(const bfloat16* row, float* room) const {
        int j = 0;
        for (; j + LANES <= columns; j += LANES) store(room + j, load(row + j));
        for (; j < columns; ++j) room[j] = widen(row[j]);
        return room;
    }
    float* saved(int64_t sample, int64_t chunk) const {
        return a.saved + (((sample * 4 + k) * chunks + chunk) * a.channels + block.first) * states;
    }
    // Asks for what the next chunk touches, ahead of time: down a column of a wide grid no processor guesses it.
    void fetch(int64_t chunk, const V (*sums)[NV]) const {
        int64_t token[STEPS];
        int steps = length - chunk * STEPS < STEPS ? length - chunk * STEPS : STEPS;
        path(k, chunk * STEPS, steps, a.height, a.width, token);
        for (int t = 0; t < steps; ++t) {
            for (int v = 0; v < NV; ++v) {
                __builtin_prefetch(x + token[t] * a.channels + v * LANES);
                __builtin_prefetch(&sums[token[t]][v]);
            }
            __builtin_prefetch(projected + token[t] * 4 * columns);
        }
    }
    // The rows of u, the raw step sizes and the tokens of a chunk; `room` is for rows that are not as they should be.
    int read(int64_t chunk, int64_t next, const float** u, Tile<NV>& room, Tile<NV>& raw, int64_t* token,
             const V (*sums)[NV]) {
        int steps = length - chunk * STEPS < STEPS ? length - chunk * STEPS : STEPS;
        path(k, chunk * STEPS, steps, a.height, a.width, token);
        for (int t = 0; t < steps; ++t) {
            u[t] = in_float(x + token[t] * a.channels, room.at[t], block);
            rows[t] = widened(projected + token[t] * 4 * columns, narrow + t * columns);
        }
        for (int t = steps; t < STEPS; ++t) rows[t] = rows[0];  // tiles are made four steps at a time
        if (next >= 0 && next < chunks && far) fetch(next, sums);
        expand(raw, rows, weight, bias, rank, steps);
        return steps;
    }
};

// Adds one direction's y, without the skip, to `sums` (L × block).
template <int NV, class S>
void forward_direction(const Ss2d& a, int64_t sample, int k, const Block<NV>& block, V (*sums)[NV], bool first) {
    Direction<NV, S> way(a, sample, k, block);
    Tile<NV> room, delta;
    int64_t token[STEPS];
    const float* u[STEPS];
    V(*y[STEPS])[NV];
    for (int64_t chunk = 0; chunk < way.chunks; ++chunk) {
        float* saved = way.saved(sample, chunk);
        for (int n = 0; n < way.states; ++n) store_column(saved, way.h[n], way.states, n, block);
        int steps = way.read(chunk, chunk + 1, u, room, delta, token, sums);
        positive_steps<NV>(delta, nullptr, steps);
        for (int t = 0; t < steps; ++t) y[t] = sums + token[t];
        scan_tile<NV>(y, u, delta, way.shared(), way.rate, way.h, way.states, steps, first);
    }
}

// Adds one direction's gradients: of u to `sums` (L × block), of the projection to `projected` (L, 4, columns).
template <int NV, class S>
void backward_direction(const Ss2d& a, const Ss2dGradients& to, int64_t sample, int k, const Block<NV>& block,
                        V (*sums)[NV], float* projected, bool first) {
    Direction<NV, S> way(a, sample, k, block);
    const int rank = way.rank, states = way.states, columns = way.columns;
    const int padded = (rank + LANES - 1) / LANES;
    const S* grad = static_cast<const S*>(to.y) + sample * way.length * a.channels + block.first;
    Buffer memory((rank + 2 * states) * Block<NV>::WIDTH + Block<NV>::WIDTH * padded * LANES);
    auto grad_weight = reinterpret_cast<V(*)[NV]>(memory.get());
    auto grad_A = grad_weight + rank;
    auto carry = grad_A + states;
    auto rows = reinterpret_cast<V*>(carry + states);  // dt_weight again, a channel's own row after the other
    memset(memory.get(), 0, (rank + 2 * states) * Block<NV>::WIDTH * sizeof(float));
    const float* own = a.dt_weight + (k * a.channels + block.first) * rank;
    for (int c = 0; c < Block<NV>::WIDTH; ++c)
        for (int p = 0; p < padded; ++p) {
            int left = rank - p * LANES;
            rows[c * padded + p] = c < block.count ? load_some(own + c * rank + p * LANES, left < LANES ? left : LANES) : V{};
        }
    V grad_bias[NV] = {};
    Tile<NV> room, room_y, delta, slope, grad_u, grad_delta;
    int64_t token[STEPS];
    const float *u[STEPS], *grad_y[STEPS];
    float* out[STEPS];  // each step's row of the projection's gradient
    for (int64_t chunk = way.chunks - 1; chunk >= 0; --chunk) {
        const float* saved = way.saved(sample, chunk);
        for (int n = 0; n < states; ++n) load_column(way.h[n], saved, states, n, block);
        int steps = way.read(chunk, chunk - 1, u, room, delta, token, sums);
        positive_steps<NV>(delta, &slope, steps);
        for (int t = 0; t < steps; ++t) {
            grad_y[t] = in_float(grad + token[t] * a.channels, room_y.at[t], block);
            out[t] = projected + (token[t] * 4 + k) * columns;
        }
        TileGradients<NV> gradients{grad_u, grad_delta, grad_A, carry, out};
        scan_tile_backward<NV>(gradients, grad_y, u, delta, way.shared(), way.rate, way.h, states, steps);
        V of_chunk[NV] = {};
        for (int t = 0; t < steps; ++t)
            for (int v = 0; v < NV; ++v) {
                grad_delta.at[t][v] *= slope.at[t][v];  // now of the raw step size
                of_chunk[v] += grad_delta.at[t][v];
                sums[token[t]][v] = first ? grad_u.at[t][v] : sums[token[t]][v] + grad_u.at[t][v];
            }
        for (int v = 0; v < NV; ++v) grad_bias[v] += of_chunk[v];  // sums of sums: errors grow with the root
        reduce_weight(grad_weight, grad_delta, way.rows, rank, steps);
        reduce_low(out, grad_delta, rows, rank, padded, steps);
    }
    int64_t at = (sample * 4 + k) * a.channels + block.first;
    for (int r = 0; r < rank; ++r) store_column(to.dt_weight + at * rank, grad_weight[r], rank, r, block);
    for (int n = 0; n < states; ++n) store_column(to.A + at * states, grad_A[n], states, n, block);
    store_row(to.dt_bias + at, grad_bias, block);
}

// Hands every direction of every block of channels to `direction`, with the slab (L × block) that takes its sum over
// directions, then the finished slab to `finish`. With fewer samples and groups than threads, directions run side by
// side on slabs of their own, which are added afterwards: the same numbers but for their last bits.
template <int NV, class Each, class Finish>
void sweep(const Ss2d& a, Each direction, Finish finish) {
    const int64_t length = a.height * a.width, blocks = (a.channels + Block<NV>::WIDTH - 1) / Block<NV>::WIDTH;
    const int64_t units = a.batch * a.groups;
    auto begin = [&](int64_t group) { return blocks * group / a.groups; };
    if (units >= a.threads) {
#pragma omp parallel num_threads(a.threads)
        {
            Buffer memory(length * Block<NV>::WIDTH);
            auto slab = reinterpret_cast<V(*)[NV]>(memory.get());
#pragma omp for schedule(dynamic)
            for (int64_t unit = 0; unit < units; ++unit) {
                int64_t sample = unit / a.groups, group = unit % a.groups;
                for (int64_t b = begin(group); b < begin(group + 1); ++b) {
                    Block<NV> block(b, a.channels);
                    for (int k = 0; k < 4; ++k) direction(sample, group, k, block, slab, k == 0);
                    finish(sample, block, slab);
                }
            }
        }
        return;
    }
    Buffer memory(a.batch * blocks * 4 * length * Block<NV>::WIDTH);
    auto slabs = reinterpret_cast<V(*)[NV]>(memory.get());
    auto slab = [&](int64_t sample, int64_t b, int k) { return slabs + ((sample * blocks + b) * 4 + k) * length; };
#pragma omp parallel for num_threads(a.threads) schedule(dynamic)
    for (int64_t unit = 0; unit < units * 4; ++unit) {
        int64_t sample = unit / 4 / a.groups, group = unit / 4 % a.groups;
        int k = unit % 4;
        for (int64_t b = begin(group); b < begin(group + 1); ++b)
            direction(sample, group, k, Block<NV>(b, a.channels), slab(sample, b, k), true);
    }
#pragma omp parallel for num_threads(a.threads) schedule(dynamic)
    for (int64_t unit = 0; unit < a.batch * blocks; ++unit) {
        int64_t sample = unit / blocks, b = unit % blocks;
        auto total = slab(sample, b, 0);
        for (int k = 1; k < 4; ++k)
            for (int64_t t = 0; t < length; ++t)
                for (int v = 0; v < NV; ++v) total[t][v] += slab(sample, b, k)[t][v];
        finish(sample, Block<NV>(b, a.channels), total);
    }
}

template <int NV>
inline void load_skip(V (&skip)[NV], const Ss2d& a, const Block<NV>& block) {
    for (int v = 0; v < NV; ++v) skip[v] = V{};
    for (int k = 0; k < 4; ++k) {
        V own[NV];
        load_row(own, a.D + k * a.channels + block.first, block);
        for (int v = 0; v < NV; ++v) skip[v] += own[v];
    }
}

template <int NV, class S>
void ss2d(const Ss2d& a) {
    const int64_t length = a.height * a.width;
    auto direction = [&](int64_t sample, int64_t, int k, const Block<NV>& block, V(*slab)[NV], bool first) {
        forward_direction<NV, S>(a, sample, k, block, slab, first);
    };
    auto finish = [&](int64_t sample, const Block<NV>& block, V(*slab)[NV]) {
        V skip[NV], row[NV];
        load_skip(skip, a, block);
        int64_t at = sample * length * a.channels + block.first;
        for (int64_t t = 0; t < length; ++t, at += a.channels) {
            load_row(row, static_cast<const S*>(a.x) + at, block);
            for (int v = 0; v < NV; ++v) row[v] = slab[t][v] + skip[v] * row[v];
            store_row(static_cast<S*>(a.y) + at, row, block);
        }
    };
    sweep<NV>(a, direction, finish);
}

template <int NV, class S>
void ss2d_backward(const Ss2d& a, const Ss2dGradients& to) {
    const int64_t length = a.height * a.width, row_length = 4 * (a.rank + 2 * a.states);
    auto direction = [&](int64_t sample, int64_t group, int k, const Block<NV>& block, V(*slab)[NV], bool first) {
        float* projected = to.projected + (group * a.batch + sample) * length * row_length;
        backward_direction<NV, S>(a, to, sample, k, block, slab, projected, first);
    };
    auto finish = [&](int64_t sample, const Block<NV>& block, V(*slab)[NV]) {
        V skip[NV], x[NV], grad[NV], grad_D[NV] = {};
        load_skip(skip, a, block);
        for (int64_t first = 0; first < length; first += STEPS) {
            V of_chunk[NV] = {};
            for (int64_t t = first; t < length && t < first + STEPS; ++t) {
                int64_t at = (sample * length + t) * a.channels + block.first;
                load_row(x, static_cast<const S*>(a.x) + at, block);
                load_row(grad, static_cast<const S*>(to.y) + at, block);
                for (int v = 0; v < NV; ++v) {
                    of_chunk[v] += grad[v] * x[v];
                    x[v] = slab[t][v] + skip[v] * grad[v];
                }
                store_row(static_cast<S*>(to.x) + at, x, block);
            }
            for (int v = 0; v < NV; ++v) grad_D[v] += of_chunk[v];
        }
        store_row(to.D + sample * a.channels + block.first, grad_D, block);
    };
    sweep<NV>(a, direction, finish);
}

}  // namespace ARCH
