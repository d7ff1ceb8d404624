// Both formats are tried, one after the other.
#include <lab/models/short_table.hpp>

#include <bit>
#include <cstdint>

namespace lab {
namespace {

template <class Half>
std::optional<std::vector<Half>> exactly(std::span<const float> values, Half (*round)(float)) {
  std::vector<Half> halves(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    halves[i] = round(values[i]);
    const float back = zeropoint::to_float(halves[i]);
    if (std::bit_cast<std::uint32_t>(back) != std::bit_cast<std::uint32_t>(values[i]))
      return std::nullopt;
  }
  return halves;
}

}  // namespace

std::optional<short_table> short_table::of(std::span<const float> values) {
  short_table table;
  if (auto halves = exactly<zeropoint::float16>(values, &zeropoint::to_float16)) {
    table.values_ = std::move(*halves);
  } else if (auto brains = exactly<zeropoint::bfloat16>(values, &zeropoint::to_bfloat16)) {
    table.values_ = std::move(*brains);
  } else {
    return std::nullopt;
  }
  return table;
}

void short_table::read(std::size_t first, std::span<float> to) const {
  std::visit(
      [&](const auto& v) { zeropoint::to_float(std::span(v).subspan(first, to.size()), to); },
      values_);
}

std::size_t short_table::size() const noexcept {
  return std::visit([](const auto& v) { return v.size(); }, values_);
}

}  // namespace lab
