// What every loader does with the blocks of a model, whatever file they are in.
#pragma once

#include <lab/io/progress.hpp>
#include <lab/models/parallel.hpp>
#include <lab/models/transformer.hpp>

#include <mutex>
#include <string>

namespace lab {

/// m.blocks[i] = read(i) for every layer of m.config, with progress on the terminal. When several
/// cannot be read, the complaint is that of the first, on any number of threads.
template <class Read>
void load_blocks(transformer& m, const std::string& path, std::size_t threads, Read&& read) {
  const std::size_t layers = m.config.layers;
  m.blocks.resize(layers);
  progress shown("load " + path, layers);
  std::mutex guard;
  parallel_for(threads, layers, [&](std::size_t i) {
    m.blocks[i] = read(i);
    const std::lock_guard lock(guard);
    shown.advance();
  });
}

}  // namespace lab
