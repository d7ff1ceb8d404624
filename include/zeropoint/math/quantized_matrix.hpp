// A matrix of codes with its params: what quantize() returns and pack() reads.
//
// Every granularity is a block shape: one params covers a block of block.rows x block.cols
// elements, ragged at the right and lower edge, and blocks are numbered row by row.
//
//   per_tensor        rows x cols      per_group{g}, linear_weight [out, in]   1 x g
//   per_row              1 x cols      per_group{g}, conv1d_weight [in, out]   g x 1
//   per_column        rows x 1
#pragma once

#include <zeropoint/base/aligned_buffer.hpp>
#include <zeropoint/math/elementwise.hpp>

#include <vector>

namespace zeropoint::inline ZP_BASELINE {

/// How many elements share one params; both at least 1.
struct block_shape {
  std::size_t rows = 1, cols = 1;
  friend constexpr bool operator==(const block_shape&, const block_shape&) = default;
};

namespace detail {
[[nodiscard]] constexpr std::size_t at_least_one(std::size_t n) noexcept {
  return n == 0 ? 1 : n;
}
[[nodiscard]] constexpr std::size_t ceil_div(std::size_t a, std::size_t b) noexcept {
  return a / b + (a % b != 0 ? 1 : 0);
}
[[nodiscard]] constexpr std::size_t group_size(per_group g) {
  ZP_REQUIRE(g.size > 0, "per_group: size 0, expected at least 1");
  return g.size;
}
}  // namespace detail

/// The block shape of a granularity. per_output_channel and per_group exist for weights only, whose
/// type says which axis is the output and which is summed over.
[[nodiscard]] constexpr block_shape blocks_of(matrix_view<const float> m, per_tensor_t) noexcept {
  return {detail::at_least_one(m.rows()), detail::at_least_one(m.cols())};
}
template <axis Axis>
[[nodiscard]] constexpr block_shape blocks_of(matrix_view<const float> m,
                                              per_channel_t<Axis>) noexcept {
  if constexpr (Axis == axis::rows) return {1, detail::at_least_one(m.cols())};
  return {detail::at_least_one(m.rows()), 1};
}
template <class Weight>
concept weight = std::same_as<Weight, linear_weight> || std::same_as<Weight, conv1d_weight>;

[[nodiscard]] constexpr block_shape blocks_of(const weight auto& w, per_tensor_t g) noexcept {
  return blocks_of(w.values, g);
}
template <axis Axis>
[[nodiscard]] constexpr block_shape blocks_of(const weight auto& w,
                                              per_channel_t<Axis> g) noexcept {
  return blocks_of(w.values, g);
}
template <weight Weight>
[[nodiscard]] constexpr block_shape blocks_of(const Weight& w, per_output_channel_t) noexcept {
  return blocks_of(w.values, per_channel_t<Weight::output>{});
}
template <weight Weight>
[[nodiscard]] constexpr block_shape blocks_of(const Weight&, per_group g) {
  if constexpr (Weight::output == axis::rows) return {1, detail::group_size(g)};
  return {detail::group_size(g), 1};
}

/// Whether a granularity makes sense for a source: a bare matrix has no per_output_channel.
template <class Source, class Granularity>
concept quantizable = requires(const Source& source, Granularity granularity) {
  blocks_of(source, granularity);
};

/// The params of a matrix somebody else owns: scales[b] and zero_points[b] of block b, zero_points
/// empty when all are 0.
struct params_view {
  block_shape block;
  scheme kind;
  std::span<float> scales;
  std::span<std::int32_t> zero_points;

  [[nodiscard]] params operator[](std::size_t b) const noexcept {
    return {scales[b], zero_points.empty() ? 0 : zero_points[b], kind.qmin(), kind.qmax()};
  }
  void set(std::size_t b, const params& p) const noexcept {
    scales[b] = p.scale;
    if (!zero_points.empty()) zero_points[b] = p.zero_point;
  }
};

/// The params of a whole matrix [rows, cols]. For a signed symmetric scheme every zero point is 0
/// and zero_points() is empty.
class params_table {
 public:
  params_table() = default;
  params_table(std::size_t rows, std::size_t cols, block_shape block, scheme s)
      : rows_(rows), cols_(cols), block_(block), scheme_(s) {
    ZP_REQUIRE(block.rows > 0 && block.cols > 0, "params_table: block ", block.rows, " x ",
               block.cols, ", expected at least 1 x 1");
    ZP_REQUIRE(cols == 0 || rows <= std::numeric_limits<std::size_t>::max() / cols,
               "params_table: ", rows, " x ", cols, " elements exceed the address space");
    scales_.assign(count(), 1.0f);
    if (!s.is_symmetric() || s.middle() != 0) zero_points_.assign(count(), s.middle());
  }

  [[nodiscard]] std::size_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::size_t cols() const noexcept { return cols_; }
  [[nodiscard]] block_shape block() const noexcept { return block_; }
  [[nodiscard]] const scheme& kind() const noexcept { return scheme_; }
  [[nodiscard]] std::size_t blocks_down() const noexcept {
    return detail::ceil_div(rows_, block_.rows);
  }
  [[nodiscard]] std::size_t blocks_across() const noexcept {
    return detail::ceil_div(cols_, block_.cols);
  }
  [[nodiscard]] std::size_t count() const noexcept { return blocks_down() * blocks_across(); }
  [[nodiscard]] std::size_t index(std::size_t i, std::size_t j) const noexcept {
    return i / block_.rows * blocks_across() + j / block_.cols;
  }

