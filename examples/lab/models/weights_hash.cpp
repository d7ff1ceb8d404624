// A hash per tensor, and the hash of those.
#include <lab/io/text.hpp>
#include <lab/models/weights_hash.hpp>

namespace lab {

namespace {

std::string hash_of(const transformer& m, bool with_linears) {
  std::string hashes;
  const auto add = [&](const std::vector<float>& v) {
    hashes += text_hash({reinterpret_cast<const char*>(v.data()), v.size() * sizeof(float)});
  };
  add(m.embedding);
  add(m.positions);
  for (const block& b : m.blocks) {
    for (const norm* n : {&b.attention_norm, &b.mlp_norm}) add(n->gain), add(n->bias);
  }
  for (const dense* d : m.linears()) {
    if (with_linears) add(d->weight);
    add(d->bias);
  }
  for (const auto& d : {m.project_in, m.project_out}) {
    if (d) add(d->weight), add(d->bias);
  }
  if (m.final_norm) add(m.final_norm->gain), add(m.final_norm->bias);
  add(m.head);
  return text_hash(hashes);
}

}  // namespace

std::string weights_hash(const transformer& m) {
  return hash_of(m, true);
}
std::string unquantized_hash(const transformer& m) {
  return hash_of(m, false);
}

}  // namespace lab
