// Shards as JSON: writing, and reading what may be hostile.
#include <lab/experiments/diagnosis.hpp>
#include <lab/experiments/shard_json.hpp>
#include <lab/io/text.hpp>

#include <algorithm>
#include <bit>
#include <charconv>

namespace lab {

namespace {

constexpr const char* format_key = "zp_lab_shard";
constexpr const char* hash_key = "fnv1a64";
constexpr std::uint64_t format_version = 1;
constexpr std::uint64_t most = std::uint64_t{1} << 48;  // sums of as many fit into 64 bits

std::string text_of_bits(double x) {
  constexpr const char* digits = "0123456789abcdef";
  const auto bits = std::bit_cast<std::uint64_t>(x);
  std::string text(16, '0');
  for (unsigned i = 0; i < 16; ++i) text[i] = digits[bits >> (60 - 4 * i) & 15];
  return text;
}

double bits_at(const json& value, const json_object& from, std::string_view key) {
  std::uint64_t bits = 0;
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    const char* end = text.data() + text.size();
    const auto [stop, problem] = std::from_chars(text.data(), end, bits, 16);
    if (text.size() == 16 && problem == std::errc() && stop == end) {
      return std::bit_cast<double>(bits);
    }
  }
  from.wrong(key, "expected the bits of a double, 16 hexadecimal digits");
}

/// As it may be printed.
/// Names and hashes are printed again by merge.
std::string printable_text(const json_object& from, std::string_view key) {
  return printable(from.text(key), 1000);
}

json json_of_scheme(const scheme_sums& s) {
  json windows = json::array();
  for (const window_sums& w : s.windows) {
    windows.push_back({text_of_bits(w.loss), text_of_bits(w.reference_loss), text_of_bits(w.kl),
                       w.tokens, w.agreeing});
  }
  return {{"memory_bytes", s.weight_bytes_memory},
          {"clipped", s.clips.clipped},
          {"clippable", s.clips.values},
          {"seconds", text_of_bits(s.seconds)},
          {"windows", std::move(windows)}};
}

json json_of_study(const shard_study& s) {
  json schemes = json::array();
  for (const scheme_sums& one : s.schemes) schemes.push_back(json_of_scheme(one));
  return {{"run", shard_identity(s)},
          {"threads", s.description.threads},
          {"integer_kernel", s.description.integer_kernel},
          {"schemes", std::move(schemes)}};
}

window_sums window_of(const json& value, const json_object& from) {
  constexpr const char* key = "windows";
  if (!value.is_array() || value.size() != 5) {
    from.wrong(key, "expected [loss, reference loss, KL, tokens, agreeing]");
  }
  const auto count = [&](const json& n) -> std::size_t {
    if (!n.is_number_unsigned() || n.get<std::uint64_t>() > most) {
      from.wrong(key, "expected counts of at most 2^48");
    }
    return n.get<std::size_t>();
  };
  window_sums w;
  w.loss = bits_at(value[0], from, key);
  w.reference_loss = bits_at(value[1], from, key);
  w.kl = bits_at(value[2], from, key);
  w.tokens = count(value[3]);
  w.agreeing = count(value[4]);
  if (w.tokens < 1 || w.agreeing > w.tokens) {
    from.wrong(key, w.agreeing, " of ", w.tokens, " tokens agree");
  }
  return w;
}

/// The windows and counters of a scheme whose name and size are known.
void read_scheme(const json_object& from, std::size_t windows, scheme_sums& s) {
  s.weight_bytes_memory = from.integer("memory_bytes", 0, most);
  s.clips.clipped = from.integer("clipped", 0, most);
  s.clips.values = from.integer("clippable", s.clips.clipped, most);
  s.seconds = bits_at(from.at("seconds"), from, "seconds");
  const json& all = from.array("windows");
  if (all.size() != windows) {
    from.wrong("windows", "are ", all.size(), ", expected ", windows);
  }
  s.windows.reserve(all.size());
  for (const json& w : all) s.windows.push_back(window_of(w, from));
}

protocol protocol_at(const json_object& run) {
  protocol p;
  const std::string rule = printable_text(run, "protocol");
  p.rule = rule == name(window_rule::chunk) ? window_rule::chunk : window_rule::stride;
  if (rule != name(p.rule)) run.wrong("protocol", "expected chunk or stride");
  p.window = run.integer("window", 2, most);
  p.stride = run.integer("stride", 1, p.window);
  if (const auto bos = run.maybe_integer("bos", 0, 0xFFFFFFFF)) {
    p.bos = static_cast<std::uint32_t>(*bos);
  }
  p.text = printable_text(run, "text");
  p.joined = run.boolean("lines_joined", true);
  p.text_hash = printable_text(run, "text_fnv1a64");
  p.ids_hash = printable_text(run, "ids_fnv1a64");
  p.calibration = printable_text(run, "calibration");
  p.calibration_tokens = run.integer("calibration_tokens", 0, most);
  p.calibration_from_table = run.boolean("calibration_from_table", false);
  p.windows = run.integer("windows", 1, most);
  p.scored = run.integer("tokens", 1, most);
  return p;
}

/// The rows of measure_sensitivity(), as far as a report relies on them.
bool are_of_layers(const std::vector<scheme_sums>& rows) {
  if (rows.size() < 4 || rows.size() % 2 != 0) return false;
  const auto layers = static_cast<std::ptrdiff_t>(rows.size() / 2 - 1);
  return std::all_of(rows.begin() + 1, rows.begin() + 1 + layers,
                     [](const scheme_sums& s) { return s.scheme.starts_with(alone_prefix); });
}

/// Everything but the counters; the schemes with name and size.
shard_study read_identity(const json_object& run) {
  shard_study s;
  study& d = s.description;
  d.model = printable_text(run, "model");
  d.variant = printable_text(run, "variant");
  d.family = printable_text(run, "family");
  d.parameters = run.integer("parameters", 0, most);
  d.linear_parameters = run.integer("linear_parameters", 0, d.parameters);
  d.linears = run.integer("linears", 0, most);
  for (const json& channel : run.array("planted_channels")) {
    if (!channel.is_number_unsigned()) run.wrong("planted_channels", "expected indices");
    d.planted.push_back(channel.get<std::size_t>());
  }
  d.outlier_layer = printable_text(run, "outlier_layer");
  d.outlier_ratio = bits_at(run.at("outlier_ratio"), run, "outlier_ratio");
  d.float_kernels = printable_text(run, "float_kernels");
  d.protocol = protocol_at(run);
  s.weights = printable_text(run, "weights_fnv1a64");
  s.calibration = printable_text(run, "calibration_fnv1a64");
  s.stored = run.boolean("quantized", false);
  s.sensitivity_of = printable_text(run, "sensitivity_of");
  const json &names = run.array("schemes"), &bytes = run.array("weight_bytes");
  if (names.size() != bytes.size()) run.wrong("weight_bytes", "expected one per scheme");
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!names[i].is_string()) run.wrong("schemes", "expected names");
    if (!bytes[i].is_number_unsigned()) run.wrong("weight_bytes", "expected bytes");
    scheme_sums& one = s.schemes.emplace_back();
    one.scheme = printable(names[i].get<std::string>());
    one.weight_bytes = bytes[i].get<std::uint64_t>();
  }
  if (s.schemes.empty() || (s.stored && s.schemes.size() != 2) ||
      (!s.sensitivity_of.empty() && !are_of_layers(s.schemes))) {
    run.wrong("schemes", "are ", s.schemes.size(), ", not as such a run has them");
  }
  return s;
}

