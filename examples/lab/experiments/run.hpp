// The perplexity experiment from files to studies: what `zp-lab perplexity` runs.
#pragma once

#include <lab/experiments/shard.hpp>
#include <lab/experiments/workload.hpp>

#include <functional>

namespace lab {

struct perplexity_options : workload_options {
  std::vector<std::filesystem::path> models;
  std::vector<scheme_name> schemes;  ///< from parse_schemes()
  bool check_parity = false;
};

/// One study per model and, with `planted`, one more for its planted twin. `done` hears each study as
/// soon as it is measured; `note` hears lines for the reader (parity). Bad input is an input_error;
/// a layer that differs from its twin a std::runtime_error that names it.
[[nodiscard]] std::vector<study> run_perplexity(
    const perplexity_options& o, const std::function<void(const study&)>& done,
    const std::function<void(const std::string&)>& note);

/// Hashes of what the numbers of a shard depend on: the weights and what calibration looks at.
void identify(shard_study& s, const workload& w);

/// Measures one shard of the same; merge_shards() of all of them is the same. Throws
/// input_error for schemes whose windows have to stay together.
[[nodiscard]] shard_file run_shard(const perplexity_options& o, const shard& part,
                                   const std::function<void(const std::string&)>& note);

}  // namespace lab
