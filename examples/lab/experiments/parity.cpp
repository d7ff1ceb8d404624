// A forward pass whose layers are checked before they are applied.
#include <lab/experiments/parity.hpp>
#include <lab/report/format.hpp>

namespace lab {

namespace {

class checked_linear final : public linear {
 public:
  checked_linear(std::string name, const linear& inner, zeropoint::parity_checker& checker)
      : name_(std::move(name)), inner_(&inner), checker_(&checker) {}
  void apply(zeropoint::matrix_view<const float> x,
             zeropoint::matrix_view<float> y) const override {
    inner_->check(name_, x, *checker_);
    inner_->apply(x, y);
  }

 private:
  std::string name_;
  const linear* inner_;
  zeropoint::parity_checker* checker_;
};

}  // namespace

zeropoint::parity_checker check_parity(const transformer& model, const scheme_layers& scheme,
                                       std::span<const std::uint32_t> window) {
  zeropoint::parity_checker checker;
  const auto linears = model.linears();
  linear_set checked;
  for (std::size_t i = 0; i < linears.size(); ++i) {
    checked.push_back(
        std::make_unique<checked_linear>(linears[i]->name, *scheme.layers[i], checker));
  }
  workspace scratch(model.config, window.size());
  std::vector<float> hidden(window.size() * model.config.embed_width);
  forward(scheme.form_of(model), checked, window, scratch,
          {hidden.data(), window.size(), model.config.embed_width}, scheme.attention);
  return checker;
}

std::string parity_text(const std::string& scheme, const zeropoint::parity_checker& checker) {
  const zeropoint::parity_report& r = checker.report();
  if (checker.layers() == 0) return scheme + ": float, nothing to compare";
  if (!checker.agrees()) {
    return scheme + ": " + r.layer + " is the first layer that differs from its float twin: " +
           format("row %zu, column %zu: %.9g against %.9g, allowed difference %.3g", r.row, r.col,
                  static_cast<double>(r.integer), static_cast<double>(r.simulated),
                  static_cast<double>(r.tolerance));
  }
  return scheme + ": " + std::to_string(checker.layers()) +
         " layers agree with their float twins, closest " + r.layer +
         format(" with %.0f %% of the tolerance", 100 * r.used);
}

}  // namespace lab
