// The page for programs: unrounded.
#include <lab/report/json.hpp>
#include <lab/report/page.hpp>

namespace lab {

namespace {

ordered_json range_of(const zeropoint::value_range& r) {
  return {number(static_cast<double>(r.min)), number(static_cast<double>(r.max))};
}

ordered_json histogram_of(const grid_histogram& h) {
  if (h.empty()) return nullptr;
  return {{"qmin", h.qmin},
          {"qmax", h.qmax},
          {"smallest_step", h.smallest_step},
          {"largest_step", h.largest_step},
          {"before_from", h.left()},
          {"before_bins_per_step", grid_histogram::bins_per_step},
          {"before", h.before},
          {"after", h.after},
          {"after_ordinary_channels", h.after_ordinary}};
}

ordered_json attribution_of(const page& p) {
  ordered_json all = ordered_json::array();
  for (const layer_attribution& a : p.attribution) {
    ordered_json layer = {
        {"name", a.name}, {"loss", ordered_json::object()}, {"kl", ordered_json::object()}};
    for (std::size_t k = 0; k < error_sources; ++k) {
      const std::string source(name(static_cast<error_source>(k)));
      layer["loss"][source] = json_of(a.loss[k]);
      layer["kl"][source] = json_of(a.kl[k]);
    }
    layer["total_loss"] = json_of(a.total_loss);
    layer["total_kl"] = json_of(a.total_kl);
    layer["shared_kl"] = json_of(a.shared_kl);
    all.push_back(std::move(layer));
  }
  return all;
}

}  // namespace

std::string json_of(const page& p) {
  ordered_json all = {{"protocol", protocol_of(p.study())},
                      {"model", model_of(p.study())},
                      {"rows", rows_of(p.study())},
                      {"scheme", p.diagnosis.scheme},
                      {"examined_tokens", p.examined_tokens},
                      {"layers", layers_of(p.diagnosis)},
                      {"channel_absmax", ordered_json::array()},
                      {"distributions", ordered_json::array()},
                      {"sensitivity", sensitivity_of(p.diagnosis)},
                      {"attribution", attribution_of(p)},
                      {"ranges", ordered_json::array()}};
  for (const layer_diagnosis& l : p.diagnosis.layers) {
    all["channel_absmax"].push_back(l.shape.channel_absmax);
  }
  for (const layer_distribution& d : p.distributions) {
    all["distributions"].push_back({{"name", d.name},
                                    {"weights", histogram_of(d.weights)},
                                    {"inputs", histogram_of(d.inputs)}});
  }
  for (const layer_range& r : p.ranges) {
    all["ranges"].push_back({{"name", r.name},
                             {"min_max", range_of(r.calibrated.min_max)},
                             {"percentile_99.9", range_of(r.calibrated.percentile)},
                             {"mse", range_of(r.calibrated.mse)},
                             {"entropy", range_of(r.calibrated.entropy)},
                             {"examined_absmax", number(r.seen_absmax)}});
  }
  all["repeat"] = {{"command", p.command},
                   {"zeropoint", p.version},
                   {"compiler", p.compiler},
                   {"weights_fnv1a64", p.weights_hash},
                   {"attribution_text", p.attribution_text},
                   {"attribution_windows", p.attribution_windows},
                   {"attribution_samples", p.attributed.samples},
                   {"attribution_seed", p.attributed.seed}};
  all["notes"] = p.notes;
  return dump(all, 1) + "\n";
}

}  // namespace lab
