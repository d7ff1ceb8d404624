"""zp-lab beside the engines of engines.py on one model: prefill and decode, one after another in every round.

A ratio is the median over rounds of the ratio within the round; in a round every competitor's number is the median
of --repeats. Loading, conversion and the start of Python are not timed. Decode: passes of one token behind a prompt
of --prompt tokens; prefill: --prefill tokens up to the logits behind the last. At the end `zp-lab bench` says what
limits ours. `generate.sh` calls this.
"""
import argparse, json, os, platform, re, statistics, subprocess, sys
from engines import ENGINES

FLOAT, DYNAMIC, STATIC, INT4 = "fp32", "w8a8-dynamic-token", "w8a8-static", "w4a8-g32"
HEADS = {"-head8": "int8", "-head4": "int4"}  # what a name may end in
PEERS_INT8 = [name for name in ENGINES if "int8" in name or name.endswith("Q8_0")]
LINE = re.compile(r"prefill of \d+ tokens at ([0-9.]+) tokens/s, (?:decode of \d+ at ([0-9.]+) tokens/s|nothing)")


def random_ids(count, vocab, seed=1):
    """Those of zp-lab --prompt-tokens: std::mt19937_64, modulo the vocabulary."""
    mask, size, middle = (1 << 64) - 1, 312, 156
    x = [seed]
    for i in range(1, size):
        x.append(6364136223846793005 * (x[-1] ^ x[-1] >> 62) + i & mask)
    ids = []
    for n in range(count):
        i, low = n % size, 0x7FFFFFFF
        word = x[i] & ~low & mask | x[(i + 1) % size] & low
        x[i] = x[(i + middle) % size] ^ word >> 1 ^ (0xB5026F5AA96619E9 if word & 1 else 0)
        y = x[i] ^ x[i] >> 29 & 0x5555555555555555
        y ^= y << 17 & 0x71D67FFFEDA60000
        y ^= y << 37 & 0xFFF7EEE000000000
        ids.append((y ^ y >> 43) % vocab)
    return ids


class Own:
    """zp-lab generate, a process per measurement; it prints medians of its runs."""

    def __init__(self, scheme, o, threads):
        self.options, self.scheme, self.threads, self.version = o, scheme, threads, "zp-lab"
        self.head, self.missing = HEADS.get(scheme[-6:], "float32"), None

    def run(self, prompt, new):
        o = self.options
        done = subprocess.run(
            [o.zp_lab, "generate", "--model", o.model, "--scheme", self.scheme, "--prompt-tokens", str(prompt),
             "--max-new-tokens", str(new), "--runs", str(o.repeats), "--threads", str(self.threads)],
            capture_output=True, text=True)
        if done.returncode != 0:
            self.missing = (done.stderr.splitlines() or [f"ended with {done.returncode}"])[0]
            return None
        prefill, decode = LINE.search(done.stderr).groups()
        return float(prefill), float(decode or 0), [int(i) for i in done.stdout.split()]

    def round(self):
        o = self.options
        first = self.run(o.prefill, 1)
        second = self.missing or self.run(o.prompt, o.decode + 1)
        if self.missing:
            return None
        return {"prefill": first[0], "decode": second[1], "ids": second[2]}


