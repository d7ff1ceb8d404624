// One build of the library: compiled once with every compiler and -march that zp-builds compares.
#include <zeropoint/nn/linear.hpp>

#include "../measure.hpp"
#include "build.hpp"

namespace bench {

namespace {

template <class T>
std::uint64_t hash_of(std::span<const T> values) {
  std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
  for (const std::byte b : std::as_bytes(values)) {
    hash = (hash ^ static_cast<std::uint64_t>(b)) * 0x100000001b3u;
  }
  return hash;
}

/// Products of codes.
class product_task : public task {
 public:
  product_task(const job& j, output to)
      : product_(j.m, {"", j.k, j.n}, zp::kernels::best(), to, j.cold) {}
  void run() override { product_.run(zp::serial{}); }
  [[nodiscard]] std::uint64_t hash() const override {
    return hash_of(product_.sums()) ^ hash_of(product_.floats());
  }

 private:
  product product_;
};

/// Layers with floats in and out.
template <class Layer>
class layer_task : public task {
 public:
  explicit layer_task(const job& j) : m_(j.m), k_(j.k), n_(j.n), x_(normal_floats(m_ * k_)) {
    const std::vector<float> w = normal_floats(k_ * n_);
    const Layer layer(zp::linear_weight{{w.data(), n_, k_}});
    layers_.assign(j.cold ? cold_copies(k_ * n_) : 1, layer);
    y_ = zp::aligned_buffer<float>(m_ * n_);
  }
  void run() override {
    layers_[next_++ % layers_.size()]({x_.data(), m_, k_}, {y_.data(), m_, n_});
  }
  [[nodiscard]] std::uint64_t hash() const override { return hash_of(y_.span()); }

 private:
  std::size_t m_, k_, n_;
  std::vector<float> x_;
  std::vector<Layer> layers_;
  zp::aligned_buffer<float> y_;
  std::size_t next_ = 0;
};

/// Loops over rows, in memory that the builds share.
class row_task : public task {
 public:
  explicit row_task(const job& j) : job_(j), params_(zp::fit({-2, 2}, zp::symmetric)) {}
  void run() override {
    const zp::matrix_view<const float> in(job_.values, job_.m, job_.k);
    const zp::matrix_view<std::int8_t> codes(job_.codes, job_.m, job_.k);
    const std::size_t n = job_.m * job_.k;
    if (job_.what == work::quantize) {
      zp::quantize_into(in, params_, codes);
    } else if (job_.what == work::quantize_rows) {
      zp::quantize_into(in, zp::per_token, zp::symmetric, codes,
                        std::span<float>(job_.scales, job_.m), {});
    } else {
      zp::dequantize_row(std::span<const std::int8_t>(job_.codes, n), params_,
                         std::span<float>(job_.values_again, n));
    }
  }
  [[nodiscard]] std::uint64_t hash() const override {
    const std::size_t n = job_.m * job_.k;
    if (job_.what == work::dequantize) return hash_of(std::span<const float>(job_.values_again, n));
    return hash_of(std::span<const std::int8_t>(job_.codes, n)) ^
           hash_of(std::span<const float>(job_.scales, job_.m));
  }

 private:
  job job_;
  zp::params params_;
};

std::unique_ptr<task> start(const job& j) {
  switch (j.what) {
    case work::product_s32:
      return std::make_unique<product_task>(j, output::s32);
    case work::product_f32:
      return std::make_unique<product_task>(j, output::f32);
    case work::product_int4:
      return std::make_unique<product_task>(j, output::int4);
    case work::dynamic_layer:
      return std::make_unique<layer_task<zp::dynamic_linear>>(j);
    case work::weight_only_layer:
      return std::make_unique<layer_task<zp::weight_only_linear>>(j);
    case work::quantize:
    case work::quantize_rows:
    case work::dequantize:
      break;
  }
  return std::make_unique<row_task>(j);
}

}  // namespace
}  // namespace bench

const bench::build* zp_build() {
  static const bench::build here{bench::compiler, zeropoint::baseline_name,
                                 zeropoint::kernels::best().name, &bench::start};
  return &here;
}
