// A vector of LANES floats and the few functions of it that a scan needs, in the compilers' portable vector
// extension: one source, which each translation unit turns into AVX-512, AVX2, NEON or SSE2 instructions.
//
// Everything stands in the namespace ARCH, so that no function compiled for a newer processor can be linked in
// place of its portable twin.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ARCH {

typedef float V __attribute__((vector_size(4 * LANES)));
typedef uint32_t Bits __attribute__((vector_size(4 * LANES)));

inline V splat(float x) { return V{} + x; }

struct bfloat16 {
    uint16_t bits;
};

inline float widen(float x) { return x; }
inline float widen(bfloat16 x) {
    uint32_t bits = uint32_t(x.bits) << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

inline V load(const float* from) {
    V x;
    memcpy(&x, from, sizeof x);
    return x;
}
inline V load(const bfloat16* from) {
    typedef uint16_t Half __attribute__((vector_size(2 * LANES)));
    Half half;
    memcpy(&half, from, sizeof half);
    return (V)(__builtin_convertvector(half, Bits) << 16);
}

inline void store(float* to, V x) { memcpy(to, &x, sizeof x); }
inline void store(bfloat16* to, V x) {  // rounds to nearest, ties to even; NaN stays NaN
    typedef uint16_t Half __attribute__((vector_size(2 * LANES)));
    Bits bits = (Bits)x;
    Bits rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    Bits nan = (bits >> 16) | 0x40;
    Half half = __builtin_convertvector((x != x) ? nan : rounded, Half);
    memcpy(to, &half, sizeof half);
}

// The first `count` lanes, 0 to LANES; the others are zero, or stay unwritten.
template <class S>
inline V load_some(const S* from, int count) {
    if (count == LANES) return load(from);
    float lanes[LANES] = {};
    for (int i = 0; i < count; ++i) lanes[i] = widen(from[i]);
    return load(lanes);
}
template <class S>
inline void store_some(S* to, V x, int count) {
    if (count == LANES) return store(to, x);
    S lanes[LANES];
    store(lanes, x);
    for (int i = 0; i < count; ++i) to[i] = lanes[i];
}
#if LANES == 16
inline V load_some(const float* from, int count) { return (V)_mm512_maskz_loadu_ps((1u << count) - 1, from); }
inline void store_some(float* to, V x, int count) { _mm512_mask_storeu_ps(to, (1u << count) - 1, (__m512)x); }
#endif

inline float sum(V x) {
#if LANES == 16
    return _mm512_reduce_add_ps((__m512)x);
#else
    float lanes[LANES];
    store(lanes, x);
    for (int width = LANES / 2; width; width /= 2)
        for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
    return lanes[0];
#endif
}

inline V absolute(V x) { return (V)((Bits)x & 0x7fffffff); }

// The greater and the lesser of two numbers; a NaN in x stays. One instruction, which compilers do not find here.
inline V at_least(V x, float bound) {
#if LANES == 16
    return (V)_mm512_max_ps((__m512)splat(bound), (__m512)x);
#elif LANES == 8
    return (V)_mm256_max_ps((__m256)splat(bound), (__m256)x);
#else
    return (x < bound) ? splat(bound) : x;
#endif
}
inline V at_most(V x, float bound) {
#if LANES == 16
    return (V)_mm512_min_ps((__m512)splat(bound), (__m512)x);
#elif LANES == 8
    return (V)_mm256_min_ps((__m256)splat(bound), (__m256)x);
#else
    return (x > bound) ? splat(bound) : x;
#endif
}

// a · b + c with that product fused, where c is a product too: left to themselves compilers fuse now one, now the other,
// and results would depend on the size of a block.
inline V fused(V a, V b, V c) {
#if LANES == 16
    return (V)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif LANES == 8
    return (V)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

// 2^x, relative error 1e-7, exactly 1 at 0 and as close to 1 as a float can be near it, for x up to 127;
// x below -126 counts as -126.
inline V exp2(V x) {
    const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer and leaves that in the low bits
    x = at_least(x, -126.0f);
    V shifted = x + magic;
    V f = x - (shifted - magic);
    V p = f * 1.5453163e-4f + 1.3390863e-3f;
    p = p * f + 9.6180826e-3f;
    p = p * f + 5.5503571e-2f;
    p = p * f + 2.4022651e-1f;
    p = p * f + 6.9314719e-1f;
    p = p * f + 1.0f;
    return p * (V)(((Bits)shifted << 23) + 0x3f800000);  // a product, so that every NaN stays one
}

const float LOG2E = 1.44269504f;

// ln(1 + e) for e in [0, 1], relative error 1e-7 down to the smallest e.
inline V log1p(V e) {
    V s = e - 0.5f;
    V p = s * -3.176057e-3f + 5.2502705e-3f;
    p = p * s - 6.7880168e-3f;
    p = p * s + 1.1577685e-2f;
    p = p * s - 2.0563183e-2f;
    p = p * s + 3.6635235e-2f;
    p = p * s - 6.768819e-2f;
    p = p * s + 1.3260901e-1f;
    p = p * s - 2.885271e-1f;
    p = p * s + 8.109302e-1f;
    return p * e;
}

// ln(1 + exp(z)), and its derivative on request. No z overflows: the exponential is taken of -|z|.
inline V softplus(V z) { return at_least(z, 0) + log1p(exp2(absolute(z) * -LOG2E)); }
inline V softplus(V z, V& slope) {
    V e = exp2(absolute(z) * -LOG2E);
    slope = ((z < 0) ? e : splat(1.0f)) / (1.0f + e);
    return at_least(z, 0) + log1p(e);
}

// Memory on a cache line's boundary. What is small stays with the thread for the next call, because fresh pages from
// the system cost more than the work on them. One at a time in a function, or the second one is not kept.
class Buffer {
  public:
    explicit Buffer(size_t floats) {
        size_t bytes = (floats * sizeof(float) + 64) / 64 * 64;
        Kept& kept = mine();
        if (bytes > LARGE || kept.used) {
            data_ = own_ = allocate(bytes);
            return;
        }
        if (bytes > kept.bytes) {
            free(kept.data);
            kept.data = allocate(kept.bytes = bytes);
        }
        kept.used = true;
        data_ = kept.data;
    }
    ~Buffer() {
        if (own_) free(own_);
        else mine().used = false;
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    float* get() { return data_; }

  private:
    static constexpr size_t LARGE = size_t(1) << 24;
    struct Kept {
        float* data = nullptr;
        size_t bytes = 0;
        bool used = false;
        ~Kept() { free(data); }
    };
    static Kept& mine() {
        static thread_local Kept kept;
        return kept;
    }
    static float* allocate(size_t bytes) {
        float* data = static_cast<float*>(aligned_alloc(64, bytes));
        if (!data) abort();
        return data;
    }
    float *data_ = nullptr, *own_ = nullptr;
};

}  // namespace ARCH
