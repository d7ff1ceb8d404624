// The text of a model card.
#include <lab/report/format.hpp>
#include <lab/report/model_card.hpp>

namespace lab {
namespace {

std::string weights_of(const scheme_name& s) {
  const std::string bits = std::to_string(s.weights.bits) + "-bit";
  std::string text = s.weights.is_symmetric() ? "symmetric " : "affine ";
  text += bits + " integers from " + std::to_string(s.weights.qmin()) + " to " +
          std::to_string(s.weights.qmax()) + ", ";
  text += s.granularity.visit([](const auto& g) -> std::string {
    using granularity = std::decay_t<decltype(g)>;
    if constexpr (std::is_same_v<granularity, zeropoint::per_group>) {
      return "a scale per " + std::to_string(g.size) + " inputs of an output";
    } else if constexpr (std::is_same_v<granularity, zeropoint::per_tensor_t>) {
      return "one scale per layer";
    } else {
      return "a scale per output channel";
    }
  });
  if (s.method == weight_method::gptq) text += ", chosen by GPTQ";
  if (s.method == weight_method::adaround) text += ", rounded by AdaRound";
  return text;
}

std::string activations_of(const scheme_name& s) {
  if (s.kind == arithmetic::weight_only) return "float32";
  if (s.kind == arithmetic::calibrated)
    return "8-bit integers, one scale per layer, fixed by calibration";
  return s.per_token || s.kind == arithmetic::int4
             ? "8-bit integers, a scale per token from its own values"
             : "8-bit integers, a scale per window from its own values";
}

std::string head_of(const scheme_name& s) {
  if (s.head == head_kind::floats) return "";
  return s.head == head_kind::int8
             ? " The head becomes int8 when the checkpoint is loaded."
             : " The head becomes 4-bit integers in groups of 32, times 8-bit inputs, when the "
               "checkpoint is loaded.";
}

std::string sizes_of(const model_card& c) {
  const auto ratio = static_cast<double>(c.bytes_before) / static_cast<double>(c.bytes_after);
  return "| bytes | before | after |\n|---|---:|---:|\n| weight files | " +
         grouped(c.bytes_before) + " | " + grouped(c.bytes_after) +
         format(" (%.2f times smaller) |\n", ratio) + "| linear layers of the blocks | " +
         grouped(4 * c.linear_parameters) + " as float32 | " + grouped(c.linear_bytes) + " |\n";
}

std::string loss_of(const model_card& c) {
  if (!c.evaluation)
    return "Not measured. `zp-lab quantize --evaluate-tokens N` measures it while it writes.\n";
  return "Measured on the checkpoint as loaded again, beside the float model:\n\n```\n" +
         text_of(*c.evaluation) + "```\n";
}

std::string own_layers_of(const model_card& c) {
  std::string text = "`L.weight_codes`";
  text += c.scheme.weights.bits <= 4 ? " (two to a byte, the even column in the low half)" : "";
  text += ", `L.weight_scales`";
  if (!c.scheme.weights.is_symmetric()) text += ", `L.weight_zero_points`";
  if (c.scheme.kind == arithmetic::calibrated)
    text += ", `L.input_scale`, `L.input_zero_point`, `L.input_range`";
  return "For other readers: `config.json` names the scheme under `quantization_config`, and "
         "`model.safetensors` has for every quantized layer L, always [outputs, inputs], " +
         text + "; weight = scale * (code - zero point).\n";
}

std::string loading_of(const model_card& c) {
  if (c.format == checkpoint_format::gguf)
    return "```\nzp-lab generate --model model.gguf --prompt TEXT\n"
           "zp-lab perplexity --model model.gguf --text FILE\nzp-lab bench --model model.gguf\n"
           "llama-cli -m model.gguf -p TEXT\n```\n\nzp-lab expands the blocks to float32; "
           "llama.cpp multiplies them as "
           "they are, by inputs in blocks of 8-bit integers.\n";
  const std::string own =
      "```\nzp-lab generate --model DIR --prompt TEXT\n"
      "zp-lab compare --model FLOAT --quantized DIR --prompt TEXT\n"
      "zp-lab perplexity --model DIR --text FILE\n"
      "zp-lab bench --model FLOAT --quantized DIR\n"
      "zp-lab logits --model DIR --ids IDS.u16 --out LOGITS.f32\n```\n\n"
      "where DIR is this folder and FLOAT that of the float model. ";
  if (c.format == checkpoint_format::zeropoint)
    return own +
           "The logits are those of quantizing the float checkpoint in memory, bit for bit.\n\n" +
           own_layers_of(c);
  return own +
         "Others: `vllm serve DIR`, or with the Python package compressed-tensors "
         "`transformers.AutoModelForCausalLM.from_pretrained(DIR)`. The weights are those of "
         "quantizing the float checkpoint in memory, bit for bit.\n";
}

std::string limits_of(const model_card& c) {
  std::string text;
  if (c.format == checkpoint_format::zeropoint)
    text += "- The format is zeropoint's own, version 1; no other engine reads it.\n";
  if (c.format == checkpoint_format::compressed_tensors && c.scheme.kind == arithmetic::calibrated)
    text += "- Inputs below the calibrated range are clipped at -128 steps, in memory at -127.\n";
  if (c.format == checkpoint_format::compressed_tensors &&
      (c.scheme.kind == arithmetic::dynamic || c.scheme.kind == arithmetic::int4))
    text += "- The scale of the inputs is each engine's own: here absmax / 127.\n";
  if (c.float_layers > 0)
    text += "- " + std::to_string(c.float_layers) +
            " layers have rows that are not whole blocks of 32 and stay float32.\n";
  if (c.format != checkpoint_format::gguf)
    text +=
        "- Only the linear layers of the blocks are smaller, so that a small model with a "
        "large vocabulary shrinks less.\n";
  return text + "- A loss measured on one text says little about another.\n";
}

}  // namespace

std::string text_of(const model_card& c) {
  const bool gguf = c.format == checkpoint_format::gguf;
  std::string text = "# " + c.model + ", quantized with " + c.scheme.text + "\n\n" +
                     grouped(c.parameters) + " parameters, " + grouped(c.linear_parameters) +
                     " of them in the linear layers of the blocks, which are quantized. " +
                     (gguf ? "Embedding and head are Q8_0, norms, biases and positions float32."
                           : "Embeddings, norms, biases and the head are as in the float "
                             "checkpoint.") +
                     head_of(c.scheme) + "\n\n- format: " + std::string(name(c.format)) + "\n";
  text += "- weights: " + weights_of(c.scheme) + (gguf ? " in float16" : "") +
          "\n- inputs of the linear layers: " +
          (gguf ? "the engine's choice" : activations_of(c.scheme)) + "\n";
  if (!c.calibration.empty()) text += "- calibration: " + c.calibration + "\n";
  text += "\n## Sizes\n\n" + sizes_of(c) + "\n## Loss\n\n" + loss_of(c);
  text += "\n## Loading\n\n" + loading_of(c) + "\n## Limits\n\n" + limits_of(c);
  return text;
}

}  // namespace lab
