// Observers: values stream in, a range for fit() comes out.
//
//   min_max          smallest and largest value
//   absmax           -m .. m with m the largest |x|
//   moving_average   m += c * (batch - m) of the batches' minima and maxima
//   distribution     those two and a histogram: what the rules for ranges below look at
//   percentile       the smallest bound that p % of |x| lie within
//   column_absmax    the largest |x| of every column (channel) of [tokens, channels]
//
// NaN and infinities are skipped and counted; a range of no finite value is an error, never a NaN
// scale. All but moving_average forget the order: observe(a), observe(b), merge() in any order and
// split give the same state bit for bit.
#pragma once

#include <zeropoint/math/histogram.hpp>

#include <concepts>
#include <vector>

namespace zeropoint::inline ZP_BASELINE {

template <class O>
concept observer = requires(O& o, const O& seen, std::span<const float> x) {
  o.observe(x);
  { seen.range() } -> std::same_as<value_range>;
  { seen.count() } -> std::same_as<std::uint64_t>;
  { seen.non_finite() } -> std::same_as<std::uint64_t>;
};

/// Smallest and largest finite value.
class min_max {
 public:
  min_max() = default;
  /// What range(), count() and non_finite() said. Throws `error` unless the range is finite and
  /// ordered, or nothing was counted.
  min_max(const value_range& range, std::uint64_t count, std::uint64_t non_finite)
      : count_(count), non_finite_(non_finite) {
    if (count == 0) return;
    ZP_REQUIRE(std::isfinite(range.min) && std::isfinite(range.max) && range.min <= range.max,
               "min_max: range ", range.min, " to ", range.max);
    range_ = range;
  }
  void observe(std::span<const float> x) noexcept {
    const std::uint64_t skipped = elementwise::count_non_finite(x);
    non_finite_ += skipped;
    count_ += x.size() - skipped;
    const value_range r = elementwise::min_max(x);
    range_ = {std::min(range_.min, r.min), std::max(range_.max, r.max)};
  }
  void observe(matrix_view<const float> x) noexcept {
    for (std::size_t i = 0; i < x.rows(); ++i) observe(x.row(i));
  }
  void merge(const min_max& other) noexcept {
    range_ = {std::min(range_.min, other.range_.min), std::max(range_.max, other.range_.max)};
    count_ += other.count_;
    non_finite_ += other.non_finite_;
  }
  /// Throws `error` when no finite value was seen.
  [[nodiscard]] value_range range() const {
    ZP_REQUIRE(count_ > 0, "observer: no finite value among ", non_finite_, ": no range");
    return range_;
  }
  /// The part of range() within -bound .. bound. Throws `error` when no finite value was seen.
  [[nodiscard]] value_range clipped_to(double bound) const {
    const value_range seen = range();
    const float largest = std::max(std::fabs(seen.min), std::fabs(seen.max));
    const auto limit = static_cast<float>(std::min(bound, static_cast<double>(largest)));
    return {std::max(seen.min, -limit), std::min(seen.max, limit)};
  }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }  ///< finite values seen
  [[nodiscard]] std::uint64_t non_finite() const noexcept { return non_finite_; }
  friend bool operator==(const min_max&, const min_max&) = default;

 private:
  value_range range_{std::numeric_limits<float>::infinity(),
                     -std::numeric_limits<float>::infinity()};
  std::uint64_t count_ = 0, non_finite_ = 0;
};

/// -m .. m with m the largest finite |x|.
class absmax {
 public:
  void observe(std::span<const float> x) noexcept { extremes_.observe(x); }
  void observe(matrix_view<const float> x) noexcept { extremes_.observe(x); }
  void merge(const absmax& other) noexcept { extremes_.merge(other.extremes_); }
  /// Throws `error` when no finite value was seen.
  [[nodiscard]] value_range range() const {
    const value_range r = extremes_.range();
    const float m = std::max(std::fabs(r.min), std::fabs(r.max));
    return {-m, m};
  }
  [[nodiscard]] std::uint64_t count() const noexcept { return extremes_.count(); }
  [[nodiscard]] std::uint64_t non_finite() const noexcept { return extremes_.non_finite(); }
  friend bool operator==(const absmax&, const absmax&) = default;

 private:
  min_max extremes_;
};

