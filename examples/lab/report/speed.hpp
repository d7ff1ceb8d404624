// The table of `zp-lab bench`: speeds and sizes beside the loss, as text and as JSON.
#pragma once

#include <lab/experiments/speed.hpp>
#include <lab/report/study.hpp>

namespace lab {

struct bench_report {
  study description;  ///< with rows when the loss was measured: the schemes of speed.rows
  speed_study speed;
};

/// What was timed and how, the table, what its columns mean, and a second table: what limits each
/// scheme. Lines of at most 100 columns as long as no scheme's name is longer than 18.
[[nodiscard]] std::string text_of(const bench_report& r);

/// A list of an object per scheme: {scheme, threads, prefill_128, prefill_512, decode, decode_p95_ms,
/// resident_bytes, disk_bytes, speedup_decode, speedup_prefill, delta}, and in `details` what stands
/// behind them. Null where there is no number: a prefill that the model has no positions for, the loss
/// of a model without a tokenizer, shares of a peak that no loop was written for.
///
/// What limits it, in `details`, as shares of 1:
///   read_share            of decode: reading read_bytes_per_token at read_bytes_per_second
///   peak_share            of the longest prefill: its linear layers and head (layer_operations) at the
///                         peak; peak_operations_per_second is that of the linear layers
///   attention_peak_share  the same of attention's two products (attention_operations)
///   prefill_stages, decode_stages
///                         where the time went: {linears, attention, activation, head, others}
[[nodiscard]] std::string json_of(const bench_report& r);

}  // namespace lab
