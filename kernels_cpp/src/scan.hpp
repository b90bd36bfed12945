// The plain selective scan: K scans of C channels, time last, for any number of states.
#pragma once

#include "tile.hpp"

namespace ARCH {

// Channels' rows of time become steps' rows of channels, and back.
template <int NV, class S>
inline void gather(Tile<NV>& tile, const S* from, int64_t length, int steps, const Block<NV>& block) {
    float* lanes = reinterpret_cast<float*>(&tile);
    for (int c = 0; c < Block<NV>::WIDTH; ++c)
        for (int t = 0; t < steps; ++t)
            lanes[t * Block<NV>::WIDTH + c] = c < block.count ? widen(from[c * length + t]) : 0.0f;
}
inline void put(float* to, float x) { *to = x; }
inline void put(bfloat16* to, float x) { store_some(to, splat(x), 1); }
template <int NV, class S>
inline void scatter(S* to, const Tile<NV>& tile, int64_t length, int steps, const Block<NV>& block) {
    const float* lanes = reinterpret_cast<const float*>(&tile);
    for (int c = 0; c < block.count; ++c)
        for (int t = 0; t < steps; ++t) put(to + c * length + t, lanes[t * Block<NV>::WIDTH + c]);
}

// One block of channels of one scan.
template <int NV, class S>
struct Line {
    const Scan& a;
    Block<NV> block;
    int states;
    int64_t chunks, line, first;  // line: sample × scan; first: the block's first channel among all
    Buffer memory;
    V (*rate)[NV];
    V (*h)[NV];
    V bias[NV], skip[NV];
    float* shared_values;        // (STEPS, 2N): B and C of a chunk in float
    const float* rows[STEPS];

