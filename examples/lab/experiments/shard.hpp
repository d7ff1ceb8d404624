// An evaluation in parts, for machines that do not know of each other: shard I of N measures the
// windows I - 1, I - 1 + N, I - 1 + 2 N, ... and writes what it counted in each of them; merging puts
// the windows back in order and folds them as a single run does, to the same bits.
#pragma once

#include <lab/experiments/scheme_sums.hpp>
#include <lab/report/study.hpp>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace lab {

struct shard {
  std::size_t index = 1, count = 1;  ///< 1 <= index <= count

  /// "2/5". Throws input_error for anything else.
  [[nodiscard]] static shard parse(std::string_view text);
  [[nodiscard]] std::string text() const;
  /// Its windows; none when there are fewer than its index.
  [[nodiscard]] std::vector<window> deal(std::span<const window> windows) const;
  /// How many of `windows` they are.
  [[nodiscard]] std::size_t share(std::size_t windows) const noexcept;
};
inline constexpr std::size_t most_shards = 1 << 15;

/// A study of which some windows, or all of them, have been measured.
struct shard_study {
  study description;        ///< no rows
  std::string weights;      ///< weights_hash(), only in files
  std::string calibration;  ///< hash of what calibration looked at; empty when nothing did
  /// Of a quantized checkpoint. It is measured beside the floats that its codes stand for, so that its
  /// loss has the bits that it has beside the float model.
  bool stored = false;
  std::string sensitivity_of;  ///< the scheme whose layers these are, one by one; or empty
  std::vector<scheme_sums> schemes;

  /// The study with its rows, of all windows. A quantized checkpoint has one row, and nothing to
  /// compare it with: delta, KL and top-1 stay open.
  [[nodiscard]] study complete() const;
};

/// "gpt2, natural: shard 2/5, 3 of 17 windows"
[[nodiscard]] std::string line_of(const shard& part, const shard_study& s);

struct shard_file {
  shard part;
  std::vector<shard_study> studies;
};

/// JSON. Numbers that are added up are written as the 16 hexadecimal digits of their bits, and a hash
/// of everything stands at the end.
[[nodiscard]] std::string json_of(const shard_file& file);
/// Everything is checked; a failure is an input_error that names the file and the member.
[[nodiscard]] shard_file parse_shard(std::string_view text, const std::string& file);

/// A shard and where it is from, for messages.
struct named_shard {
  std::string name;
  shard_file file;
};
/// The studies of the run, complete, that the shards, in any order, are all parts of; `seconds` are
/// added up, the integer kernel is that of the first. Throws input_error when they differ in anything
/// that a result depends on (model, text, protocol, schemes, calibration, float kernels), and when one
/// is missing or there twice.
[[nodiscard]] std::vector<shard_study> merge_shards(std::vector<named_shard> shards);

}  // namespace lab
