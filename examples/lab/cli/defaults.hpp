// What several subcommands default to, and how they write a report.
#pragma once

#include <lab/cli/options.hpp>

#include <algorithm>
#include <string>
#include <thread>

#if !defined(ZP_LAB_DATA)
#define ZP_LAB_DATA "examples/data"
#endif

namespace lab::cli {

inline constexpr const char* default_text = ZP_LAB_DATA "/wikitext-2-raw/wiki.test.raw";
inline constexpr const char* default_calibration = ZP_LAB_DATA "/wikitext-2-raw/wiki.valid.raw";

/// All processors when 0 are asked for.
inline std::size_t threads_or_all(std::size_t asked) {
  return asked > 0 ? asked : std::max(1u, std::thread::hardware_concurrency());
}

/// Nothing for an empty path.
inline void write_report(const std::string& path, const std::string& text) {
  if (path.empty()) return;
  output_file out(path);
  out.write(text);
  out.finish();
}

}  // namespace lab::cli
