// Two phases per batch of windows: first the blocks of every scheme (parallel over windows), then the
// head and the comparison with float32 (parallel over windows and blocks of rows).
#include <lab/experiments/scheme_sums.hpp>
#include <lab/models/float_kernels.hpp>
#include <lab/models/parallel.hpp>

#include <atomic>
#include <chrono>
#include <cmath>

namespace lab {

using zeropoint::aligned_buffer;
using zeropoint::matrix_view;

namespace {

using clock = std::chrono::steady_clock;

double seconds_since(clock::time_point begin) {
  return std::chrono::duration<double>(clock::now() - begin).count();
}

double loss_of(const row_numbers& r, float target) {
  return static_cast<double>(r.max) + std::log(r.sum) - static_cast<double>(target);
}

/// Logits of a block of rows under the reference and under one scheme.
struct head_scratch {
  explicit head_scratch(std::size_t vocab)
      : reference(head_block * vocab), p(head_block * vocab), logits(head_block * vocab) {}
  aligned_buffer<float> reference, p, logits;
};

class experiment {
 public:
  experiment(const transformer& model, const std::vector<scheme_layers>& schemes,
             std::span<const std::uint32_t> ids, std::span<const window> windows,
             std::size_t threads)
      : model_(model),
        schemes_(schemes),
        ids_(ids),
        windows_(windows),
        threads_(threads),
        seconds_(schemes.size()),
        head_nanoseconds_(schemes.size()),
        sums_(schemes.size(), std::vector<window_sums>(windows.size())) {
    for (const window& w : windows) longest_ = std::max(longest_, w.size);
  }

  void run(const std::function<void(std::size_t)>& report) {
    const std::size_t batch = threads_ * std::max<std::size_t>(1, 4096 / longest_);
    const std::size_t stride = longest_ * model_.config.embed_width;
    hidden_ = aligned_buffer<float>(schemes_.size() * std::min(batch, windows_.size()) * stride);
    for (std::size_t first = 0; first < windows_.size(); first += batch) {
      const std::size_t count = std::min(batch, windows_.size() - first);
      for (std::size_t s = 0; s < schemes_.size(); ++s) {
        const auto begin = clock::now();
        parallel_for(schemes_[s].ordered ? 1 : threads_, count,
                     [&](std::size_t i) { run_blocks(s, first + i, i, count); });
        seconds_[s] += seconds_since(begin);
        if (report) report(first * schemes_.size() + (s + 1) * count);
      }
      run_heads(first, count);
    }
  }

  std::vector<scheme_sums> results() const {
    std::vector<scheme_sums> all;
    for (std::size_t s = 0; s < schemes_.size(); ++s) {
      scheme_sums m;
      m.scheme = schemes_[s].name;
      m.weight_bytes = schemes_[s].stored_bytes;
      m.weight_bytes_memory = schemes_[s].memory_bytes;
      for (const auto& layer : schemes_[s].layers) {
        m.clips.clipped += layer->clips().clipped;
        m.clips.values += layer->clips().values;
        m.demoted += layer->demoted() ? 1 : 0;
      }
      m.seconds = seconds_[s] + 1e-9 * static_cast<double>(head_nanoseconds_[s].load()) /
                                    static_cast<double>(threads_);
      m.windows = sums_[s];
      all.push_back(std::move(m));
    }
    return all;
  }

 private:
  /// Hidden states [size, E] of window i of the batch under scheme s.
  matrix_view<float> hidden(std::size_t s, std::size_t i, std::size_t count, const window& w) {
    const std::size_t E = model_.config.embed_width;
    return {hidden_.data() + (s * count + i) * longest_ * E, w.size, E};
  }

  void run_blocks(std::size_t s, std::size_t index, std::size_t i, std::size_t count) {
    const window& w = windows_[index];
    auto scratch = workspaces_.take([&] { return workspace(model_.config, longest_); });
    forward(schemes_[s].form_of(model_), schemes_[s].layers, ids_.subspan(w.first, w.size),
            *scratch, hidden(s, i, count, w), schemes_[s].attention);
    workspaces_.give_back(std::move(scratch));
  }

  void run_heads(std::size_t first, std::size_t count) {
    const std::size_t blocks = (longest_ + head_block - 1) / head_block;
    // Per window and block, so that the sums of a window are folded in a fixed order.
    std::vector<std::vector<window_sums>> parts(schemes_.size(),
                                                std::vector<window_sums>(count * blocks));
    parallel_for(threads_, count * blocks, [&](std::size_t task) {
      const std::size_t i = task / blocks, row = task % blocks * head_block;
      run_head(windows_[first + i], i, count, row,
               [&](std::size_t s) -> window_sums& { return parts[s][task]; });
    });
    for (std::size_t s = 0; s < schemes_.size(); ++s) {
      for (std::size_t task = 0; task < count * blocks; ++task) {
        sums_[s][first + task / blocks] += parts[s][task];
      }
    }
  }

