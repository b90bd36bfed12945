// One instruction set's kernels: CMake compiles this file once for each, with ARCH and LANES defined.
#include "layers.hpp"
#include "scan.hpp"
#include "ss2d.hpp"

#define CONCAT_(a, b) a##b
#define CONCAT(a, b) CONCAT_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

namespace ARCH {

// How many vectors side by side make a block: as many as leave no block padded and the groups alike, because those of
// a block share every load of what belongs to a step.
inline int vectors(int64_t channels, int64_t groups) {
    for (int count = 3; count > 1; --count)
        if (channels % (count * LANES) == 0 && channels / (count * LANES) % groups == 0) return count;
    return 1;
}

#define WITH_VECTORS(count, call) \
    switch (count) { \
        case 3: { constexpr int NV = 3; call; break; } \
        case 2: { constexpr int NV = 2; call; break; } \
        default: { constexpr int NV = 1; call; } \
    }

static void any_ss2d(const Ss2d& a, bool half) {
    WITH_VECTORS(vectors(a.channels, a.groups), (half ? ss2d<NV, bfloat16>(a) : ss2d<NV, float>(a)))
}
static void any_ss2d_backward(const Ss2d& a, const Ss2dGradients& to, bool half) {
    WITH_VECTORS(vectors(a.channels, a.groups), (half ? ss2d_backward<NV, bfloat16>(a, to) : ss2d_backward<NV, float>(a, to)))
}
static void any_scan(const Scan& a, bool half) {
    WITH_VECTORS(vectors(a.channels, a.groups), (half ? scan<NV, bfloat16>(a) : scan<NV, float>(a)))
}
static void any_scan_backward(const Scan& a, const ScanGradients& to, bool half) {
    WITH_VECTORS(vectors(a.channels, a.groups), (half ? scan_backward<NV, bfloat16>(a, to) : scan_backward<NV, float>(a, to)))
}
static void any_depthwise(const Depthwise& a, bool half) { half ? depthwise<bfloat16>(a) : depthwise<float>(a); }
static void any_depthwise_backward(const Depthwise& a, const void* grad_y, void* grad_x, float* grad_weight, bool half) {
    half ? depthwise_backward<bfloat16>(a, grad_y, grad_x, grad_weight)
         : depthwise_backward<float>(a, grad_y, grad_x, grad_weight);
}
static void any_norm(const Norm& a, bool half, bool half_y) {
    if (half) half_y ? norm<bfloat16, bfloat16>(a) : norm<bfloat16, float>(a);
    else half_y ? norm<float, bfloat16>(a) : norm<float, float>(a);
}
static void any_norm_backward(const Norm& a, const void* grad_y, void* grad_x, float* partial, bool half, bool half_y) {
    if (half) half_y ? norm_backward<bfloat16, bfloat16>(a, grad_y, grad_x, partial) : norm_backward<bfloat16, float>(a, grad_y, grad_x, partial);
    else half_y ? norm_backward<float, bfloat16>(a, grad_y, grad_x, partial) : norm_backward<float, float>(a, grad_y, grad_x, partial);
}

}  // namespace ARCH

extern const Kernels CONCAT(kernels_, ARCH) = {
    TEXT(ARCH), LANES, ARCH::any_ss2d, ARCH::any_ss2d_backward, ARCH::any_scan, ARCH::any_scan_backward,
    ARCH::any_depthwise, ARCH::any_depthwise_backward, ARCH::any_norm, ARCH::any_norm_backward, ARCH::outer,
};
