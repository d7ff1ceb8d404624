// The program of all consumers: one quantization, one exact product, through the umbrella header.
#include <zeropoint/zeropoint.hpp>

#include <iostream>

namespace zp = zeropoint;

int main() {
  const zp::params p = zp::fit({-1.0f, 1.0f}, zp::symmetric);
  std::cout << "zeropoint " << ZP_VERSION_MAJOR << '.' << ZP_VERSION_MINOR << '.'
            << ZP_VERSION_PATCH << ": scale of [-1, 1] is " << p.scale << '\n';
  return p.scale == 1.0f / 127.0f ? 0 : 1;
}
