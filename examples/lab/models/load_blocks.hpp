// What every loader does with the blocks of a model, whatever file they are in.
#pragma once

#include <lab/io/progress.hpp>
#include <lab/models/load.hpp>
#include <lab/models/parallel.hpp>
#include <lab/models/transformer.hpp>

#include <mutex>
#include <string>

namespace lab {

/// m.blocks[i] = read(i) for every layer of m.config, with progress on the terminal. When several
/// cannot be read, the complaint is that of the first, on any number of threads. A taker, if not
/// null, hears of embedding and head first and then of every layer.
template <class Read>
void load_blocks(transformer& m, const std::string& path, std::size_t threads,
                 const weight_taker* taker, Read&& read) {
  if (taker != nullptr) taker->tables(m);
  const std::size_t layers = m.config.layers;
  m.blocks.resize(layers);
  progress shown("load " + path, layers);
  std::mutex guard;
  parallel_for(taker == nullptr ? threads : 1, layers, [&](std::size_t i) {
    m.blocks[i] = read(i);
    if (taker != nullptr) {
      for (dense* d : linears_of(m.blocks[i])) taker->layer(*d);
    }
    const std::lock_guard lock(guard);
    shown.advance();
  });
}

}  // namespace lab
