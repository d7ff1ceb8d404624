// XNNPACK's fully connected operator, s8 x s8 -> s8: Debian's version has no integer product that
// keeps its 32 bits (its dynamic qd8 came later), so the result is requantized, a quarter of the bytes,
// by a multiplier that is known here and to the check: still bit for bit.
#include <xnnpack.h>

#include <stdexcept>

#include "peer.hpp"

namespace bench {
namespace {

void require(xnn_status status, const char* what) {
  if (status != xnn_status_success) {
    throw std::runtime_error(std::string("XNNPACK: ") + what + " failed, status " +
                             std::to_string(static_cast<int>(status)));
  }
}

struct destroy {
  void operator()(xnn_operator* op) const { xnn_delete_operator(op); }
};

class xnnpack_product final : public peer_product {
 public:
  explicit xnnpack_product(const peer_problem& p)
      : n_(p.n), a_(p.m * p.k + XNN_EXTRA_BYTES), c_(p.m * p.n + XNN_EXTRA_BYTES) {
    std::copy(p.a, p.a + p.m * p.k, a_.begin());
    const float out_scale = 1.0f / requantization_multiplier(p.k);
    for (std::size_t i = 0; i < p.copies; ++i) {
      xnn_operator_t op = nullptr;
      require(xnn_create_fully_connected_nc_qs8(p.k, p.n, p.k, p.n, 0, 1.0f, 1.0f, p.w, nullptr, 0,
                                                out_scale, -128, 127, 0, &op),
              "create");
      operators_.emplace_back(op);
      require(xnn_setup_fully_connected_nc_qs8(op, p.m, a_.data(), c_.data(), nullptr), "setup");
    }
  }
  void run() override {
    require(xnn_run_operator(operators_[next_++ % operators_.size()].get(), nullptr), "run");
  }
  double at(std::size_t i, std::size_t j) const override { return c_[i * n_ + j]; }

 private:
  std::size_t n_;
  std::vector<std::int8_t> a_, c_;
  std::vector<std::unique_ptr<xnn_operator, destroy>> operators_;
  std::size_t next_ = 0;
};

}  // namespace
}  // namespace bench

const char* zp_peers(std::vector<bench::peer>& list) {
  bench::require(xnn_initialize(nullptr), "initialize");
  list.push_back({"XNNPACK", "s8s8s8", [](const bench::peer_problem& p) {
                    return std::make_unique<bench::xnnpack_product>(p);
                  }});
  return nullptr;
}
