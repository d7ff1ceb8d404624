// Every experiment of the gallery: the failure is there, the cure cures it, and the page that tells
// of it prints the numbers that the experiment gives.
#include <lab/gallery/gallery.hpp>
#include <lab/io/error.hpp>

#include "lab/scratch.hpp"
#include "support/test.hpp"

#include <nlohmann/json.hpp>

#include <map>
#include <sstream>

namespace {

/// What must hold: naive >= least_naive, cured <= most_cured, naive >= ratio * cured.
struct relation {
  double least_naive, most_cured, ratio;
};
const std::map<std::string, relation> expected = {
    {"static-outliers", {0.8, 0.03, 20}},
    {"low-clipping", {0.5, 0.3, 3}},
    {"percentile-tight", {0.5, 0.12, 5}},
    {"percentile-loose", {0.5, 0.03, 20}},
    {"wrong-text", {0.5, 0.05, 10}},
    {"batch-order", {1.0, 0, 1}},
    {"batch-mates", {0.3, 0, 1}},
    {"conv1d-axis", {0.05, 0.015, 10}},
    {"four-bit-groups", {0.3, 0.2, 3}},
    {"saturating-sums", {0.01, 0, 1}},
    {"zero-scale", {1, 0, 1}},
    {"nan-absmax", {1, 0, 1}},
    {"truncation", {0.45, 0.01, 50}},
    {"ties-away", {0.2, 0.01, 20}},
    {"gptq-zero", {1, 0.15, 10}},
    {"local-mse", {0.2, 0.15, 2}},
    {"smooth-post-norm", {0.3, 1e-6, 1e5}},
    {"smooth-dead-channel", {0.5, 0.03, 20}},
};

const std::vector<lab::gallery_entry>& all() {
  static const std::vector<lab::gallery_entry> entries = lab::run_gallery();
  return entries;
}

bool same(const lab::gallery_entry& a, const lab::gallery_entry& b) {
  return a.name == b.name && a.metric == b.metric && a.naive == b.naive && a.cured == b.cured &&
         a.shows == b.shows;
}

}  // namespace

TEST_CASE("every experiment fails as it should and is cured") {
  CHECK(all().size() == expected.size());
  for (const lab::gallery_entry& e : all()) {
    CAPTURE(e.name, e.naive, e.cured);
    const auto found = expected.find(e.name);
    REQUIRE(found != expected.end());
    const relation& r = found->second;
    CHECK(std::isfinite(e.naive));
    CHECK(e.cured >= 0);
    CHECK(e.naive >= r.least_naive);
    CHECK(e.cured <= r.most_cured);
    CHECK(e.naive > r.ratio * e.cured);
    CHECK(!e.metric.empty());
    CHECK(e.shows.size() > 50);
    CHECK(e.shows.size() < 500);  // format() has room for 511
    CHECK(e.shows.back() == '.');
  }
}

TEST_CASE("the same numbers every time, whatever else runs") {
  std::string reversed;
  for (const lab::gallery_entry& e : all()) reversed = e.name + "," + reversed;
  const auto again = lab::run_gallery(reversed);
  REQUIRE(again.size() == all().size());
  for (std::size_t i = 0; i < again.size(); ++i) CHECK(same(again[i], all()[i]));
}

TEST_CASE("some by name; an unknown name is refused with those there are") {
  const auto two = lab::run_gallery("ties-away,batch-mates");
  REQUIRE(two.size() == 2);
  CHECK(two[0].name == "batch-mates");  // reading order
  CHECK(two[1].name == "ties-away");
  CHECK_THROWS_AS(lab::run_gallery("ties"), lab::input_error);
  CHECK_THROWS_AS(lab::run_gallery("ties-away,,batch-mates"), lab::input_error);
  try {
    static_cast<void>(lab::run_gallery("ties-away,no\nsuch"));
    FAIL("accepted");
  } catch (const lab::input_error& problem) {
    const std::string text = problem.what();
    CHECK(test::contains(text, "no experiment \"no\\x0asuch\""));
    for (const lab::gallery_entry& e : all()) CHECK(test::contains(text, e.name));
  }
}

TEST_CASE("text: a line with both numbers and a sentence, at most 100 columns") {
  const std::vector<lab::gallery_entry> made = {
      {"a-name", "a metric", 0.5, 0, std::string(300, 'x') + " 12 % of it."},
      {"b-name", "b metric", 1234.5, 1e-9, "Short."}};
  const std::string text = lab::text_of(made);
  CHECK(test::contains(text, "\na-name                      0.5          0   a metric\n"));
  CHECK(test::contains(text,
                       "\nb-name                     1234      1e-09   b metric\n    Short.\n"));
  CHECK(test::contains(text, "12 %"));
  std::istringstream lines(lab::text_of(all()));
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    CHECK(line.size() <= 100);
    CHECK(line.find("    %") != 0);
  }
}

TEST_CASE("JSON: a list of five fields, null for what is not finite") {
  auto entries = all();
  entries[1].naive = std::numeric_limits<double>::infinity();
  const auto json = nlohmann::json::parse(lab::json_of(entries));
  REQUIRE(json.is_array());
  REQUIRE(json.size() == entries.size());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    CHECK(json[i].size() == 5);
    CHECK(json[i]["name"] == entries[i].name);
    CHECK(json[i]["metric"] == entries[i].metric);
    if (i == 1) {
      CHECK(json[i]["naive"].is_null());
    } else {
      CHECK(json[i]["naive"] == entries[i].naive);
    }
    CHECK(json[i]["cured"] == entries[i].cured);
    CHECK(json[i]["shows"] == entries[i].shows);
  }
}

TEST_CASE("every experiment has a page, which prints its numbers, and a place in the index") {
  const std::string index = test::slurp("docs/failures/README.md");
  for (const lab::gallery_entry& e : all()) {
    CAPTURE(e.name);
    CHECK(test::contains(index, "(" + e.name + ".md)"));
    std::istringstream page(test::slurp("docs/failures/" + e.name + ".md"));
    bool printed = false;
    for (std::string line; !printed && std::getline(page, line);) {
      std::istringstream words(line);
      std::string name, metric;
      double naive = 0, cured = 0;
      if (!(words >> name >> naive >> cured) || name != e.name) continue;
      std::getline(words >> std::ws, metric);
      printed = true;
      CHECK(metric == e.metric);
      // Within a hundredth: the logarithms behind the samples differ between C libraries.
      CHECK(naive == Approx(e.naive).epsilon(0.01).margin(1e-6));
      CHECK(cured == Approx(e.cured).epsilon(0.01).margin(1e-6));
    }
    CHECK(printed);
  }
}
