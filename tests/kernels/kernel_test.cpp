// Every kernel under its contract, called directly.
#include <zeropoint/kernels/kernel.hpp>

#include "support/contract.hpp"

TEST_CASE("every kernel keeps its contract and touches nothing outside") {
  const auto seed = test::seed(29);
  INFO(test::seed_text(seed));
  test::generator g(seed);
  for (const auto* kernel : test::kernels_and_twins()) test::check_panels(*kernel, g);
}

TEST_CASE("prepared rows are the given ones, shifted where the signs differ") {
  test::generator g(31);
  for (const auto* kernel : test::kernels_and_twins()) test::check_preparing(*kernel, g);
}
