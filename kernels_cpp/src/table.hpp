// What the module hands to the kernels, and the table of kernels that each instruction set fills.
#pragma once

#include <cstdint>

constexpr int STEPS = 32;           // time steps per tile, and per saved state
constexpr int64_t NORM_ROWS = 64;   // rows per partial sum of a layer norm's gradients

// A grid's scan in four directions. Arrays are contiguous; `activation` is float or bfloat16, all else float.
struct Ss2d {
    int64_t batch, height, width, channels, rank, states;
    const void *x, *projected;                     // (B, H, W, C), (B, H, W, 4 (R + 2N))
    const float *dt_weight, *dt_bias, *A, *D;      // (4, C, R), (4, C), (4, C, N), (4, C)
    float* saved;                                  // (B, 4, chunks, C, N): the state before each chunk
    void* y;                                       // (B, H, W, C)
    int64_t threads, groups;                       // groups of channels that are worked on side by side
};

struct Ss2dGradients {
    const void* y;                                 // as y
    void* x;                                       // as x
    float *projected;                              // (groups, B, H, W, P), to be summed over groups
    float *dt_weight, *dt_bias, *A, *D;            // one per sample: (B, 4, C, R), (B, 4, C), (B, 4, C, N), (B, C)
};

// K scans of C channels each, time last: u, delta, y (B, K, C, L); B, C (B, K, N, L); A (K, C, N); D, bias (K, C).
struct Scan {
    int64_t batch, scans, channels, length, states;
    const void *u, *delta, *B, *C;
    const float *A, *D, *bias;
    float* saved;                                  // (B, K, C, chunks, N)
    void* y;
    bool softplus;
    int64_t threads, groups;
};

struct ScanGradients {
    const void* y;
    void *u, *delta;
    float *A, *D, *bias;                           // one per sample: (B, K, C, N), (B, K, C), (B, K, C)
    float *B, *C;                                  // (groups, B, K, N, L), to be summed over groups
};

// A 3 × 3 depthwise convolution and SiLU: x, y (B, H, W, C); weight (C, 9).
struct Depthwise {
    int64_t batch, height, width, channels;
    const void* x;
    const float* weight;
    void* y;
    int64_t threads;
};

// Layer norm: x, y (rows, C), of one type each; statistics (rows, 2): mean and inverse deviation.
struct Norm {
    int64_t rows, channels;
    const void* x;
    const float *weight, *bias;
    float epsilon;
    void* y;
    float* statistics;
    int64_t threads;
};

// The weight gradient of a linear layer: weight (outputs, inputs) = gradᵀ x.
struct Outer {
    int64_t rows, outputs, inputs;
    const float *grad, *x;
    float* weight;
    int64_t threads;
};

struct Kernels {
    const char* name;
    int lanes;
    void (*ss2d)(const Ss2d&, bool half);
    void (*ss2d_backward)(const Ss2d&, const Ss2dGradients&, bool half);
    void (*scan)(const Scan&, bool half);
    void (*scan_backward)(const Scan&, const ScanGradients&, bool half);
    void (*depthwise)(const Depthwise&, bool half);
    void (*depthwise_backward)(const Depthwise&, const void* grad_y, void* grad_x, float* grad_weight, bool half);
    void (*norm)(const Norm&, bool half, bool half_y);
    void (*norm_backward)(const Norm&, const void* grad_y, void* grad_x, float* partial, bool half, bool half_y);
    void (*outer)(const Outer&);
};

extern const Kernels kernels_portable;
#if defined(__x86_64__)
extern const Kernels kernels_avx2, kernels_avx512;
#endif
