// A row per scheme.
#include <lab/report/format.hpp>
#include <lab/report/json.hpp>
#include <lab/report/speed.hpp>

#include <algorithm>
#include <cmath>

namespace lab {

namespace {

constexpr double mega = 1e-6, giga = 1e-9;
constexpr std::size_t named_prefills[] = {128, 512};

std::string or_dash(double x, int width, int digits, bool sign = false) {
  return std::isfinite(x) ? fitting(x, width, digits, sign) : format("%*s", width, "-");
}

std::string header_of(const speed_plan& plan, int width) {
  const char* columns = "%7s%6s%6s%7s%7s%8s%7s%9s%8s%5s\n";
  std::string first = format("%-*s", width, ""), second = format("%-*s", width, "scheme");
  first += format("%*s", 6 * static_cast<int>(plan.prefills.size()), "prefill");
  for (const std::size_t n : plan.prefills) second += format("%6zu", n);
  first += format(columns, "decode", "p50", "p95", "MB in", "MB in", "prefill", "decode",
                  "delta to", "its", "read");
  second +=
      format(columns, "", "ms", "ms", "memory", "file", "times", "times", "fp32", "s.e.", "%");
  return first + second;
}

std::string line_of(const scheme_speed& r, const measurement* loss, int width) {
  std::string line = format("%-*s", width, r.scheme.c_str());
  for (const double rate : r.prefill) line += fitting(rate, 6, 1);
  line += fitting(r.decode, 7, 1) + fitting(1e3 * r.p50, 6, 3) + fitting(1e3 * r.p95, 6, 3);
  line += fitting(static_cast<double>(r.resident_bytes) * mega, 7, 2) +
          fitting(static_cast<double>(r.disk_bytes) * mega, 7, 2);
  line += fitting(r.speedup_prefill, 8, 2) + fitting(r.speedup_decode, 7, 2);
  const bool compared = loss != nullptr && loss->scheme != "fp32";
  line += or_dash(compared ? loss->delta : std::nan(""), 9, 5, true) +
          or_dash(compared ? loss->delta_se : std::nan(""), 8, 5);
  return line + fitting(100 * r.read_share, 5, 0) + "\n";
}

/// What limits each scheme. Behind the first four columns a column per stage, of prefill and of decode.
std::string limits_of(const speed_study& s, int width) {
  const std::string tokens = std::to_string(s.plan.prefills.back());
  std::string text = format("\n%-*s%7s%7s%12s%28s%28s\n", width, "what limits it", "GOPS", "read",
                            "% at peak", ("% of a prefill of " + tokens).c_str(), "% of a token");
  text += format("%-*s%7s%7s%7s%5s", width, "scheme", "peak", "GB/s", "layers", "attn");
  for (int i = 0; i < 2; ++i)
    text += format("%8s%5s%5s%5s%5s", "layers", "attn", "act", "head", "rest");
  text += "\n";
  for (const scheme_speed& r : s.rows) {
    text += format("%-*s", width, r.scheme.c_str());
    text += or_dash(giga * r.peak_rate, 7, 1) + fitting(giga * r.read_rate, 7, 1);
    text += or_dash(100 * r.peak_share, 7, 0) + or_dash(100 * r.attention_peak_share, 5, 0);
    for (const stage_times* of : {&r.prefill_stages, &r.decode_stages}) {
      for (double stage_times::*const stage : stages) {
        text += fitting(100 * (of->*stage), stage == stages[0] ? 8 : 5, 0);
      }
    }
    text += "\n";
  }
  return text;
}

/// What of the usual 128 and 512 tokens is missing, and why.
std::string shortened(const speed_plan& plan) {
  std::string text;
  for (const std::size_t n : named_prefills) {
    if (std::find(plan.prefills.begin(), plan.prefills.end(), n) != plan.prefills.end()) continue;
    text += wrapped("Skipped: a prefill of " + std::to_string(n) + "; the model has " +
                        std::to_string(plan.prefills.back()) + " positions, and all of them were " +
                        "filled instead.",
                    "  ");
  }
  return text;
}

std::string notes_of(const bench_report& r) {
  const speed_plan& plan = r.speed.plan;
  std::string text = shortened(plan);
  text += wrapped(
      "Tokens per second: medians of " + std::to_string(r.speed.rounds) +
          (r.speed.rounds == 1 ? " round" : " rounds") +
          ", in which all schemes take turns; decode: " + std::to_string(plan.decoded) +
          " tokens, one by one, behind a prompt of " + std::to_string(plan.prompt) +
          "; p50 and p95 over the tokens of all rounds. Times: how much faster than fp32, in the "
          "prefill of " +
          std::to_string(plan.prefills.back()) +
          " and in decode; medians of the ratios within a round.",
      "  ");
  text += wrapped(
      "Memory: weights, as resident memory fell when they were released, and the cache of keys and "
      "values. File: for fp32 the checkpoint as it is; for a scheme what zp-lab quantize writes; "
      "for a folder that it wrote, its file.",
      "  ");
  text += wrapped(
      "Read: the share of a token's time that these threads need at best for only reading as many "
      "bytes as the linear layers and the head have, from a buffer of that size in the same "
      "process. "
      "Close to 100 (more only by chance), reading limits decode; far below, arithmetic, attention "
      "or "
      "the hand-over between threads does.",
      "  ");
  text += wrapped(
      "What limits it. Peak: what these threads multiply and add in registers in the same process, "
      "two operations each, with the instruction of the linear layers' kernel, of integers or FMA "
      "of f32. At peak: the share of that prefill that its products would take at this rate, "
      "linear layers with the head, and attention; where both are far below 100 together, memory, "
      "quantization, softmax or the other stages take the rest. Then where prefill and a token "
      "spend their time: linear layers with the quantization of their inputs, attention, "
      "activation functions, head, and the rest: norms, sums, the choice of the token.",
      "  ");
  if (r.description.rows.empty()) {
    return text + "  Delta: not measured, the model has no tokenizer.\n";
  }
  return text + "  Delta and its standard error in nats per token:\n" +
         protocol_lines_of(r.description);
}

double total(const operations& o) {
  return o.integers + o.floats;
}

ordered_json json_of(const stage_times& s) {
  return {{"linears", number(s.linears)},
          {"attention", number(s.attention)},
          {"activation", number(s.activation)},
          {"head", number(s.head)},
          {"others", number(s.others)}};
}

}  // namespace

std::string text_of(const bench_report& r) {
  std::size_t longest = 18;
  for (const scheme_speed& s : r.speed.rows) longest = std::max(longest, s.scheme.size());
  const auto width = static_cast<int>(longest);
  std::string text = model_lines_of(r.description) + machine_line_of(r.description) + "\n" +
                     header_of(r.speed.plan, width);
  for (const scheme_speed& s : r.speed.rows) {
    text += line_of(s, r.description.row(s.scheme), width);
  }
  return text + limits_of(r.speed, width) + "\n" + notes_of(r);
}

std::string json_of(const bench_report& r) {
  const speed_plan& plan = r.speed.plan;
  ordered_json all = ordered_json::array();
  for (const scheme_speed& s : r.speed.rows) {
    const measurement* loss = r.description.row(s.scheme);
    ordered_json row = {{"scheme", s.scheme}, {"threads", r.speed.threads}};
    for (const std::size_t n : named_prefills) {
      ordered_json& value = row["prefill_" + std::to_string(n)] = nullptr;
      for (std::size_t i = 0; i < plan.prefills.size(); ++i) {
        if (plan.prefills[i] == n) value = number(s.prefill[i]);
      }
    }
    row.update({{"decode", number(s.decode)},
                {"decode_p95_ms", number(1e3 * s.p95)},
                {"resident_bytes", s.resident_bytes},
                {"disk_bytes", s.disk_bytes},
                {"speedup_decode", number(s.speedup_decode)},
                {"speedup_prefill", number(s.speedup_prefill)}});
    row["delta"] = loss ? number(loss->delta) : ordered_json(nullptr);
    row["details"] = {{"model", r.description.model},
                      {"rounds", r.speed.rounds},
                      {"prefill_longest", number(s.prefill.back())},
                      {"prefill_longest_tokens", plan.prefills.back()},
                      {"decode_tokens", plan.decoded},
                      {"decode_p50_ms", number(1e3 * s.p50)},
                      {"weight_bytes", s.weight_bytes},
                      {"cache_bytes", s.cache_bytes},
                      {"read_bytes_per_token", s.read_bytes},
                      {"read_bytes_per_second", number(s.read_rate)},
                      {"read_share", number(s.read_share)},
                      {"layer_operations", number(total(s.work.layers))},
                      {"attention_operations", number(total(s.work.attention))},
                      {"peak_operations_per_second", number(s.peak_rate)},
                      {"peak_share", number(s.peak_share)},
                      {"attention_peak_share", number(s.attention_peak_share)},
                      {"prefill_stages", json_of(s.prefill_stages)},
                      {"decode_stages", json_of(s.decode_stages)},
                      {"delta_se", loss ? number(loss->delta_se) : ordered_json(nullptr)},
                      {"delta_tokens", loss ? ordered_json(loss->tokens) : ordered_json(nullptr)},
                      {"protocol", loss ? protocol_of(r.description) : ordered_json(nullptr)}};
    all.push_back(std::move(row));
  }
  return dump(all, 1) + "\n";
}

}  // namespace lab
