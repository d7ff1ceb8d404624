// Rounds of prefills, a decoded text, and a read of as many bytes.
#include <lab/experiments/generation.hpp>
#include <lab/experiments/protocol.hpp>
#include <lab/experiments/quantile.hpp>
#include <lab/experiments/read_speed.hpp>
#include <lab/experiments/speed.hpp>

#include <algorithm>
#include <chrono>
#include <cstring>

namespace lab {

namespace {

constexpr std::size_t decoded_tokens = 64, reads = 4;
constexpr std::uint64_t largest_read = std::uint64_t{1} << 30;  ///< far beyond any cache

/// Seconds by stage as shares of all seconds; what no stage was charged with is among the others.
stage_times shares(stage_times of, double seconds) {
  of.others = 0;
  double left = 1;
  for (double stage_times::*const stage : stages) {
    of.*stage /= seconds;
    left -= of.*stage;
  }
  of.others = left;
  return of;
}

/// The median of each.
stage_times median_of(const std::vector<stage_times>& all) {
  stage_times m;
  for (double stage_times::*const stage : stages) {
    std::vector<double> values;
    for (const stage_times& one : all) values.push_back(one.*stage);
    m.*stage = median(values);
  }
  return m;
}

/// Of one scheme, by round.
struct timings {
  std::vector<std::vector<double>> prefill;      ///< seconds, [prefills][rounds]
  std::vector<double> decode, latencies, reads;  ///< seconds: a text, its tokens, a read
  std::vector<peak_rates> peaks;
  std::vector<stage_times> prefill_stages, decode_stages;  ///< shares; of the longest prefill
  std::uint64_t cache_bytes = 0;
};

class race {
 public:
  race(const transformer& model, const std::vector<scheme_layers>& schemes, const speed_plan& plan,
       std::size_t threads)
      : model_(model),
        schemes_(schemes),
        plan_(plan),
        threads_(threads),
        ids_(random_ids(std::max(plan.prompt, plan.prefills.back()), model.config.vocab, 1)),
        timings_(schemes.size()) {
    std::uint64_t most = 0;
    for (const scheme_layers& s : schemes) most = std::max(most, read_bytes(s));
    memory_ = zeropoint::aligned_buffer<std::byte>(std::min(most, largest_read));
    std::memset(memory_.data(), 1, memory_.size());  // untouched pages are one page of zeros
    for (timings& t : timings_) t.prefill.resize(plan.prefills.size());
  }

  [[nodiscard]] static std::uint64_t read_bytes(const scheme_layers& s) {
    return s.memory_bytes + s.head_memory_bytes;
  }

  void run(std::size_t scheme, bool counted) {
    timings unused;
    unused.prefill.resize(plan_.prefills.size());
    timings& t = counted ? timings_[scheme] : unused;
    const scheme_layers& s = schemes_[scheme];
    for (std::size_t i = 0; i < plan_.prefills.size(); ++i) {
      if (plan_.prefills[i] != plan_.prompt) take_prefill(i, go(s, plan_.prefills[i], 0), t);
    }
    const prefill_operations work = operations_of(model_, s, plan_.prefills.back());
    operations all = work.layers;
    t.peaks.push_back(measure_peaks(all += work.attention, threads_));
    decode(s, t);
    const std::size_t bytes = std::min<std::size_t>(read_bytes(s), memory_.size());
    // The best of several: a limit, and the first read brings into the caches what they can hold.
    double least = read_seconds({memory_.data(), bytes}, threads_);
    for (std::size_t i = 1; i < reads; ++i) {
      least = std::min(least, read_seconds({memory_.data(), bytes}, threads_));
    }
    t.reads.push_back(least * static_cast<double>(read_bytes(s)) / static_cast<double>(bytes));
  }

  [[nodiscard]] scheme_speed result(std::size_t scheme) const {
    const timings &t = timings_[scheme], &reference = timings_[0];
    const scheme_layers& s = schemes_[scheme];
    const auto decoded = static_cast<double>(plan_.decoded);
    scheme_speed r;
    r.scheme = s.name;
    for (std::size_t i = 0; i < plan_.prefills.size(); ++i) {
      r.prefill.push_back(static_cast<double>(plan_.prefills[i]) / median(t.prefill[i]));
    }
    r.decode = decoded / median(t.decode);
    r.p50 = quantile(t.latencies, 0.5);
    r.p95 = quantile(t.latencies, 0.95);
    r.speedup_prefill = median(ratios(reference.prefill.back(), t.prefill.back()));
    r.speedup_decode = median(ratios(reference.decode, t.decode));
    r.read_bytes = read_bytes(s);
    r.read_rate = static_cast<double>(r.read_bytes) / median(t.reads);
    r.read_share = decoded * median(ratios(t.reads, t.decode));
    r.work = operations_of(model_, s, plan_.prefills.back());
    add_peaks(t, r);
    r.prefill_stages = median_of(t.prefill_stages);
    r.decode_stages = median_of(t.decode_stages);
    const std::uint64_t others = (model_.parameters() - model_.linear_parameters()) * sizeof(float);
    r.weight_bytes = others + s.memory_bytes + (s.head ? s.head_memory_bytes : 0);
    r.cache_bytes = t.cache_bytes;
    return r;
  }

