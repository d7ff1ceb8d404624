// The text table.
#include <lab/report/format.hpp>
#include <lab/report/study.hpp>

#include <algorithm>
#include <cmath>

namespace lab {

namespace {

std::string paragraph_of(const std::string& text) {
  return wrapped(text, "  ");
}

std::string megabytes_column(std::uint64_t bytes) {
  return fitting(static_cast<double>(bytes) * 1e-6, 7, 2);
}

/// `width` of the first column.
std::string line_of(const measurement& m, int width) {
  const bool reference = m.scheme == "fp32" || !std::isfinite(m.delta);
  const auto none = [](int columns) { return format("%*s", columns, "-"); };
  std::string line = format("%-*s", width, m.scheme.c_str()) + fitting(m.loss, 8, 4);
  line += reference ? none(10) : fitting(m.delta, 10, 5, true);
  line += reference || !std::isfinite(m.delta_se) ? none(9) : fitting(m.delta_se, 9, 5);
  line += fitting(m.ppl, 9, 2);
  line += reference ? none(9) : fitting(m.kl, 9, 6);
  line += reference ? none(8) : fitting(100 * m.top1, 8, 2);
  line += m.scheme.starts_with("w8a8") ? fitting(100 * m.clipped, 8, 4) : none(8);
  return line + megabytes_column(m.weight_bytes) + megabytes_column(m.weight_bytes_memory) +
         fitting(m.seconds, 7, 1);
}

}  // namespace

const measurement* study::row(std::string_view scheme) const {
  for (const measurement& m : rows) {
    if (m.scheme == scheme) return &m;
  }
  return nullptr;
}

std::string calibration_of(const protocol& p) {
  if (p.calibration_from_table) return p.calibration;
  return p.calibration + ", its first " + grouped(p.calibration_tokens) + " tokens";
}

std::string model_lines_of(const study& s) {
  std::string text =
      paragraph_of(s.model + ", " + s.variant + ": " + s.family + ", " + grouped(s.parameters) +
                   " parameters, " + grouped(s.linear_parameters) + " of them in " +
                   std::to_string(s.linears) + " linear layers");
  if (s.planted.empty()) return text;
  std::string channels;
  for (const std::size_t j : s.planted) channels += " " + std::to_string(j);
  return text +
         paragraph_of("synthetic: norms scale channels" + channels +
                      " up, the weights behind them down; the float function is the same, the "
                      "activations are not (SmoothQuant run backwards)");
}

std::string protocol_lines_of(const study& s) {
  const lab::protocol& p = s.protocol;
  std::string text = paragraph_of(
      "protocol " + std::string(name(p.rule)) + ": window " + std::to_string(p.window) +
      ", stride " + std::to_string(p.stride) + ", " +
      (p.bos ? "BOS " + std::to_string(*p.bos) + " once before the text" : "no BOS") + "; " +
      grouped(p.scored) + " tokens scored in " + grouped(p.windows) + " windows");
  text += paragraph_of("text " + p.text + ", " +
                       (p.joined ? "lines joined as the HuggingFace dataset does" : "as it is") +
                       "; FNV-1a 64 of the file " + p.text_hash + ", of the ids " + p.ids_hash);
  if (p.calibration_tokens > 0) {
    text += paragraph_of("calibration " + calibration_of(p));
  }
  return text;
}

std::string machine_line_of(const study& s) {
  return paragraph_of("float kernels " + s.float_kernels + ", integer kernel " + s.integer_kernel +
                      ", " + std::to_string(s.threads) + (s.threads == 1 ? " thread" : " threads"));
}

std::string heading_of(const study& s) {
  std::string text = model_lines_of(s) + protocol_lines_of(s);
  if (!s.outlier_layer.empty()) {
    text += paragraph_of("outliers: the largest channel is " + format("%.1f", s.outlier_ratio) +
                         " times the median channel in the input of " + s.outlier_layer);
  }
  return text + machine_line_of(s);
}

std::string text_of(const study& s) {
  std::string text = heading_of(s);
  const char* columns = "%-*s%8s%10s%9s%9s%9s%8s%8s%7s%7s%7s\n";
  std::size_t longest = 18;
  for (const measurement& m : s.rows) longest = std::max(longest, m.scheme.size());
  const auto width = static_cast<int>(longest);
  text += "\n" + format(columns, width, "", "loss", "delta to", "standard", "", "", "top-1",
                        "clipped", "MB in", "MB in", "time");
  text += format(columns, width, "scheme", "nats", "fp32", "error", "ppl", "KL", "%", "%", "file",
                 "memory", "s");
  for (const measurement& m : s.rows) text += line_of(m, width) + "\n";
  for (const measurement& m : s.rows) {
    if (m.demoted == 0) continue;
    text += paragraph_of(
        m.scheme + ": " + std::to_string(m.demoted) + " of " + std::to_string(s.linears) +
        " layers left their calibrated range too often and went over to a scale per token");
  }
  return text;
}

}  // namespace lab
