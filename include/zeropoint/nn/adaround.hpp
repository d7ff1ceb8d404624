// AdaRound (Nagel et al., arXiv 2004.10568): every weight goes down or up, whichever is better for
// the outputs together, found by gradient descent on a soft choice h in [0, 1]:
//
//   q = clamp(floor(w / scale) + zero_point + h(v)),   h(v) = clamp(1.2 * sigmoid(v) - 0.1, 0, 1)
//   minimise e^T G e + lambda * sum(1 - |2 h - 1|^b),   e = w - scale * (q - zero_point)
//
// Every output by itself, and instead of batches of samples the whole Gram matrix in each step:
// nothing is random. It starts at h where q is w itself and the error 0, so what does the rounding
// is the second term, with b falling from 20 to 2 on a cosine after a warm-up without it: weights
// settle one after the other, those near a code first, while the others make up for them. The
// error is measured in units of round-to-nearest's error per weight, so that lambda means the same
// for every layer; the paper's 0.01 belongs to another unit. At the end, not in the paper, single
// choices are changed as long as that helps: no other choice for one weight alone is better.
#pragma once

#include <zeropoint/math/measure.hpp>
#include <zeropoint/nn/gram.hpp>
#include <zeropoint/nn/weight.hpp>

namespace zeropoint::inline ZP_BASELINE {

struct adaround_options {
  scheme weights = symmetric.with_bits(4);
  weight_granularity granularity = per_output_channel;
  int steps = 200;       ///< each costs out * in^2 products
  double warm_up = 0.2;  ///< share of the steps without the second term
  double lambda = 30;
  double rate = 0.03;  ///< of Adam
  double b_start = 20, b_end = 2;
};

struct adaround_result {
  quantized_matrix<std::int8_t> codes;  ///< [out, in]
  quantization_statistics statistics;
  std::size_t kept_nearest = 0;  ///< outputs for which round-to-nearest was better
  double nearest_error = 0;      ///< squared output error, sum over rows and outputs: of rounding
  double error = 0;              ///< ... and of these codes
};

namespace detail {

/// The whole Gram matrix, both triangles, row by row.
[[nodiscard]] inline std::vector<double> dense(const gram_matrix& g) {
  const std::size_t n = g.in();
  std::vector<double> full(n * n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) full[i * n + j] = full[j * n + i] = g.row(i)[j];
  }
  return full;
}

/// One weight on its way down or up: code low + h * (high - low), high is low or low + 1.
class soft_code {
 public:
  soft_code() = default;
  /// The codes around w, h such that the soft code is w itself where the grid has it.
  soft_code(float w, const params& p) {
    const double t = static_cast<double>(w) / static_cast<double>(p.scale) + p.zero_point;
    const auto clamped = [&](double code) {
      return static_cast<std::int32_t>(std::min<double>(std::max<double>(code, p.qmin), p.qmax));
    };
    const double down = std::floor(t);
    low_ = clamped(down), high_ = clamped(down + 1);
    set(-std::log(stretch / (t - down - shift) - 1));
  }

  [[nodiscard]] bool is_free() const noexcept { return low_ != high_; }
  [[nodiscard]] double value() const noexcept { return low_ + h_ * (high_ - low_); }
  /// Settles on the nearer of the two codes, or changes over to the other one.
  void settle() noexcept { h_ = h_ >= 0.5 ? 1 : 0; }
  void flip() noexcept { h_ = 1 - h_; }

  /// The derivative of 1 - |2 h - 1|^b by h, where h is not settled.
  [[nodiscard]] double regularizer_slope(double b) const {
    if (h_ <= 0 || h_ >= 1) return 0;
    return -2 * b * std::copysign(std::pow(std::fabs(2 * h_ - 1), b - 1), 2 * h_ - 1);
  }
  /// One step of Adam (0.9, 0.999) down the slope by h.
  void step(double slope, double rate, double mean_correction, double square_correction) {
    const double gradient = slope * derivative_;
    mean_ += 0.1 * (gradient - mean_);
    square_ += 0.001 * (gradient * gradient - square_);
    set(v_ - rate * (mean_ / mean_correction) / (std::sqrt(square_ / square_correction) + 1e-8));
  }

