// The text table.
#include <lab/report/format.hpp>
#include <lab/report/study.hpp>

#include <cmath>

namespace lab {

namespace {

/// Fixed point as long as it fits the column, then powers of ten.
std::string fitting(double x, int width, int digits) {
  std::string text = format("%*.*f", width, digits, x);
  if (text.size() > static_cast<std::size_t>(width)) text = format("%*.*e", width, 1, x);
  return text;
}

std::string signed_fitting(double x, int width, int digits) {
  std::string text = format("%+*.*f", width, digits, x);
  if (text.size() > static_cast<std::size_t>(width)) text = format("%+*.*e", width, 1, x);
  return text;
}

std::string megabytes(std::uint64_t bytes) {
  return fitting(static_cast<double>(bytes) * 1e-6, 7, 2);
}

std::string line_of(const measurement& m) {
  const bool reference = m.scheme == "fp32";
  std::string line = format("%-18s", m.scheme.c_str()) + fitting(m.loss, 8, 4);
  line += reference
              ? format("%10s%9s", "-", "-")
              : signed_fitting(m.delta, 10, 5) +
                    (std::isfinite(m.delta_se) ? fitting(m.delta_se, 9, 5) : format("%9s", "-"));
  line += fitting(m.ppl, 9, 2);
  line +=
      reference ? format("%9s%8s", "-", "-") : fitting(m.kl, 9, 6) + format("%8.2f", 100 * m.top1);
  line += m.scheme.starts_with("w8a8") ? format("%8.4f", 100 * m.clipped) : format("%8s", "-");
  return line + megabytes(m.weight_bytes) + megabytes(m.weight_bytes_memory) +
         format("%7.1f", m.seconds);
}

}  // namespace

const measurement* study::row(std::string_view scheme) const {
  for (const measurement& m : rows) {
    if (m.scheme == scheme) return &m;
  }
  return nullptr;
}

std::string text_of(const study& s) {
  const lab::protocol& p = s.protocol;
  std::string text = s.model + ", " + s.variant + ": " + s.family + ", " + grouped(s.parameters) +
                     " parameters, " + grouped(s.linear_parameters) + " of them in " +
                     std::to_string(s.linears) + " linear layers\n";
  if (!s.planted.empty()) {
    text += "synthetic: gains and biases of channels";
    for (const std::size_t j : s.planted) text += " " + std::to_string(j);
    text +=
        " scaled up, the weights behind them down:\nthe float function is the same, the "
        "activations are not (SmoothQuant run backwards)\n";
  }
  text += "protocol " + std::string(name(p.rule)) + ": window " + std::to_string(p.window) +
          ", stride " + std::to_string(p.stride) + ", " +
          (p.bos ? "BOS " + std::to_string(*p.bos) + " once before the text" : "no BOS") + "; " +
          grouped(p.scored) + " tokens scored in " + grouped(p.windows) + " windows\n";
  text += "text " + p.text +
          (p.joined ? ", lines joined as the HuggingFace dataset does" : ", as it is") +
          "; FNV-1a 64: file " + p.text_hash + ", ids " + p.ids_hash + "\n";
  if (p.calibration_tokens > 0) {
    text += "calibration " + p.calibration + ", its first " + grouped(p.calibration_tokens) +
            " tokens\n";
  }
  text += "float kernels " + s.float_kernels + ", integer kernel " + s.integer_kernel + ", " +
          std::to_string(s.threads) + (s.threads == 1 ? " thread\n\n" : " threads\n\n");
  text +=
      "                      loss  delta to  standard                               MB of    MB "
      "in\n"
      "scheme                nats      fp32     error      ppl       KL  top-1%   clip%"
      "   file memory seconds\n";
  for (const measurement& m : s.rows) text += line_of(m) + "\n";
  return text;
}

}  // namespace lab
