// What every reader of quantized layers asks of the tensors of a file.
#pragma once

#include <lab/io/safetensors.hpp>
#include <zeropoint/math/quantized_matrix.hpp>

#include <cmath>
#include <cstring>
#include <limits>

namespace lab {

class quantized_tensors {
 public:
  /// Both have to stay. `scheme` is for messages.
  quantized_tensors(const safetensors& weights, const std::string& scheme)
      : weights_(&weights), scheme_(&scheme) {}

  [[nodiscard]] const safetensors& weights() const noexcept { return *weights_; }

  void require(const std::string& name, dtype type, const std::vector<std::uint64_t>& shape) const {
    const tensor_info& info = weights_->at(name);
    if (info.type != type || info.shape != shape)
      wrong(name, printable(info.type_name, 16), " ", printable(shape_text(info.shape)),
            "; expected ", lab::name(type), " ", shape_text(shape), " for ", *scheme_);
  }
  /// Bytes as they are; none of the sizes is 0.
  template <class T>
  [[nodiscard]] std::vector<T> read_as(const std::string& name) const {
    const std::vector<std::byte> bytes = weights_->bytes(name);
    std::vector<T> result(bytes.size() / sizeof(T));
    std::memcpy(result.data(), bytes.data(), bytes.size());
    return result;
  }
  template <class T>
  [[nodiscard]] std::vector<T> values(const std::string& name, dtype type,
                                      const std::vector<std::uint64_t>& shape) const {
    require(name, type, shape);
    return read_as<T>(name);
  }

  /// As fit() makes them: normal, positive, and no end of the grid infinite.
  void check_scale(const std::string& name, std::size_t b, const zeropoint::params& p) const {
    const auto ends = p.representable();
    if (std::isnormal(p.scale) && p.scale > 0 && std::isfinite(ends.min) && std::isfinite(ends.max))
      return;
    wrong(name, "element ", b, " is ", p.scale, "; expected a scale above ",
          std::numeric_limits<float>::min(), " with a finite grid");
  }
  /// Scale and zero point of every block; no zero points: all are 0.
  void fill(zeropoint::params_table& table, const std::string& scales_name,
            std::span<const float> scales, const std::string& zeros_name,
            std::span<const std::int8_t> zeros) const {
    for (std::size_t b = 0; b < scales.size(); ++b) {
      zeropoint::params p = table[b];
      p.scale = scales[b];
      if (!zeros.empty()) p.zero_point = zeros[b];
      if (p.zero_point < p.qmin || p.zero_point > p.qmax)
        wrong(zeros_name, "element ", b, " is ", p.zero_point, "; expected ", p.qmin, " .. ",
              p.qmax);
      check_scale(scales_name, b, p);
      table.set(b, p);
    }
  }
  void check_codes(const std::string& name, zeropoint::matrix_view<const std::int8_t> codes,
                   const zeropoint::scheme& s) const {
    for (std::size_t j = 0; j < codes.rows(); ++j) {
      for (std::size_t k = 0; k < codes.cols(); ++k) {
        const int code = codes(j, k);
        if (code < s.qmin() || code > s.qmax())
          wrong(name, "the code of output ", j, ", input ", k, " is ", code, "; expected ",
                s.qmin(), " .. ", s.qmax());
      }
    }
  }

  /// Throws: "<file>: tensor <name>: <parts>".
  template <class... Parts>
  [[noreturn]] void wrong(const std::string& name, const Parts&... parts) const {
    reject({weights_->path()}, "tensor ", in_quotes(name), ": ", parts...);
  }

 private:
  const safetensors* weights_;
  const std::string* scheme_;
};

}  // namespace lab
