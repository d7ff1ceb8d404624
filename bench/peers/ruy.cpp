// ruy, s8 x s8 -> s32. It packs the weights in the first call and keeps them by their address.
#include <ruy/ruy.h>

#include "peer.hpp"

namespace bench {
namespace {

class ruy_product final : public peer_product {
 public:
  explicit ruy_product(const peer_problem& p)
      : n_(p.n),
        a_(p.a, p.a + p.m * p.k),
        w_(p.copies, std::vector<std::int8_t>(p.w, p.w + p.n * p.k)),
        c_(p.m * p.n) {
    const int m = static_cast<int>(p.m), n = static_cast<int>(p.n), k = static_cast<int>(p.k);
    context_.set_max_num_threads(1);
    ruy::MakeSimpleLayout(n, k, ruy::Order::kRowMajor, left_.mutable_layout());
    ruy::MakeSimpleLayout(k, m, ruy::Order::kColMajor, right_.mutable_layout());
    ruy::MakeSimpleLayout(n, m, ruy::Order::kColMajor, result_.mutable_layout());
    left_.set_cache_policy(ruy::CachePolicy::kAlwaysCache);
    right_.set_data(a_.data());
    result_.set_data(c_.data());
  }
  /// c [m, n] by rows is c^T [n, m] by columns: the weights are the left-hand side.
  void run() override {
    left_.set_data(w_[next_++ % w_.size()].data());
    const ruy::MulParams<std::int32_t, std::int32_t> plain;
    ruy::Mul(left_, right_, plain, &context_, &result_);
  }
  double at(std::size_t i, std::size_t j) const override { return c_[i * n_ + j]; }

 private:
  std::size_t n_;
  std::vector<std::int8_t> a_;
  std::vector<std::vector<std::int8_t>> w_;
  std::vector<std::int32_t> c_;
  ruy::Context context_;
  ruy::Matrix<std::int8_t> left_, right_;
  ruy::Matrix<std::int32_t> result_;
  std::size_t next_ = 0;
};

}  // namespace
}  // namespace bench

const char* zp_peers(std::vector<bench::peer>& list) {
  list.push_back({"ruy", "s8s8s32", [](const bench::peer_problem& p) {
                    return std::make_unique<bench::ruy_product>(p);
                  }});
  return nullptr;
}
