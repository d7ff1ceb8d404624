#include "findings.hpp"

#include <algorithm>
#include <iomanip>

#include "measure.hpp"
#include "peers/peer.hpp"

namespace bench {

namespace {

const char* verdict(const regime& r) {
  if (r.goal == no_target) return "";
  return r.measured >= r.goal ? "goal met" : r.measured >= r.floor ? "floor met" : "not met";
}

std::string limit_text(const regime& r) {
  if (std::isnan(r.of_limit)) return "";
  std::ostringstream text;
  text << std::fixed << std::setprecision(2) << r.of_limit;
  return text.str();
}

std::string target_text(double target) {
  if (target == no_target) return "-";
  std::ostringstream text;
  text << std::fixed << std::setprecision(2) << target;
  return text.str();
}

/// With three digits, more when they stand before the point.
std::string rate_text(double value) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(value < 10 ? 2 : value < 100 ? 1 : 0) << value;
  return text.str();
}

/// The share of the peak of floats that a peer reached; of peers in f32 only.
std::string of_peak_text(const nlohmann::ordered_json& peer) {
  return peer.contains("of_peak") ? rate_text(peer["of_peak"].get<double>()) : "";
}

}  // namespace

std::string machine() {
  return cpu_name() + ", kernel " + zp::kernels::best().name + ", baseline " + zp::baseline_name +
         ", compiler " + compiler;
}

void write_table(std::ostream& out, const findings& found) {
  std::size_t peak_width = 0;
  for (const peak_rate& p : found.peaks) peak_width = std::max(peak_width, p.name.size());
  out << "peaks of one core\n";
  for (const peak_rate& p : found.peaks) {
    out << std::left << std::setw(static_cast<int>(peak_width)) << p.name << std::right
        << std::setw(9) << rate_text(p.value) << ' ' << p.unit << '\n';
  }
  out << '\n';
  std::size_t width = 0, unit_width = 0;
  for (const regime& r : found.regimes) {
    width = std::max(width, r.name.size()), unit_width = std::max(unit_width, r.unit.size());
  }
  const auto name = std::setw(static_cast<int>(width));
  const auto unit = std::setw(static_cast<int>(unit_width + 2));
  out << std::left << name << "regime"
      << "  floor   goal  measured  " << unit << ""
      << "of limit\n"
      << std::fixed << std::setprecision(2);
  for (const regime& r : found.regimes) {
    out << std::left << name << r.name << std::right << std::setw(7) << target_text(r.floor)
        << std::setw(7) << target_text(r.goal) << std::setw(10) << r.measured << "  " << std::left
        << unit << r.unit << std::setw(10) << limit_text(r) << verdict(r) << '\n';
  }
}

void write_markdown(const std::string& path, const findings& found, bool quick) {
  std::ofstream out(path);
  out << "# Benchmarks\n\nWritten by `bench/run.sh" << (quick ? " --quick" : "")
      << " --markdown docs/benchmarks.md`; nothing here is typed by hand. A number is a\nratio "
         "within one process: medians over rounds in which all competitors take turns. Floors and\n"
         "goals are this project's own. Of limit: the share of what this machine allows at all, of "
         "the multiply-add\npeak or of reading the weights at their footprint, whichever takes "
         "longer.\n\nMachine: "
      << machine() << ".\n\n## Peaks of one core\n\n| what | measured | unit |\n|---|---|---|\n";
  for (const peak_rate& p : found.peaks) {
    out << "| " << p.name << " | " << rate_text(p.value) << " | " << p.unit << " |\n";
  }
  out << "\n## Regimes\n\n";
  out << "| regime | floor | goal | measured | unit | of limit | |\n|---|---|---|---|---|---|---|\n"
      << std::fixed << std::setprecision(2);
  for (const regime& r : found.regimes) {
    out << "| " << r.name << " | " << target_text(r.floor) << " | " << target_text(r.goal) << " | "
        << r.measured << " | " << r.unit << " | " << limit_text(r) << " | " << verdict(r) << " |\n";
  }
  out << R"(
## Beside other libraries

How many times as fast we are. Results were compared first, integers bit for bit; the mode is what both
compute: s8 or u8 times s8 to 32-bit sums, s8 to codes of int8, f32 against our int8 with floats out;
floats in and out with the activations quantized on the way, weights in blocks of 32 (q8_0, q4_0)
against our dynamic int8 layer and our int4 layer, or, where the shape says f32 activations, f32, f32s8
and q4_0 against our layers that keep their activations in f32; quantize, f32 to s8 with a known scale,
and quantize_q8_0, with a scale for each 32 against ours for each row. Beside libraries in f32 stands
the fraction of the f32 FMA peak that they reach.

| peer | mode | shape | M | K | N | ratio | of FMA peak |
|---|---|---|---|---|---|---|---|
)";
  for (const auto& p : found.peers) {
    out << "| " << p["peer"].get<std::string>() << " | " << p["mode"].get<std::string>() << " | "
        << p["shape"].get<std::string>() << " | " << p["m"] << " | " << p["k"] << " | "
        << (p["n"] == 0 ? "" : p["n"].dump()) << " | " << std::fixed << std::setprecision(2)
        << p["ratio"].get<double>() << " | " << of_peak_text(p) << " |\n";
  }
  for (const std::string& one : missing_peers()) out << "\nSkipped: " << one << ".\n";
  if (!out.flush()) throw std::runtime_error("cannot write " + path);
}

void write_json(const std::string& path, const findings& found) {
  nlohmann::ordered_json all;
  all["machine"] = machine();
  for (const regime& r : found.regimes) {
    all["regimes"].push_back({{"name", r.name},
                              {"unit", r.unit},
                              {"floor", r.floor},
                              {"goal", r.goal},
                              {"measured", r.measured},
                              {"met_floor", r.measured >= r.floor},
                              {"met_goal", r.measured >= r.goal}});
    if (!std::isnan(r.of_limit)) all["regimes"].back()["of_limit"] = r.of_limit;
  }
  all["peaks"] = nlohmann::ordered_json::array();
  for (const peak_rate& p : found.peaks) {
    all["peaks"].push_back({{"name", p.name}, {"value", p.value}, {"unit", p.unit}});
  }
  all["peers"] = found.peers;
  all["skipped"] = missing_peers();
  std::ofstream out(path);
  out << all.dump(1) << '\n';
  if (!out.flush()) throw std::runtime_error("cannot write " + path);
}

}  // namespace bench
