// README.md of a quantized checkpoint.
#pragma once

#include <lab/experiments/checkpoint_format.hpp>
#include <lab/report/study.hpp>

#include <optional>
#include <string>

namespace lab {

struct model_card {
  std::string model;  ///< folder name of the float checkpoint
  checkpoint_format format = checkpoint_format::zeropoint;
  scheme_name scheme;
  std::size_t parameters = 0, linear_parameters = 0;
  std::uint64_t bytes_before = 0, bytes_after = 0;  ///< all weight files
  std::uint64_t linear_bytes = 0;                   ///< linear layers with biases, after
  std::size_t float_layers = 0;                     ///< of a GGUF file: left as they are
  std::string calibration;                          ///< calibration_of(); empty without
  std::optional<study> evaluation;                  ///< fp32 and the scheme
};

/// Markdown.
[[nodiscard]] std::string text_of(const model_card& card);

}  // namespace lab
