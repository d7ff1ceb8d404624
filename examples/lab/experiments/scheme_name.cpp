// Names are parsed word by word; a word is taken at most once and in the order of the grammar.
#include <lab/experiments/scheme_name.hpp>
#include <lab/io/error.hpp>
#include <zeropoint/kernels/int4.hpp>

#include <algorithm>
#include <charconv>

namespace lab {

namespace {

constexpr const char* grammar =
    "; expected fp32, f16, bf16, "
    "wB[-tensor|-channel|-gN][-affine][-gptq|-awq|-adaround|-equalize][-bias] with 2 to 8 bits B "
    "(no "
    "-awq with -tensor or -bias), "
    "wBa8[-tensor|-channel|-gN][-affine][-gptq|-adaround|-equalize][-bias] with 2 to 4 bits B and "
    "N "
    "a multiple of 32, w8a8-dynamic[-token][-smooth[-search]|-rotate|-equalize][-bias], "
    "w8a8-static[-p99.9|-mse|-kl][-smooth[-search]|-rotate|-equalize][-bias|-watch], w8a8-outlier "
    "or "
    "w8a8-channel-simulated, each perhaps with -kv8 or -attn8 and then -head8 or -head4 at the end";

/// The words between the dashes, front to back.
class words {
 public:
  explicit words(std::string_view text) : rest_(text), more_(true) { next(); }
  [[nodiscard]] bool done() const { return !has_word_; }
  [[nodiscard]] std::string_view word() const { return word_; }
  void next() {
    has_word_ = more_;
    const std::size_t end = std::min(rest_.find('-'), rest_.size());
    word_ = rest_.substr(0, end);
    more_ = end < rest_.size();
    rest_.remove_prefix(more_ ? end + 1 : end);
  }
  bool take(std::string_view expected) {
    if (done() || word_ != expected) return false;
    next();
    return true;
  }

