// The bit budget on tiny models: options against single rows of the sweep, the choice against every
// possible one, the mixture against its parts, and the command line.
#include "command.hpp"
#include "golden.hpp"
#include "tiny_model.hpp"

#include <lab/experiments/schemes.hpp>
#include <lab/report/budget.hpp>

#include <cmath>

namespace {

using nlohmann::json;

struct fixture {
  explicit fixture(const std::string& name, std::vector<std::string> list = {"w8", "w4-g4", "w2"})
      : model(lab::load_model(test::golden / name)), ids(test::golden_ids(name)), names(list) {
    for (const auto id : test::golden_ids(name)) ids.push_back(id);
    windows = lab::cut(lab::window_rule::chunk, ids.size(), 10, 10);
    for (const auto& n : names) schemes.push_back(lab::make_scheme(n, model, {}));
  }
  lab::text_windows text() const { return {ids, windows}; }
  std::vector<lab::layer_options> options(std::size_t threads = 2) const {
    return lab::measure_options(model, schemes, text(), threads);
  }
  lab::transformer model;
  std::vector<std::uint32_t> ids;
  std::vector<lab::window> windows;
  std::vector<std::string> names;
  std::vector<lab::scheme_layers> schemes;
};

/// The first layers' options, made up so that no greedy rule finds every optimum.
std::vector<lab::layer_options> two_layers() {
  const auto option = [](std::uint64_t bytes, double kl) {
    return lab::layer_option{bytes, {kl, 0.0}, {}};
  };
  return {{"a", 100, {option(100, 0.001), option(50, 0.02), option(25, 0.5)}},
          {"b", 200, {option(200, 0.003), option(100, 0.011), option(50, 0.9)}}};
}

/// Least `value` over all choices that fit; infinite when none does.
template <class Fits, class Value>
double brute_force(const std::vector<lab::layer_options>& l, Fits&& fits, Value&& value) {
  double least = INFINITY;
  for (const auto& a : l[0].options) {
    for (const auto& b : l[1].options) {
      const std::uint64_t bytes = a.bytes + b.bytes;
      const double kl = a.kl.mean + b.kl.mean;
      if (fits(bytes, kl)) least = std::min(least, value(bytes, kl));
    }
  }
  return least;
}

}  // namespace

TEST_CASE("Options are single layers of the perplexity experiment, bytes those of the layers") {
  const fixture f("gpt2_tied");
  const auto options = f.options();
  const auto linears = f.model.linears();
  REQUIRE(options.size() == linears.size());
  const auto floats = lab::float_linears(f.model);
  for (std::size_t l = 0; l < options.size(); ++l) {
    CHECK(options[l].name == linears[l]->name);
    CHECK(options[l].weights == linears[l]->weight.size());
    REQUIRE(options[l].options.size() == 3);
    const std::size_t bias = 4 * linears[l]->out, scales = 4 * linears[l]->out;
    CHECK(options[l].options[0].bytes == linears[l]->weight.size() + scales + bias);
  }
  for (std::size_t s = 0; s < 3; ++s) {
    std::uint64_t sum = 0;
    for (const auto& l : options) sum += l.options[s].bytes;
    CHECK(sum == f.schemes[s].stored_bytes);
  }
  // Layer 2 under w2, through measure(), and its standard error by hand.
  std::vector<lab::scheme_layers> rows;
  rows.push_back(lab::make_scheme("fp32", f.model, {}));
  rows.push_back(lab::borrowed("one", floats.size(), [&](std::size_t i) {
    return i == 2 ? f.schemes[2].layers[2].get() : floats[i].get();
  }));
  const auto& o = options[2].options[2];
  CHECK(o.kl.mean > 0);
  CHECK(o.kl.mean == Approx(lab::measure(f.model, rows, f.ids, f.windows, 1)[1].kl).epsilon(1e-9));
  double squares = 0;
  for (const lab::window& w : f.windows) {
    const double kl = lab::measure(f.model, rows, f.ids, std::span(&w, 1), 1)[1].kl;
    squares += (kl - o.kl.mean) * (kl - o.kl.mean);
  }
  const auto n = static_cast<double>(f.windows.size());
  REQUIRE(n > 2);
  CHECK(o.kl.se == Approx(std::sqrt(squares / (n - 1) / n)).epsilon(1e-6));
}

