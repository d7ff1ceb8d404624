// Instantiates every tile of every kernel, every loop over rows and every panel of floats, for
// hot_loops.awk to read.
#include <zeropoint/kernels/registry.hpp>
#include <zeropoint/kernels/row_registry.hpp>
#include <zeropoint/nn/float_panel.hpp>

std::span<const zeropoint::kernels::kernel* const> every_kernel() {
  return zeropoint::kernels::all();
}
std::span<const zeropoint::kernels::row_loops* const> every_row_loop() {
  return zeropoint::kernels::all_rows();
}
std::span<const zeropoint::float_panel::variant* const> every_panel() {
  return zeropoint::float_panel::compiled;
}
