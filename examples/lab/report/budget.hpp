// The bit budget as text and as JSON.
#pragma once

#include <lab/experiments/budget.hpp>
#include <lab/report/study.hpp>

namespace lab {

struct budget_study {
  lab::study study;  ///< model, protocol of the text that decides; no rows
  budget_limit limit;
  std::size_t windows = 0,
              scored = 0;  ///< of the calibration text, that sensitivity is measured on
  std::vector<std::string> schemes;
  std::vector<layer_options> layers;
  zeropoint::bit_choice choice;
  std::vector<budget_run> runs;  ///< of run_budget(): the schemes, then the mixture

  [[nodiscard]] const budget_run& mixture() const { return runs.back(); }
  [[nodiscard]] bool is_met() const { return limit.allows(mixture().bytes, mixture().kl.mean); }
  /// The best scheme by itself within the limit: of least KL, or of fewest bytes; null without one.
  [[nodiscard]] const budget_run* best_uniform() const;
};

/// What was measured and how; the layers with their choices; the schemes and the mixture; whether
/// the budget is met, the damages added up, and the mixture was worth it.
[[nodiscard]] std::string text_of(const budget_study& b);
/// {"protocol", "budget", "schemes", "layers", "runs", "choice", ...}; not finite is null.
[[nodiscard]] std::string json_of(const budget_study& b);

}  // namespace lab
