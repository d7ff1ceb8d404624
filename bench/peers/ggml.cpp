// ggml's product of f32 activations with weights in blocks of 32, Q8_0 and Q4_0: it quantizes the
// activations to Q8_0 in every call, which is raced alone, too. The weights lie in the first of its
// buffer types that takes them, as llama.cpp chooses: repacked where there are kernels for it.
#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <ggml.h>

#include <array>
#include <cstdio>
#include <stdexcept>

#include "peer.hpp"

namespace bench {
namespace {

struct release {
  void operator()(ggml_context* p) const { ggml_free(p); }
  void operator()(ggml_backend* p) const { ggml_backend_free(p); }
  void operator()(ggml_backend_buffer* p) const { ggml_backend_buffer_free(p); }
};
using context = std::unique_ptr<ggml_context, release>;
using buffer = std::unique_ptr<ggml_backend_buffer, release>;

ggml_backend* cpu() {
  static const std::unique_ptr<ggml_backend, release> backend(ggml_backend_cpu_init());
  return backend.get();
}

/// The buffer types of the processor, the special ones first.
std::vector<ggml_backend_buffer_type_t> buffer_types() {
  std::vector<ggml_backend_buffer_type_t> types;
  const ggml_backend_dev_t device = ggml_backend_get_device(cpu());
  const auto extra =
      reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(ggml_backend_reg_get_proc_address(
          ggml_backend_dev_backend_reg(device), "ggml_backend_dev_get_extra_bufts"));
  for (auto* type = extra != nullptr ? extra(device) : nullptr; type != nullptr && *type != nullptr;
       ++type) {
    types.push_back(*type);
  }
  types.push_back(ggml_backend_cpu_buffer_type());
  return types;
}

constexpr std::size_t block = 32;
constexpr std::uint16_t one = 0x3c00;  // as float16

struct q8_0 {
  static constexpr ggml_type type = GGML_TYPE_Q8_0;
  std::uint16_t scale = one;
  std::array<std::int8_t, block> codes;
  explicit q8_0(const std::int8_t* from) { std::copy(from, from + block, codes.begin()); }
};
struct q4_0 {
  static constexpr ggml_type type = GGML_TYPE_Q4_0;
  std::uint16_t scale = one;
  std::array<std::uint8_t, block / 2> pairs;  ///< i and i + 16, moved up by 8
  explicit q4_0(const std::int8_t* from) {
    for (std::size_t i = 0; i < block / 2; ++i) {
      pairs[i] = static_cast<std::uint8_t>(from[i] + 8 + 16 * (from[i + block / 2] + 8));
    }
  }
};
static_assert(sizeof(q8_0) == 34 && sizeof(q4_0) == 18);

template <class Block>
class ggml_product final : public peer_product {
 public:
  explicit ggml_product(const peer_problem& p)
      : n_(p.n),
        context_(ggml_init({p.copies * (4 * ggml_tensor_overhead() + ggml_graph_overhead()) +
                                ggml_tensor_overhead(),
                            nullptr, true})) {
    const auto m = static_cast<std::int64_t>(p.m), n = static_cast<std::int64_t>(p.n),
               k = static_cast<std::int64_t>(p.k);
    std::vector<Block> blocks;
    for (std::size_t i = 0; i < p.n * p.k; i += block) blocks.emplace_back(p.w + i);
    ggml_tensor* const x = ggml_new_tensor_2d(context_.get(), GGML_TYPE_F32, k, m);
    for (std::size_t i = 0; i < p.copies; ++i) {
      ggml_tensor* const w = ggml_new_tensor_2d(context_.get(), Block::type, k, n);
      ggml_tensor* const y = ggml_mul_mat(context_.get(), w, x);
      place(w, y);
      ggml_backend_tensor_set(w, blocks.data(), 0, ggml_nbytes(w));
      graphs_.push_back(ggml_new_graph(context_.get()));
      ggml_build_forward_expand(graphs_.back(), y);
      results_.push_back(y);
    }
    buffers_.emplace_back(
        ggml_backend_alloc_ctx_tensors_from_buft(context_.get(), ggml_backend_cpu_buffer_type()));
    const std::vector<float> a(p.a, p.a + p.m * p.k);
    ggml_backend_tensor_set(x, a.data(), 0, ggml_nbytes(x));
  }
  void run() override {
    last_ = next_++ % graphs_.size();
    if (ggml_backend_graph_compute(cpu(), graphs_[last_]) != GGML_STATUS_SUCCESS) {
      throw std::runtime_error("ggml: the graph failed");
    }
  }
  double at(std::size_t i, std::size_t j) const override {
    return static_cast<double>(ggml_get_data_f32(results_[last_])[i * n_ + j]);
  }

 private:
  /// Memory for w in the first buffer type from which y can be computed.
  void place(ggml_tensor* w, const ggml_tensor* y) {
    for (const ggml_backend_buffer_type_t type : buffer_types()) {
      buffer here(ggml_backend_buft_alloc_buffer(type, ggml_backend_buft_get_alloc_size(type, w)));
      if (here == nullptr) continue;
      ggml_backend_tensor_alloc(here.get(), w, ggml_backend_buffer_get_base(here.get()));
      if (ggml_backend_supports_op(cpu(), y)) return buffers_.push_back(std::move(here));
      w->buffer = nullptr, w->data = nullptr, w->extra = nullptr;
    }
    throw std::runtime_error("ggml: no memory for weights");
  }

  std::size_t n_;
  context context_;
  std::vector<buffer> buffers_;
  std::vector<ggml_cgraph*> graphs_;
  std::vector<ggml_tensor*> results_;
  std::size_t next_ = 0, last_ = 0;
};

/// Row by row, as the product does with its activations.
class ggml_rows final : public peer_product {
 public:
  explicit ggml_rows(const peer_problem& p)
      : p_(p), blocks_(p.m * p.k / block, q8_0(std::array<std::int8_t, block>{}.data())) {}
  void run() override {
    const std::size_t row = p_.k / block;
    for (std::size_t i = 0; i < p_.m; ++i) {
      quantize_(p_.x + i * p_.k, blocks_.data() + i * row, static_cast<std::int64_t>(p_.k));
    }
  }
  double at(std::size_t i, std::size_t j) const override {
    const q8_0& one_block = blocks_[(i * p_.k + j) / block];
    return static_cast<double>(ggml_fp16_to_fp32(one_block.scale)) * one_block.codes[j % block];
  }

 private:
  peer_problem p_;
  std::vector<q8_0> blocks_;
  ggml_from_float_t quantize_ = ggml_get_type_traits_cpu(GGML_TYPE_Q8_0)->from_float;
};

}  // namespace
}  // namespace bench

const char* zp_peers(std::vector<bench::peer>& list) {
  using namespace bench;
  ggml_log_set(  // it reports each tensor that it repacks
      [](ggml_log_level level, const char* text, void*) {
        if (level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
      },
      nullptr);
  ggml_backend_cpu_set_n_threads(cpu(), 1);
  const std::string name = std::string("ggml ") + ggml_version();
  list.push_back({name, "q8_0",
                  [](const peer_problem& p) { return std::make_unique<ggml_product<q8_0>>(p); }});
  list.push_back({name, "q4_0",
                  [](const peer_problem& p) { return std::make_unique<ggml_product<q4_0>>(p); }});
  list.push_back({name, "quantize_q8_0",
                  [](const peer_problem& p) { return std::make_unique<ggml_rows>(p); }});
  return nullptr;
}
