// Files to ids and windows.
#include <lab/experiments/quantized_checkpoint.hpp>
#include <lab/experiments/workload.hpp>
#include <lab/io/gguf.hpp>
#include <lab/io/progress.hpp>
#include <lab/io/text.hpp>
#include <lab/io/tokenizer_files.hpp>
#include <lab/models/float_kernels.hpp>
#include <lab/models/load.hpp>
#include <zeropoint/kernels/registry.hpp>

#include <algorithm>

namespace lab {

std::string folder_name(const std::filesystem::path& path) {
  const auto full = std::filesystem::absolute(path).lexically_normal();
  return full.has_filename() ? full.filename().string() : full.parent_path().filename().string();
}

namespace {

std::vector<window> cut_or_complain(window_rule rule, const std::string& text, std::size_t tokens,
                                    const lab::protocol& p, std::size_t stride) {
  auto windows = cut(rule, tokens, p.window, stride);
  if (windows.empty()) {
    throw input_error(text + ": " + std::to_string(tokens) +
                      " tokens are less than one window of " + std::to_string(p.window));
  }
  return windows;
}

void see_random_ids(workload& w) {
  const std::size_t size =
      std::max<std::size_t>(2, std::min<std::size_t>(128, w.model.config.positions));
  w.seen = random_ids(size, w.model.config.vocab, 1);
  w.seen_windows = cut(window_rule::chunk, size, size, size);
}

}  // namespace

workload_loader::workload_loader(const workload_options& options, bool calibrated)
    : options_(options),
      text_(read_document(options.text, options.join_lines)),
      calibrated_(calibrated) {
  if (!calibrated) return;
  if (options.table.empty()) {
    calibration_ = read_document(options.calibration, options.join_lines);
  } else {
    table_ = std::make_shared<const calibration_table>(load_calibration_table(options.table));
  }
}

workload_loader::document workload_loader::read_document(const std::filesystem::path& path,
                                                         bool join) {
  document d{path.filename().string(), read_text(path), {}};
  d.joined = join ? join_lines_as_huggingface(d.bytes) : d.bytes;
  return d;
}

/// Ids with the BOS that the model expects, at most `limit` of them (0: all).
std::vector<std::uint32_t> workload_loader::encode(const tokenizer& tokens,
                                                   const transformer& model, const document& d,
                                                   std::size_t limit) {
  progress shown("tokenize " + d.name, d.joined.size());
  auto ids =
      tokens.encode(d.joined, special_tokens::as_text, [&](std::size_t bytes) { shown.at(bytes); });
  if (const auto bos = tokens.leading_bos()) ids.insert(ids.begin(), *bos);
  if (limit > 0 && ids.size() > limit) ids.resize(limit);
  for (const std::uint32_t id : ids) {
    if (id < model.config.vocab) continue;
    throw input_error("the tokenizer gives id " + std::to_string(id) + ", but the model has " +
                      std::to_string(model.config.vocab) + " tokens: they do not belong together");
  }
  return ids;
}

study workload_loader::describe(const transformer& model,
                                const std::filesystem::path& folder) const {
  study s;
  s.model = folder_name(folder);
  s.variant = "natural";
  s.family = name(model.config.family);
  s.parameters = model.parameters();
  s.linear_parameters = model.linear_parameters();
  s.linears = model.linears().size();
  s.float_kernels = best_float_kernels().name;
  s.integer_kernel = zeropoint::kernels::best().name;
  s.threads = options_.threads;
  lab::protocol& p = s.protocol;
  p.rule = options_.rule;
  p.window = options_.window == 0 ? model.config.positions : options_.window;
  if (p.window > model.config.positions) {
    throw input_error("--window " + std::to_string(p.window) + ": " + s.model + " has " +
                      std::to_string(model.config.positions) + " positions");
  }
  p.stride = options_.rule == window_rule::chunk ? p.window
             : options_.stride == 0              ? std::max<std::size_t>(1, p.window / 2)
                                                 : options_.stride;
  p.text = text_.name;
  p.joined = options_.join_lines;
  p.text_hash = text_hash(text_.bytes);
  return s;
}

workload workload_loader::load(const std::filesystem::path& folder) const {
  workload w;
  const bool quantized = options_.quantized_too && is_quantized(folder);
  if (quantized) {
    quantized_checkpoint c = load_quantized(folder);
    w.model = std::move(c.model);
    w.stored.push_back(make_scheme("fp32", w.model, {}));
    w.stored.push_back(std::move(c.layers));
    w.stored_ranges = std::move(c.input_ranges);
  } else {
    w.model = load_model(folder);
  }
  if (options_.planted) {  // refuse before an hour of work
    transformer twin = w.model;
    apply_plant(twin, *options_.planted);
  }
  if (options_.untokenized_too && !has_tokenizer(folder)) {
    w.description = describe(w.model, folder);
    if (calibrated_) see_random_ids(w);
    return w;
  }
  const tokenizer tokens(folder);
  w.description = describe(w.model, folder);
  if (quantized) w.description.variant = "quantized";
  lab::protocol& p = w.description.protocol;
  p.bos = tokens.leading_bos();
  w.ids = encode(tokens, w.model, text_, options_.max_tokens);
  w.windows = cut_or_complain(p.rule, text_.name, w.ids.size(), p, p.stride);
  p.ids_hash = ids_hash(w.ids);
  p.windows = w.windows.size();
  for (const window& one : w.windows) p.scored += one.scored;
  if (!calibrated_ || quantized) return w;
  if (table_) {
    w.table = table_;
    p.calibration = "table " + options_.table.filename().string() + " of";
    for (const std::string& t : table_->texts) p.calibration += " " + printable(t) + ";";
    p.calibration.pop_back();
    p.calibration_from_table = true;
    p.calibration_tokens = table_->inputs.begin()->second.tokens;
    return w;
  }
  w.seen = encode(tokens, w.model, calibration_, std::max(options_.calibration_tokens, p.window));
  w.seen_windows =
      cut_or_complain(window_rule::chunk, calibration_.name, w.seen.size(), p, p.window);
  p.calibration = calibration_.name;
  p.calibration_tokens = w.seen_windows.size() * p.window;
  return w;
}

scheme_maker workload::maker(std::span<const scheme_name> names) const {
  const std::string what = "calibrate " + description.model + ", " + description.variant;
  auto shown = std::make_shared<std::unique_ptr<progress>>();
  const std::size_t total = seen_windows.size();
  scheme_maker made(model, names, seen, seen_windows, description.threads,
                    [what, shown, total](std::size_t n) {
                      if (!*shown) *shown = std::make_unique<progress>(what, total);
                      (*shown)->at(n);
                      if (n >= total) shown->reset();
                    });
  if (table) {
    require_fit(*table, model, description.variant);
    made.use(table->inputs);
  }
  return made;
}

void workload::become(const plant& what) {
  apply_plant(model, what);
  description.variant = "planted " + what.text();
  description.planted = planted_channels(model.config.width, what.channels);
}

}  // namespace lab
