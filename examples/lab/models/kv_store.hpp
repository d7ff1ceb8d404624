// Keys and values of the tokens that a model has seen, for all blocks: what makes the next token cost
// one row instead of a whole window.
#pragma once

#include <lab/models/attention.hpp>
#include <zeropoint/base/aligned_buffer.hpp>
#include <zeropoint/nn/kv_cache.hpp>

#include <vector>

namespace lab {

class key_value_store {
 public:
  /// Room for `capacity` tokens; `kind` says whether they are kept as floats or as int8.
  key_value_store(const model_config& config, attention_kind kind, std::size_t capacity);

  [[nodiscard]] std::size_t tokens() const noexcept { return tokens_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  /// Of the keys and values of tokens().
  [[nodiscard]] std::size_t bytes() const noexcept;

  /// Appends the keys and values of the next T tokens, in qkv [T, qkv_width], to those of a block,
  /// and fills mixed [T, heads * d]. A group of heads stays with one thread: no bit of the result depends
  /// on `threads`.
  void attend(std::size_t block, zeropoint::matrix_view<float> qkv, std::size_t threads,
              zeropoint::matrix_view<float> mixed);
  /// The T tokens have been through all blocks.
  void advance(std::size_t tokens) noexcept { tokens_ += tokens; }

 private:
  /// One head of keys and values in one block.
  struct head {
    explicit head(std::size_t width) : codes(width) {}
    zeropoint::aligned_buffer<float> keys, values;  ///< [capacity, d], with floats
    zeropoint::kv_cache codes;                      ///< otherwise
  };
  void append(head& h, zeropoint::matrix_view<const float> k,
              zeropoint::matrix_view<const float> v);
  void attend_group(std::size_t block, std::size_t g, zeropoint::matrix_view<float> qkv,
                    float* memory, zeropoint::matrix_view<float> mixed);
  void make_scratch(std::size_t threads, std::size_t queries);
  [[nodiscard]] std::size_t widened(std::size_t tokens) const noexcept;

  model_config config_;
  attention_kind kind_;
  std::size_t capacity_, tokens_ = 0;
  std::vector<head> heads_;  ///< [blocks, kv_heads]
  /// Per thread: widened keys and values of a group, then what attention needs. The next group finds
  /// this memory in the cache.
  std::vector<zeropoint::aligned_buffer<float>> scratch_;
};

}  // namespace lab
