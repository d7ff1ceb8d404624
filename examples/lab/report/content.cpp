// From measurements to sentences and tables: what happened, and in which layers.
#include <lab/report/content.hpp>
#include <lab/report/content_parts.hpp>
#include <lab/report/format.hpp>

#include <algorithm>
#include <cctype>
#include <cmath>

namespace lab {

namespace {

const layer_diagnosis& worst_layer(const page& p) {
  const auto& layers = p.diagnosis.layers;
  return *std::min_element(layers.begin(), layers.end(), [](const auto& a, const auto& b) {
    return a.local.sqnr_db() < b.local.sqnr_db();
  });
}

bool quantizes_inputs(const page& p) {
  const auto& layers = p.diagnosis.layers;
  return std::any_of(layers.begin(), layers.end(),
                     [](const layer_diagnosis& l) { return l.input.count > 0; });
}

std::string megabytes(std::uint64_t bytes) {
  return fixed(static_cast<double>(bytes) * 1e-6, 2);
}

std::vector<fact> facts_of(const page& p) {
  const measurement &exact = p.study().rows.front(), &looked_at = p.examined();
  const layer_diagnosis& worst = worst_layer(p);
  const auto& layers = p.diagnosis.layers;
  const auto& wild =
      *std::max_element(layers.begin(), layers.end(), [](const auto& a, const auto& b) {
        return a.shape.channel_ratio() < b.shape.channel_ratio();
      });
  return {
      {"float32 perplexity",
       format("%.3f", exact.ppl),
       {format("%.4f nats per token over ", exact.loss) + grouped(exact.tokens) + " tokens"}},
      {"cost of " + looked_at.scheme + ", nats",
       signed_fixed(looked_at.delta, 4),
       {"standard error " + fixed(looked_at.delta_se, 4) +
        format("; perplexity %.2f", looked_at.ppl)}},
      quantizes_inputs(p)
          ? fact{"activations outside their grid",
                 percent(looked_at.clipped),
                 {"of those that ", named(looked_at.scheme), " quantizes"}}
          : fact{"size of the linear layers",
                 megabytes(looked_at.weight_bytes) + " MB",
                 {"in a file; float32 takes " + megabytes(exact.weight_bytes) + " MB"}},
      {"worst layer by itself",
       decibels(worst.local.sqnr_db()) + " dB",
       {"signal over error at the output of ", named(worst.name)}},
      {"largest channel",
       format("%.1f x", wild.shape.channel_ratio()),
       {"the median channel, in the input of ", named(wild.name)}},
  };
}

section schemes_section(const page& p) {
  section s{"schemes", {"Schemes side by side"}, {}, {}};
  s.text.push_back(
      {"Loss in nats per token, and what each scheme adds to it on the same tokens; the whiskers "
       "are one standard error over windows. KL is the divergence from the float model's "
       "distribution: unlike a difference of losses it cannot come out negative by luck. "
       "Embeddings, norms and the head stay float, and attention unless a name ends in -kv8 or "
       "-attn8."});
  table t{"All schemes",
          {{"scheme", cell_kind::name},
           {"loss", cell_kind::number},
           {"delta", cell_kind::number},
           {"std. error", cell_kind::number},
           {"perplexity", cell_kind::number},
           {"KL", cell_kind::number},
           {"top-1 %", cell_kind::number},
           {"clipped %", cell_kind::number},
           {"MB", cell_kind::number}},
          {}};
  for (const measurement& m : p.study().rows) {
    const bool reference = m.scheme == "fp32";
    t.rows.push_back({m.scheme, fixed(m.loss, 4), reference ? "-" : signed_fixed(m.delta, 5),
                      reference ? "-" : fixed(m.delta_se, 5), fixed(m.ppl, 3),
                      reference ? "-" : fixed(std::max(0.0, m.kl), 6),
                      reference ? "-" : fixed(100 * m.top1, 2),
                      m.scheme.starts_with("w8a8") ? fixed(100 * m.clipped, 4) : "-",
                      megabytes(m.weight_bytes)});
  }
  s.tables.push_back(std::move(t));
  return s;
}

section depth_section(const page& p) {
  section s{"depth", {"Signal over error, layer by layer"}, {}, {}};
  s.text.push_back(
      {"Under ", named(p.diagnosis.scheme),
       ". SQNR is signal over quantization error, in dB: 6 dB more is half the error, below 10 dB "
       "little is left. \"Alone\" gives a layer the float model's input: the error it makes "
       "itself. \"With all errors\" gives it what the quantized layers before it made. A layer "
       "whose weights and inputs look fine but whose output does not has spent its grid on a few "
       "channels."});
  table t{"All layers",
          {{"layer", cell_kind::name},
           {"weights dB", cell_kind::number},
           {"inputs dB", cell_kind::number},
           {"output alone dB", cell_kind::number},
           {"with all errors dB", cell_kind::number},
           {"clipped %", cell_kind::number},
           {"error by clipping %", cell_kind::number},
           {"codes used", cell_kind::number},
           {"token ratio", cell_kind::number},
           {"kurtosis", cell_kind::number}},
          {}};
  t.folded = true;
  for (const layer_diagnosis& l : p.diagnosis.layers) {
    const double error = l.input.error();
    const bool coded = l.input.count > 0;
    t.rows.push_back({l.name, l.weight.count > 0 ? decibels(l.weight.sqnr_db()) : "-",
                      coded ? decibels(l.input.sqnr_db()) : "-", decibels(l.local.sqnr_db()),
                      decibels(l.propagated.sqnr_db()),
                      coded ? fixed(100 * l.input.clipped_fraction(), 4) : "-",
                      coded ? fixed(error > 0 ? 100 * l.input.clipping_error / error : 0, 1) : "-",
                      coded ? std::to_string(l.input.levels.size()) : "-",
                      fixed(l.shape.token_ratio(), 1), fixed(l.shape.kurtosis(), 1)});
  }
  s.tables.push_back(std::move(t));
  return s;
}

std::string outliers_text(const input_shape& s) {
  std::string text;
  for (const std::size_t j : s.outlier_channels(6)) {
    text += (text.empty() ? "" : ", ") + std::to_string(j);
  }
  return text.empty() ? "-" : text;
}

section channels_section(const page& p) {
  section s{"channels", {"Magnitude of every input channel"}, {}, {}};
  s.text.push_back(
      {"The largest |x| of each channel over that of the layer's median channel; from six times on "
       "a channel counts as an outlier and has a dot. One scale for all channels has to reach the "
       "largest, so an outlier of a hundred times the median leaves the median channel two or "
       "three codes."});
  if (!p.study().planted.empty()) {
    s.text.push_back(
        {"The outliers of this twin are planted: norms scale these channels up and the weights "
         "behind them down, so that the float function stays the same."});
  }
  table t{"Outlier channels",
          {{"layer", cell_kind::name},
           {"channels", cell_kind::number},
           {"median |x|", cell_kind::number},
           {"largest |x|", cell_kind::number},
           {"ratio", cell_kind::number},
           {"dead", cell_kind::number},
           {"outliers", cell_kind::number},
           {"the largest", cell_kind::text}},
          {}};
  table counts{"Channels by magnitude", {{"layer", cell_kind::name}}, {}, true, true};
  for (const std::string& c : channel_classes()) counts.columns.emplace_back(c, cell_kind::number);
  for (const layer_diagnosis& l : p.diagnosis.layers) {
    const auto& maxima = l.shape.channel_absmax;
    const double largest =
        maxima.empty() ? 0 : static_cast<double>(*std::max_element(maxima.begin(), maxima.end()));
    const double ratio = l.shape.channel_ratio();
    t.rows.push_back({l.name, std::to_string(l.in), fixed(ratio > 0 ? largest / ratio : 0, 4),
                      fixed(largest, 3), fixed(ratio, 1), std::to_string(l.shape.dead_channels()),
                      std::to_string(l.shape.outlier_channels(l.in).size()),
                      outliers_text(l.shape)});
    std::vector<std::size_t> of_class(channel_classes().size());
    for (const double r : channel_ratios(l.shape)) ++of_class[channel_class(r)];
    std::vector<std::string> row = {l.name};
    for (const std::size_t n : of_class) row.push_back(std::to_string(n));
    counts.rows.push_back(std::move(row));
  }
  t.folded = true;
  s.tables.push_back(std::move(t));
  s.tables.push_back(std::move(counts));
  return s;
}

table codes_table(const std::string& caption, const grid_histogram& h) {
  table t{caption,
          {{"code", cell_kind::number},
           {"before", cell_kind::number},
           {"after", cell_kind::number},
           {"after, ordinary channels", cell_kind::number}},
          {},
          true,
          true};
  for (int q = h.qmin - grid_histogram::margin; q <= h.qmax + grid_histogram::margin; ++q) {
    const bool on_grid = q >= h.qmin && q <= h.qmax;
    const auto i = static_cast<std::size_t>(q - h.qmin);
    const std::uint64_t before = h.before_at(q), after = on_grid ? h.after[i] : 0;
    if (before == 0 && after == 0) continue;
    t.rows.push_back({std::to_string(q), std::to_string(before),
                      on_grid ? std::to_string(after) : "-",
                      on_grid ? std::to_string(h.after_ordinary[i]) : "-"});
  }
  return t;
}

std::string step_text(const grid_histogram& h) {
  const std::string low = format("%.4g", static_cast<double>(h.smallest_step)),
                    high = format("%.4g", static_cast<double>(h.largest_step));
  return h.smallest_step == h.largest_step ? "one step is " + low
                                           : "steps from " + low + " to " + high;
}

section histogram_section(const layer_distribution& d, bool inputs) {
  const grid_histogram& h = inputs ? d.inputs : d.weights;
  section s{inputs ? "inputs of " + d.name : "weights of " + d.name,
            {inputs ? "Inputs of " : "Weights of ", named(d.name)},
            {},
            {}};
  std::string text = step_text(h);
  if (inputs) {
    const code_span usual = usual_codes(h);
    text += format("; 99.9 %% of the values in ordinary channels fall on %d of %d codes",
                   usual.last - usual.first + 1, h.qmax - h.qmin + 1);
  }
  const double outside = h.clipped_low() + h.clipped_high();
  text += outside > 0 ? "; " + percent(outside) + " of all values lie outside the grid."
                      : std::string("; no value lies outside the grid.");
  text[0] = static_cast<char>(std::toupper(text[0]));
  s.text.push_back({std::move(text)});
  s.tables.push_back(codes_table(inputs ? "Inputs by code" : "Weights by code", h));
  s.histogram = &h;
  return s;
}

/// An introduction, and a section for each histogram.
std::vector<section> grid_sections(const page& p) {
  section s{"grid", {"Values and their grid"}, {}, {}};
  s.text.push_back(
      {"The layers whose own output error is largest, in the middle, and smallest. Values are "
       "counted in steps of their grid, so that one picture holds weights with a scale per "
       "channel: bars are the codes after quantization, the outline is the density before. Counts "
       "of a whole grid are on a log axis; below that of the inputs is its busiest part."});
  std::vector<section> all = {std::move(s)};
  for (const layer_distribution& d : p.distributions) {
    if (!d.inputs.empty()) all.push_back(histogram_section(d, true));
    if (!d.weights.empty()) all.push_back(histogram_section(d, false));
  }
  return all;
}

}  // namespace

content content_of(const page& p) {
  const lab::study& s = p.study();
  content c;
  c.title = s.model + " under quantization";
  c.introduction.push_back({named(s.model),
                            ", " + s.variant + ": " + s.family + ", " + grouped(s.parameters) +
                                " parameters, " + grouped(s.linear_parameters) + " of them in " +
                                std::to_string(s.linears) +
                                " linear layers. Looked at layer by layer: ",
                            named(p.diagnosis.scheme), "."});
  for (const std::string& note : p.notes) c.introduction.push_back({note});
  c.facts = facts_of(p);
  c.sections = {schemes_section(p), depth_section(p), channels_section(p)};
  if (!p.diagnosis.sensitivity.empty()) c.sections.push_back(sensitivity_section(p));
  if (!p.attribution.empty()) c.sections.push_back(attribution_section(p));
  if (!p.ranges.empty()) c.sections.push_back(ranges_section(p));
  if (!p.distributions.empty()) {
    for (section& one : grid_sections(p)) c.sections.push_back(std::move(one));
  }
  c.sections.push_back(protocol_section(p));
  return c;
}

}  // namespace lab