/// Exponential moving average of the minima and maxima of batches; the first batch sets it, a batch
/// without a finite value is passed over. Its definition depends on the order of batches, so there
/// is no merge().
class moving_average {
 public:
  /// `rate` is the weight c of a new batch, in (0, 1]: 0.01 as in PyTorch and ONNX Runtime.
  explicit moving_average(double rate = 0.01) : rate_(rate) {
    ZP_REQUIRE(rate > 0 && rate <= 1, "moving_average: rate ", rate, ", expected 0 < rate <= 1");
  }
  /// One batch.
  void observe(std::span<const float> x) noexcept {
    observe(matrix_view<const float>(x.data(), x.empty() ? 0 : 1, x.size()));
  }
  /// One batch, however many rows.
  void observe(matrix_view<const float> x) noexcept {
    min_max batch;
    batch.observe(x);
    non_finite_ += batch.non_finite();
    if (batch.count() == 0) return;
    const value_range r = batch.range();
    if (count_ == 0) {
      min_ = static_cast<double>(r.min);
      max_ = static_cast<double>(r.max);
    } else {  // fma: one rounding on every compiler
      min_ = std::fma(rate_, static_cast<double>(r.min) - min_, min_);
      max_ = std::fma(rate_, static_cast<double>(r.max) - max_, max_);
    }
    count_ += batch.count();
  }
  /// Throws `error` when no finite value was seen.
  [[nodiscard]] value_range range() const {
    ZP_REQUIRE(count_ > 0, "observer: no finite value among ", non_finite_, ": no range");
    return {static_cast<float>(min_), static_cast<float>(max_)};
  }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t non_finite() const noexcept { return non_finite_; }

 private:
  double rate_, min_ = 0, max_ = 0;
  std::uint64_t count_ = 0, non_finite_ = 0;
};

/// Smallest and largest finite value and a histogram. range() is theirs; the observers built on it
/// choose another one.
class distribution {
 public:
  distribution() = default;
  /// Throws `error` when the two counted different streams: other counts, or extremes that do not lie
  /// in the outermost bins with a value.
  distribution(const min_max& extremes, histogram values)
      : extremes_(extremes), values_(std::move(values)) {
    ZP_REQUIRE(extremes_.count() == values_.count(), "distribution: extremes of ",
               extremes_.count(), " values, histogram of ", values_.count());
    const auto limit = static_cast<double>(histogram::bins) * values_.bin_width();
    ZP_REQUIRE(count() == 0 || (static_cast<double>(extremes_.range().max) < limit &&
                                static_cast<double>(extremes_.range().min) > -limit),
               "distribution: values beyond the bins, which end at ", limit);
    if (count() > 0) require_outermost();
  }

  void observe(std::span<const float> x) noexcept {
    extremes_.observe(x);
    values_.observe(x);
  }
  void observe(matrix_view<const float> x) noexcept {
    for (std::size_t i = 0; i < x.rows(); ++i) observe(x.row(i));
  }
  void merge(const distribution& other) noexcept {
    extremes_.merge(other.extremes_);
    values_.merge(other.values_);
  }
  /// Throws `error` when no finite value was seen.
  [[nodiscard]] value_range range() const { return extremes_.range(); }
  [[nodiscard]] const min_max& extremes() const noexcept { return extremes_; }
  [[nodiscard]] const histogram& values() const noexcept { return values_; }
  [[nodiscard]] std::uint64_t count() const noexcept { return extremes_.count(); }
  [[nodiscard]] std::uint64_t non_finite() const noexcept { return extremes_.non_finite(); }
  friend bool operator==(const distribution&, const distribution&) = default;

 private:
  void require_outermost() const {
    const auto counts = values_.counts();
    std::size_t first = 0, last = counts.size() - 1;
    while (counts[first] == 0) ++first;
    while (counts[last] == 0) --last;
    const value_range r = extremes_.range();
    ZP_REQUIRE(values_.bin_of(r.min) == first && values_.bin_of(r.max) == last,
               "distribution: extremes ", r.min, " and ", r.max,
               ", but the bins with values go from ", values_.edge(first), " to ",
               values_.edge(last + 1));
    const std::uint64_t right = counts[histogram::bins], zeros = values_.zeros();
    const bool max_fits = last != histogram::bins || (r.max == 0) == (right == zeros);
    ZP_REQUIRE(max_fits && (zeros > 0 ? r.min <= 0 : r.min != 0), "distribution: extremes ", r.min,
               " and ", r.max, ", but ", zeros, " of ", right, " values from 0 to ",
               values_.bin_width(), " are 0");
  }

