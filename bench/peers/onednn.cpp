// oneDNN's matmul, s8 x s8 -> s32, f32, and f32 x s8 -> f32, weights reordered beforehand into the
// form it asks for; and its reorder from f32 to s8. Versions 2 and 3 differ in how a primitive is
// described.
#include <omp.h>
#include <oneapi/dnnl/dnnl_version.h>
#include <oneapi/dnnl/dnnl.hpp>

#include <string_view>

#include "peer.hpp"

namespace bench {
namespace {

using dims = dnnl::memory::dims;
using type = dnnl::memory::data_type;
using tag = dnnl::memory::format_tag;

dnnl::engine& cpu() {
  static dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

template <class T>
constexpr type type_of = std::is_same_v<T, float>          ? type::f32
                         : std::is_same_v<T, std::int32_t> ? type::s32
                                                           : type::s8;

/// Weights of integers that floats are multiplied with become floats on the way, or in a buffer.
dnnl::primitive_attr widening() {
  dnnl::primitive_attr how;
#if DNNL_VERSION_MAJOR > 3 || (DNNL_VERSION_MAJOR == 3 && DNNL_VERSION_MINOR >= 4)
  how.set_fpmath_mode(dnnl::fpmath_mode::strict, true);
#endif
  return how;
}

dnnl::matmul::primitive_desc describe(const dnnl::memory::desc& a, const dnnl::memory::desc& w,
                                      const dnnl::memory::desc& c, bool widen) {
  const dnnl::primitive_attr how = widen ? widening() : dnnl::primitive_attr();
#if DNNL_VERSION_MAJOR >= 3
  return {cpu(), a, w, c, how};
#else
  return {{a, w, c}, how, cpu()};
#endif
}

template <class A, class W, class C>
class onednn_product final : public peer_product {
 public:
  explicit onednn_product(const peer_problem& p)
      : n_(p.n), a_(p.a, p.a + p.m * p.k), w_(p.w, p.w + p.n * p.k), c_(p.m * p.n), stream_(cpu()) {
    const auto m = static_cast<dnnl::memory::dim>(p.m), k = static_cast<dnnl::memory::dim>(p.k),
               n = static_cast<dnnl::memory::dim>(p.n);
    const dnnl::memory::desc source({m, k}, type_of<A>, tag::ab),
        result({m, n}, type_of<C>, tag::ab);
    const dnnl::memory::desc plain({k, n}, type_of<W>, tag::ba), any({k, n}, type_of<W>, tag::any);
    const auto described = describe(source, any, result, !std::is_same_v<A, W>);
    dnnl::memory from(plain, cpu(), w_.data());
    for (std::size_t i = 0; i < p.copies; ++i) {
      weights_.emplace_back(described.weights_desc(), cpu());
      dnnl::reorder(from, weights_.back()).execute(stream_, from, weights_.back());
    }
    stream_.wait();
    matmul_ = dnnl::matmul(described);
    arguments_ = {{DNNL_ARG_SRC, dnnl::memory(source, cpu(), a_.data())},
                  {DNNL_ARG_DST, dnnl::memory(result, cpu(), c_.data())}};
  }
  void run() override {
    arguments_[DNNL_ARG_WEIGHTS] = weights_[next_++ % weights_.size()];
    matmul_.execute(stream_, arguments_);
    stream_.wait();
  }
  double at(std::size_t i, std::size_t j) const override {
    return static_cast<double>(c_[i * n_ + j]);
  }

 private:
  std::size_t n_;
  std::vector<A> a_;
  std::vector<W> w_;
  std::vector<C> c_;
  dnnl::stream stream_;
  std::vector<dnnl::memory> weights_;
  dnnl::matmul matmul_;
  std::unordered_map<int, dnnl::memory> arguments_;
  std::size_t next_ = 0;
};

/// f32 to s8 with a known scale.
class onednn_quantization final : public peer_product {
 public:
  explicit onednn_quantization(const peer_problem& p) : k_(p.k), codes_(p.m * p.k), stream_(cpu()) {
    const dims size = {static_cast<dnnl::memory::dim>(p.m), static_cast<dnnl::memory::dim>(p.k)};
    const dnnl::memory::desc floats(size, type::f32, tag::ab), codes(size, type::s8, tag::ab);
    dnnl::primitive_attr how;
#if DNNL_VERSION_MAJOR >= 3
    how.set_scales_mask(DNNL_ARG_DST, 0);
    arguments_[DNNL_ARG_ATTR_SCALES | DNNL_ARG_DST] =
        dnnl::memory({{1}, type::f32, tag::a}, cpu(), &step_);
#else
    how.set_output_scales(0, {1 / quantization_step});
#endif
    reorder_ = dnnl::reorder(dnnl::reorder::primitive_desc(cpu(), floats, cpu(), codes, how));
    arguments_[DNNL_ARG_FROM] = dnnl::memory(floats, cpu(), const_cast<float*>(p.x));  // only read
    arguments_[DNNL_ARG_TO] = dnnl::memory(codes, cpu(), codes_.data());
  }
  void run() override {
    reorder_.execute(stream_, arguments_);
    stream_.wait();
  }
  double at(std::size_t i, std::size_t j) const override {
    return codes_[i * k_ + j];
  }

 private:
  std::size_t k_;
  [[maybe_unused]] float step_ = quantization_step;
  std::vector<std::int8_t> codes_;
  dnnl::stream stream_;
  dnnl::reorder reorder_;
  std::unordered_map<int, dnnl::memory> arguments_;
};

/// By more than a reference loop, which takes several hundred times as long: since version 3.10, and
/// not on every processor.
bool multiplies_floats_by_codes() try {
  const auto described = describe({{1, 64}, type::f32, tag::ab}, {{64, 64}, type::s8, tag::any},
                                  {{1, 64}, type::f32, tag::ab}, true);
  return std::string_view(described.impl_info_str()).substr(0, 3) != "ref";
} catch (const dnnl::error&) {
  return false;
}

template <class Product>
std::unique_ptr<peer_product> make(const peer_problem& p) {
  return std::make_unique<Product>(p);
}

}  // namespace
}  // namespace bench

const char* zp_peers(std::vector<bench::peer>& list) {
  using namespace bench;
  omp_set_num_threads(1);
  const dnnl::version_t* const v = dnnl::version();
  const std::string name = "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) +
                           "." + std::to_string(v->patch);
  list.push_back({name, "s8s8s32", &make<onednn_product<std::int8_t, std::int8_t, std::int32_t>>});
  list.push_back({name, "f32", &make<onednn_product<float, float, float>>});
  list.push_back({name, "quantize", &make<onednn_quantization>});
  if (!multiplies_floats_by_codes()) {
    return "this version has no product of f32 with s8 beyond a reference loop (3.10 has)";
  }
  list.push_back({name, "f32s8", &make<onednn_product<float, std::int8_t, float>>});
  return nullptr;
}
