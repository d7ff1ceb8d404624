// The modules that CMake could build from the adapters of this folder, loaded. A module of its own for
// each keeps their symbols apart: two versions of one library, or two copies of what they rely on.
#include <dlfcn.h>
#include <zeropoint/base/cpu.hpp>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <filesystem>

#include "peer.hpp"

namespace bench {
namespace {

struct adapter {
  const char* module;
  const char* name;
  const char* source;  ///< where one gets it
};

constexpr adapter adapters[] = {
    {"aocl_dlp", "AOCL-DLP", "source: github.com/amd/aocl-dlp; CMAKE_PREFIX_PATH"},
    {"onednn", "oneDNN", "Debian: libdnnl-dev"},
    {"onednn_newer", "newer oneDNN", "Python registry: onednn-devel-cpu-gomp"},
    {"fbgemm", "FBGEMM", "source: github.com/pytorch/FBGEMM, shared; CMAKE_PREFIX_PATH"},
    {"ruy", "ruy", "source: github.com/google/ruy, position-independent; CMAKE_PREFIX_PATH"},
    {"gemmlowp", "gemmlowp", "Debian: libgemmlowp-dev"},
    {"xnnpack", "XNNPACK", "Debian: libxnnpack-dev, libpthreadpool-dev"},
    {"ggml", "ggml", "source: github.com/ggml-org/ggml; CMAKE_PREFIX_PATH"},
    {"openblas_f32", "OpenBLAS", "Debian: libopenblas-dev"},
    {"eigen_f32", "Eigen", "Debian: libeigen3-dev"},
};

/// OpenBLAS reads its environment when it is loaded. It takes AVX2 kernels on a processor model that
/// it does not know, half as fast where there is AVX-512; what the user has set stands.
void choose_openblas_kernels() {
  if (zeropoint::contains(zeropoint::cpu_features(), zeropoint::isa::avx512)) {
    setenv("OPENBLAS_CORETYPE", "SkylakeX", 0);
  }
}

/// Fills `list`; returns nothing, or why it stays empty.
std::string load(const adapter& one, std::vector<peer>& list) {
  const std::string file = std::string(ZP_PEERS) + '/' + one.module + ".so";
  if (!std::filesystem::exists(file)) return "not found (" + std::string(one.source) + ')';
  void* const handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  void* const start = handle == nullptr ? nullptr : dlsym(handle, "zp_peers");
  if (start == nullptr) return dlerror();
  try {
    const char* const why = reinterpret_cast<decltype(&zp_peers)>(start)(list);
    return why == nullptr ? "" : why;
  } catch (const std::exception& problem) {
    return problem.what();
  }
}

struct roster {
  std::vector<peer> peers;
  std::vector<std::string> missing;
  roster() {
    choose_openblas_kernels();
    for (const adapter& one : adapters) {
      std::vector<peer> more;
      std::string why = load(one, more);
      for (const peer& p : more) {
        // A second library of the same file name is the first one again, to the dynamic linker.
        if (has(p)) why = p.name + " is there already";
        if (!has(p)) peers.push_back(p);
      }
      if (!why.empty()) missing.push_back(std::string(one.name) + ": " + why);
    }
  }
  [[nodiscard]] bool has(const peer& p) const {
    return std::any_of(peers.begin(), peers.end(), [&](const peer& known) {
      return known.name == p.name && known.mode == p.mode;
    });
  }
};

const roster& loaded() {
  static const roster once;
  return once;
}

}  // namespace

const std::vector<peer>& peers() {
  return loaded().peers;
}
const std::vector<std::string>& missing_peers() {
  return loaded().missing;
}

}  // namespace bench
