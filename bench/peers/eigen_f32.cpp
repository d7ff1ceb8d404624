// Eigen, f32, on one thread, as this build's instruction set allows (it does not dispatch).
#include <Eigen/Core>

#include "peer.hpp"

namespace bench {
namespace {

using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using codes = Eigen::Matrix<std::int8_t, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

class eigen_product final : public peer_product {
 public:
  explicit eigen_product(const peer_problem& p)
      : a_(widened(p.a, p.m, p.k)), w_(p.copies, widened(p.w, p.n, p.k)) {
    c_.resize(a_.rows(), w_[0].rows());
  }
  void run() override {
    const matrix& w = w_[next_++ % w_.size()];
    if (a_.rows() == 1) {  // another algorithm, chosen by type
      c_.row(0).transpose().noalias() = w * a_.row(0).transpose();
    } else {
      c_.noalias() = a_ * w.transpose();
    }
  }
  double at(std::size_t i, std::size_t j) const override {
    return static_cast<double>(c_(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(j)));
  }

 private:
  static matrix widened(const std::int8_t* from, std::size_t rows, std::size_t cols) {
    return Eigen::Map<const codes>(from, static_cast<Eigen::Index>(rows),
                                   static_cast<Eigen::Index>(cols))
        .cast<float>();
  }
  matrix a_;
  std::vector<matrix> w_;
  matrix c_;
  std::size_t next_ = 0;
};

}  // namespace
}  // namespace bench

const char* zp_peers(std::vector<bench::peer>& list) {
  Eigen::setNbThreads(1);
  list.push_back(
      {"Eigen " + std::to_string(EIGEN_WORLD_VERSION) + "." + std::to_string(EIGEN_MAJOR_VERSION) +
           "." + std::to_string(EIGEN_MINOR_VERSION),
       "f32",
       [](const bench::peer_problem& p) { return std::make_unique<bench::eigen_product>(p); }});
  return nullptr;
}
