// Everything. The order of the includes is a good order to read them in.
#pragma once

#include <zeropoint/version.hpp>

// clang-format off
#include <zeropoint/base/platform.hpp>
#include <zeropoint/base/error.hpp>
#include <zeropoint/base/matrix_view.hpp>
#include <zeropoint/base/aligned_buffer.hpp>
#include <zeropoint/base/executor.hpp>
#include <zeropoint/base/cpu.hpp>

#include <zeropoint/math/params.hpp>

#include <zeropoint/kernels/kernel.hpp>
#include <zeropoint/kernels/registry.hpp>
// clang-format on