TEST_CASE("The choice is the best of all, for every budget") {
  const auto layers = two_layers();
  for (std::uint64_t bytes = 75; bytes <= 310; ++bytes) {
    INFO(bytes);
    const auto c = lab::choose(layers, {bytes, 0});
    CHECK(c.is_optimal);
    CHECK(c.bytes <= bytes);
    CHECK(c.damage == brute_force(
                          layers, [&](auto b, double) { return b <= bytes; },
                          [](auto, double d) { return d; }));
    double damage = 0;
    for (std::size_t l = 0; l < 2; ++l) damage += layers[l].options[c.options[l]].kl.mean;
    CHECK(c.damage == damage);
  }
  for (const double kl : {0.004, 0.005, 0.012, 0.0231, 0.031, 0.4, 0.6, 1.0, 2.0}) {
    INFO(kl);
    const auto c = lab::choose(layers, {std::nullopt, kl});
    CHECK(c.damage <= kl);
    CHECK(static_cast<double>(c.bytes) ==
          brute_force(
              layers, [&](auto, double d) { return d <= kl; },
              [](auto b, double) { return static_cast<double>(b); }));
  }
}

TEST_CASE("A budget that nothing meets is one clear line") {
  const auto layers = two_layers();
  CHECK(test::rejection([&] {
          (void)lab::choose(layers, {74, 0});
        }) == "budget of 74 bytes: the smallest mixture of these schemes has 75");
  CHECK(test::rejection([&] {
          (void)lab::choose(layers, {std::nullopt, 0.0039});
        }) == "budget of 0.0039 nats KL: the best mixture of these schemes has 0.004");
}

TEST_CASE("A mixture of one scheme is that scheme; two have the bytes and the KL of both") {
  const fixture f("opt_pre_norm");
  const auto options = f.options();
  const std::size_t L = options.size();
  std::vector<std::size_t> chosen(L, 1);
  chosen[0] = 2, chosen[L - 1] = 0;
  const auto runs = lab::run_budget(f.model, f.schemes, options, chosen, f.text(), f.text(), 2);
  REQUIRE(runs.size() == 4);
  std::vector<lab::scheme_layers> rows;
  for (const char* name : {"fp32", "w8", "w4-g4", "w2"}) {
    rows.push_back(lab::make_scheme(name, f.model, {}));
  }
  // The mixture by other means: layers moved out of schemes of their own.
  auto mixed = lab::make_scheme("w4-g4", f.model, {});
  auto low = lab::make_scheme("w2", f.model, {}), high = lab::make_scheme("w8", f.model, {});
  mixed.layers[0] = std::move(low.layers[0]);
  mixed.layers[L - 1] = std::move(high.layers[L - 1]);
  rows.push_back(std::move(mixed));
  const auto measured = lab::measure(f.model, rows, f.ids, f.windows, 2);
  double predicted = 0;
  for (std::size_t l = 0; l < L; ++l) predicted += options[l].options[chosen[l]].kl.mean;
  for (std::size_t r = 0; r < 4; ++r) {
    INFO(runs[r].name);
    CHECK(runs[r].kl.mean == Approx(measured[1 + r].kl).epsilon(1e-9));
    CHECK(runs[r].delta.mean == Approx(measured[1 + r].delta).epsilon(1e-9).margin(1e-12));
    CHECK(runs[r].delta.se == Approx(measured[1 + r].delta_se).epsilon(1e-6));
    CHECK(runs[r].kl.mean == runs[r].together.mean);  // the same text
    CHECK(runs[r].interaction.mean ==
          Approx(runs[r].together.mean - runs[r].predicted).epsilon(1e-6).margin(1e-12));
    if (r < 3) CHECK(runs[r].bytes == f.schemes[r].stored_bytes);
  }
  CHECK(runs[3].predicted == predicted);
  CHECK(runs[3].bytes == f.schemes[1].stored_bytes - f.schemes[1].layer_bytes[0] -
                             f.schemes[1].layer_bytes[L - 1] + f.schemes[2].layer_bytes[0] +
                             f.schemes[0].layer_bytes[L - 1]);
  CHECK(lab::mixture(f.schemes, chosen).stored_bytes == runs[3].bytes);
}

