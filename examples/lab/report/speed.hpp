// The table of `zp-lab bench`: speeds and sizes beside the loss, as text and as JSON.
#pragma once

#include <lab/experiments/speed.hpp>
#include <lab/report/study.hpp>

namespace lab {

struct bench_report {
  study description;  ///< with rows when the loss was measured: the schemes of speed.rows
  speed_study speed;
};

/// What was timed and how, the table, and what its columns mean; lines of at most 100 columns as long
/// as no scheme's name is longer than 18.
[[nodiscard]] std::string text_of(const bench_report& r);

/// A list of an object per scheme: {scheme, threads, prefill_128, prefill_512, decode, decode_p95_ms,
/// resident_bytes, disk_bytes, speedup_decode, speedup_prefill, delta}, and in `details` what stands
/// behind them. Null where there is no number: a prefill that the model has no positions for, the loss
/// of a model without a tokenizer.
[[nodiscard]] std::string json_of(const bench_report& r);

}  // namespace lab
