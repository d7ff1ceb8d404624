// Cutting a text into windows.
#include <lab/experiments/protocol.hpp>
#include <lab/io/error.hpp>
#include <lab/io/text.hpp>

#include <algorithm>
#include <random>

namespace lab {

std::string_view name(window_rule rule) noexcept {
  return rule == window_rule::chunk ? "chunk" : "stride";
}

std::vector<window> cut(window_rule rule, std::size_t tokens, std::size_t size,
                        std::size_t stride) {
  if (size < 2) {
    throw input_error("--window " + std::to_string(size) +
                      ": a window needs at least 2 tokens, one to see and one to score");
  }
  if (rule == window_rule::stride && (stride < 1 || stride > size)) {
    throw input_error("--stride " + std::to_string(stride) + ": expected 1 to the window, " +
                      std::to_string(size));
  }
  std::vector<window> windows;
  if (rule == window_rule::chunk) {
    for (std::size_t first = 0; first + size <= tokens; first += size) {
      windows.push_back({first, size, size - 1});
    }
    return windows;
  }
  std::size_t scored_until = 0;
  for (std::size_t first = 0; scored_until < tokens; first += stride) {
    const std::size_t end = std::min(first + size, tokens), fresh = end - scored_until;
    const window w{first, end - first, std::min(fresh, end - first - 1)};
    if (w.scored > 0) windows.push_back(w);
    scored_until = end;
  }
  return windows;
}

std::string ids_hash(std::span<const std::uint32_t> ids) {
  return text_hash({reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(ids[0])});
}

std::vector<std::uint32_t> random_ids(std::size_t count, std::size_t vocab, std::uint64_t seed) {
  std::mt19937_64 bits(seed);
  std::vector<std::uint32_t> ids(count);
  for (auto& id : ids) id = static_cast<std::uint32_t>(bits() % vocab);
  return ids;
}

}  // namespace lab
