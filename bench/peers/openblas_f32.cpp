// OpenBLAS, f32, on one thread. It chooses its kernels by processor model when it is loaded, which
// OPENBLAS_CORETYPE in the environment overrules (peers.cpp). Its name says which it took.
#include <cblas.h>

#include "peer.hpp"

namespace bench {
namespace {

class openblas_product final : public peer_product {
 public:
  explicit openblas_product(const peer_problem& p)
      : p_(p),
        a_(p.a, p.a + p.m * p.k),
        w_(p.copies, std::vector<float>(p.w, p.w + p.n * p.k)),
        c_(p.m * p.n) {}
  void run() override {
    const auto m = static_cast<blasint>(p_.m), n = static_cast<blasint>(p_.n),
               k = static_cast<blasint>(p_.k);
    if (m == 1) {  // to which sgemm does not come by itself
      cblas_sgemv(CblasRowMajor, CblasNoTrans, n, k, 1.0f, w_[next_++ % w_.size()].data(), k,
                  a_.data(), 1, 0.0f, c_.data(), 1);
      return;
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1.0f, a_.data(), k,
                w_[next_++ % w_.size()].data(), k, 0.0f, c_.data(), n);
  }
  double at(std::size_t i, std::size_t j) const override {
    return static_cast<double>(c_[i * p_.n + j]);
  }

 private:
  peer_problem p_;
  std::vector<float> a_;
  std::vector<std::vector<float>> w_;
  std::vector<float> c_;
  std::size_t next_ = 0;
};

}  // namespace
}  // namespace bench

const char* zp_peers(std::vector<bench::peer>& list) {
  openblas_set_num_threads(1);
  list.push_back(
      {"OpenBLAS (" + std::string(openblas_get_corename()) + ")", "f32",
       [](const bench::peer_problem& p) { return std::make_unique<bench::openblas_product>(p); }});
  return nullptr;
}
