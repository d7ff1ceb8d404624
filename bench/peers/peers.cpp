// The list of adapters that were built; CMake defines ZP_PEER_... for what it found.
#include "peer.hpp"

namespace bench {

#if defined(ZP_PEER_ONEDNN)
peer onednn_s8();
peer onednn_f32();
#endif
#if defined(ZP_PEER_GEMMLOWP)
bool gemmlowp_runs();
peer gemmlowp_s8();
#endif
#if defined(ZP_PEER_XNNPACK)
peer xnnpack_s8();
#endif
#if defined(ZP_PEER_OPENBLAS)
peer openblas_f32();
#endif
peer eigen_f32();

std::vector<peer> peers() {
  std::vector<peer> list;
#if defined(ZP_PEER_ONEDNN)
  list.push_back(onednn_s8());
  list.push_back(onednn_f32());
#endif
#if defined(ZP_PEER_GEMMLOWP)
  if (gemmlowp_runs()) list.push_back(gemmlowp_s8());
#endif
#if defined(ZP_PEER_XNNPACK)
  list.push_back(xnnpack_s8());
#endif
#if defined(ZP_PEER_OPENBLAS)
  list.push_back(openblas_f32());
#endif
  list.push_back(eigen_f32());
  return list;
}

std::vector<std::string> missing_peers() {
  std::vector<std::string> list;
#if !defined(ZP_PEER_ONEDNN)
  list.push_back("oneDNN: not found (Debian: libdnnl-dev)");
#endif
#if defined(ZP_PEER_GEMMLOWP)
  if (!gemmlowp_runs()) list.push_back("gemmlowp: compiled for AVX2, which this processor lacks");
#else
  list.push_back("gemmlowp: not found (Debian: libgemmlowp-dev)");
#endif
#if !defined(ZP_PEER_XNNPACK)
  list.push_back("XNNPACK: not found (Debian: libxnnpack-dev, libpthreadpool-dev)");
#endif
#if !defined(ZP_PEER_OPENBLAS)
  list.push_back("OpenBLAS: not found (Debian: libopenblas-dev)");
#endif
  return list;
}

}  // namespace bench
