// A row-major matrix somebody else owns: pointer, rows, columns, stride. The library reads and
// writes nothing but such views and spans. Where Eigen is installed, row-major Eigen objects
// convert to a view without a copy.
#pragma once

#include <zeropoint/base/error.hpp>

#include <span>
#include <type_traits>

#if __has_include(<Eigen/Core>)
#include <Eigen/Core>
#define ZP_HAS_EIGEN 1
#else
#define ZP_HAS_EIGEN 0
#endif

namespace zeropoint::inline ZP_BASELINE {

/// Element (i, j) is data()[i * stride() + j]; stride >= cols. T may be const. An empty view may be
/// null.
template <class T>
class matrix_view {
 public:
  using value_type = std::remove_const_t<T>;

  constexpr matrix_view() = default;
  constexpr matrix_view(T* data, std::size_t rows, std::size_t cols)
      : matrix_view(data, rows, cols, cols) {}
  constexpr matrix_view(T* data, std::size_t rows, std::size_t cols, std::size_t stride)
      : data_(data), rows_(rows), cols_(cols), stride_(stride) {
    ZP_REQUIRE(stride >= cols, "matrix_view: stride ", stride, " is smaller than ", cols,
               " columns");
    ZP_REQUIRE(data != nullptr || rows == 0 || cols == 0, "matrix_view: null data for ", rows,
               " x ", cols);
  }

  /// A view of T is also a view of const T.
  template <class U>
  requires(std::is_same_v<const U, T> && !std::is_same_v<U, T>) constexpr matrix_view(
      matrix_view<U> other)  // NOLINT(google-explicit-constructor)
      : data_(other.data()), rows_(other.rows()), cols_(other.cols()), stride_(other.stride()) {}

  [[nodiscard]] constexpr T* data() const noexcept { return data_; }
  [[nodiscard]] constexpr std::size_t rows() const noexcept { return rows_; }
  [[nodiscard]] constexpr std::size_t cols() const noexcept { return cols_; }
  [[nodiscard]] constexpr std::size_t stride() const noexcept { return stride_; }
  [[nodiscard]] constexpr std::size_t size() const noexcept { return rows_ * cols_; }
  [[nodiscard]] constexpr bool empty() const noexcept { return rows_ == 0 || cols_ == 0; }
  [[nodiscard]] constexpr bool contiguous() const noexcept {
    return stride_ == cols_ || rows_ <= 1;
  }

  [[nodiscard]] constexpr T& operator()(std::size_t i, std::size_t j) const {
    ZP_ASSERT(i < rows_ && j < cols_);
    return data_[i * stride_ + j];
  }
  [[nodiscard]] constexpr std::span<T> row(std::size_t i) const {
    ZP_ASSERT(i < rows_);
    return {data_ + i * stride_, cols_};
  }
  /// Rows [first, first + count).
  [[nodiscard]] constexpr matrix_view rows_from(std::size_t first, std::size_t count) const {
    ZP_ASSERT(first + count <= rows_);
    return {count == 0 ? data_ : data_ + first * stride_, count, cols_, stride_};
  }

 private:
  T* data_ = nullptr;
  std::size_t rows_ = 0, cols_ = 0, stride_ = 0;
};

#if ZP_HAS_EIGEN
/// A view of a row-major Eigen matrix, Map or Ref with unit inner stride; column-major ones do not
/// compile.
template <class Derived>
[[nodiscard]] auto view(const Eigen::DenseBase<Derived>& m) {
  static_assert(Derived::IsRowMajor, "zeropoint reads row-major matrices: use Eigen::RowMajor");
  const Derived& d = m.derived();
  ZP_REQUIRE(d.innerStride() == 1, "view: inner stride ", d.innerStride(), ", expected 1");
  return matrix_view<const typename Derived::Scalar>(
      d.data(), static_cast<std::size_t>(d.rows()), static_cast<std::size_t>(d.cols()),
      static_cast<std::size_t>(d.rows() > 1 ? d.outerStride() : d.cols()));
}
template <class Derived>
[[nodiscard]] auto view(Eigen::DenseBase<Derived>& m) {
  static_assert(Derived::IsRowMajor, "zeropoint writes row-major matrices: use Eigen::RowMajor");
  Derived& d = m.derived();
  ZP_REQUIRE(d.innerStride() == 1, "view: inner stride ", d.innerStride(), ", expected 1");
  return matrix_view<typename Derived::Scalar>(
      d.data(), static_cast<std::size_t>(d.rows()), static_cast<std::size_t>(d.cols()),
      static_cast<std::size_t>(d.rows() > 1 ? d.outerStride() : d.cols()));
}
#endif

}  // namespace zeropoint::inline ZP_BASELINE
