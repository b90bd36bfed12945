// The Python module: picks the instruction set and hands sizes and addresses on. No torch headers; converting an array
// object costs as much as a small kernel. lung_srad/kernels/cpu.py and cpu_layers.py, the only callers, see to types,
// shapes and contiguity; here only the number of sizes and addresses is checked.
#include <nanobind/nanobind.h>
#include <nanobind/stl/vector.h>

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "table.hpp"

namespace nb = nanobind;

static const Kernels& best() {
    const char* asked = std::getenv("LUNG_SRAD_KERNELS_ISA");
    std::string name = asked ? asked : "";
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (avx512 && (name.empty() || name == "avx512")) return kernels_avx512;
    if (avx2 && name != "portable") return kernels_avx2;
#endif
    return kernels_portable;
}
static const Kernels& kernels = best();

using Sizes = std::vector<int64_t>;

// The arrays of one call, in order.
class Arrays {
  public:
    explicit Arrays(const std::vector<uintptr_t>& addresses) : addresses_(addresses) {}
    operator float*() { return static_cast<float*>(next()); }
    operator void*() { return next(); }
    void end() const {
        if (at_ != addresses_.size()) throw std::invalid_argument("another number of arrays is needed");
    }

  private:
    void* next() {
        if (at_ == addresses_.size()) throw std::invalid_argument("another number of arrays is needed");
        return reinterpret_cast<void*>(addresses_[at_++]);
    }
    const std::vector<uintptr_t>& addresses_;
    size_t at_ = 0;
};

static void need(const Sizes& sizes, size_t count) {
    if (sizes.size() != count) throw std::invalid_argument("another number of sizes is needed");
}

static Ss2d ss2d_of(const Sizes& s, Arrays& in) {
    need(s, 8);
    Ss2d a{};
    a.batch = s[0], a.height = s[1], a.width = s[2], a.channels = s[3], a.rank = s[4], a.states = s[5];
    a.threads = s[6], a.groups = s[7];
    a.x = in, a.projected = in, a.dt_weight = in, a.dt_bias = in, a.A = in, a.D = in, a.saved = in;
    return a;
}

static void ss2d(const Sizes& sizes, const std::vector<uintptr_t>& arrays, bool half) {
    Arrays in(arrays);
    Ss2d a = ss2d_of(sizes, in);
    a.y = in;
    in.end();
    nb::gil_scoped_release release;
    kernels.ss2d(a, half);
}

static void ss2d_backward(const Sizes& sizes, const std::vector<uintptr_t>& arrays, bool half) {
    Arrays in(arrays);
    Ss2d a = ss2d_of(sizes, in);
    Ss2dGradients to{};
    to.y = in, to.x = in, to.projected = in, to.dt_weight = in, to.dt_bias = in, to.A = in, to.D = in;
    in.end();
    nb::gil_scoped_release release;
    kernels.ss2d_backward(a, to, half);
}

static Scan scan_of(const Sizes& s, Arrays& in) {
    need(s, 8);
    Scan a{};
    a.batch = s[0], a.scans = s[1], a.channels = s[2], a.length = s[3], a.states = s[4], a.softplus = s[5];
    a.threads = s[6], a.groups = s[7];
    a.u = in, a.delta = in, a.A = in, a.B = in, a.C = in, a.D = in, a.bias = in, a.saved = in;
    return a;
}

static void scan(const Sizes& sizes, const std::vector<uintptr_t>& arrays, bool half) {
    Arrays in(arrays);
    Scan a = scan_of(sizes, in);
    a.y = in;
    in.end();
    nb::gil_scoped_release release;
    kernels.scan(a, half);
}

static void scan_backward(const Sizes& sizes, const std::vector<uintptr_t>& arrays, bool half) {
    Arrays in(arrays);
    Scan a = scan_of(sizes, in);
    ScanGradients to{};
    to.y = in, to.u = in, to.delta = in, to.A = in, to.B = in, to.C = in, to.D = in, to.bias = in;
    in.end();
    nb::gil_scoped_release release;
    kernels.scan_backward(a, to, half);
}

static Depthwise depthwise_of(const Sizes& s, Arrays& in) {
    need(s, 5);
    Depthwise a{};
    a.batch = s[0], a.height = s[1], a.width = s[2], a.channels = s[3], a.threads = s[4];
    a.x = in, a.weight = in;
    return a;
}

static void depthwise(const Sizes& sizes, const std::vector<uintptr_t>& arrays, bool half) {
    Arrays in(arrays);
    Depthwise a = depthwise_of(sizes, in);
    a.y = in;
    in.end();
    nb::gil_scoped_release release;
    kernels.depthwise(a, half);
}

static void depthwise_backward(const Sizes& sizes, const std::vector<uintptr_t>& arrays, bool half) {
    Arrays in(arrays);
    Depthwise a = depthwise_of(sizes, in);
    void *grad_y = in, *grad_x = in;
    float* grad_weight = in;
    in.end();
    nb::gil_scoped_release release;
    kernels.depthwise_backward(a, grad_y, grad_x, grad_weight, half);
}

static Norm norm_of(const Sizes& s, Arrays& in, double epsilon) {
    need(s, 3);
    Norm a{};
    a.rows = s[0], a.channels = s[1], a.threads = s[2], a.epsilon = float(epsilon);
    a.x = in, a.weight = in, a.bias = in, a.statistics = in;
    return a;
}

static void norm(const Sizes& sizes, const std::vector<uintptr_t>& arrays, double epsilon, bool half, bool half_y) {
    Arrays in(arrays);
    Norm a = norm_of(sizes, in, epsilon);
    a.y = in;
    in.end();
    nb::gil_scoped_release release;
    kernels.norm(a, half, half_y);
}

static void norm_backward(const Sizes& sizes, const std::vector<uintptr_t>& arrays, double epsilon, bool half, bool half_y) {
    Arrays in(arrays);
    Norm a = norm_of(sizes, in, epsilon);
    void *grad_y = in, *grad_x = in;
    float* partial = in;
    in.end();
    nb::gil_scoped_release release;
    kernels.norm_backward(a, grad_y, grad_x, partial, half, half_y);
}

static void outer(const Sizes& sizes, const std::vector<uintptr_t>& arrays) {
    need(sizes, 4);
    Arrays in(arrays);
    Outer a{};
    a.rows = sizes[0], a.outputs = sizes[1], a.inputs = sizes[2], a.threads = sizes[3];
    a.grad = in, a.x = in, a.weight = in;
    in.end();
    nb::gil_scoped_release release;
    kernels.outer(a);
}

NB_MODULE(_kernels, m) {
    m.attr("API") = 1;  // what lung_srad/kernels/cpu.py expects; raise both when a call changes
    m.attr("ISA") = kernels.name;
    m.attr("LANES") = kernels.lanes;
    m.attr("STEPS") = STEPS;
    m.attr("NORM_ROWS") = NORM_ROWS;
    m.def("ss2d", &ss2d);
    m.def("ss2d_backward", &ss2d_backward);
    m.def("scan", &scan);
    m.def("scan_backward", &scan_backward);
    m.def("depthwise", &depthwise);
    m.def("depthwise_backward", &depthwise_backward);
    m.def("norm", &norm);
    m.def("norm_backward", &norm_backward);
    m.def("outer", &outer);
}
