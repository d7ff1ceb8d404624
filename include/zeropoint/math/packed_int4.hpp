// Codes of at most 4 bits, two to a byte:
//
//   byte b of a row:   bits 0..3  column 2b      bits 4..7  column 2b + 1
//
// as ONNX stores int4. Every row starts at a byte; the spare nibble of an odd row is 0. Signed codes
// are two's complement.
#pragma once

#include <zeropoint/math/quantized_matrix.hpp>

namespace zeropoint::inline ZP_BASELINE {

/// Bytes of a row of `cols` nibbles.
[[nodiscard]] constexpr std::size_t int4_row_bytes(std::size_t cols) noexcept {
  return detail::ceil_div(cols, 2);
}

/// bytes = codes, two to a byte. Throws `error` when a size is wrong or a code is outside -8 .. 7
/// (int8_t) or 0 .. 15 (uint8_t).
template <class T>
void pack_int4(std::span<const T> codes, std::span<std::uint8_t> bytes) {
  ZP_REQUIRE(bytes.size() == int4_row_bytes(codes.size()), "pack_int4: ", codes.size(),
             " codes into ", bytes.size(), " bytes, expected ", int4_row_bytes(codes.size()));
  constexpr int low = std::is_signed_v<T> ? -8 : 0, high = low + 15;
  const auto nibble = [&](std::size_t j) {
    const int code = codes[j];
    ZP_REQUIRE(code >= low && code <= high, "pack_int4: code ", code, " in column ", j,
               ", expected ", low, " .. ", high);
    return static_cast<unsigned>(code) & 15u;
  };
  for (std::size_t j = 0; j + 1 < codes.size(); j += 2) {
    bytes[j / 2] = static_cast<std::uint8_t>(nibble(j) | nibble(j + 1) << 4);
  }
  if (codes.size() % 2 != 0) bytes.back() = static_cast<std::uint8_t>(nibble(codes.size() - 1));
}

/// The inverse. Throws `error` when a size is wrong.
template <class T>
void unpack_int4(std::span<const std::uint8_t> bytes, std::span<T> codes) {
  ZP_REQUIRE(bytes.size() == int4_row_bytes(codes.size()), "unpack_int4: ", bytes.size(),
             " bytes into ", codes.size(), " codes, expected ", int4_row_bytes(codes.size()));
  constexpr unsigned sign = std::is_signed_v<T> ? 8 : 0;  // (n ^ 8) - 8 extends the sign
  for (std::size_t j = 0; j < codes.size(); ++j) {
    const unsigned nibble = bytes[j / 2] >> (j % 2 * 4) & 15u;
    codes[j] = static_cast<T>(static_cast<int>(nibble ^ sign) - static_cast<int>(sign));
  }
}

/// A quantized_matrix of at most 4 bits in half the memory.
template <class T>
class packed_int4_matrix {
 public:
  packed_int4_matrix() = default;
  /// Throws `error` when the scheme has more than 4 bits or a code does not fit 4.
  explicit packed_int4_matrix(const quantized_matrix<T>& q)
      : table_(q.table()), bytes_(q.rows() * int4_row_bytes(q.cols())) {
    ZP_REQUIRE(q.scheme().bits <= 4, "packed_int4_matrix: a scheme of ", q.scheme().bits,
               " bits, expected at most 4");
    for (std::size_t i = 0; i < rows(); ++i) {
      pack_int4(q.values().row(i), bytes_.span().subspan(i * row_bytes(), row_bytes()));
    }
  }

  [[nodiscard]] std::size_t rows() const noexcept { return table_.rows(); }
  [[nodiscard]] std::size_t cols() const noexcept { return table_.cols(); }
  [[nodiscard]] std::size_t row_bytes() const noexcept { return int4_row_bytes(cols()); }
  [[nodiscard]] const params_table& table() const noexcept { return table_; }
  /// Row i, packed.
  [[nodiscard]] std::span<const std::uint8_t> row(std::size_t i) const {
    ZP_ASSERT(i < rows());
    return bytes_.span().subspan(i * row_bytes(), row_bytes());
  }
  /// Memory of codes and params.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_.size() + table_.bytes(); }

  [[nodiscard]] quantized_matrix<T> unpack() const {
    quantized_matrix<T> q(table_);
    for (std::size_t i = 0; i < rows(); ++i) unpack_int4(row(i), q.values().row(i));
    return q;
  }

 private:
  params_table table_;
  aligned_buffer<std::uint8_t> bytes_;
};

}  // namespace zeropoint::inline ZP_BASELINE
