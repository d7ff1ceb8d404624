// gemmlowp, u8 x u8 -> s32 with offsets of -128: the same sums of int8 codes. It packs both sides in
// every call; weights cannot be prepared. Compiled for AVX2, its fastest on x86.
#include <zeropoint/base/cpu.hpp>

#include <gemmlowp/public/gemmlowp.h>

#include <tuple>

#include "peer.hpp"

namespace bench {
namespace {

std::uint8_t unsigned_code(std::int8_t code) {
  return static_cast<std::uint8_t>(code + 128);
}

class gemmlowp_product final : public peer_product {
 public:
  explicit gemmlowp_product(const peer_problem& p)
      : m_(static_cast<int>(p.m)),
        k_(static_cast<int>(p.k)),
        n_(static_cast<int>(p.n)),
        a_(p.m * p.k),
        w_(p.copies, std::vector<std::uint8_t>(p.n * p.k)),
        c_(p.m * p.n) {
    for (std::size_t i = 0; i < a_.size(); ++i) a_[i] = unsigned_code(p.a[i]);
    for (auto& w : w_) {
      for (std::size_t i = 0; i < w.size(); ++i) w[i] = unsigned_code(p.w[i]);
    }
    context_.set_max_num_threads(1);
  }
  /// c [m, n] by rows is c^T [n, m] by columns: the weights are the left-hand side.
  void run() override {
    using gemmlowp::MapOrder;
    const auto& w = w_[next_++ % w_.size()];
    const gemmlowp::MatrixMap<const std::uint8_t, MapOrder::RowMajor> left(w.data(), n_, k_);
    const gemmlowp::MatrixMap<const std::uint8_t, MapOrder::ColMajor> right(a_.data(), k_, m_);
    gemmlowp::MatrixMap<std::int32_t, MapOrder::ColMajor> out(c_.data(), n_, m_);
    gemmlowp::GemmWithOutputPipeline<std::uint8_t, std::int32_t,
                                     gemmlowp::DefaultL8R8BitDepthParams>(
        &context_, left, right, &out, -128, -128, std::make_tuple());
  }
  double at(std::size_t i, std::size_t j) const override {
    return c_[i * static_cast<std::size_t>(n_) + j];
  }

 private:
  int m_, k_, n_;
  std::vector<std::uint8_t> a_;
  std::vector<std::vector<std::uint8_t>> w_;
  std::vector<std::int32_t> c_;
  gemmlowp::GemmContext context_;
  std::size_t next_ = 0;
};

}  // namespace
}  // namespace bench

const char* zp_peers(std::vector<bench::peer>& list) {
  if (!zeropoint::contains(zeropoint::cpu_features(), zeropoint::isa::avx2_fma)) {
    return "compiled for AVX2, which this processor lacks";
  }
  list.push_back({"gemmlowp", "s8s8s32", [](const bench::peer_problem& p) {
                    return std::make_unique<bench::gemmlowp_product>(p);
                  }});
  return nullptr;
}
