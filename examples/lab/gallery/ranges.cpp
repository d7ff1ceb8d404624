// Which range the grid covers: too much of it, too little, of other data, or of whatever came last.
#include <lab/gallery/failures.hpp>
#include <lab/gallery/sample.hpp>
#include <lab/report/format.hpp>
#include <zeropoint/math/range_search.hpp>
#include <zeropoint/nn/static_linear.hpp>

namespace lab::failures {
namespace {

namespace zp = zeropoint;

constexpr std::size_t token_count = 256, inputs = 256, outputs = 64;

template <zp::observer Observer>
zp::value_range range_of(const sample& x, Observer observer) {
  observer.observe(x.view());
  return observer.range();
}

double percent(const zp::activation_counts& c) {
  return 100.0 * static_cast<double>(c.clipped()) / static_cast<double>(c.count);
}

zp::static_linear layer(const sample& w, zp::value_range range) {
  return zp::static_linear(zp::linear_weight{w.view()}, {}, range);
}

}  // namespace

// Four bits, and three values in 65,536 far outside the rest: a grid that clips nothing, and the one
// with the least error.
gallery_entry low_clipping() {
  dice d(1);
  sample x = d.normals(token_count, inputs);
  for (const float spike : {25.0f, -25.0f, 25.0f}) x(d.below(token_count), d.below(inputs)) = spike;
  const sample w = d.normals(outputs, inputs), exact = product(x, w);
  const zp::scheme bits = zp::symmetric.with_bits(4);
  const rounded_sample all = through(zp::fit(range_of(x, zp::min_max()), bits), x),
                       best = through(zp::fit(range_of(x, zp::mse_range({.grid = bits})), bits), x);
  return {
      .metric = "relative output error, 4-bit activations",
      .naive = relative_error(exact, product(all.values, w)),
      .cured = relative_error(exact, product(best.values, w)),
      .shows = format("The range that clips nothing (%.2f %%) rounds %.0f %% of the values to "
                      "zero. The range of least error, clipping and rounding together, clips "
                      "%.2f %% and rounds %.0f %% to zero.",
                      100 * all.damage.clipped_fraction(), 100 * underflow_fraction(all.damage),
                      100 * best.damage.clipped_fraction(), 100 * underflow_fraction(best.damage))};
}

// One channel in 256 is twenty times larger than the others: 0.4 % of the values, most of the signal.
gallery_entry percentile_tight() {
  dice d(2);
  sample x = d.normals(token_count, inputs);
  for (std::size_t i = 0; i < token_count; ++i) x(i, 17) *= 20.0f;
  const sample w = d.normals(outputs, inputs), exact = product(x, w);
  const auto tight = layer(w, range_of(x, zp::percentile(99))),
             all = layer(w, range_of(x, zp::min_max()));
  const double naive = relative_error(exact, apply(tight, x)),
               cured = relative_error(exact, apply(all, x));
  return {.metric = "relative output error",
          .naive = naive,
          .cured = cured,
          .shows = format("The 99th percentile cuts off the one channel that carries most of the "
                          "signal: %.2f %% of the values clipped. The full range clips %.2f %%.",
                          percent(tight.counts()), percent(all.counts()))};
}

// A token with two huge values, as the first token of large models has. A percentile that asks for
// less than one value of the sample is the maximum.
gallery_entry percentile_loose() {
  dice d(3);
  sample x = d.normals(token_count, inputs);
  x(0, 5) = 500.0f, x(0, 99) = -400.0f;
  const sample w = d.normals(outputs, inputs), exact = product(x, w);
  const auto loose = layer(w, range_of(x, zp::percentile(99.999))),
             bounded = layer(w, range_of(x, zp::percentile(99.9)));
  const double naive = mean_row_error(exact, apply(loose, x)),
               cured = mean_row_error(exact, apply(bounded, x));
  return {
      .metric = "mean over tokens of the relative output error",
      .naive = naive,
      .cured = cured,
      .shows = format("Of %zu values the 99.999th percentile is the largest: a range of %.0f for "
                      "the sake of one token. 99.9 %% gives %.2f and spoils that token alone.",
                      x.values.size(), static_cast<double>(loose.activation_params().scale) * 127,
                      static_cast<double>(bounded.activation_params().scale) * 127)};
}

// Prose uses some channels, code others.
gallery_entry wrong_text() {
  dice d(4);
  const sample prose = d.normals(token_count, inputs);
  sample code = d.normals(token_count, inputs);
  for (std::size_t i = 0; i < token_count; ++i) {
    for (std::size_t j = 0; j < inputs; j += 16) code(i, j) *= 12.0f;
  }
  const sample w = d.normals(outputs, inputs), exact = product(code, w);
  zp::min_max of_prose, of_both;
  of_prose.observe(prose.view());
  of_both.observe(code.view());
  of_both.merge(of_prose);
  const auto wrong = layer(w, of_prose.range()), right = layer(w, of_both.range());
  const double naive = relative_error(exact, apply(wrong, code)),
               cured = relative_error(exact, apply(right, code));
  return {
      .metric = "relative output error on the text that comes",
      .naive = naive,
      .cured = cured,
      .shows = format("Calibrated on other text, the layer clips %.2f %% of its inputs, and its "
                      "own counters say so. Ranges of both texts, merged, clip %.2f %%.",
                      percent(wrong.counts()), percent(right.counts()))};
}

// The same batches, smallest first or largest first.
gallery_entry batch_order() {
  dice d(5);
  std::vector<sample> batches;
  for (int i = 1; i <= 64; ++i)
    batches.push_back(d.normals(16, 64, 0.125f * static_cast<float>(i)));
  const auto scale = [](const auto& observer) {
    return static_cast<double>(zp::fit(observer.range(), zp::symmetric).scale);
  };
  const auto spread = [&](auto forward, auto backward) {
    for (std::size_t i = 0; i < batches.size(); ++i) {
      forward.observe(batches[i].view());
      backward.observe(batches[batches.size() - 1 - i].view());
    }
    const double a = scale(forward), b = scale(backward);
    return std::max(a, b) / std::min(a, b) - 1;
  };
  const double naive = spread(zp::moving_average(), zp::moving_average()),
               cured = spread(zp::percentile(99.9), zp::percentile(99.9));
  return {
      .metric = "larger over smaller scale of two orders, minus 1",
      .naive = naive,
      .cured = cured,
      .shows = format("A moving average of %zu batches starts from the first and hardly leaves it:"
                      " one order gives %.1f times the scale of the other. Minimum, maximum and "
                      "percentiles forget the order, bit for bit.",
                      batches.size(), naive + 1)};
}

}  // namespace lab::failures