  min_max extremes_;
  histogram values_;
};

/// The smallest bound on a grid of bins that p % of the finite |x| lie within, as a symmetric range
/// clipped to the smallest and largest value seen.
///
/// The bins are those of histogram.hpp: the bound is at most one bin, that is at most max|x| / 2048,
/// above the exact percentile, and never below it.
class percentile : public distribution {
 public:
  static constexpr std::size_t bins = histogram::bins;

  /// `percent` in (0, 100], rounded to a multiple of 0.0001; of what was `seen` already.
  explicit percentile(double percent = 99.9, distribution seen = {})
      : distribution(std::move(seen)),
        parts_per_million_(static_cast<std::uint64_t>(
            percent > 0 && percent <= 100 ? std::llround(percent * 10000.0) : 0)) {
    ZP_REQUIRE(parts_per_million_ > 0, "percentile: ", percent, ", expected 0.0001 to 100");
  }

  /// Throws `error` when the two ask for different percentiles.
  void merge(const percentile& other) {
    ZP_REQUIRE(parts_per_million_ == other.parts_per_million_, "percentile: merge of ", percent(),
               " % with ", other.percent(), " %");
    distribution::merge(other);
  }
  /// Throws `error` when no finite value was seen.
  [[nodiscard]] value_range range() const { return extremes().clipped_to(bound()); }

  [[nodiscard]] double percent() const noexcept {
    return static_cast<double>(parts_per_million_) / 10000.0;
  }
  /// Width of a bin: what range() may be above the exact percentile.
  [[nodiscard]] double resolution() const noexcept { return values().bin_width(); }
  friend bool operator==(const percentile&, const percentile&) = default;

 private:
  /// Upper edge of the bin that holds the value of rank ceil(count * p), or of the last.
  [[nodiscard]] double bound() const noexcept {
    constexpr std::uint64_t million = 1000000;
    const std::uint64_t n = count();
    const std::uint64_t rank = n / million * parts_per_million_ +
                               (n % million * parts_per_million_ + million - 1) / million;
    std::uint64_t below = 0;
    for (std::size_t b = 0; b < bins; ++b) {
      below += values().magnitudes(b);
      if (below >= rank) return static_cast<double>(b + 1) * resolution();
    }
    return static_cast<double>(bins) * resolution();
  }

  std::uint64_t parts_per_million_;
};

/// The largest finite |x| of every column of [tokens, channels].
class column_absmax {
 public:
  explicit column_absmax(std::size_t columns) : maxima_(columns, 0.0f) {}
  /// What maxima(), rows() and non_finite() said. Throws `error` for a maximum that is none.
  column_absmax(std::vector<float> maxima, std::uint64_t rows, std::uint64_t non_finite)
      : maxima_(std::move(maxima)), rows_(rows), non_finite_(non_finite) {
    for (const float m : maxima_) {
      ZP_REQUIRE(std::isfinite(m) && m >= 0, "column_absmax: maximum ", m);
    }
  }

  /// Throws `error` when the number of columns is another.
  void observe(matrix_view<const float> x) {
    ZP_REQUIRE(x.cols() == maxima_.size(), "column_absmax: ", x.cols(), " columns, expected ",
               maxima_.size());
    for (std::size_t i = 0; i < x.rows(); ++i) {
      non_finite_ += elementwise::count_non_finite(x.row(i));
      elementwise::absmax_columns(x.row(i), std::span<float>(maxima_));
    }
    rows_ += x.rows();
  }
  void merge(const column_absmax& other) {
    ZP_REQUIRE(other.maxima_.size() == maxima_.size(), "column_absmax: merge of ", maxima_.size(),
               " with ", other.maxima_.size(), " columns");
    for (std::size_t j = 0; j < maxima_.size(); ++j) {
      maxima_[j] = std::max(maxima_[j], other.maxima_[j]);
    }
    rows_ += other.rows_;
    non_finite_ += other.non_finite_;
  }
  /// One per column; 0 for a column that had no finite value but zeros.
  [[nodiscard]] std::span<const float> maxima() const noexcept { return maxima_; }
  [[nodiscard]] std::uint64_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::uint64_t non_finite() const noexcept { return non_finite_; }
  friend bool operator==(const column_absmax&, const column_absmax&) = default;

 private:
  std::vector<float> maxima_;
  std::uint64_t rows_ = 0, non_finite_ = 0;
};

}  // namespace zeropoint::inline ZP_BASELINE
