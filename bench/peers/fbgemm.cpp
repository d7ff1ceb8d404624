// FBGEMM, u8 x s8 -> s32: it wants unsigned activations, so they are moved up by 128, and at() takes
// 128 times the sum of the weights off again. The weights are packed beforehand, the activations in
// each call, into memory that is there.
#include <fbgemm/Fbgemm.h>
#include <zeropoint/base/aligned_buffer.hpp>

#include <numeric>

#include "peer.hpp"

namespace bench {
namespace {

using packed_a = fbgemm::PackAMatrix<std::uint8_t, std::int32_t>;
using packed_b = fbgemm::PackBMatrix<std::int8_t, std::int32_t>;

class fbgemm_product final : public peer_product {
 public:
  explicit fbgemm_product(const peer_problem& p)
      : m_(static_cast<int>(p.m)),
        n_(static_cast<int>(p.n)),
        k_(static_cast<int>(p.k)),
        a_(p.m * p.k),
        c_(p.m * p.n),
        memory_a_(static_cast<std::size_t>(packed_a::packedBufferSize(m_, k_))) {
    for (std::size_t i = 0; i < a_.size(); ++i) a_[i] = static_cast<std::uint8_t>(p.a[i] + 128);
    for (std::size_t j = 0; j < p.n; ++j) {
      excess_.push_back(128 * std::accumulate(p.w + j * p.k, p.w + (j + 1) * p.k, 0));
    }
    const auto bytes = static_cast<std::size_t>(packed_b::packedBufferSize(k_, n_));
    for (std::size_t i = 0; i < p.copies; ++i) {
      memory_w_.emplace_back(bytes);
      w_.push_back(std::make_unique<packed_b>(fbgemm::matrix_op_t::Transpose, k_, n_, p.w, k_,
                                              memory_w_.back().data()));
    }
  }
  void run() override {
    packed_a a(fbgemm::matrix_op_t::NoTranspose, m_, k_, a_.data(), k_, memory_a_.data());
    fbgemm::DoNothing<std::int32_t, std::int32_t> last;
    const fbgemm::memCopy<> store(last);
    fbgemm::fbgemmPacked(a, *w_[next_++ % w_.size()], c_.data(), c_.data(),
                         static_cast<std::uint32_t>(n_), store, 0, 1);
  }
  double at(std::size_t i, std::size_t j) const override {
    return c_[i * static_cast<std::size_t>(n_) + j] - excess_[j];
  }

 private:
  int m_, n_, k_;
  std::vector<std::uint8_t> a_;
  std::vector<std::int32_t> c_, excess_;
  zeropoint::aligned_buffer<std::uint8_t> memory_a_;
  std::vector<zeropoint::aligned_buffer<std::int8_t>> memory_w_;
  std::vector<std::unique_ptr<packed_b>> w_;
  std::size_t next_ = 0;
};

}  // namespace
}  // namespace bench

const char* zp_peers(std::vector<bench::peer>& list) {
  if (!fbgemm::fbgemmSupportedCPU()) return "needs AVX2, which this processor lacks";
  list.push_back({"FBGEMM", "u8s8s32", [](const bench::peer_problem& p) {
                    return std::make_unique<bench::fbgemm_product>(p);
                  }});
  return nullptr;
}
