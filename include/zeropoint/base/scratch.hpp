// Memory for the length of a call, where zeroing it would be seen.
#pragma once

#include <zeropoint/base/platform.hpp>

#include <cstddef>
#include <new>

namespace zeropoint::inline ZP_BASELINE {
namespace detail {

/// Uninitialised bytes, 64-byte aligned; small ones live inside the object.
class scratch {
 public:
  explicit scratch(std::size_t bytes) {
    if (bytes > sizeof inside_) {
      heap_ = static_cast<std::byte*>(::operator new (bytes, std::align_val_t{64}));
    }
  }
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;
  ~scratch() {
    if (heap_ != nullptr) ::operator delete (heap_, std::align_val_t{64});
  }
  [[nodiscard]] std::byte* data() noexcept { return heap_ != nullptr ? heap_ : inside_; }

 private:
  alignas(64) std::byte inside_[8192];
  std::byte* heap_ = nullptr;
};

}  // namespace detail
}  // namespace zeropoint::inline ZP_BASELINE
