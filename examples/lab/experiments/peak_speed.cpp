// Counts by shape, and the loops of bench/peaks.hpp on threads.
#include <bench/peaks.hpp>
#include <lab/experiments/peak_speed.hpp>
#include <lab/models/parallel.hpp>
#include <zeropoint/kernels/registry.hpp>

#include <algorithm>
#include <chrono>
#include <limits>

namespace lab {

namespace {

double multiply_adds(std::size_t rows, std::size_t out, std::size_t in) {
  return 2.0 * static_cast<double>(rows) * static_cast<double>(out) * static_cast<double>(in);
}

/// The best of several, as every limit here: who shares the machine makes it slower, nobody faster.
double rate(const bench::peak_loop& loop, std::size_t threads) {
  constexpr std::size_t rounds = 200'000, tries = 4;  // one or two milliseconds each
  if (loop.run == nullptr) return std::numeric_limits<double>::quiet_NaN();
  const std::size_t parts = std::max<std::size_t>(threads, 1);
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < tries; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    executor_of(parts)(parts, [&](std::size_t) { loop.run(rounds); });
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    least = std::min(least, took.count());
  }
  return static_cast<double>(rounds * parts) * loop.operations / least;
}

}  // namespace

operations& operations::operator+=(const operations& o) {
  integers += o.integers;
  floats += o.floats;
  return *this;
}

prefill_operations operations_of(const transformer& model, const scheme_layers& scheme,
                                 std::size_t tokens) {
  const transformer& m = scheme.form_of(model);
  const model_config& c = m.config;
  prefill_operations all;
  const auto add = [](operations& to, bool integers, double count) {
    (integers ? to.integers : to.floats) += count;
  };
  const std::vector<const dense*> linears = m.linears();
  for (std::size_t i = 0; i < linears.size(); ++i) {
    add(all.layers, scheme.layers[i]->multiplies_integers(),
        multiply_adds(tokens, linears[i]->out, linears[i]->in));
  }
  for (const auto* p : {&m.project_in, &m.project_out}) {
    if (*p) add(all.layers, false, multiply_adds(tokens, (*p)->out, (*p)->in));
  }
  add(all.layers, scheme.head && scheme.head->multiplies_integers(),
      multiply_adds(1, c.vocab, c.embed_width));
  const double pairs = static_cast<double>(tokens) * static_cast<double>(tokens + 1) / 2;
  add(all.attention, scheme.attention == attention_kind::int8,
      2 * pairs * multiply_adds(m.blocks.size(), c.heads, c.head_width));
  return all;
}

double peak_rates::seconds(const operations& o) const {
  return (o.integers > 0 ? o.integers / integers : 0) + (o.floats > 0 ? o.floats / floats : 0);
}

peak_rates measure_peaks(const operations& wanted, std::size_t threads) {
  constexpr double not_measured = std::numeric_limits<double>::infinity();
  peak_rates found{not_measured, not_measured};
  if (wanted.integers > 0) {
    found.integers = rate(bench::peak_of(zeropoint::kernels::best().name), threads);
  }
  if (wanted.floats > 0) found.floats = rate(bench::fma_peak(), threads);
  return found;
}

}  // namespace lab