 private:
  static constexpr double stretch = 1.2, shift = -0.1;

  void set(double v) {
    v_ = v;
    const double sigmoid = 1 / (1 + std::exp(-v)), h = stretch * sigmoid + shift;
    h_ = std::min(1.0, std::max(0.0, h));
    derivative_ = h == h_ ? stretch * sigmoid * (1 - sigmoid) : 0.0;
  }

  double v_ = 0, h_ = 0, derivative_ = 0;  ///< derivative_ of h by v
  double mean_ = 0, square_ = 0;           ///< of gradients by v
  std::int32_t low_ = 0, high_ = 0;
};

/// Some outputs: soft codes, errors e and G e, each [count, in].
class adaround_task {
 public:
  adaround_task(const linear_weight& w, std::size_t first, const std::vector<double>& gram,
                quantized_matrix<std::int8_t>& codes)
      : w_(w),
        gram_(gram),
        codes_(codes),
        first_(first),
        count_(std::min(outputs_per_task, w.out() - first)),
        n_(w.in()),
        soft_(count_ * n_),
        errors_(count_ * n_),
        products_(count_ * n_) {
    for (std::size_t r = 0; r < count_; ++r) {
      for (std::size_t k = 0; k < n_; ++k) {
        soft_[r * n_ + k] = soft_code(w.values(first_ + r, k), codes.params_at(first_ + r, k));
      }
    }
  }

  /// nearest_errors: of every output of the weight.
  void run(const adaround_options& o, std::span<const double> nearest_errors) {
    const double warm = o.warm_up * o.steps;
    double mean_correction = 1, square_correction = 1;
    for (int step = 0; step < o.steps; ++step) {
      multiply();
      mean_correction *= 0.9, square_correction *= 0.999;
      const double progress = (step - warm) / (o.steps - warm);
      const double b =
          o.b_end + 0.5 * (o.b_start - o.b_end) * (1 + std::cos(progress * 3.141592653589793));
      for (std::size_t r = 0; r < count_; ++r) {
        const double unit = nearest_errors[first_ + r] / static_cast<double>(n_);
        if (!(unit > 0)) continue;  // nothing is lost in this output
        for (std::size_t k = 0; k < n_; ++k) {
          soft_code& c = soft_[r * n_ + k];
          if (!c.is_free()) continue;
          double slope = -2 * scale(r, k) * products_[r * n_ + k] / unit;
          if (step >= warm) slope += o.lambda * c.regularizer_slope(b);
          c.step(slope, o.rate, 1 - mean_correction, 1 - square_correction);
        }
      }
    }
    for (soft_code& c : soft_) c.settle();
    multiply();
    for (std::size_t r = 0; r < count_; ++r) {
      descend(r, 1e-12 * nearest_errors[first_ + r]);
      for (std::size_t k = 0; k < n_; ++k) {
        codes_.values()(first_ + r, k) = static_cast<std::int8_t>(soft_[r * n_ + k].value());
      }
    }
  }

 private:
  [[nodiscard]] double scale(std::size_t r, std::size_t k) const {
    return static_cast<double>(codes_.params_at(first_ + r, k).scale);
  }

  /// Changes single choices of output r while one lowers its error by more than `least`.
  void descend(std::size_t r, double least) {
    double* products = &products_[r * n_];
    std::size_t quiet = 0;  // weights since the last change
    for (std::size_t k = 0, left = 100 * n_; quiet < n_ && left > 0; k = (k + 1) % n_, --left) {
      ++quiet;
      soft_code& c = soft_[r * n_ + k];
      soft_code other = c;
      other.flip();
      const double change = scale(r, k) * (c.value() - other.value());  // of e_k
      if (!(change * (2 * products[k] + change * gram_[k * n_ + k]) < -least)) continue;
      c = other;
      quiet = 0;
      add_products(products, n_, &change, 1, [&](std::size_t) { return &gram_[k * n_]; });
    }
  }

