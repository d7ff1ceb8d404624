// The part of a shard that all shards of a run share.
#pragma once

#include <lab/experiments/shard.hpp>
#include <lab/io/json.hpp>

namespace lab {

/// One object without nesting: everything that a result depends on or that a report prints, but not
/// the threads and the integer kernel, which change no bit.
[[nodiscard]] json shard_identity(const shard_study& s);

/// FNV-1a 64 of a shard without its hash: notices damage, not malice.
[[nodiscard]] std::string shard_hash(const json& all);

}  // namespace lab