class Peer:
    """A process that waits between its turns."""

    def __init__(self, name, o, threads, vocab):
        self.options, self.ids = o, random_ids(max(o.prefill, o.prompt), vocab)
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
        log = open(os.path.join(o.work, "engine-" + name.replace(" ", "-") + ".log"), "w")
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(os.path.dirname(__file__), "engines.py"), name, o.model, o.work, str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        self.missing = None
        answer = self.answer()
        self.version, self.head = answer.get("version"), answer.get("head")

    def answer(self):
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"missing": f"ended with {self.process.wait()}"}
        self.missing = answer.get("missing")
        return answer

    def ask(self, prompt, new):
        try:
            self.process.stdin.write(json.dumps({"prompt": self.ids[:prompt], "new": new, "runs": self.options.repeats}) + "\n")
            self.process.stdin.flush()
        except OSError:
            pass  # it died: answer() says how
        return self.answer()

    def round(self):
        o = self.options
        first = self.ask(o.prefill, 1)
        second = self.missing or self.ask(o.prompt, o.decode + 1)
        if self.missing:
            return None
        return {"prefill": o.prefill / first["prefill"], "decode": o.decode / second["decode"], "ids": second["ids"]}

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def race(o, threads):
    """Competitors by name, and the rounds of those that ran all of them."""
    with open(os.path.join(o.model, "config.json")) as file:
        vocab = json.load(file)["vocab_size"]
    all_of_them = {scheme: Own(scheme, o, threads) for scheme in o.schemes}
    all_of_them.update({name: Peer(name, o, threads, vocab) for name in ENGINES})
    rounds = {name: [] for name in all_of_them}
    names = list(all_of_them)
    for turn in range(-1, o.rounds):  # the first is not counted
        for i in range(len(names)):
            name = names[(turn + i) % len(names)]
            if all_of_them[name].missing:
                continue
            print(f"{counted(threads, 'thread')}, round {turn + 1} of {o.rounds}: {name}", file=sys.stderr)
            result = all_of_them[name].round()
            if turn >= 0 and result:
                rounds[name].append(result)
    for peer in all_of_them.values():
        if isinstance(peer, Peer):
            peer.end()
    return all_of_them, {name: r for name, r in rounds.items() if len(r) == o.rounds}


def limits(o, threads):
    """What limits our schemes, from one process of zp-lab: its `details` by scheme, and why there are none."""
    print(f"{counted(threads, 'thread')}: what limits us", file=sys.stderr)
    path = os.path.join(o.work, "limits.json")
    done = subprocess.run([o.zp_lab, "bench", "--model", o.model, "--schemes", ",".join(o.schemes), "--runs", str(o.rounds),
                           "--threads", str(threads), "--json", path], capture_output=True, text=True)
    if done.returncode != 0:
        return {}, (done.stderr.splitlines() or [f"ended with {done.returncode}"])[0]
    with open(path) as file:
        return {row["scheme"]: row["details"] for row in json.load(file)}, None


class Result:
    """The rates of one number of threads."""

    def __init__(self, o, threads):
        self.threads, self.schemes, self.rounds_wanted = threads, o.schemes, o.rounds
        self.competitors, self.rounds = race(o, threads)
        self.limits, self.unlimited = limits(o, threads)

    def rate(self, name, what):
        return statistics.median(r[what] for r in self.rounds[name])

    def ratio(self, ours, theirs, what):
        if ours not in self.rounds or theirs not in self.rounds:
            return None
        return statistics.median(a[what] / b[what] for a, b in zip(self.rounds[ours], self.rounds[theirs]))

    def least(self, ours, peers, what):
        """Against the best of the peers, and which that is."""
        found = [(self.ratio(ours, p, what), p) for p in peers if p in self.rounds]
        return min(found) if found else (None, "none ran")

    def agreeing(self, name):
        """Of the greedy text, the leading tokens that are those of our float model."""
        if FLOAT not in self.rounds:
            return None
        ours, theirs = self.rounds[FLOAT][0]["ids"], self.rounds[name][0]["ids"]
        return next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), len(ours))

    def of(self, *names):
        """Our schemes that are one of these, whatever their head."""
        return [s for s in self.schemes if (s[:-6] if s[-6:] in HEADS else s) in names]

    def goals(self):
        """(what, at least, measured)"""
        for what in ("decode", "prefill"):
            yield f"{FLOAT} against PyTorch fp32, {what}", 1.0, self.ratio(FLOAT, "PyTorch fp32", what)
        for ours in self.of(DYNAMIC):
            for what in ("decode", "prefill"):
                yield f"{ours} against own fp32, {what}", 3.0, self.ratio(ours, FLOAT, what)
        for ours in self.of(INT4):
            yield f"{ours} against own fp32, decode", 4.5, self.ratio(ours, FLOAT, "decode")
        for what in ("decode", "prefill"):
            for ours in self.of(STATIC):
                dynamic = ours.replace(STATIC, DYNAMIC)
                yield f"{ours} against {dynamic}, {what}", 1.0, self.ratio(ours, dynamic, what)
            for ours in self.of("w8", DYNAMIC, STATIC):
                ratio, best = self.least(ours, PEERS_INT8, what)
                yield f"{ours} against the best int8 peer ({best}), {what}", 1.2, ratio
            for ours in self.of(INT4):
                yield f"{ours} against llama.cpp Q4_0, {what}", 1.3, self.ratio(ours, "llama.cpp Q4_0", what)

    def rows(self):
        for name, competitor in self.competitors.items():
            row = {"engine": name, "threads": self.threads, "version": competitor.version, "missing": competitor.missing}
            if name in self.rounds:
                row.update({what: self.rate(name, what) for what in ("decode", "prefill")},
                           head=competitor.head, agreeing=self.agreeing(name), rounds=self.rounds_wanted)
                for what in ("decode", "prefill"):
                    row["ours_over_it_" + what] = {s: self.ratio(s, name, what) for s in self.schemes}
            if name in self.limits:
                row["limits"] = self.limits[name]
            yield row