 private:
  generation go(const scheme_layers& s, std::size_t prompt, std::size_t new_tokens,
                const std::function<bool(std::uint32_t)>& hear = {}) const {
    generation_options how;
    how.new_tokens = new_tokens;
    how.threads = threads_;
    return generate(model_, s, std::span(ids_).first(prompt), how, hear);
  }

  void decode(const scheme_layers& s, timings& t) const {
    using clock = std::chrono::steady_clock;
    std::vector<clock::time_point> heard;
    heard.reserve(plan_.decoded + 1);
    const generation g = go(s, plan_.prompt, plan_.decoded + 1, [&](std::uint32_t) {
      heard.push_back(clock::now());
      return true;
    });
    for (std::size_t i = 0; i < plan_.prefills.size(); ++i) {
      if (plan_.prefills[i] == plan_.prompt) take_prefill(i, g, t);
    }
    const auto seconds = [](clock::duration d) { return std::chrono::duration<double>(d).count(); };
    for (std::size_t i = 1; i < heard.size(); ++i) {
      t.latencies.push_back(seconds(heard[i] - heard[i - 1]));
    }
    t.decode.push_back(seconds(heard.back() - heard.front()));
    t.decode_stages.push_back(shares(g.decode_stages, t.decode.back()));
    t.cache_bytes = g.cache_bytes;
  }

  void take_prefill(std::size_t i, const generation& g, timings& t) const {
    t.prefill[i].push_back(g.prefill_seconds);
    if (i + 1 < plan_.prefills.size()) return;
    t.prefill_stages.push_back(shares(g.prefill_stages, g.prefill_seconds));
  }

  static void add_peaks(const timings& t, scheme_speed& r) {
    std::vector<double> rate, layers, attention;
    for (const peak_rates& peak : t.peaks) {
      rate.push_back(r.work.layers.integers > 0 ? peak.integers : peak.floats);
      layers.push_back(peak.seconds(r.work.layers));
      attention.push_back(peak.seconds(r.work.attention));
    }
    r.peak_rate = median(rate);
    r.peak_share = median(ratios(layers, t.prefill.back()));
    r.attention_peak_share = median(ratios(attention, t.prefill.back()));
  }

  static std::vector<double> ratios(const std::vector<double>& of, const std::vector<double>& to) {
    std::vector<double> all;
    for (std::size_t i = 0; i < of.size(); ++i) all.push_back(of[i] / to[i]);
    return all;
  }

  const transformer& model_;
  const std::vector<scheme_layers>& schemes_;
  const speed_plan& plan_;
  std::size_t threads_;
  std::vector<std::uint32_t> ids_;
  std::vector<timings> timings_;
  zeropoint::aligned_buffer<std::byte> memory_;
};

}  // namespace

speed_plan plan_speed(std::size_t positions) {
  if (positions < 4) {
    throw input_error("a model of " + std::to_string(positions) +
                      " positions is too short to time; expected at least 4");
  }
  speed_plan p;
  for (const std::size_t wanted : {std::size_t{128}, std::size_t{512}}) {
    const std::size_t tokens = std::min(wanted, positions);
    if (p.prefills.empty() || p.prefills.back() != tokens) p.prefills.push_back(tokens);
  }
  p.prompt = std::min<std::size_t>(128, positions / 2);
  p.decoded = std::min(decoded_tokens, positions - p.prompt - 1);
  return p;
}

speed_study measure_speed(const transformer& model, const std::vector<scheme_layers>& schemes,
                          std::size_t rounds, std::size_t threads,
                          const std::function<void(std::size_t)>& report) {
  ZP_REQUIRE(!schemes.empty() && schemes[0].name == "fp32",
             "measure_speed: schemes[0] has to be the reference, fp32");
  ZP_REQUIRE(rounds > 0, "measure_speed: no rounds");
  speed_study s;
  s.plan = plan_speed(model.config.positions);
  s.rounds = rounds;
  s.threads = threads;
  race r(model, schemes, s.plan, threads);
  const std::size_t count = schemes.size();
  for (std::size_t round = 0; round <= rounds; ++round) {
    for (std::size_t i = 0; i < count; ++i) {
      r.run((round + i) % count, round > 0);  // no scheme always follows the same one
      if (report) report(round * count + i + 1);
    }
  }
  for (std::size_t i = 0; i < count; ++i) s.rows.push_back(r.result(i));
  return s;
}

}  // namespace lab
