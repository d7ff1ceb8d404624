// What the rows say about the original experiment's findings. Every verdict is computed; the limits
// are here and in the text.
#include <lab/report/format.hpp>
#include <lab/report/study.hpp>

#include <cmath>

namespace lab {

namespace {

constexpr double free_below = 0.01;      ///< nats: less than 1 % of perplexity
constexpr double little_below = 0.3;     ///< nats
constexpr double broken_above = 0.5;     ///< nats: perplexity times 1.65
constexpr double little_clipped = 0.01;  ///< share of activations

std::string cost(const measurement& m) {
  const std::string spread =
      std::isfinite(m.delta_se) ? format(" +- %.5f", m.delta_se) : std::string();
  return m.scheme + format(" %+.5f", m.delta) + spread + " nats";
}

std::string clipping(const measurement& m) {
  return format("%.4f %% clipped", 100 * m.clipped);
}

std::string verdict(bool yes, const std::string& finding, const std::string& numbers) {
  return format("  %-4s", yes ? "yes" : "no") + finding + "\n      " + numbers + "\n";
}

/// Larger than its own uncertainty explains.
bool significant(const measurement& m) {
  return std::isfinite(m.delta_se) && m.delta > 2 * m.delta_se;
}

/// The costliest of the rows with less clipping than another, cheaper, quantized row: clipping cannot
/// have caused its error.
struct contradiction {
  const measurement *costly = nullptr, *cheap = nullptr;
};

contradiction find_contradiction(const study& s) {
  contradiction found;
  for (const measurement& costly : s.rows) {
    for (const measurement& cheap : s.rows) {
      if (!costly.scheme.starts_with("w8a8") || !cheap.scheme.starts_with("w8a8")) continue;
      const double spread = std::hypot(costly.delta_se, cheap.delta_se);
      const double more = costly.delta - cheap.delta;
      if (costly.clipped >= cheap.clipped || !(more > 2 * spread)) continue;
      if (found.costly != nullptr && found.costly->delta - found.cheap->delta >= more) continue;
      found = {&costly, &cheap};
    }
  }
  return found;
}

}  // namespace

std::string findings_of(const study& s) {
  if (s.row("fp32") == nullptr) return {};  // nothing to compare with
  std::string text;
  if (const auto* f16 = s.row("f16"), *bf16 = s.row("bf16"); f16 != nullptr) {
    text += verdict(std::fabs(f16->delta) <= 1e-5,
                    "rounding the weights to f16 changes nothing (at most 0.00001)",
                    cost(*f16) + (bf16 != nullptr ? "; " + cost(*bf16) : ""));
  }
  const measurement* w8 = s.row("w8");
  if (w8 != nullptr) {
    text += verdict(std::fabs(w8->delta) <= free_below,
                    format("W8 is free (at most %.2f; originally -0.0015)", free_below), cost(*w8));
  }
  const measurement* dynamic = s.row("w8a8-dynamic");
  if (dynamic != nullptr) {
    text += verdict(significant(*dynamic) && dynamic->delta <= little_below,
                    format("dynamic W8A8 costs a little (measurable, at most %.1f; originally "
                           "+0.099)",
                           little_below),
                    cost(*dynamic) + ", " + clipping(*dynamic));
  }
  const measurement* fixed = s.row("w8a8-static");
  if (fixed != nullptr) {
    text += verdict(
        fixed->delta >= broken_above && fixed->clipped <= little_clipped,
        format(
            "static per-tensor W8A8 breaks (at least %.1f; originally +3.07), yet almost nothing "
            "is clipped",
            broken_above),
        cost(*fixed) + ", " + clipping(*fixed));
  }
  if (dynamic != nullptr || fixed != nullptr) {
    const contradiction c = find_contradiction(s);
    text += verdict(c.costly != nullptr, "low clipping is not low error (less clipped, yet worse)",
                    c.costly == nullptr
                        ? std::string("no scheme clips less than another and costs more")
                        : cost(*c.costly) + ", " + clipping(*c.costly) + ";\n      " +
                              cost(*c.cheap) + ", " + clipping(*c.cheap));
  }
  if (text.empty()) return text;
  return "findings of the original experiment, reproduced on " + s.model + ", " + s.variant +
         (s.planted.empty() ? "" : " (synthetic)") + "?\n" + text;
}

}  // namespace lab
