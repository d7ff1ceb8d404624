// Dealing windows out, and putting them together.
#include <lab/experiments/shard.hpp>
#include <lab/experiments/shard_json.hpp>
#include <lab/io/error.hpp>

#include <algorithm>
#include <charconv>
#include <limits>

namespace lab {

shard shard::parse(std::string_view text) {
  shard s;
  const auto wrong = [&]() -> input_error {
    return input_error("--shard: " + in_quotes(std::string(text)) +
                       " is not I/N, 1 <= I <= N <= " + std::to_string(most_shards));
  };
  const auto number = [&](std::string_view digits) {
    std::size_t n = 0;
    const char* end = digits.data() + digits.size();
    const auto [stop, problem] = std::from_chars(digits.data(), end, n);
    if (problem != std::errc() || stop != end || n < 1 || n > most_shards) throw wrong();
    return n;
  };
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) throw wrong();
  s.index = number(text.substr(0, slash));
  s.count = number(text.substr(slash + 1));
  if (s.index > s.count) throw wrong();
  return s;
}

std::string shard::text() const {
  return std::to_string(index) + "/" + std::to_string(count);
}

std::vector<window> shard::deal(std::span<const window> windows) const {
  std::vector<window> own;
  for (std::size_t w = index - 1; w < windows.size(); w += count) own.push_back(windows[w]);
  return own;
}

std::size_t shard::share(std::size_t windows) const noexcept {
  return windows < index ? 0 : (windows - index) / count + 1;
}

study shard_study::complete() const {
  study s = description;
  for (const scheme_sums& sums : schemes) {
    measurement m = summarise(sums);
    m.model = s.model;
    m.variant = s.variant;
    s.rows.push_back(std::move(m));
  }
  if (!stored) return s;
  s.rows.erase(s.rows.begin());
  measurement& m = s.rows.front();
  m.delta = m.delta_se = m.kl = m.top1 = std::numeric_limits<double>::quiet_NaN();
  return s;
}

std::string line_of(const shard& part, const shard_study& s) {
  const std::size_t windows = s.description.protocol.windows;
  return s.description.model + ", " + s.description.variant + ": shard " + part.text() + ", " +
         std::to_string(part.share(windows)) + " of " + std::to_string(windows) + " windows";
}

namespace {

/// Throws unless `other` is of the same run as `first`.
void require_same_run(const named_shard& first, const named_shard& other) {
  const place where{other.name};
  if (first.file.part.count != other.file.part.count) {
    reject(where, "is shard ", other.file.part.text(), ", but ", first.name, " is shard ",
           first.file.part.text());
  }
  if (first.file.studies.size() != other.file.studies.size()) {
    reject(where, "has ", other.file.studies.size(), " studies, ", first.name, " has ",
           first.file.studies.size());
  }
  for (std::size_t i = 0; i < first.file.studies.size(); ++i) {
    const json ours = shard_identity(first.file.studies[i]);
    const json theirs = shard_identity(other.file.studies[i]);
    for (const auto& [key, value] : ours.items()) {
      if (theirs.at(key) == value) continue;
      const auto shown = [](const json& j) {
        return printable(j.dump(-1, ' ', true, json::error_handler_t::replace));
      };
      reject(where, "is of another run: ", key, " is ", shown(theirs.at(key)), ", in ", first.name,
             " ", shown(value));
    }
  }
}

/// Throws unless the shards, in order, are 1 to N.
void require_all(const std::vector<named_shard>& shards) {
  const std::size_t count = shards[0].file.part.count;
  std::size_t expected = 1;
  for (std::size_t i = 0; i < shards.size(); ++i, ++expected) {
    const shard& part = shards[i].file.part;
    if (i > 0 && part.index == shards[i - 1].file.part.index) {
      reject({shards[i].name}, "is shard ", part.text(), ", and so is ", shards[i - 1].name);
    }
    if (part.index != expected) break;
  }
  if (expected <= count) {
    throw input_error("shard " + shard{expected, count}.text() + " is missing");
  }
}

/// Adds up what is not per window, and puts the windows in order.
shard_study merged(const std::vector<named_shard>& shards, std::size_t index) {
  shard_study all = shards[0].file.studies[index];
  const std::size_t windows = all.description.protocol.windows;
  for (std::size_t s = 0; s < all.schemes.size(); ++s) {
    scheme_sums& sum = all.schemes[s];
    sum.clips = {};
    sum.seconds = 0;
    sum.windows.assign(windows, {});
    for (const named_shard& one : shards) {
      const scheme_sums& part = one.file.studies[index].schemes[s];
      sum.clips.clipped += part.clips.clipped;
      sum.clips.values += part.clips.values;
      sum.seconds += part.seconds;
      for (std::size_t w = 0; w < part.windows.size(); ++w) {
        sum.windows[one.file.part.index - 1 + w * shards.size()] = part.windows[w];
      }
    }
    std::size_t tokens = 0;
    for (const window_sums& w : sum.windows) tokens += w.tokens;
    if (tokens != all.description.protocol.scored) {
      throw input_error("the shards scored " + std::to_string(tokens) + " tokens of " + sum.scheme +
                        ", expected " + std::to_string(all.description.protocol.scored));
    }
  }
  for (const named_shard& one : shards) {
    std::size_t& threads = all.description.threads;
    threads = std::max(threads, one.file.studies[index].description.threads);
  }
  return all;
}

}  // namespace

std::vector<shard_study> merge_shards(std::vector<named_shard> shards) {
  if (shards.empty()) throw input_error("there are no shards to merge");
  for (const named_shard& s : shards) require_same_run(shards[0], s);
  std::stable_sort(shards.begin(), shards.end(), [](const named_shard& a, const named_shard& b) {
    return a.file.part.index < b.file.part.index;
  });
  require_all(shards);
  std::vector<shard_study> studies;
  for (std::size_t i = 0; i < shards[0].file.studies.size(); ++i) {
    studies.push_back(merged(shards, i));
  }
  return studies;
}

}  // namespace lab