    Line(const Scan& a, int64_t line, const Block<NV>& block)
        : a(a), block(block), states(a.states), chunks((a.length + STEPS - 1) / STEPS), line(line),
          first(line * a.channels + block.first), memory(2 * a.states * (Block<NV>::WIDTH + STEPS)) {
        rate = reinterpret_cast<V(*)[NV]>(memory.get());
        h = rate + states;
        shared_values = reinterpret_cast<float*>(h + states);
        for (int t = 0; t < STEPS; ++t) rows[t] = shared_values + t * 2 * states;
        int64_t own = line % a.scans * a.channels + block.first;
        for (int n = 0; n < states; ++n) {
            load_column(rate[n], a.A + own * states, states, n, block);
            for (int v = 0; v < NV; ++v) rate[n][v] *= LOG2E, h[n][v] = V{};
        }
        load_row(bias, a.bias + own, block);
        load_row(skip, a.D + own, block);
    }
    Shared shared() const { return {rows, 0, states}; }
    float* saved(int64_t chunk) const { return a.saved + (first * chunks + chunk) * states; }
    int steps(int64_t chunk) const {
        int64_t left = a.length - chunk * STEPS;
        return left < STEPS ? left : STEPS;
    }
    void read(int64_t chunk, int steps, Tile<NV>& u, Tile<NV>& delta, Tile<NV>* slope) {
        int64_t at = first * a.length + chunk * STEPS;
        gather(u, static_cast<const S*>(a.u) + at, a.length, steps, block);
        gather(delta, static_cast<const S*>(a.delta) + at, a.length, steps, block);
        for (int t = 0; t < steps; ++t)
            for (int v = 0; v < NV; ++v) delta.at[t][v] += bias[v];
        if (a.softplus) positive_steps(delta, slope, steps);
        for (int n = 0; n < states; ++n) {
            int64_t row = (line * states + n) * a.length + chunk * STEPS;
            for (int t = 0; t < steps; ++t) {
                shared_values[t * 2 * states + n] = widen(static_cast<const S*>(a.B)[row + t]);
                shared_values[t * 2 * states + states + n] = widen(static_cast<const S*>(a.C)[row + t]);
            }
        }
    }
};

template <int NV, class S>
void forward_line(const Scan& a, int64_t line, const Block<NV>& block) {
    Line<NV, S> own(a, line, block);
    Tile<NV> u, delta, y;
    const float* u_rows[STEPS];
    V(*y_rows[STEPS])[NV];
    for (int t = 0; t < STEPS; ++t) u_rows[t] = reinterpret_cast<float*>(u.at[t]), y_rows[t] = &y.at[t];
    for (int64_t chunk = 0; chunk < own.chunks; ++chunk) {
        int steps = own.steps(chunk), stride = own.chunks * own.states;
        for (int n = 0; n < own.states; ++n) store_column(own.saved(chunk), own.h[n], stride, n, block);
        own.read(chunk, steps, u, delta, nullptr);
        scan_tile<NV>(y_rows, u_rows, delta, own.shared(), own.rate, own.h, own.states, steps, true);
        for (int t = 0; t < steps; ++t)
            for (int v = 0; v < NV; ++v) y.at[t][v] = fused(own.skip[v], u.at[t][v], y.at[t][v]);
        scatter(static_cast<S*>(a.y) + own.first * a.length + chunk * STEPS, y, a.length, steps, block);
    }
}

// B and C are added to those of the group; the other gradients are this block's own.
template <int NV, class S>
void backward_line(const Scan& a, const ScanGradients& to, int64_t line, const Block<NV>& block, float* grad_B,
                   float* grad_C) {
    Line<NV, S> own(a, line, block);
    const int states = own.states, stride = own.chunks * states;
    Buffer memory(2 * states * (Block<NV>::WIDTH + STEPS));
    auto grad_A = reinterpret_cast<V(*)[NV]>(memory.get());
    auto carry = grad_A + states;
    auto tile_BC = reinterpret_cast<float*>(carry + states);
    float* out[STEPS];
    for (int t = 0; t < STEPS; ++t) out[t] = tile_BC + t * 2 * states;
    memset(memory.get(), 0, 2 * states * Block<NV>::WIDTH * sizeof(float));
    V grad_bias[NV] = {}, grad_D[NV] = {};
    Tile<NV> u, delta, slope, grad_y, grad_u, grad_delta;
    const float *u_rows[STEPS], *grad_rows[STEPS];
    for (int t = 0; t < STEPS; ++t) {
        u_rows[t] = reinterpret_cast<float*>(u.at[t]);
        grad_rows[t] = reinterpret_cast<float*>(grad_y.at[t]);
    }
    for (int64_t chunk = own.chunks - 1; chunk >= 0; --chunk) {
        int steps = own.steps(chunk);
        int64_t at = own.first * a.length + chunk * STEPS;
        for (int n = 0; n < states; ++n) load_column(own.h[n], own.saved(chunk), stride, n, block);
        own.read(chunk, steps, u, delta, &slope);
        gather(grad_y, static_cast<const S*>(to.y) + at, a.length, steps, block);
        memset(tile_BC, 0, 2 * states * STEPS * sizeof(float));
        TileGradients<NV> gradients{grad_u, grad_delta, grad_A, carry, out};
        scan_tile_backward<NV>(gradients, grad_rows, u_rows, delta, own.shared(), own.rate, own.h, states, steps);
        for (int t = 0; t < steps; ++t)
            for (int v = 0; v < NV; ++v) {
                if (a.softplus) grad_delta.at[t][v] *= slope.at[t][v];
                grad_bias[v] += grad_delta.at[t][v];
                grad_D[v] += grad_y.at[t][v] * u.at[t][v];
                grad_u.at[t][v] += own.skip[v] * grad_y.at[t][v];
            }
        scatter(static_cast<S*>(to.u) + at, grad_u, a.length, steps, block);
        scatter(static_cast<S*>(to.delta) + at, grad_delta, a.length, steps, block);
        for (int n = 0; n < states; ++n)
            for (int t = 0; t < steps; ++t) {
                grad_B[n * a.length + chunk * STEPS + t] += out[t][n];
                grad_C[n * a.length + chunk * STEPS + t] += out[t][states + n];
            }
    }
    for (int n = 0; n < states; ++n) store_column(to.A + own.first * states, grad_A[n], states, n, block);
    store_row(to.bias + own.first, grad_bias, block);
    store_row(to.D + own.first, grad_D, block);
}

template <int NV, class S>
void scan(const Scan& a) {
    const int64_t blocks = (a.channels + Block<NV>::WIDTH - 1) / Block<NV>::WIDTH;
#pragma omp parallel for num_threads(a.threads) schedule(dynamic)
    for (int64_t unit = 0; unit < a.batch * a.scans * blocks; ++unit)
        forward_line<NV, S>(a, unit / blocks, Block<NV>(unit % blocks, a.channels));
}

template <int NV, class S>
void scan_backward(const Scan& a, const ScanGradients& to) {
    const int64_t blocks = (a.channels + Block<NV>::WIDTH - 1) / Block<NV>::WIDTH, lines = a.batch * a.scans;
#pragma omp parallel for num_threads(a.threads) schedule(dynamic)
    for (int64_t unit = 0; unit < lines * a.groups; ++unit) {
        int64_t line = unit / a.groups, group = unit % a.groups;
        int64_t shared = (group * lines + line) * a.states * a.length;
        for (int64_t b = blocks * group / a.groups; b < blocks * (group + 1) / a.groups; ++b)
            backward_line<NV, S>(a, to, line, Block<NV>(b, a.channels), to.B + shared, to.C + shared);
    }
}

}  // namespace ARCH
