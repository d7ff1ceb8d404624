// Numbers into charts.
#include <lab/report/charts.hpp>
#include <lab/report/content_parts.hpp>
#include <lab/report/figures.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace lab {

namespace {

using figures = std::vector<std::string>;

figures scheme_figures(const page& p) {
  row_chart loss{"Loss added by each scheme",
                 "A bar per scheme from zero to the loss it adds to float32, on an axis that is "
                 "logarithmic away from zero, with a whisker of one standard error either way.",
                 "nats per token more than float32",
                 axis::kind::symlog,
                 {{"delta", shape::bar}},
                 {},
                 false};
  row_chart kl{"KL divergence of each scheme from float32",
               "A dot per scheme on a logarithmic axis.",
               "KL(float32 || scheme), nats per token",
               axis::kind::log,
               {{"KL", shape::dot}},
               {},
               false};
  for (const measurement& m : p.study().rows) {
    if (m.scheme == "fp32") continue;
    loss.rows.push_back({m.scheme, {{0, m.delta, m.delta_se}}, signed_fixed(m.delta, 4)});
    kl.rows.push_back({m.scheme, {{0, m.kl, 0}}, fixed(std::max(0.0, m.kl), 5)});
  }
  if (loss.rows.empty()) return {};
  return {draw(loss), draw(kl)};
}

/// "h.0" of "h.0.attn.c_attn", "layers.3" of "layers.3.fc1".
std::string block_of(const std::string& layer) {
  const std::size_t first = layer.find('.');
  if (first == std::string::npos) return layer;
  return layer.substr(0, layer.find('.', first + 1));
}

figures depth_figures(const page& p) {
  line_chart c{"SQNR by layer",
               "Four lines over the layers in the order of computation: output of the layer alone, "
               "output with the errors of all layers before, inputs, weights.",
               "dB",
               {},
               {},
               {{"output alone", {}, false},
                {"output with all errors", {}},
                {"weights", {}},
                {"inputs", {}}}};
  for (const layer_diagnosis& l : p.diagnosis.layers) {
    c.labels.push_back(l.name);
    c.groups.push_back(block_of(l.name));
    c.lines[0].values.push_back(l.local.sqnr_db());
    c.lines[1].values.push_back(l.propagated.sqnr_db());
    c.lines[2].values.push_back(l.weight.count > 0 ? l.weight.sqnr_db() : std::nan(""));
    c.lines[3].values.push_back(l.input.count > 0 ? l.input.sqnr_db() : std::nan(""));
  }
  std::erase_if(c.lines, [](const line_chart::line& l) {
    return std::none_of(l.values.begin(), l.values.end(),
                        [](double v) { return std::isfinite(v); });
  });
  return {draw(c)};
}

figures channel_figures(const page& p) {
  constexpr std::size_t most_cells = 128;
  heat_map m{
      "Largest value of every input channel",
      "A row per layer, a cell per channel or group of neighbouring channels in the class of the "
      "largest of them; dots mark outlier channels.",
      "channels from first to last; neighbours share a cell, which has the class of the largest",
      channel_classes(),
      channel_outliers,
      {}};
  for (const layer_diagnosis& l : p.diagnosis.layers) {
    const std::vector<double> ratios = channel_ratios(l.shape);
    const std::size_t cells = std::min(most_cells, ratios.size());
    heat_map::row row{l.name, {}, format("%.0f x", l.shape.channel_ratio())};
    for (std::size_t i = 0; i < cells; ++i) {
      const auto at = [&](std::size_t k) {
        return ratios.begin() + static_cast<std::ptrdiff_t>(k * ratios.size() / cells);
      };
      row.cells.push_back(channel_class(*std::max_element(at(i), at(i + 1))));
    }
    m.rows.push_back(std::move(row));
  }
  return {draw(m)};
}

grid_chart part_of(const grid_histogram& h, int first, int last, const std::string& what) {
  grid_chart c;
  c.title = what + format(", codes %d to %d", first, last);
  c.description = "Bars count the codes after quantization, the outline is the density before it.";
  c.first = first, c.last = last, c.qmin = h.qmin, c.qmax = h.qmax;
  c.bins_per_step = grid_histogram::bins_per_step;
  for (int q = first; q <= last; ++q) {
    const bool on_grid = q >= h.qmin && q <= h.qmax;
    const auto i = static_cast<std::size_t>(q - h.qmin);
    c.after.push_back(on_grid ? static_cast<double>(h.after[i]) : 0);
    c.marked.push_back(on_grid ? static_cast<double>(h.after[i] - h.after_ordinary[i]) : 0);
  }
  const auto begin = static_cast<std::size_t>(first - h.qmin + grid_histogram::margin);
  const auto bins = static_cast<std::size_t>(last - first + 1) * grid_histogram::bins_per_step;
  for (std::size_t b = 0; b < bins; ++b) {
    const std::size_t at = begin * grid_histogram::bins_per_step + b;
    c.before.push_back(static_cast<double>(h.before[at]) * grid_histogram::bins_per_step);
  }
  c.after_name = "after: values per code";
  c.before_name = "before: density per step";
  if (std::any_of(c.marked.begin(), c.marked.end(), [](double n) { return n > 0; })) {
    c.marked_name = "of those in outlier channels";
  }
  return c;
}

/// As many codes as usual values take, but 15 to `most`, around the most ordinary values.
code_span busiest_codes(const grid_histogram& h, int most) {
  const code_span usual = usual_codes(h);
  const int levels = h.qmax - h.qmin + 1;
  const int width = std::min(levels, std::clamp(usual.last - usual.first + 1, 15, most));
  int best = 0;
  std::uint64_t sum = 0, largest = 0;
  for (int i = 0; i < levels; ++i) {
    sum += h.after_ordinary[static_cast<std::size_t>(i)];
    if (i >= width) sum -= h.after_ordinary[static_cast<std::size_t>(i - width)];
    if (i < width - 1 || sum < largest) continue;
    // Equal sums: the span that has the usual codes in its middle.
    const int now = i - width + 1, wanted = (usual.first + usual.last - width + 1) / 2 - h.qmin;
    if (sum > largest || std::abs(now - wanted) < std::abs(best - wanted)) best = now;
    largest = sum;
  }
  return {h.qmin + best, h.qmin + best + width - 1};
}

/// The whole grid with counts on a log axis, and its busiest part, where codes can be told apart:
/// always of a coarse grid, on demand of a fine one.
figures grid_figures(const grid_histogram& h, const std::string& what, bool busiest_too) {
  constexpr int fine = 32;  // codes that can be told apart
  figures all;
  const bool clips = h.clipped_low() + h.clipped_high() > 0;
  const int margin = clips ? grid_histogram::margin : 1;
  if (h.qmax - h.qmin >= fine) {
    grid_chart whole = part_of(h, h.qmin - margin, h.qmax + margin, what);
    whole.logarithmic = true;
    whole.bins_per_step = 1;  // finer ones would be noise at this size
    whole.before.clear();
    for (int q = whole.first; q <= whole.last; ++q) {
      whole.before.push_back(static_cast<double>(h.before_at(q)));
    }
    all.push_back(draw(whole));
  }
  if (!all.empty() && !busiest_too) return all;
  const code_span busy = busiest_codes(h, fine);
  const int first = std::max(busy.first - 1, h.qmin - 1),
            last = std::min(busy.last + 1, h.qmax + 1);
  all.push_back(draw(part_of(h, first, last, what)));
  return all;
}

figures sensitivity_figures(const page& p) {
  const auto& rows = p.diagnosis.sensitivity;
  const std::size_t L = p.diagnosis.layers.size();
  row_chart loss{"Loss added by single layers",
                 "Two bars per layer: this layer alone quantized, and all layers but this one; "
                 "whiskers of one standard error.",
                 "nats per token more than float32",
                 axis::kind::symlog,
                 {{"this layer alone", shape::bar}, {"all layers but this", shape::bar}},
                 {},
                 true};
  for (std::size_t i = 0; i < L; ++i) {
    const measurement &alone = rows[1 + i], &without = rows[1 + L + i];
    loss.rows.push_back({p.diagnosis.layers[i].name,
                         {{0, alone.delta, alone.delta_se}, {1, without.delta, without.delta_se}},
                         signed_fixed(alone.delta, 4)});
  }
  return {draw(loss)};
}

figures attribution_figures(const page& p) {
  row_chart c{
      "Predicted KL of each layer by source of error",
      "A bar per layer and source, rounding and clipping of weights and inputs, with whiskers of "
      "one standard error; a ring for the measured KL.",
      "nats per token",
      axis::kind::symlog,
      {},
      {},
      true};
  std::vector<std::size_t> sources;  // those that do anything in some layer
  for (std::size_t k = 0; k < error_sources; ++k) {
    const auto present = [&](const layer_attribution& a) { return a.kl[k].mean != 0; };
    if (std::none_of(p.attribution.begin(), p.attribution.end(), present)) continue;
    sources.push_back(k);
    c.series.push_back({std::string(name(static_cast<error_source>(k))), shape::bar});
  }
  const bool measured = !p.diagnosis.sensitivity.empty();
  if (measured) c.series.push_back({"measured", shape::ring});
  for (std::size_t i = 0; i < p.attribution.size(); ++i) {
    const layer_attribution& a = p.attribution[i];
    row_chart::row row{a.name, {}, fixed(a.total_kl.mean, 5)};
    for (std::size_t s = 0; s < sources.size(); ++s) {
      row.marks.push_back({s, a.kl[sources[s]].mean, a.kl[sources[s]].se});
    }
    if (measured) row.marks.push_back({sources.size(), p.diagnosis.sensitivity[1 + i].kl, 0});
    c.rows.push_back(std::move(row));
  }
  return {draw(c)};
}

figures range_figures(const page& p) {
  row_chart c{
      "Ranges of the layers' inputs",
      "Marks per layer on a logarithmic axis: largest magnitude on the calibration text, the "
      "bounds that three rules choose, and the largest magnitude on the examined text.",
      "|x|",
      axis::kind::log,
      {{"largest in calibration", shape::dot},
       {"99.9 %", shape::ring},
       {"MSE", shape::tick},
       {"entropy", shape::tick},
       {"largest examined", shape::ring}},
      {},
      false};
  const auto absmax = [](const zeropoint::value_range& r) {
    return static_cast<double>(std::max(-r.min, r.max));
  };
  for (const layer_range& r : p.ranges) {
    const input_ranges& k = r.calibrated;
    c.rows.push_back({r.name,
                      {{0, absmax(k.min_max), 0},
                       {1, absmax(k.percentile), 0},
                       {2, absmax(k.mse), 0},
                       {3, absmax(k.entropy), 0},
                       {4, r.seen_absmax, 0}},
                      format("%.4g", absmax(k.min_max))});
  }
  return {draw(c)};
}

}  // namespace

std::vector<std::string> figures_of(const page& p, const section& s) {
  if (s.histogram != nullptr) return grid_figures(*s.histogram, s.id, s.id.starts_with("inputs"));
  if (s.id == "schemes") return scheme_figures(p);
  if (s.id == "depth") return depth_figures(p);
  if (s.id == "channels") return channel_figures(p);
  if (s.id == "sensitivity") return sensitivity_figures(p);
  if (s.id == "attribution") return attribution_figures(p);
  if (s.id == "ranges") return range_figures(p);
  return {};
}

}  // namespace lab
