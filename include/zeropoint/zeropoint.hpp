// The whole library. The order of the includes is the reading order.
//
//   base     what C++ does not give us: views, buffers, executors, fp16
//   math     what quantization means: params, rounding, statistics, observers, matrices
//   kernels  what a processor can do: one tile of integer products
//   gemm     where the two meet: pack once, multiply for ever
//   nn       linear layers and attention, and the methods that make quantization cost them less
#pragma once

#include <zeropoint/version.hpp>
// clang-format off
#include <zeropoint/base/platform.hpp>
#include <zeropoint/base/error.hpp>
#include <zeropoint/base/matrix_view.hpp>
#include <zeropoint/base/aligned_buffer.hpp>
#include <zeropoint/base/float16.hpp>
#include <zeropoint/base/executor.hpp>
#include <zeropoint/base/thread_team.hpp>
#include <zeropoint/base/cpu.hpp>

#include <zeropoint/math/params.hpp>
#include <zeropoint/math/rounding.hpp>
#include <zeropoint/math/level_set.hpp>
#include <zeropoint/math/statistics.hpp>
#include <zeropoint/math/elementwise.hpp>
#include <zeropoint/math/quantized_matrix.hpp>
#include <zeropoint/math/quantize.hpp>
#include <zeropoint/math/observer.hpp>
#include <zeropoint/math/range_search.hpp>
#include <zeropoint/math/packed_int4.hpp>
#include <zeropoint/math/requantize.hpp>
#include <zeropoint/math/presets.hpp>

#include <zeropoint/kernels/kernel.hpp>
#include <zeropoint/kernels/registry.hpp>
#include <zeropoint/kernels/saturation.hpp>

#include <zeropoint/gemm/gemm.hpp>
#include <zeropoint/gemm/gemv.hpp>
#include <zeropoint/gemm/int4.hpp>
#include <zeropoint/gemm/saturating.hpp>

#include <zeropoint/nn/linear.hpp>
#include <zeropoint/nn/attention.hpp>
#include <zeropoint/nn/activation_methods.hpp>
#include <zeropoint/nn/weight_methods.hpp>
// clang-format on