  /// Rows [begin, begin + head_block) of a window, as far as they are scored: row t predicts token
  /// t + 1.
  template <class Sums>
  void run_head(const window& w, std::size_t i, std::size_t count, std::size_t begin, Sums&& sums) {
    const std::size_t end = std::min(begin + head_block, w.size);
    const std::size_t first = std::max(begin, w.size - 1 - w.scored);
    const std::size_t last = std::min(end, w.size - 1);
    if (begin >= end || first >= last) return;
    const std::size_t V = model_.config.vocab, rows = end - begin;
    auto scratch = heads_.take([&] { return head_scratch(V); });
    const float_kernels& k = best_float_kernels();
    std::vector<row_numbers> reference(rows);
    for (std::size_t s = 0; s < schemes_.size(); ++s) {
      const auto start = clock::now();
      float* logits = s == 0 ? scratch->reference.data() : scratch->logits.data();
      apply_head(model_, schemes_[s], hidden(s, i, count, w).rows_from(begin, rows),
                 {logits, rows, V});
      for (std::size_t t = first; t < last; ++t) {
        const std::size_t at = (t - begin) * V;
        const float *ref = scratch->reference.data() + at, *row = logits + at;
        float* p = scratch->p.data() + at;
        row_numbers& r = reference[t - begin];
        if (s == 0) r = k.reference_row(V, ref, p);
        const row_numbers q = s == 0 ? r : k.compared_row(V, ref, p, row);
        const std::uint32_t target = ids_[w.first + t + 1];
        window_sums& sum = sums(s);
        sum.loss += loss_of(q, row[target]);
        sum.reference_loss += loss_of(r, ref[target]);
        sum.kl += q.shift + (static_cast<double>(q.max) + std::log(q.sum)) -
                  (static_cast<double>(r.max) + std::log(r.sum));
        sum.agreeing += q.best == r.best ? 1 : 0;
        ++sum.tokens;
      }
      head_nanoseconds_[s] +=
          std::chrono::duration_cast<std::chrono::nanoseconds>(clock::now() - start).count();
    }
    heads_.give_back(std::move(scratch));
  }

  const transformer& model_;
  const std::vector<scheme_layers>& schemes_;
  std::span<const std::uint32_t> ids_;
  std::span<const window> windows_;
  std::size_t threads_, longest_ = 0;
  aligned_buffer<float> hidden_;  ///< [schemes, windows of the batch, longest_, E]
  pool<workspace> workspaces_;
  pool<head_scratch> heads_;
  std::vector<double> seconds_;                              ///< blocks, per scheme
  std::vector<std::atomic<std::int64_t>> head_nanoseconds_;  ///< over all threads, per scheme
  std::vector<std::vector<window_sums>> sums_;               ///< [schemes][windows]
};

}  // namespace

void apply_head(const transformer& m, const scheme_layers& s, matrix_view<const float> hidden,
                matrix_view<float> logits) {
  if (!s.head) return apply_head(m, hidden, logits);
  s.head->apply(hidden, logits);
}

void apply_head_on(std::size_t threads, const transformer& m, const scheme_layers& s,
                   matrix_view<const float> hidden, matrix_view<float> logits) {
  if (!s.head) return apply_head_on(threads, m, hidden, logits);
  s.head->apply_on(threads, hidden, logits);
}

window_sums& window_sums::operator+=(const window_sums& o) {
  loss += o.loss;
  reference_loss += o.reference_loss;
  kl += o.kl;
  tokens += o.tokens;
  agreeing += o.agreeing;
  return *this;
}

measurement summarise(std::span<const window_sums> windows) {
  window_sums all;
  for (const window_sums& w : windows) all += w;
  const auto n = static_cast<double>(all.tokens);
  measurement m;
  m.tokens = all.tokens;
  m.loss = all.loss / n;
  m.delta = (all.loss - all.reference_loss) / n;
  m.ppl = std::exp(m.loss);
  m.kl = all.kl / n;
  m.top1 = static_cast<double>(all.agreeing) / n;
  // delta is the ratio of two sums over windows: the spread of a window's difference around what its
  // tokens would contribute at the mean. For windows of equal size, the usual s / sqrt(windows).
  double squares = 0;
  for (const window_sums& w : windows) {
    const double d = w.loss - w.reference_loss - m.delta * static_cast<double>(w.tokens);
    squares += d * d;
  }
  const auto count = static_cast<double>(windows.size());
  m.delta_se = windows.size() < 2 ? std::nan("") : std::sqrt(squares * count / (count - 1)) / n;
  return m;
}

measurement summarise(const scheme_sums& sums) {
  measurement m = summarise(sums.windows);
  m.scheme = sums.scheme;
  m.weight_bytes = sums.weight_bytes;
  m.weight_bytes_memory = sums.weight_bytes_memory;
  m.demoted = sums.demoted;
  m.seconds = sums.seconds;
  if (sums.clips.values > 0) {
    m.clipped = static_cast<double>(sums.clips.clipped) / static_cast<double>(sums.clips.values);
  }
  return m;
}

std::vector<measurement> summarise_all(std::span<const scheme_sums> all) {
  std::vector<measurement> rows;
  for (const scheme_sums& s : all) rows.push_back(summarise(s));
  return rows;
}

std::vector<scheme_sums> measure_sums(const transformer& model,
                                      const std::vector<scheme_layers>& schemes,
                                      std::span<const std::uint32_t> ids,
                                      std::span<const window> windows, std::size_t threads,
                                      const std::function<void(std::size_t)>& report) {
  ZP_REQUIRE(!schemes.empty() && schemes[0].name == "fp32",
             "measure: schemes[0] has to be the reference, fp32");
  experiment e(model, schemes, ids, windows, std::max<std::size_t>(threads, 1));
  if (!windows.empty()) e.run(report);
  return e.results();
}

std::vector<measurement> measure(const transformer& model,
                                 const std::vector<scheme_layers>& schemes,
                                 std::span<const std::uint32_t> ids,
                                 std::span<const window> windows, std::size_t threads,
                                 const std::function<void(std::size_t)>& report) {
  ZP_REQUIRE(!windows.empty(), "measure: no windows");
  return summarise_all(measure_sums(model, schemes, ids, windows, threads, report));
}

}  // namespace lab
