// One head at a time through a copy.
#include <lab/models/rotary_rows.hpp>

#include <algorithm>

namespace lab {
namespace {

/// Row `to(row, d)` of every head becomes what row `row` was.
template <class Place>
void move_rows(std::vector<float>& rows, std::size_t heads, std::size_t columns, Place&& to) {
  if (rows.empty()) return;
  const std::size_t d = rows.size() / heads / columns;
  std::vector<float> head(d * columns);
  for (std::size_t h = 0; h < heads; ++h) {
    float* const first = rows.data() + h * head.size();
    for (std::size_t row = 0; row < d; ++row)
      std::copy_n(first + row * columns, columns, head.data() + to(row, d) * columns);
    std::copy(head.begin(), head.end(), first);
  }
}

}  // namespace

void to_halves(std::vector<float>& rows, std::size_t heads, std::size_t columns) {
  move_rows(rows, heads, columns,
            [](std::size_t row, std::size_t d) { return row / 2 + row % 2 * (d / 2); });
}

void to_neighbours(std::vector<float>& rows, std::size_t heads, std::size_t columns) {
  move_rows(rows, heads, columns,
            [](std::size_t row, std::size_t d) { return row % (d / 2) * 2 + row / (d / 2); });
}

}  // namespace lab