def counted(n, what):
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def limit_tables(result):
    """Shares of the time, in percent; those of a prefill add up to 100."""
    if not result.limits:
        return [f"What limits us: not measured, {result.unlimited}.", ""]

    def percent(share):
        return "-" if share is None else f"{100 * share:.0f}"

    tokens, prefill, decode = 0, [], []
    for scheme in result.schemes:
        d = result.limits[scheme]
        tokens, stages, token = d["prefill_longest_tokens"], d["prefill_stages"], d["decode_stages"]
        rest = {"activation functions": stages["activation"], "norms, sums, head": stages["others"] + stages["head"]}
        for stage, share, where in (("attention", "attention_peak_share", "attention beyond its products"),
                                    ("linears", "peak_share", "linear layers beyond their products")):
            rest = {where: None if d[share] is None else stages[stage] - d[share], **rest}
        known = {where: share for where, share in rest.items() if share is not None}
        rate = d["peak_operations_per_second"]
        prefill.append([scheme, "-" if rate is None else f"{rate / 1e9:.0f}", percent(d["peak_share"]),
                        percent(d["attention_peak_share"]), *map(percent, rest.values()), max(known, key=known.get)])
        decode.append([scheme, f"{d['read_bytes_per_second'] / 1e9:.1f}", percent(d["read_share"]), percent(token["linears"]),
                       percent(token["head"]), percent(token["attention"]), percent(token["activation"] + token["others"])])
    lines = [f"What limits us in a prefill of {tokens}, % of its time: the products of linear layers and head, and of attention, at the",
             "peak of their multiply-adds in the same process (GOPS: that of the linear layers), and what takes the rest. Linear",
             "layers beyond their products: quantization, packing, scales, memory; attention beyond its: softmax, packing.", ""]
    lines += table(["", "peak, GOPS", "linear layers at peak", "attention at peak", "linear layers beyond", "attention beyond",
                    "activation functions", "norms, sums, head", "most of the rest"], prefill)
    lines += ["What limits us in decode, % of a token's time: reading its weights as fast as these threads read that many bytes in",
              "the same process, and where the time went.", ""]
    return lines + table(["", "read, GB/s", "reading", "linear layers", "head", "attention", "rest"], decode)


