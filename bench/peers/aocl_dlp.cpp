// AOCL-DLP, s8 x s8 -> s32 and f32, weights reordered beforehand into its own form.
#include <aocl_dlp.h>
#include <zeropoint/base/aligned_buffer.hpp>

#include "peer.hpp"

namespace bench {
namespace {

void reorder(const std::int8_t* from, std::int8_t* to, md_t k, md_t n) {
  aocl_reorder_s8s8s32os32('r', 't', 'B', from, to, k, n, k, nullptr);
}
void reorder(const float* from, float* to, md_t k, md_t n) {
  aocl_reorder_f32f32f32of32('r', 't', 'B', from, to, k, n, k, nullptr);
}
std::size_t reordered_bytes(std::int8_t, md_t k, md_t n) {
  return aocl_get_reorder_buf_size_s8s8s32os32('r', 't', 'B', k, n, nullptr);
}
std::size_t reordered_bytes(float, md_t k, md_t n) {
  return aocl_get_reorder_buf_size_f32f32f32of32('r', 't', 'B', k, n, nullptr);
}
void multiply(md_t m, md_t n, md_t k, const std::int8_t* a, const std::int8_t* b, std::int32_t* c) {
  aocl_gemm_s8s8s32os32('r', 'n', 'n', m, n, k, 1, a, k, 'n', b, n, 'r', 0, c, n, nullptr);
}
void multiply(md_t m, md_t n, md_t k, const float* a, const float* b, float* c) {
  aocl_gemm_f32f32f32of32('r', 'n', 'n', m, n, k, 1, a, k, 'n', b, n, 'r', 0, c, n, nullptr);
}

template <class T, class C>
class aocl_product final : public peer_product {
 public:
  explicit aocl_product(const peer_problem& p)
      : m_(static_cast<md_t>(p.m)),
        n_(static_cast<md_t>(p.n)),
        k_(static_cast<md_t>(p.k)),
        a_(p.a, p.a + p.m * p.k),
        c_(p.m * p.n) {
    const std::vector<T> w(p.w, p.w + p.n * p.k);
    zeropoint::aligned_buffer<T> packed((reordered_bytes(T{}, k_, n_) + sizeof(T) - 1) / sizeof(T));
    reorder(w.data(), packed.data(), k_, n_);
    w_.assign(p.copies, packed);
  }
  void run() override {
    multiply(m_, n_, k_, a_.data(), w_[next_++ % w_.size()].data(), c_.data());
  }
  double at(std::size_t i, std::size_t j) const override {
    return static_cast<double>(c_[i * static_cast<std::size_t>(n_) + j]);
  }

 private:
  md_t m_, n_, k_;
  std::vector<T> a_;
  std::vector<zeropoint::aligned_buffer<T>> w_;
  std::vector<C> c_;
  std::size_t next_ = 0;
};

}  // namespace
}  // namespace bench

const char* zp_peers(std::vector<bench::peer>& list) {
  using namespace bench;
  int major = 0, minor = 0, patch = 0;
  dlp_version_query(&major, &minor, &patch);
  dlp_thread_set_num_threads(1);
  const std::string name = "AOCL-DLP " + std::to_string(major) + "." + std::to_string(minor) + "." +
                           std::to_string(patch);
  list.push_back({name, "s8s8s32", [](const peer_problem& p) {
                    return std::make_unique<aocl_product<std::int8_t, std::int32_t>>(p);
                  }});
  list.push_back({name, "f32", [](const peer_problem& p) {
                    return std::make_unique<aocl_product<float, float>>(p);
                  }});
  return nullptr;
}