TEST_CASE("No number depends on the threads") {
  const fixture f("gpt2_tied");
  const auto one = f.options(1), four = f.options(4);
  const std::vector<std::size_t> chosen(one.size(), 1);
  for (std::size_t l = 0; l < one.size(); ++l) {
    for (std::size_t s = 0; s < 3; ++s) {
      CHECK(one[l].options[s].kl.mean == four[l].options[s].kl.mean);
      CHECK(one[l].options[s].kl.se == four[l].options[s].kl.se);
    }
  }
  const auto a = lab::run_budget(f.model, f.schemes, one, chosen, f.text(), f.text(), 1);
  const auto b = lab::run_budget(f.model, f.schemes, four, chosen, f.text(), f.text(), 4);
  for (std::size_t r = 0; r < a.size(); ++r) {
    CHECK(a[r].kl.mean == b[r].kl.mean);
    CHECK(a[r].delta.mean == b[r].delta.mean);
    CHECK(a[r].interaction.se == b[r].interaction.se);
  }
}

TEST_CASE("When damages add up, and which scheme by itself is best") {
  lab::budget_run r;
  r.predicted = 1;
  r.interaction = {0.1, 0.001};
  CHECK(r.adds_up());  // within a tenth
  r.interaction = {-0.11, 0.001};
  CHECK_FALSE(r.adds_up());
  r.interaction = {0.3, 0.15};
  CHECK(r.adds_up());  // within two standard errors
  r.interaction = {0.3, std::nan("")};
  CHECK_FALSE(r.adds_up());

  lab::budget_study b;
  const auto add = [&](const char* name, std::uint64_t bytes, double kl) {
    lab::budget_run run;
    run.name = name, run.bytes = bytes, run.kl.mean = kl;
    b.runs.push_back(run);
  };
  add("w8", 80, 0.1), add("w4", 40, 0.4), add("w3", 30, 0.3), add("mixture", 35, 0.2);
  b.limit = {50, 0};
  CHECK(b.is_met());
  CHECK(b.best_uniform()->name == "w3");
  b.limit = {20, 0};
  CHECK_FALSE(b.is_met());
  CHECK(b.best_uniform() == nullptr);
  b.limit = {std::nullopt, 0.4};
  CHECK(b.best_uniform()->name == "w3");
  b.limit = {std::nullopt, 0.15};
  CHECK_FALSE(b.is_met());
  CHECK(b.best_uniform()->name == "w8");
}