def section(result, o):
    lines = [f"## {counted(result.threads, 'thread')}", ""]
    rows = []
    for name, competitor in result.competitors.items():
        if name not in result.rounds:
            rows.append([name, "-", "-", "-", "-", f"did not run: {competitor.missing}"])
            continue
        rows.append([name, f"{result.rate(name, 'decode'):.1f}", f"{result.rate(name, 'prefill'):.0f}", competitor.head,
                     str(result.agreeing(name)), competitor.version])
    lines += table(["", "decode, tokens/s", f"prefill of {o.prefill}, tokens/s", "head", "same tokens", "version"], rows)
    peers = [name for name in ENGINES if name in result.rounds]
    for what in ("decode", "prefill"):
        lines += [f"How many times as fast we are, {what}:", ""]
        lines += table(["", *peers], [[s, *(f"{result.ratio(s, p, what):.2f}" for p in peers)]
                                      for s in o.schemes if s in result.rounds])
    lines += table(["goal", "at least", "measured", ""],
                   [[name, f"{goal:.1f}", "-" if ratio is None else f"{ratio:.2f}",
                     "not measured" if ratio is None else "met" if ratio >= goal else "not met"]
                    for name, goal, ratio in result.goals()])
    return lines + limit_tables(result)


def processor():
    with open("/proc/cpuinfo") as file:
        found = re.search(r"model name\s*:\s*(.*)", file.read())
    return found.group(1) if found else platform.processor()


def page(results, o):
    lines = ["# Beside other engines", "",
             "Written by `bench/peers/generate.sh`; nothing here is typed by hand. The model has the shape of GPT-2 124M and",
             "random weights (`zp-lab random --like gpt2`), the prompt is the same for all.", "",
             f"Machine: {processor()}, {counted(len(os.sched_getaffinity(0)), 'core')}, Python {platform.python_version()}.",
             f"{counted(o.rounds, 'round')}, in which all take turns; in a round the median of {counted(o.repeats, 'run')} each.",
             f"Decode: {o.decode} passes",
             f"of one token behind a prompt of {o.prompt}, with a cache of keys and values; prefill: a prompt of {o.prefill} up to the",
             "logits behind it. Loading is not timed. Ratios are medians of the ratios within a round: where other work shares",
             "the machine, tokens per second are lower than it can do, ratios much less so.",
             "Head: what the product with the vocabulary is stored in, for a token of GPT-2 a third of all weights.",
             f"Same tokens: how many of {o.decode + 1} greedy ones, from the first, are those of our fp32.", ""]
    for result in results:
        lines += section(result, o)
    return "\n".join(lines).rstrip() + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zp-lab", required=True, help="the program")
    parser.add_argument("--model", required=True, help="folder of a GPT-2 checkpoint")
    parser.add_argument("--work", required=True, help="folder for converted models")
    parser.add_argument("--schemes", default=f"w8-head8,{DYNAMIC},{DYNAMIC}-head8,{STATIC}-head8,{INT4}-head8,{INT4}-head4", help="of ours beside fp32 (default: %(default)s)")
    parser.add_argument("--threads", default="1,2", help="numbers of threads (default: 1,2)")
    for name, value in (("rounds", 5), ("repeats", 1), ("prompt", 128), ("decode", 32), ("prefill", 512)):
        parser.add_argument("--" + name, type=int, default=value, help=f"default: {value}")
    parser.add_argument("--json", help="also a list with an object per engine and number of threads")
    parser.add_argument("--markdown", help="also the page as a file")
    o = parser.parse_args()
    if min(o.rounds, o.repeats, o.prompt, o.decode, o.prefill) < 1:
        parser.error("numbers have to be at least 1")
    o.schemes = [FLOAT, *(s for s in o.schemes.split(",") if s != FLOAT)]
    results = [Result(o, int(n)) for n in o.threads.split(",")]
    text = page(results, o)
    print(text, end="")
    if o.markdown:
        with open(o.markdown, "w") as file:
            file.write(text)
    if o.json:
        with open(o.json, "w") as file:
            json.dump([row for result in results for row in result.rows()], file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