 private:
  std::string_view rest_, word_;
  bool more_, has_word_ = false;
};

/// The number behind `letter`, when that is all the word says and it lies in [low, high].
bool number_after(char letter, std::string_view word, std::size_t low, std::size_t high,
                  std::size_t& value) {
  if (word.size() < 2 || word[0] != letter || word[1] == '0') return false;
  const auto [end, problem] = std::from_chars(word.data() + 1, word.data() + word.size(), value);
  return problem == std::errc{} && end == word.data() + word.size() && low <= value &&
         value <= high;
}

void parse_weights(words& w, scheme_name& s) {
  std::size_t size = 0;
  const bool one_scale = w.take("tensor");
  if (one_scale) {
    s.granularity = zeropoint::per_tensor;
  } else if (!w.take("channel") && !w.done() && number_after('g', w.word(), 1, 1u << 20, size)) {
    s.granularity = zeropoint::per_group{size};
    w.next();
  }
  if (w.take("affine")) s.weights.kind = zeropoint::symmetry::affine;
  if (w.take("gptq")) {
    s.method = weight_method::gptq;
  } else if (w.take("adaround")) {
    s.method = weight_method::adaround;
  } else if (w.take("equalize")) {
    s.cure = activation_cure::equalize;
  } else if (!one_scale && w.take("awq")) {  // AWQ scales inputs against one another
    s.method = weight_method::awq;
  }
  if (s.method != weight_method::awq) s.corrected = w.take("bias");  // its inputs are scaled
}

void parse_cure(words& w, scheme_name& s) {
  if (w.take("smooth")) {
    s.cure = w.take("search") ? activation_cure::smooth_search : activation_cure::smooth;
  } else if (w.take("rotate")) {
    s.cure = activation_cure::rotate;
  } else if (w.take("equalize")) {
    s.cure = activation_cure::equalize;
  }
}

bool parse_activations(words& w, scheme_name& s) {
  if (w.take("dynamic")) {
    s.kind = arithmetic::dynamic;
    s.per_token = w.take("token");
    parse_cure(w, s);
    s.corrected = w.take("bias");
  } else if (w.take("static")) {
    s.kind = arithmetic::calibrated;
    if (w.take("p99.9")) {
      s.range = range_rule::percentile;
    } else if (w.take("mse")) {
      s.range = range_rule::mse;
    } else if (w.take("kl")) {
      s.range = range_rule::entropy;
    }
    parse_cure(w, s);
    s.corrected = w.take("bias");
    if (!s.corrected) s.watched = w.take("watch");
  } else if (w.take("outlier")) {
    s.kind = arithmetic::outlier;
  } else if (w.take("channel") && w.take("simulated")) {
    s.kind = arithmetic::channel_simulated;
  } else {
    return false;
  }
  return true;
}

/// The groups of packed weights are whole units of the kernels.
bool packs_in_groups(const scheme_name& s) {
  return s.granularity.visit([](const auto& g) {
    if constexpr (requires { g.size; }) return g.size % zeropoint::kernels::int4_group_unit == 0;
    return true;
  });
}

bool parse_linears(words& w, scheme_name& s) {
  if (w.take("fp32")) return true;
  if (w.take("f16")) {
    s.kind = arithmetic::f16;
    return true;
  }
  if (w.take("bf16")) {
    s.kind = arithmetic::bf16;
    return true;
  }
  if (w.take("w8a8")) return parse_activations(w, s);
  for (const int bits : {2, 3, 4}) {
    if (!w.take("w" + std::to_string(bits) + "a8")) continue;
    s.kind = arithmetic::int4;
    s.weights.bits = bits;
    parse_weights(w, s);
    return s.method != weight_method::awq && packs_in_groups(s);
  }
  std::size_t bits = 0;
  if (w.done() || !number_after('w', w.word(), 2, 8, bits)) return false;
  w.next();
  s.kind = arithmetic::weight_only;
  s.weights.bits = static_cast<int>(bits);
  parse_weights(w, s);
  return true;
}

void parse_attention(words& w, scheme_name& s) {
  if (w.take("kv8")) {
    s.attention = attention_kind::int8_cache;
  } else if (w.take("attn8")) {
    s.attention = attention_kind::int8;
  }
}

void parse_head(words& w, scheme_name& s) {
  if (w.take("head8")) {
    s.head = head_kind::int8;
  } else if (w.take("head4")) {
    s.head = head_kind::int4;
  }
}

bool parse(words& w, scheme_name& s) {
  if (!parse_linears(w, s)) return false;
  parse_attention(w, s);
  parse_head(w, s);
  return w.done();
}

}  // namespace

bool scheme_name::needs_calibration() const noexcept {
  return kind == arithmetic::calibrated || kind == arithmetic::channel_simulated || is_smooth() ||
         needs_gram() || corrected;
}

scheme_name parse_scheme(std::string_view text, std::string_view option) {
  scheme_name s;
  s.text = text;
  words w(text);
  if (!parse(w, s)) {
    throw input_error(std::string(option) + ": " + in_quotes(text) + " is not a scheme" + grammar);
  }
  return s;
}

const std::vector<std::string>& default_schemes() {
  static const std::vector<std::string> names = {"fp32",
                                                 "f16",
                                                 "bf16",
                                                 "w8",
                                                 "w8-tensor",
                                                 "w8a8-dynamic",
                                                 "w8a8-dynamic-token",
                                                 "w8a8-static",
                                                 "w8a8-static-p99.9"};
  return names;
}

std::vector<scheme_name> parse_schemes(std::string_view list, std::string_view option) {
  std::vector<scheme_name> chosen = {parse_scheme("fp32")};
  const auto add = [&](std::string_view text) {
    const auto same = [&](const scheme_name& s) { return s.text == text; };
    if (std::none_of(chosen.begin(), chosen.end(), same))
      chosen.push_back(parse_scheme(text, option));
  };
  if (list.empty()) {
    for (const std::string& name : default_schemes()) add(name);
    return chosen;
  }
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    add(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return chosen;
}

}  // namespace lab
