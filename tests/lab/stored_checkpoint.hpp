// The files of a checkpoint in memory, to be changed tensor by tensor before they are written.
#pragma once

#include "scratch.hpp"

#include <lab/io/safetensors.hpp>
#include <nlohmann/json.hpp>

#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace test {

/// A tensor that a test may change.
struct stored {
  lab::dtype type;
  std::vector<std::uint64_t> shape;
  std::vector<std::byte> bytes;

  template <class T>
  void put(std::size_t element, T value) {
    std::memcpy(bytes.data() + element * sizeof value, &value, sizeof value);
  }
};

/// The two files of a checkpoint in memory.
struct stored_checkpoint {
  nlohmann::json config;
  std::map<std::string, std::string> metadata;
  std::map<std::string, stored> tensors;

  explicit stored_checkpoint(const std::filesystem::path& folder)
      : config(nlohmann::json::parse(slurp(folder / "config.json"))) {
    const lab::safetensors weights(folder);
    metadata = weights.files()[0].metadata();
    for (const auto& [name, entry] : weights.tensors())
      tensors[name] = {entry.info.type, entry.info.shape, weights.bytes(name)};
  }
  void write(const scratch& to) const {
    std::vector<lab::tensor_source> all;
    for (const auto& [name, t] : tensors) all.push_back({name, t.type, t.shape, t.bytes});
    lab::write_safetensors(to.path() / "model.safetensors", all, metadata);
    to.write("config.json", config.dump());
  }
};

}  // namespace test
