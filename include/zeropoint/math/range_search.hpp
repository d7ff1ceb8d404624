// Ranges that trade clipping against resolution, for fit():
//
//   mse_range      the range whose grid has the least expected |x - dequantize(quantize(x))|^p
//   mse_range_of   the same, exactly, over values at hand (weights)
//   entropy_range  the bound that keeps most of the information: TensorRT's and ONNX Runtime's KL
//
// Observers of a stream see a histogram and not the values: mse_range takes the values of a bin to
// be spread evenly over it (zeros apart, which no grid here damages), which is exact but for how they
// lie inside a bin of at most max|x| / 2048.
#pragma once

#include <zeropoint/math/observer.hpp>
#include <zeropoint/math/quantize.hpp>

#include <array>

namespace zeropoint::inline ZP_BASELINE {

struct mse_options {
  scheme grid = symmetric;
  double power = 2;      ///< p: 2 is the mean squared error, GPTQ takes 2.4; 1 to 4
  int candidates = 128;  ///< ends are shrunk to i / candidates of what was seen, i >= 1
};

namespace detail {

/// Checked once, where options enter.
[[nodiscard]] inline mse_options checked_mse(const mse_options& o) {
  ZP_REQUIRE(o.power >= 1 && o.power <= 4, "mse_range: power ", o.power, ", expected 1 to 4");
  ZP_REQUIRE(o.candidates >= 1 && o.candidates <= 4096, "mse_range: ", o.candidates,
             " candidates, expected 1 to 4096");
  return o;
}

/// |x|^p; the common powers without pow().
[[nodiscard]] inline double power_of(double x, double p) {
  return p == 2 ? x * x : p == 1 ? std::fabs(x) : std::pow(std::fabs(x), p);
}

/// The range of least cost(fit(range, grid)) among the candidates. For a symmetric grid they are
/// -m .. m within what was seen, for shrinking m. For an affine one both ends shrink together, and
/// then one by one in turn, as long as that helps. Of equal costs the widest range wins. Like every
/// grid, the range contains zero.
template <class Cost>
[[nodiscard]] value_range search_range(const value_range& seen, const mse_options& o, Cost&& cost) {
  const double low = std::fmin(seen.min, 0.0f), high = std::fmax(seen.max, 0.0f);  // as in fit()
  const auto shrunk = [&](std::array<int, 2> share) {
    double from = low * share[0] / o.candidates, to = high * share[1] / o.candidates;
    if (o.grid.is_symmetric()) {
      const double bound = std::fmax(-from, to);
      from = std::fmax(low, -bound), to = std::fmin(high, bound);
    }
    return value_range{static_cast<float>(from), static_cast<float>(to)};
  };
  std::array<int, 2> best{o.candidates, o.candidates};
  double least = cost(fit(shrunk(best), o.grid));
  const auto try_all = [&](bool move_low, bool move_high) {
    const std::array<int, 2> from = best;
    for (int i = o.candidates; i >= 1; --i) {
      const std::array<int, 2> share{move_low ? i : from[0], move_high ? i : from[1]};
      const double c = cost(fit(shrunk(share), o.grid));
      if (c < least) least = c, best = share;
    }
  };
  try_all(true, true);
  for (double before = -1; !o.grid.is_symmetric() && least != before;) {
    before = least;
    try_all(true, false);
    try_all(false, true);
  }
  return shrunk(best);
}

/// The sum of |x - g|^p over `h`, g the point of p's grid nearest to x, values of a bin spread
/// evenly over it. With F(t) = sign(t) |t|^(p + 1) / (p + 1), a piece [a, b] of a bin between two
/// midpoints of the grid has the integral F(b - g) - F(a - g).
[[nodiscard]] inline double expected_error(const histogram& h, const params& p, double power) {
  const auto antiderivative = [&](double t) { return power_of(t, power) * t / (power + 1); };
  const double step = static_cast<double>(p.scale), width = h.bin_width();
  const double first = p.qmin - p.zero_point, last = p.qmax - p.zero_point;
  double total = 0;
  for (std::size_t i = 0; i < h.counts().size(); ++i) {
    const std::uint64_t n = h.counts()[i] - (i == histogram::bins ? h.zeros() : 0);
    if (n == 0) continue;
    double low = h.edge(i), integral = 0;
    const double end = h.edge(i + 1);
    for (double k = std::clamp(std::floor(low / step + 0.5), first, last); low < end; ++k) {
      const double high = k < last ? std::clamp((k + 0.5) * step, low, end) : end;
      integral += antiderivative(high - k * step) - antiderivative(low - k * step);
      low = high;
    }
    total += static_cast<double>(n) * (integral / width);
  }
  return total;
}

}  // namespace detail

/// Observes a histogram; range() searches the candidates for the least expected error: some ten
/// milliseconds for a symmetric grid, a tenth of a second for an affine one.
class mse_range : public distribution {
 public:
  /// Of what was `seen` already. Throws `error` for options out of bounds.
  explicit mse_range(const mse_options& options = {}, distribution seen = {})
      : distribution(std::move(seen)), options_(detail::checked_mse(options)) {}

  /// Throws `error` when no finite value was seen.
  [[nodiscard]] value_range range() const {
    return detail::search_range(extremes().range(), options_, [&](const params& p) {
      return detail::expected_error(values(), p, options_.power);
    });
  }