  [[nodiscard]] std::span<const float> scales() const noexcept { return scales_; }
  [[nodiscard]] std::span<const std::int32_t> zero_points() const noexcept { return zero_points_; }
  [[nodiscard]] params operator[](std::size_t b) const {
    ZP_ASSERT(b < count());
    return {scales_[b], zero_points_.empty() ? 0 : zero_points_[b], scheme_.qmin(), scheme_.qmax()};
  }
  /// Stores params of this table's scheme as block b. Throws `error` when they are of another.
  void set(std::size_t b, const params& p) {
    ZP_REQUIRE(b < count(), "params_table: block ", b, " of ", count());
    ZP_REQUIRE(p.qmin == scheme_.qmin() && p.qmax == scheme_.qmax(), "params_table: codes ", p.qmin,
               " .. ", p.qmax, " in a scheme of ", scheme_.qmin(), " .. ", scheme_.qmax());
    ZP_REQUIRE(!zero_points_.empty() || p.zero_point == 0, "params_table: zero point ",
               p.zero_point, " in a symmetric scheme");
    static_cast<void>(quantizer<>(p));  // checks scale and zero point
    scales_[b] = p.scale;
    if (!zero_points_.empty()) zero_points_[b] = p.zero_point;
  }
  [[nodiscard]] params_view view() noexcept { return {block_, scheme_, scales_, zero_points_}; }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return scales_.size() * sizeof(float) + zero_points_.size() * sizeof(std::int32_t);
  }
  friend bool operator==(const params_table&, const params_table&) = default;

 private:
  std::size_t rows_ = 0, cols_ = 0;
  block_shape block_;
  scheme scheme_;
  std::vector<float> scales_;
  std::vector<std::int32_t> zero_points_;
};

/// Codes [rows, cols], row-major and contiguous, one byte each, and their params. T is int8_t or
/// uint8_t.
template <class T>
class quantized_matrix {
  static_assert(std::is_same_v<T, std::int8_t> || std::is_same_v<T, std::uint8_t>);

 public:
  using value_type = T;

  quantized_matrix() = default;
  /// All codes 0, all scales 1. Throws `error` when T has another sign than the scheme.
  explicit quantized_matrix(params_table table)
      : table_(std::move(table)), codes_(table_.rows() * table_.cols()) {
    ZP_REQUIRE(table_.kind().is_signed == std::is_signed_v<T>, "quantized_matrix: codes ",
               table_.kind().qmin(), " .. ", table_.kind().qmax(), " do not fit the storage type");
  }

  [[nodiscard]] std::size_t rows() const noexcept { return table_.rows(); }
  [[nodiscard]] std::size_t cols() const noexcept { return table_.cols(); }
  [[nodiscard]] matrix_view<const T> values() const { return {codes_.data(), rows(), cols()}; }
  [[nodiscard]] matrix_view<T> values() { return {codes_.data(), rows(), cols()}; }
  [[nodiscard]] const params_table& table() const noexcept { return table_; }
  [[nodiscard]] params_table& table() noexcept { return table_; }
  /// One per block, in block order: one per row for per_row.
  [[nodiscard]] std::span<const float> scales() const noexcept { return table_.scales(); }
  /// As scales(), or empty: then all are 0.
  [[nodiscard]] std::span<const std::int32_t> zero_points() const noexcept {
    return table_.zero_points();
  }
  [[nodiscard]] const zeropoint::scheme& scheme() const noexcept { return table_.kind(); }
  [[nodiscard]] block_shape block() const noexcept { return table_.block(); }
  [[nodiscard]] params params_at(std::size_t i, std::size_t j) const {
    ZP_ASSERT(i < rows() && j < cols());
    return table_[table_.index(i, j)];
  }
  /// Memory of codes and params.
  [[nodiscard]] std::size_t bytes() const noexcept {
    return codes_.size() * sizeof(T) + table_.bytes();
  }

  /// scale * (code - zero_point) of every element, into x [rows, cols].
  void dequantize(matrix_view<float> x) const {
    ZP_REQUIRE(x.rows() == rows() && x.cols() == cols(), "dequantize: a matrix of ", rows(), " x ",
               cols(), " into ", x.rows(), " x ", x.cols());
    const matrix_view<const T> codes = values();
    const block_shape b = block();
    for (std::size_t i = 0; i < rows(); ++i) {
      if (b.cols == 1) {  // a scale per element of the row
        for (std::size_t j = 0; j < cols(); ++j) {
          const params p = params_at(i, j);
          x(i, j) = p.scale * static_cast<float>(codes(i, j) - p.zero_point);
        }
        continue;
      }
      for (std::size_t j = 0; j < cols(); j += b.cols) {
        const params p = params_at(i, j);
        const std::size_t n = std::min(b.cols, cols() - j);
        elementwise::dequantize_row(codes.row(i).data() + j, n, p.scale, p.zero_point,
                                    x.row(i).data() + j);
      }
    }
  }
  /// The same into a new row-major buffer of rows * cols floats.
  [[nodiscard]] aligned_buffer<float> dequantize() const {
    aligned_buffer<float> x(rows() * cols());
    dequantize(matrix_view<float>(x.data(), rows(), cols()));
    return x;
  }

 private:
  params_table table_;
  aligned_buffer<T> codes_;
};

}  // namespace zeropoint::inline ZP_BASELINE