TEST_CASE("zp-lab budget: the tables and their JSON") {
  const test::scratch model, files;
  test::write_tiny_model(model, "gpt2");
  const auto scored = files.write("scored.txt", test::some_text(600, 71)),
             seen = files.write("seen.txt", test::some_text(400, 72));
  const std::string report = files.path() / "b.json";
  const auto run = [&](std::vector<std::string> more) {
    std::vector<std::string> all = {"budget",        "--model", model.path(), "--text", scored,
                                    "--calibration", seen,      "--json",     report};
    all.insert(all.end(), more.begin(), more.end());
    return test::zp_lab(all);
  };
  const auto small = run({"--bytes-per-weight", "1.2", "--schemes", "w8,w4-g8,w2-g8-affine-gptq"});
  INFO(small.err);
  REQUIRE(small.code == 0);
  for (const char* part :
       {"sensitivity: each layer alone, on seen.txt, 372 tokens scored in 12 windows",
        "verified on scored.txt", "h.1.mlp.c_proj", "mixture", "The budget is met: ", "Additivity ",
        "Best of the schemes by themselves within the budget: "}) {
    CHECK(test::contains(small.out, part));
  }
  const json j = json::parse(test::slurp(report));
  REQUIRE(j["layers"].size() == 8);
  REQUIRE(j["runs"].size() == 4);
  CHECK(j["budget"]["met"] == true);
  CHECK(j["budget"]["bytes"] == 7372);  // 1.2 * 2 * 12 * 16^2, rounded down
  CHECK(j["runs"][3]["bytes"] == j["choice"]["bytes"]);
  CHECK(j["runs"][3]["bytes"].get<std::uint64_t>() <= 7372);
  double predicted = 0;
  std::uint64_t bytes = 0;
  for (const json& l : j["layers"]) {
    for (const json& o : l["options"]) {
      if (o["scheme"] != l["chosen"]) continue;
      predicted += o["kl"]["mean"].get<double>();
      bytes += o["bytes"].get<std::uint64_t>();
    }
  }
  CHECK(j["runs"][3]["kl_predicted"].get<double>() == predicted);
  CHECK(j["choice"]["bytes"] == bytes);

  const auto good = run({"--kl", "0.02", "--plant", "2:3"});
  INFO(good.err);
  REQUIRE(good.code == 0);
  CHECK(test::contains(good.out, "budget: a KL of at most 0.02 nats per token"));
  const json k = json::parse(test::slurp(report));
  CHECK(k["variant"] == "planted 2:3");
  CHECK(k["runs"][4]["kl_predicted"].get<double>() <= 0.02);
  CHECK(k["budget"]["met"] == (k["runs"][4]["kl"]["mean"].get<double>() <= 0.02));
}

TEST_CASE("zp-lab budget: what it does not take") {
  const test::scratch model, files;
  test::write_tiny_model(model, "opt");
  const auto text = files.write("text.txt", test::some_text(200, 73));
  const auto complaint = [&](std::vector<std::string> more) {
    std::vector<std::string> all = {"budget", "--model",       model.path(), "--text",
                                    text,     "--calibration", text};
    all.insert(all.end(), more.begin(), more.end());
    const auto o = test::zp_lab(all);
    CHECK(o.code == 2);
    CHECK(std::count(o.err.begin(), o.err.end(), '\n') == 1);
    return o.err;
  };
  CHECK(test::contains(complaint({}), "Exactly 1 option from [--bytes-per-weight"));
  CHECK(test::contains(complaint({"--kl", "1", "--megabytes", "1"}), "2 were given"));
  CHECK(test::contains(complaint({"--kl", "-1"}), "--kl"));
  CHECK(test::contains(complaint({"--kl", "nan"}), "finite"));
  CHECK(test::contains(complaint({"--kl", "1", "--schemes", "w8,w8a8-static"}),
                       "--schemes w8a8-static: a budget chooses among integer weights"));
  CHECK(test::contains(complaint({"--kl", "1", "--schemes", "w8-kv8"}), "--schemes w8-kv8: a "));
  CHECK(test::contains(complaint({"--kl", "1", "--schemes", "f16"}), "--schemes f16"));
  CHECK(test::contains(complaint({"--kl", "1", "--schemes", "fp32"}), "nothing to choose from"));
  CHECK(test::contains(complaint({"--megabytes", "0.000001"}), "budget of 1 bytes: the smallest"));
  CHECK(test::contains(complaint({"--kl", "1e-12"}), "budget of 1e-12 nats KL: the best mixture"));
}