 private:
  mse_options options_;
};

/// The candidate of least sum |x - dequantize(quantize(x))|^p over the finite values of x, summed in
/// double row by row: as GPTQ's `mse` option does. candidates * x.size() quantizations. Throws
/// `error` when there is no finite value.
[[nodiscard]] inline value_range mse_range_of(matrix_view<const float> x,
                                              const mse_options& options = {}) {
  min_max seen;
  seen.observe(x);
  return detail::search_range(seen.range(), detail::checked_mse(options), [&](const params& p) {
    const quantizer<> q(p);
    double total = 0;
    for (std::size_t i = 0; i < x.rows(); ++i) {
      for (const float v : x.row(i)) {
        if (!std::isfinite(v)) continue;
        const double rounded = static_cast<double>(p.scale) * static_cast<double>(q.steps(v));
        total += detail::power_of(static_cast<double>(v) - rounded, options.power);
      }
    }
    return total;
  });
}
[[nodiscard]] inline value_range mse_range_of(std::span<const float> x,
                                              const mse_options& options = {}) {
  return mse_range_of(matrix_view<const float>(x.data(), x.empty() ? 0 : 1, x.size()), options);
}

/// The bound that loses least of the distribution P of |x| when `levels` = 2^(bits - 1) codes have
/// to carry it, as a symmetric range clipped to what was seen. For each number n of bins from
/// `levels` up to all that hold something,
///
///   P  the first n bins, and what lies beyond added to the last of them
///   Q  the first n bins in `levels` groups, the counts of each spread evenly over those of its bins
///      where P is not 0
///
/// and the n with the least KL(P || Q) wins, the smallest of equals. Zeros are left out: they cost
/// nothing in any grid, and a ReLU has too many of them. A candidate whose Q is 0 where P is not has
/// an infinite divergence; nothing is smoothed. Groups are as even as integers allow (ONNX Runtime
/// puts the remainder into the last one). It cannot see a bound below levels / 4096 of max|x|.
class entropy_range : public distribution {
 public:
  /// `bits` of the grid, 2 to 8; of what was `seen` already.
  explicit entropy_range(int bits = 8, distribution seen = {})
      : distribution(std::move(seen)), levels_(std::size_t{1} << (checked_bits(bits) - 1)) {}

  /// Throws `error` when no finite value was seen.
  [[nodiscard]] value_range range() const {
    const std::vector<double> kl = divergences();
    const auto best = std::min_element(kl.begin(), kl.end());
    const auto bound = static_cast<double>(best - kl.begin()) + static_cast<double>(levels_);
    return extremes().clipped_to(kl.empty() ? 0.0 : bound * values().bin_width());
  }
  /// KL(P || Q) in nats for a bound of levels, levels + 1, ... bins; empty when all values are 0.
  [[nodiscard]] std::vector<double> divergences() const;

 private:
  [[nodiscard]] static int checked_bits(int bits) {
    ZP_REQUIRE(bits >= 2 && bits <= 8, "entropy_range: ", bits, " bits, expected 2 to 8");
    return bits;
  }

  std::size_t levels_;
};

// KL = sum P/N log((P/N) / (Q/S)), N the count of all, S of the first n bins. Q is constant in a
// group, so that a candidate needs only sums over its groups, and those come from running sums:
// 128 terms instead of n.
inline std::vector<double> entropy_range::divergences() const {
  constexpr std::size_t bins = histogram::bins;
  const auto term = [](double c) { return c > 0 ? c * std::log(c) : 0.0; };
  std::vector<std::uint64_t> mass(bins + 1, 0), used(bins + 1, 0);  // of the first b bins
  std::vector<double> terms(bins + 1, 0.0);
  std::size_t end = 0;  // bins that hold something
  const auto in_bin = [&](std::size_t b) { return mass[b + 1] - mass[b]; };
  for (std::size_t b = 0; b < bins; ++b) {
    const std::uint64_t n = values().magnitudes(b) - (b == 0 ? values().zeros() : 0);
    mass[b + 1] = mass[b] + n;
    used[b + 1] = used[b] + (n > 0 ? 1 : 0);
    terms[b + 1] = terms[b] + term(static_cast<double>(n));
    if (n > 0) end = b + 1;
  }
  std::vector<double> kl;
  const auto all = static_cast<double>(mass[end]);
  for (std::size_t n = levels_; n <= end; ++n) {
    const std::uint64_t beyond = mass[end] - mass[n], last = in_bin(n - 1);
    if (mass[n] == 0) {
      kl.push_back(std::numeric_limits<double>::infinity());
      continue;
    }
    double sum = terms[n - 1] + term(static_cast<double>(last + beyond));
    for (std::size_t g = 0; g < levels_; ++g) {
      const std::size_t from = g * n / levels_, to = (g + 1) * n / levels_;
      const std::uint64_t q = mass[to] - mass[from], p = q + (to == n ? beyond : 0);
      if (p == 0) continue;
      const std::uint64_t spread = used[to] - used[from] + (to == n && last == 0 && beyond > 0);
      sum -= static_cast<double>(p) *
             std::log(static_cast<double>(q) / static_cast<double>(spread));  // q = 0: -inf
    }
    kl.push_back(sum / all - std::log(all) + std::log(static_cast<double>(mass[n])));
  }
  return kl;
}

}  // namespace zeropoint::inline ZP_BASELINE
