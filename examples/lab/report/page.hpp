// What `zp-lab report` shows, gathered before anything is written; html_of(), markdown_of() and
// json_of() write the same numbers three times.
#pragma once

#include <lab/experiments/attribution.hpp>
#include <lab/experiments/calibration.hpp>
#include <lab/experiments/distribution.hpp>
#include <lab/experiments/workload.hpp>
#include <lab/report/diagnosis.hpp>

namespace lab {

/// What calibration saw in front of a layer, and what the examined text had.
struct layer_range {
  std::string name;
  input_ranges calibrated;
  double seen_absmax = 0;  ///< of the examined text, in the form of the model that the scheme runs
};

struct page {
  lab::diagnosis diagnosis;  ///< study with its rows, the examined scheme, layers, sensitivity
  std::size_t examined_tokens = 0, examined_windows = 0;  ///< by everything but the rows
  std::vector<layer_range> ranges;                        ///< empty without calibration
  std::vector<layer_distribution> distributions;          ///< of a few layers
  std::vector<layer_attribution> attribution;             ///< empty where there is none
  std::string attribution_text;                           ///< file that it was predicted from
  std::size_t attribution_windows = 0;
  attribution_options attributed;
  std::string weights_hash;        ///< FNV-1a 64 of the model's float32 weights
  std::string version, compiler;   ///< that measured
  std::string command;             ///< that repeats it
  std::vector<std::string> notes;  ///< what was left out, and why

  [[nodiscard]] const lab::study& study() const noexcept { return diagnosis.study; }
  /// The row of the examined scheme.
  [[nodiscard]] const measurement& examined() const;
};

struct page_wishes {
  std::vector<scheme_name> schemes;  ///< of the table, fp32 first
  scheme_name scheme;                ///< the examined one; added to the table when it is not there
  std::size_t examined_tokens = 2048;  ///< of the text, at least a window
  std::size_t threads = 1;
};

/// Measures, with progress on the terminal. `w` has calibration windows when a scheme needs them.
[[nodiscard]] page make_page(const workload& w, const page_wishes& wishes);

/// A self-contained page: no script, no font, nothing from elsewhere.
[[nodiscard]] std::string html_of(const page& p);
/// The same tables for a terminal, with histograms as lines of blocks.
[[nodiscard]] std::string markdown_of(const page& p);
/// Everything, unrounded; the only form with seconds.
[[nodiscard]] std::string json_of(const page& p);

}  // namespace lab