shard_study read_study(const json& value, const shard& part, const std::string& file) {
  const json_object from(value, file);
  shard_study s = read_identity(from.object("run"));
  s.description.threads = from.integer("threads", 1, most);
  s.description.integer_kernel = printable_text(from, "integer_kernel");
  const json& schemes = from.array("schemes");
  if (schemes.size() != s.schemes.size()) from.wrong("schemes", "are not those of the run");
  for (std::size_t i = 0; i < schemes.size(); ++i) {
    read_scheme(json_object(schemes[i], file, s.schemes[i].scheme),
                part.share(s.description.protocol.windows), s.schemes[i]);
  }
  return s;
}

}  // namespace

json shard_identity(const shard_study& s) {
  const study& d = s.description;
  const protocol& p = d.protocol;
  json schemes = json::array(), bytes = json::array();
  for (const scheme_sums& one : s.schemes) {
    schemes.push_back(one.scheme);
    bytes.push_back(one.weight_bytes);
  }
  return {{"model", d.model},
          {"variant", d.variant},
          {"family", d.family},
          {"parameters", d.parameters},
          {"linear_parameters", d.linear_parameters},
          {"linears", d.linears},
          {"planted_channels", d.planted},
          {"outlier_layer", d.outlier_layer},
          {"outlier_ratio", text_of_bits(d.outlier_ratio)},
          {"float_kernels", d.float_kernels},
          {"protocol", std::string(name(p.rule))},
          {"window", p.window},
          {"stride", p.stride},
          {"bos", p.bos ? json(*p.bos) : json(nullptr)},
          {"text", p.text},
          {"lines_joined", p.joined},
          {"text_fnv1a64", p.text_hash},
          {"ids_fnv1a64", p.ids_hash},
          {"calibration", p.calibration},
          {"calibration_tokens", p.calibration_tokens},
          {"calibration_from_table", p.calibration_from_table},
          {"calibration_fnv1a64", s.calibration},
          {"windows", p.windows},
          {"tokens", p.scored},
          {"weights_fnv1a64", s.weights},
          {"quantized", s.stored},
          {"sensitivity_of", s.sensitivity_of},
          {"schemes", std::move(schemes)},
          {"weight_bytes", std::move(bytes)}};
}

std::string shard_hash(const json& all) {
  return text_hash(all.dump(-1, ' ', true, json::error_handler_t::replace));
}

std::string json_of(const shard_file& file) {
  json studies = json::array();
  for (const shard_study& s : file.studies) studies.push_back(json_of_study(s));
  json all = {{format_key, format_version},
              {"shard", file.part.index},
              {"shards", file.part.count},
              {"studies", std::move(studies)}};
  // What the reader will see, so that the hash is of that.
  all = json::parse(all.dump(-1, ' ', true, json::error_handler_t::replace));
  const std::string hash = shard_hash(all);
  all[hash_key] = hash;
  return all.dump(1, ' ', true) + "\n";
}

shard_file parse_shard(std::string_view text, const std::string& file) {
  json all = parse_json(text, file);
  const json_object top(all, file);
  (void)top.integer(format_key, format_version, format_version);
  const std::string hash = printable_text(top, hash_key);
  all.erase(hash_key);
  if (shard_hash(all) != hash) {
    top.wrong(hash_key, "is ", printable(hash), ", but what is there has ", shard_hash(all),
              ": the file was changed");
  }
  shard_file made;
  made.part.count = top.integer("shards", 1, most_shards);
  made.part.index = top.integer("shard", 1, made.part.count);
  for (const json& s : top.array("studies")) {
    made.studies.push_back(read_study(s, made.part, file));
  }
  if (made.studies.empty()) top.wrong("studies", "there are none");
  return made;
}

}  // namespace lab