  void multiply() {
    for (std::size_t r = 0; r < count_; ++r) {
      for (std::size_t k = 0; k < n_; ++k) {
        const std::int32_t zero = codes_.params_at(first_ + r, k).zero_point;
        errors_[r * n_ + k] = static_cast<double>(w_.values(first_ + r, k)) -
                              scale(r, k) * (soft_[r * n_ + k].value() - zero);
      }
    }
    std::fill(products_.begin(), products_.end(), 0.0);
    for (std::size_t k = 0; k < n_; k += band) {
      for (std::size_t j = 0; j < n_; j += column_span) {
        for (std::size_t r = 0; r < count_; ++r) {
          add_products(&products_[r * n_] + j, std::min(column_span, n_ - j), &errors_[r * n_] + k,
                       std::min(band, n_ - k),
                       [&](std::size_t i) { return &gram_[(k + i) * n_] + j; });
        }
      }
    }
  }

  linear_weight w_;
  const std::vector<double>& gram_;
  quantized_matrix<std::int8_t>& codes_;
  std::size_t first_, count_, n_;
  std::vector<soft_code> soft_;
  std::vector<double> errors_, products_;
};

}  // namespace detail

/// Codes of w [out, in] on the grids that round-to-nearest would use, for inputs like those that g
/// saw. No output is worse than rounded to nearest. Throws `error` when shapes differ, g has no
/// rows, a weight is not finite, or an option is out of its range. The result does not depend on
/// the executor. Memory: in^2 doubles, and for each task 64 bytes for each of 32 * in weights.
template <executor Executor = serial>
[[nodiscard]] adaround_result adaround(const linear_weight& w, const gram_matrix& g,
                                       const adaround_options& options = {},
                                       const Executor& ex = {}) {
  detail::require_samples(w, g, "adaround");
  ZP_REQUIRE(options.steps >= 1, "adaround: ", options.steps, " steps, expected at least 1");
  ZP_REQUIRE(options.warm_up >= 0 && options.warm_up <= 1, "adaround: warm-up ", options.warm_up,
             ", expected 0 to 1");
  ZP_REQUIRE(options.rate > 0 && std::isfinite(options.rate), "adaround: rate ", options.rate,
             ", expected a positive number");
  ZP_REQUIRE(options.lambda >= 0 && std::isfinite(options.lambda), "adaround: lambda ",
             options.lambda, ", expected 0 or a positive number");
  ZP_REQUIRE(options.b_end >= 1 && options.b_start >= options.b_end && options.b_start <= 1000,
             "adaround: b from ", options.b_start, " to ", options.b_end,
             ", expected to fall, 1000 to 1");
  const auto nearest = options.granularity.visit([&](const auto& granularity) {
    return quantize<std::int8_t>(w, granularity, options.weights, ex, no_statistics);
  });
  adaround_result result{nearest, {}};
  const auto nearest_errors = output_errors(w, nearest, g, ex);
  const std::vector<double> gram = detail::dense(g);
  ex(detail::ceil_div(w.out(), detail::outputs_per_task), [&](std::size_t task) {
    detail::adaround_task(w, task * detail::outputs_per_task, gram, result.codes)
        .run(options, nearest_errors);
  });
  auto errors = output_errors(w, result.codes, g, ex);
  result.kept_nearest = detail::take_better(result.codes, errors, nearest, nearest_errors);
  result.nearest_error = detail::sum_of(nearest_errors);
  result.error = detail::sum_of(errors);
  result.statistics = measure(w.values, result.codes);
  return result;
}

}  // namespace zeropoint::inline ZP_BASELINE
