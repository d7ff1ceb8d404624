// How fast a model reads a prompt and writes a text under several schemes, and what it needs for that.
// Schemes take turns in rounds within one process, so that a change of the machine's pace meets all of
// them; a ratio is the median over rounds of the ratio within the round.
#pragma once

#include <lab/experiments/peak_speed.hpp>
#include <lab/models/stage_times.hpp>

#include <functional>
#include <string>
#include <vector>

namespace lab {

/// What is timed, as far as the model has positions for it.
struct speed_plan {
  std::vector<std::size_t> prefills;  ///< 128 and 512 tokens, or what the model takes; ascending
  std::size_t prompt = 0;             ///< in front of the tokens that are decoded
  std::size_t decoded = 0;            ///< passes of one token
};
[[nodiscard]] speed_plan plan_speed(std::size_t positions);

struct scheme_speed {
  std::string scheme;
  std::vector<double> prefill;  ///< tokens per second for each of speed_plan::prefills, medians
  double decode = 0;            ///< tokens per second, median
  double p50 = 0, p95 = 0;      ///< seconds per token over the tokens of all rounds
  double speedup_prefill = 0;   ///< over fp32 on the longest prefill
  double speedup_decode = 0;
  /// Weights that a pass of one token reads: linear layers and head; norms and the key-value cache are
  /// not counted.
  std::uint64_t read_bytes = 0;
  double read_rate = 0;     ///< bytes per second, over a buffer of read_bytes
  double read_share = 0;    ///< of a token's time, if it did nothing but read, 0..1
  prefill_operations work;  ///< of the longest prefill
  /// Of its linear layers' multiply-adds; NaN, like the shares, where peak_rates has none.
  double peak_rate = 0;
  double peak_share = 0;  ///< of its time, if it did nothing but `work.layers` at the peak, 0..1
  double attention_peak_share = 0;  ///< the same of `work.attention`
  /// Where the longest prefill and a token spend their time, medians of shares.
  stage_times prefill_stages, decode_stages;
  std::uint64_t weight_bytes = 0;    ///< all weights as they lie in memory, by their sizes
  std::uint64_t cache_bytes = 0;     ///< keys and values at the end of the text
  std::uint64_t resident_bytes = 0;  ///< the caller's: weights as measured, and cache_bytes
  std::uint64_t disk_bytes = 0;      ///< the caller's
};

struct speed_study {
  speed_plan plan;
  std::size_t rounds = 0, threads = 1;
  std::vector<scheme_speed> rows;
};

/// schemes[0] is the float32 reference. One more round than `rounds`, the first, is not counted.
/// `report`, when given, hears how many of (rounds + 1) * schemes are done. Throws input_error for a
/// model of fewer than 4 positions.
[[nodiscard]] speed_study measure_speed(const transformer& model,
                                        const std::vector<scheme_layers>& schemes,
                                        std::size_t rounds, std::size_t threads,
                                        const std::function<void(std::size_t)>& report = {});

}  // namespace lab
