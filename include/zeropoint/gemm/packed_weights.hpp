// A weight matrix in the form one kernel reads: panels (drawn in kernels/kernel.hpp) and the sum of
// every column, which zero points and the +128 of unsigned hardware need. It remembers its kernel,
// so packed weights and a foreign kernel cannot meet. pack.hpp makes them.
#pragma once

#include <zeropoint/base/aligned_buffer.hpp>
#include <zeropoint/gemm/code_range.hpp>
#include <zeropoint/gemm/overflow_certificate.hpp>
#include <zeropoint/kernels/registry.hpp>

#include <optional>
#include <span>

namespace zeropoint::inline ZP_BASELINE {

/// n outputs x k inputs, int8. Immutable once packed; safe to share between threads.
class packed_weights {
 public:
  packed_weights() = default;

  /// `element(j, i)` is asked for every output j and input i, twice where a certificate may bring a
  /// faster kernel. `activations`: codes that all activations will keep to, checked by gemm.
  template <class Element>
  packed_weights(std::size_t n, std::size_t k, const kernels::kernel& kernel, Element&& element,
                 std::optional<code_range> activations = {})
      : n_(n), k_(k), activations_(activations) {
    ZP_REQUIRE(kernels::runs_here(kernel), "pack: kernel \"", kernel.name,
               "\" needs instructions this processor lacks");
    ZP_REQUIRE(!activations || (activations->low >= -128 && activations->high <= 255 &&
                                activations->low <= activations->high &&
                                activations->high - activations->low <= 255),
               "pack: activations of ", activations->low, " .. ", activations->high,
               ", expected a range of int8 or uint8");
    const std::size_t limit = static_cast<std::size_t>(-1) / 4;
    ZP_REQUIRE(n < limit && k < limit && (n == 0 || k <= limit / 2 / (n + 64)), "pack: ", n, " x ",
               k, " weights exceed the address space");
    kernel_ = &fastest(kernel, element);
    format_ = &kernel_->format_for(n);
    panels_ = (n + format_->nr - 1) / format_->nr;
    padded_k_ = (k + kernel_->k_group - 1) / kernel_->k_group * kernel_->k_group;
    values_ = aligned_buffer<std::int8_t>(panels() * panel_bytes());
    column_sums_ = aligned_buffer<std::int32_t>(panels() * format_->nr);
    for (std::size_t p = 0; p < panels(); ++p) fill_panel(p, element);
  }

  [[nodiscard]] std::size_t n() const noexcept { return n_; }
  [[nodiscard]] std::size_t k() const noexcept { return k_; }
  /// The kernel asked for, or the one it names for weights with a certificate.
  [[nodiscard]] const kernels::kernel& kernel() const noexcept { return *kernel_; }
  [[nodiscard]] const kernels::panel_format& format() const noexcept { return *format_; }
  /// Memory held: packed values with their padding, and the column sums.
  [[nodiscard]] std::size_t bytes() const noexcept {
    return values_.size() + column_sums_.size() * sizeof(std::int32_t);
  }
  /// Sum of the k weights of each output.
  [[nodiscard]] std::span<const std::int32_t> column_sums() const noexcept {
    return column_sums_.span().first(n_);
  }

  [[nodiscard]] std::size_t panels() const noexcept { return panels_; }
  /// k rounded up to whole groups.
  [[nodiscard]] std::size_t padded_k() const noexcept { return padded_k_; }
  [[nodiscard]] std::size_t panel_bytes() const noexcept { return format_->nr * padded_k_; }
  [[nodiscard]] const std::int8_t* panel(std::size_t p) const noexcept {
    return values_.data() + p * panel_bytes();
  }
  /// Column sums of one panel: nr elements, zeros beyond n.
  [[nodiscard]] const std::int32_t* panel_sums(std::size_t p) const noexcept {
    return column_sums_.data() + p * format_->nr;
  }

  /// Weight of output j and input i, out of the panels (drawn in kernels/kernel.hpp).
  [[nodiscard]] std::int8_t code(std::size_t j, std::size_t i) const noexcept {
    const std::size_t nr = format_->nr, group = kernel_->k_group;
    return panel(j / nr)[i / group * (nr * group) + j % nr * group + i % group];
  }

  /// The codes that activations were declared to keep to, if any.
  [[nodiscard]] const std::optional<code_range>& activations() const noexcept {
    return activations_;
  }
  /// Prepared value of an activation - its given value. A kernel with a certificate for declared
  /// activations takes them from 0 on: the width of the range is what must fit.
  [[nodiscard]] std::int32_t shift(bool is_signed) const noexcept {
    if (kernel_->needs_certificate && activations_) return -activations_->low;
    return kernels::operand_shift(kernel_->a, is_signed);
  }
  /// Whether, and how narrowly, sums of two byte products fit 16 bits with these weights and the
  /// declared activations (none: all of them). Reads every weight.
  [[nodiscard]] overflow_certificate certificate() const {
    return certify(n_, k_, a_max(), [this](std::size_t j, std::size_t i) { return code(j, i); });
  }

 private:
  [[nodiscard]] std::int32_t a_max() const noexcept {
    return activations_ ? activations_->high - activations_->low : 255;
  }
  /// `kernel`, or where the proof holds its faster twin.
  template <class Element>
  [[nodiscard]] const kernels::kernel& fastest(const kernels::kernel& kernel,
                                               Element& element) const {
    const kernels::kernel* narrow = kernel.needs_certificate ? &kernel : kernel.if_certified;
    if (narrow == nullptr || !kernels::runs_here(*narrow)) return kernel;
    const overflow_certificate proof = certify(n_, k_, a_max(), element);
    if (proof.proven()) return *narrow;
    ZP_REQUIRE(!kernel.needs_certificate, "pack: kernel \"", kernel.name,
               "\" adds two products in 16 bits, but activations up to ", proof.a_max,
               " above the smallest reach ", proof.pair.value, " in output ", proof.pair.column,
               ", inputs from ", proof.pair.k, " on (and ", proof.sum.value,
               " in 32 bits in output ", proof.sum.column, ")");
    return kernel;
  }
  template <class Element>
  void fill_panel(std::size_t p, Element& element) {
    const std::size_t nr = format_->nr, group = kernel_->k_group;
    const std::size_t first = p * nr, columns = n_ - first < nr ? n_ - first : nr;
    std::int8_t* out = values_.data() + p * panel_bytes();
    for (std::size_t k = 0; k < k_; k += group, out += nr * group) {
      const std::size_t depth = k_ - k < group ? k_ - k : group;
      for (std::size_t j = 0; j < columns; ++j) {
        std::int32_t sum = 0;
        for (std::size_t g = 0; g < depth; ++g) {
          const std::int8_t value = element(first + j, k + g);
          out[j * group + g] = value;
          sum += value;
        }
        // Unsigned, so that a K far beyond the bound (refused by gemm) wraps instead of overflowing.
        auto& total = column_sums_[first + j];
        total = static_cast<std::int32_t>(static_cast<std::uint32_t>(total) +
                                          static_cast<std::uint32_t>(sum));
      }
    }
  }

  std::size_t n_ = 0, k_ = 0;
  std::size_t panels_ = 0, padded_k_ = 0;  // kept: asked for each panel, where a division shows
  std::optional<code_range> activations_;
  const kernels::kernel* kernel_ = &kernels::scalar::table;
  const kernels::panel_format* format_ = kernels::scalar::table.formats;
  aligned_buffer<std::int8_t> values_;
  aligned_buffer<std::int32_t> column_sums_;
};

}  // namespace zeropoint::inline ZP_BASELINE
