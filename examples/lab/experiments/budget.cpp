// Rows of the sweep become options, options a choice, the choice a row again.
#include <lab/experiments/budget.hpp>
#include <lab/io/error.hpp>
#include <lab/report/format.hpp>

#include <algorithm>
#include <cmath>

namespace lab {

namespace {

estimate loss_delta(std::span<const window_sums> windows) {
  const measurement m = summarise(windows);
  return {m.delta, m.delta_se};
}

/// Mean and standard error of kl: summarise() has them for the difference of two losses.
estimate mean_kl(std::span<const window_sums> windows) {
  std::vector<window_sums> as_loss(windows.begin(), windows.end());
  for (window_sums& w : as_loss) w.loss = w.kl, w.reference_loss = 0;
  return loss_delta(as_loss);
}

}  // namespace

bool budget_run::adds_up() const {
  return std::fabs(interaction.mean) <= std::max(0.1 * predicted, 2 * interaction.se);
}

std::vector<layer_options> measure_options(const transformer& model,
                                           std::span<const scheme_layers> schemes,
                                           const text_windows& text, std::size_t threads,
                                           const std::function<void(std::size_t)>& report) {
  const linear_set floats = float_linears(model);
  const auto linears = model.linears();
  const std::size_t L = linears.size(), S = schemes.size();
  const auto alone = [&](std::size_t r) {
    return borrowed("", L, [&](std::size_t i) {
      return i == r / S ? schemes[r % S].layers[i].get() : floats[i].get();
    });
  };
  auto rows = measure_windows(model, L * S, alone, text, threads, report);
  std::vector<layer_options> all(L);
  for (std::size_t l = 0; l < L; ++l) {
    all[l].name = linears[l]->name;
    all[l].weights = linears[l]->weight.size();
    for (std::size_t s = 0; s < S; ++s) {
      auto& windows = rows[1 + l * S + s];
      estimate kl = mean_kl(windows);
      if (!std::isfinite(kl.mean)) {
        throw input_error("KL of " + all[l].name + " alone under " + schemes[s].name +
                          " is not finite");
      }
      kl.mean = std::max(0.0, kl.mean);  // where rounding left a little less
      all[l].options.push_back({schemes[s].layer_bytes[l], kl, std::move(windows)});
    }
  }
  return all;
}

zeropoint::bit_choice choose(std::span<const layer_options> layers, const budget_limit& limit) {
  std::vector<std::vector<zeropoint::bit_option>> options;
  for (const layer_options& l : layers) {
    auto& own = options.emplace_back();
    for (const layer_option& o : l.options) {
      const std::uint64_t bits = 8 * o.bytes / std::max<std::size_t>(l.weights, 1);
      own.push_back({static_cast<int>(bits), o.bytes, o.kl.mean});
    }
  }
  const zeropoint::bit_budget budget(options);
  const zeropoint::bit_choice smallest = budget[0], best = budget[budget.size() - 1];
  if (!limit.allows(smallest.bytes, best.damage)) {
    throw input_error(limit.bytes ? "budget of " + grouped(*limit.bytes) +
                                        " bytes: the smallest mixture of these schemes has " +
                                        grouped(smallest.bytes)
                                  : "budget of " + format("%g", limit.kl) +
                                        " nats KL: the best mixture of these schemes has " +
                                        format("%g", best.damage));
  }
  return limit.bytes ? budget.within_bytes(*limit.bytes) : budget.within_damage(limit.kl);
}

scheme_layers mixture(std::span<const scheme_layers> schemes, std::span<const std::size_t> chosen) {
  scheme_layers mixed = borrowed("mixture", chosen.size(),
                                 [&](std::size_t l) { return schemes[chosen[l]].layers[l].get(); });
  for (std::size_t l = 0; l < chosen.size(); ++l) {
    mixed.layer_bytes.push_back(schemes[chosen[l]].layer_bytes[l]);
    mixed.stored_bytes += mixed.layer_bytes.back();
  }
  return mixed;
}

std::vector<budget_run> run_budget(const transformer& model, std::span<const scheme_layers> schemes,
                                   std::span<const layer_options> layers,
                                   std::span<const std::size_t> chosen,
                                   const text_windows& sensitivity, const text_windows& other,
                                   std::size_t threads,
                                   const std::function<void(std::size_t)>& report) {
  const std::size_t S = schemes.size(), L = layers.size();
  const auto row = [&](std::size_t r) {
    if (r == S) return mixture(schemes, chosen);
    return mixture(schemes, std::vector<std::size_t>(L, r));
  };
  const auto here = measure_windows(model, S + 1, row, sensitivity, threads, report);
  const auto there = measure_windows(model, S + 1, row, other, threads, [&](std::size_t n) {
    if (report) report(sensitivity.windows.size() + n);
  });
  std::vector<budget_run> runs(S + 1);
  for (std::size_t r = 0; r <= S; ++r) {
    budget_run& run = runs[r];
    run.name = r == S ? "mixture" : schemes[r].name;
    auto windows = here[1 + r];
    run.together = mean_kl(windows);
    for (std::size_t l = 0; l < L; ++l) {
      const layer_option& o = layers[l].options[r == S ? chosen[l] : r];
      run.bytes += o.bytes;
      run.predicted += o.kl.mean;
      for (std::size_t w = 0; w < windows.size(); ++w) windows[w].kl -= o.windows[w].kl;
    }
    run.interaction = mean_kl(windows);
    run.delta = loss_delta(there[1 + r]);
    run.kl = mean_kl(there[1 + r]);
  }
  return runs;
}

}  // namespace lab
