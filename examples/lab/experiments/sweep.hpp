// Many mixtures of layers beside the same float model. A row borrows its layers from schemes that
// were made before; rows go through the model a few at a time, since the hidden states of all of them
// would not fit.
#pragma once

#include <lab/experiments/scheme_sums.hpp>

#include <functional>

namespace lab {

/// A scheme of layers that somebody else owns: layer(i), i < count, outlives it.
[[nodiscard]] scheme_layers borrowed(std::string name, std::size_t count,
                                     const std::function<const linear*(std::size_t)>& layer);

/// A text as windows of its ids.
struct text_windows {
  std::span<const std::uint32_t> ids;
  std::span<const window> windows;
};

/// Makes row r when it is asked for; called by several threads at once.
using row_maker = std::function<scheme_layers(std::size_t r)>;

/// result[0] is fp32, result[1 + r] row r of `count`. `report` hears windows done of about
/// windows * (count + count / 7 + 1).
[[nodiscard]] std::vector<measurement> measure_rows(
    const transformer& model, std::size_t count, const row_maker& row, const text_windows& text,
    std::size_t threads, const std::function<void(std::size_t)>& report = {});

/// The same before windows are folded; there may be none.
[[nodiscard]] std::vector<scheme_sums> measure_row_sums(
    const transformer& model, std::size_t count, const row_maker& row, const text_windows& text,
    std::size_t threads, const std::function<void(std::size_t)>& report = {});

/// The same for each window by itself: result[1 + r][w]. summarise() makes a measurement of a row.
/// Nothing depends on `threads`; `report` hears the windows done. Not for watched layers, which need
/// their windows in order.
[[nodiscard]] std::vector<std::vector<window_sums>> measure_windows(
    const transformer& model, std::size_t count, const row_maker& row, const text_windows& text,
    std::size_t threads, const std::function<void(std::size_t)>& report = {});

}  // namespace lab
