// The names that a calibration table gives to ranges and to forms of the inputs.
#pragma once

#include <lab/experiments/calibration.hpp>

#include <algorithm>
#include <iterator>

namespace lab::table_names {

struct range {
  const char* name;
  zeropoint::value_range input_ranges::*value;
};
inline constexpr range ranges[] = {{"min-max", &input_ranges::min_max},
                                   {"p99.9", &input_ranges::percentile},
                                   {"mse", &input_ranges::mse},
                                   {"kl", &input_ranges::entropy}};

struct form {
  const char* name;
  activation_cure cure;
};
inline constexpr form forms[] = {{"natural", activation_cure::none},
                                 {"smooth", activation_cure::smooth},
                                 {"rotate", activation_cure::rotate},
                                 {"equalize", activation_cure::equalize}};

/// `cure` is that of one of the forms.
[[nodiscard]] inline const char* of(activation_cure cure) {
  return std::find_if(std::begin(forms), std::end(forms),
                      [&](const form& f) { return f.cure == cure; })
      ->name;
}

}  // namespace lab::table_names
