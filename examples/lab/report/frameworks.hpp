// The comparison of frameworks as text and as JSON.
#pragma once

#include <lab/experiments/frameworks.hpp>

namespace lab {

/// A table, a line per framework.
[[nodiscard]] std::string text_of(std::span<const framework_difference> rows);
/// {"model": ..., "frameworks": [...]}; not finite is null.
[[nodiscard]] std::string json_of(const std::string& model,
                                  std::span<const framework_difference> rows);

}  // namespace lab
