// oneDNN's matmul, s8 x s8 -> s32 and f32, weights reordered beforehand into the form it asks for.
// Versions 2 and 3 differ in how a primitive is described.
#include <omp.h>
#include <oneapi/dnnl/dnnl_version.h>
#include <oneapi/dnnl/dnnl.hpp>

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

template <class T, class C>
class onednn_product final : public peer_product {
 public:
  onednn_product(const peer_problem& p, type in, type out)
      : n_(p.n), a_(p.a, p.a + p.m * p.k), w_(p.w, p.w + p.n * p.k), c_(p.m * p.n), stream_(cpu()) {
    const auto m = static_cast<dnnl::memory::dim>(p.m), k = static_cast<dnnl::memory::dim>(p.k),
               n = static_cast<dnnl::memory::dim>(p.n);
    const dnnl::memory::desc source({m, k}, in, tag::ab), result({m, n}, out, tag::ab);
    const dnnl::memory::desc plain({k, n}, in, tag::ba), any({k, n}, in, tag::any);
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::matmul::primitive_desc described(cpu(), source, any, result);
#else
    const dnnl::matmul::primitive_desc described({source, any, result}, cpu());
#endif
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
  std::vector<T> a_, w_;
  std::vector<C> c_;
  dnnl::stream stream_;
  std::vector<dnnl::memory> weights_;
  dnnl::matmul matmul_;
  std::unordered_map<int, dnnl::memory> arguments_;
  std::size_t next_ = 0;
};

}  // namespace
}  // namespace bench

const char* zp_peers(std::vector<bench::peer>& list) {
  using namespace bench;
  omp_set_num_threads(1);
  const dnnl::version_t* const v = dnnl::version();
  const std::string name = "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) +
                           "." + std::to_string(v->patch);
  list.push_back({name, "s8s8s32", [](const peer_problem& p) {
                    return std::make_unique<onednn_product<std::int8_t, std::int32_t>>(p, type::s8,
                                                                                       type::s32);
                  }});
  list.push_back({name, "f32", [](const peer_problem& p) {
                    return std::make_unique<onednn_product<float, float>>(p, type::f32, type::f32);
                  }});
  return nullptr;
}
