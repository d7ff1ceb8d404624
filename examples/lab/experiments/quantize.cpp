// Quantizes, writes, and measures what was written.
#include <lab/experiments/compressed_tensors.hpp>
#include <lab/experiments/quantize.hpp>
#include <lab/experiments/workload.hpp>
#include <lab/io/file.hpp>
#include <lab/io/gguf.hpp>
#include <lab/io/tokenizer_files.hpp>
#include <lab/models/load.hpp>
#include <lab/models/write_gguf.hpp>

#include <algorithm>

namespace lab {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t largest_tokenizer_file = 1 << 28;
constexpr const char* tokenizer_files[] = {"tokenizer.json",
                                           "tokenizer_config.json",
                                           "vocab.json",
                                           "merges.txt",
                                           "special_tokens_map.json",
                                           "added_tokens.json",
                                           "generation_config.json"};

void require_free(const fs::path& folder, const quantize_options& o) {
  std::error_code ignored;
  if (!fs::exists(folder, ignored)) return;
  if (!fs::is_directory(folder, ignored)) reject({folder.string()}, "is a file; expected a folder");
  if (fs::equivalent(folder, o.model, ignored))
    reject({folder.string()}, "is the folder of the model itself");
  if (!o.force && !fs::is_empty(folder, ignored))
    reject({folder.string()}, "is not empty; --force overwrites what is there");
}

/// A file that the model has, also if an older checkpoint left one.
void copy_tokenizer(const fs::path& from, const fs::path& to) {
  for (const char* name : tokenizer_files) {
    if (fs::exists(from / name)) {
      write_file(to / name, read_file(from / name, largest_tokenizer_file));
    } else {
      fs::remove(to / name);
    }
  }
}

class quantizer {
 public:
  explicit quantizer(const quantize_options& o)
      : options_(o), weights_(o.model), work_(prepare(o)) {
    if (o.format != checkpoint_format::compressed_tensors) return;
    for (const scheme_name& s : o.schemes) require_compressible(s, work_.model);
  }

  model_card write(const scheme_name& scheme, scheme_maker& maker, const fs::path& folder) const {
    model_card card;
    card.model = folder_name(options_.model);
    card.format = options_.format;
    card.scheme = scheme;
    card.parameters = work_.model.parameters();
    card.linear_parameters = work_.model.linear_parameters();
    for (const safetensors_file& file : weights_.files()) card.bytes_before += file.file_bytes();
    if (options_.format == checkpoint_format::gguf) {
      write_gguf(card, folder);
    } else {
      write_folder(card, maker, folder);
    }
    write_file(folder / "README.md", text_of(card));
    return card;
  }

  [[nodiscard]] scheme_maker maker() const { return work_.maker(options_.schemes); }

 private:
  void write_folder(model_card& card, scheme_maker& maker, const fs::path& folder) const {
    const scheme_name& scheme = card.scheme;
    const scheme_layers made = maker.make(scheme);
    const calibration nothing;
    const bool calibrated = scheme.kind == arithmetic::calibrated;
    const auto layers =
        quantized_layers(scheme, made, work_.model, calibrated ? maker.natural() : nothing);
    make_folder(folder);
    fs::remove(folder / "config.json");  // no model until all of it is new
    copy_tokenizer(options_.model, folder);
    card.bytes_after = write_quantized(folder, scheme, options_.model / "config.json", weights_,
                                       work_.model, layers, card.format);
    card.linear_bytes = made.stored_bytes;
    if (scheme.needs_calibration()) card.calibration = calibration_of(work_.description.protocol);
    if (options_.evaluate_tokens > 0) card.evaluation = evaluated(load_quantized(folder).layers);
  }

  void write_gguf(model_card& card, const fs::path& folder) const {
    std::optional<tokenizer_data> tokens;
    if (has_tokenizer(options_.model)) tokens = load_tokenizer(options_.model);
    const auto type = card.scheme.weights.bits == 4 ? ggml_q4_0 : ggml_q8_0;
    make_folder(folder);
    const fs::path file = folder / gguf_file_name;
    const gguf_sizes sizes = write_gguf_model(file, work_.model, tokens, type, card.model);
    card.bytes_after = sizes.file;
    card.linear_bytes = sizes.linear;
    card.float_layers = sizes.plain_layers;
    if (options_.evaluate_tokens == 0) return;
    const auto read = std::make_shared<const transformer>(load_model(file));
    scheme_layers layers = make_scheme("fp32", *read, {});
    layers.name = card.scheme.text;
    layers.stored_bytes = sizes.linear;
    layers.model = read;
    card.evaluation = evaluated(std::move(layers));
  }

  static workload prepare(const quantize_options& o) {
    const bool calibrated = std::any_of(o.schemes.begin(), o.schemes.end(),
                                        [](const auto& s) { return s.needs_calibration(); });
    const bool evaluates = o.evaluate_tokens > 0;
    if (calibrated || evaluates) {
      workload_options wanted;
      wanted.text = evaluates ? o.text : o.calibration;
      wanted.calibration = o.calibration;
      wanted.calibration_tokens = o.calibration_tokens;
      wanted.max_tokens = std::max(o.evaluate_tokens, load_config(o.model).positions);
      wanted.threads = o.threads;
      return workload_loader(wanted, calibrated).load(o.model);
    }
    workload w;
    w.model = load_model(o.model);
    w.description.threads = o.threads;
    return w;
  }

  /// fp32 and the checkpoint as it loads again.
  study evaluated(scheme_layers read) const {
    std::vector<scheme_layers> both;
    both.push_back(make_scheme("fp32", work_.model, {}));
    both.push_back(std::move(read));
    study s = work_.description;
    s.rows = measure(work_.model, both, work_.ids, work_.windows, options_.threads);
    return s;
  }

  const quantize_options& options_;
  safetensors weights_;
  workload work_;
};

}  // namespace

void quantize_checkpoints(const quantize_options& o,
                          const std::function<void(const fs::path&, const model_card&)>& done) {
  if (is_gguf(o.model))
    reject({o.model.string()}, "is a GGUF file; expected a folder with safetensors");
  std::vector<fs::path> folders;
  for (const scheme_name& s : o.schemes) {
    folders.push_back(o.schemes.size() == 1 ? o.out : o.out / s.text);
    require_free(folders.back(), o);
    require_folder(folders.back());
  }
  const quantizer q(o);
  scheme_maker maker = q.maker();
  for (std::size_t i = 0; i < folders.size(); ++i) {
    const model_card card = q.write(o.schemes[i], maker, folders[i]);
    if (done) done(folders[i], card);
  }
}

}  // namespace lab
