// The scan of one tile: up to STEPS time steps of a block of channels, all in the first-level cache.
//
// Eq. 2 of the paper: h_t = exp(Δ_t A) h_{t-1} + Δ_t u_t B_t,  y_t = C_t h_t. Both drivers (ss2d.hpp, scan.hpp)
// bring u and the raw step size into tiles and take y, or the gradients, out of them.
#pragma once

#include "table.hpp"
#include "vec.hpp"

namespace ARCH {

// NV vectors side by side are one block of channels; a block that overhangs is padded with zero channels.
template <int NV>
struct Tile {
    V at[STEPS][NV];
};

template <int NV>
struct Block {
    static constexpr int WIDTH = NV * LANES;
    int first, count;  // channels first .. first + count - 1
    Block(int index, int channels) : first(index * WIDTH) { count = channels - first < WIDTH ? channels - first : WIDTH; }
    int in(int v) const {
        int left = count - v * LANES;
        return left < 0 ? 0 : left < LANES ? left : LANES;
    }
};

template <int NV, class S>
inline void load_row(V (&row)[NV], const S* from, const Block<NV>& block) {
    if (block.count == Block<NV>::WIDTH)
        for (int v = 0; v < NV; ++v) row[v] = load(from + v * LANES);
    else
        for (int v = 0; v < NV; ++v) row[v] = load_some(from + v * LANES, block.in(v));
}
template <int NV, class S>
inline void store_row(S* to, const V (&row)[NV], const Block<NV>& block) {
    if (block.count == Block<NV>::WIDTH)
        for (int v = 0; v < NV; ++v) store(to + v * LANES, row[v]);
    else
        for (int v = 0; v < NV; ++v) store_some(to + v * LANES, row[v], block.in(v));
}

// A row of a block as floats: where it lies, if it is that, else in `room`.
template <int NV>
inline const float* in_float(const float* from, V (&room)[NV], const Block<NV>& block) {
    if (block.count == Block<NV>::WIDTH) return from;
    load_row(room, from, block);
    return reinterpret_cast<const float*>(room);
}
template <int NV>
inline const float* in_float(const bfloat16* from, V (&room)[NV], const Block<NV>& block) {
    load_row(room, from, block);
    return reinterpret_cast<const float*>(room);
}

// Column j of a matrix (channels, columns) as a row of vectors.
template <int NV>
inline void load_column(V (&row)[NV], const float* matrix, int columns, int j, const Block<NV>& block) {
    float lanes[NV * LANES] = {};
    for (int i = 0; i < block.count; ++i) lanes[i] = matrix[int64_t(i) * columns + j];
    for (int v = 0; v < NV; ++v) row[v] = load(lanes + v * LANES);
}
template <int NV>
inline void store_column(float* matrix, const V (&row)[NV], int columns, int j, const Block<NV>& block) {
    float lanes[NV * LANES];
    for (int v = 0; v < NV; ++v) store(lanes + v * LANES, row[v]);
    for (int i = 0; i < block.count; ++i) matrix[int64_t(i) * columns + j] = lanes[i];
}

// B and C of a tile: one number per step and state, in rows of their own for every step.
struct Shared {
    const float* const* rows;
    int B, C;  // where in a row they begin
    float b(int t, int n) const { return rows[t][B + n]; }
    float c(int t, int n) const { return rows[t][C + n]; }
};

// Turns raw step sizes into positive ones; `slope` receives the derivative where it is asked for.
template <int NV>
inline void positive_steps(Tile<NV>& delta, Tile<NV>* slope, int steps) {
    for (int t = 0; t < steps; ++t)
        for (int v = 0; v < NV; ++v)
            delta.at[t][v] = slope ? softplus(delta.at[t][v], slope->at[t][v]) : softplus(delta.at[t][v]);
}

// Adds y to its rows (or writes it, if `first`) from the rows of u and from delta; h (N × block) is carried on.
// rate = A · log2 e; a positive A may grow to 2^127.
template <int NV>
inline void scan_tile(V (*const* y)[NV], const float* const* u, const Tile<NV>& delta, const Shared& shared,
                      const V (*rate)[NV], V (*h)[NV], int states, int steps, bool first) {
    for (int n = 0; n < states; ++n) {
        V state[NV];
        for (int v = 0; v < NV; ++v) state[v] = h[n][v];
        for (int t = 0; t < steps; ++t) {
            float b = shared.b(t, n), c = shared.c(t, n);
            for (int v = 0; v < NV; ++v) {
                V d = delta.at[t][v];
                state[v] = fused(exp2(at_most(d * rate[n][v], 127.0f)), state[v], d * load(u[t] + v * LANES) * b);
                (*y[t])[v] = first && n == 0 ? state[v] * c : (*y[t])[v] + state[v] * c;
            }
        }
        for (int v = 0; v < NV; ++v) h[n][v] = state[v];
    }
}

// Where the gradients of one tile go. u and delta are written, the others added to.
template <int NV>
struct TileGradients {
    Tile<NV>&u, &delta;    // ∂L/∂u without the skip D, ∂L/∂Δ
    V (*A)[NV];            // (N, block)
    V (*carry)[NV];        // (N, block): a_{t+1} ∂L/∂h_{t+1}, from the tile after to the tile before
    float* const* rows;    // where B and C of each step are added, as they lie in Shared
};

// The states before the tile, `saved` (N × block), start the recomputation; then time runs backwards:
// g_t = y'_t C_t + a_{t+1} g_{t+1} is the gradient of h_t.
template <int NV>
inline void scan_tile_backward(const TileGradients<NV>& to, const float* const* grad_y,
                               const float* const* u, const Tile<NV>& delta, const Shared& shared, const V (*rate)[NV],
                               const V (*saved)[NV], int states, int steps) {
    Tile<NV> decay, before;  // a_t and h_{t-1}
    for (int n = 0; n < states; ++n) {
        V state[NV], grad_A[NV], carry[NV];
        for (int v = 0; v < NV; ++v) state[v] = saved[n][v], carry[v] = to.carry[n][v], grad_A[v] = V{};
        for (int t = 0; t < steps; ++t) {
            V grad_C = V{};
            for (int v = 0; v < NV; ++v) {
                V d = delta.at[t][v], a = exp2(at_most(d * rate[n][v], 127.0f));
                before.at[t][v] = state[v], decay.at[t][v] = a;
                state[v] = fused(a, state[v], d * load(u[t] + v * LANES) * shared.b(t, n));
                grad_C += load(grad_y[t] + v * LANES) * state[v];
            }
            to.rows[t][shared.C + n] += sum(grad_C);
        }
        for (int t = steps - 1; t >= 0; --t) {
            float b = shared.b(t, n), c = shared.c(t, n);
            V grad_B = V{};
            for (int v = 0; v < NV; ++v) {
                V d = delta.at[t][v], x = load(u[t] + v * LANES);
                V g = load(grad_y[t] + v * LANES) * c + carry[v];
                carry[v] = decay.at[t][v] * g;
                V e = carry[v] * before.at[t][v];       // ∂L/∂(Δ_t A)
                V product = g * b;                      // ∂L/∂(Δ_t u_t)
                V step = e * (rate[n][v] * (1.0f / LOG2E)) + product * x;
                grad_B += g * (d * x);
                grad_A[v] += e * d;
                to.u.at[t][v] = n ? to.u.at[t][v] + product * d : product * d;
                to.delta.at[t][v] = n ? to.delta.at[t][v] + step : step;
            }
            to.rows[t][shared.B + n] += sum(grad_B);
        }
        for (int v = 0; v < NV; ++v) to.A[n][v] += grad_A[v], to.carry[n][v] = carry[v];
    }
}

}  // namespace ARCH
