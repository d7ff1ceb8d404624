"""Other engines that generate text from a GPT-2 checkpoint, each in a process of its own:

    python3 engines.py NAME MODEL WORK THREADS

MODEL is a folder in the HuggingFace layout, WORK one for converted files. Says in a line of JSON what it is, or
why it cannot run; then answers every line {"prompt": [ids], "new": N, "runs": R} with seconds of prefill and of
N - 1 passes of one token (medians of R), and the N ids, the likeliest ones.
"""
import json, os, statistics, sys, time


class Engine:
    """What feeds tokens itself. A subclass has feed(ids) -> the likeliest next id, and reset()."""

    def measure(self, prompt, new):
        self.reset()
        began = time.perf_counter()
        ids = [self.feed(prompt)]
        first = time.perf_counter()
        while len(ids) < new:
            ids.append(self.feed(ids[-1:]))
        return first - began, time.perf_counter() - first, ids


class Torch(Engine):
    """transformers, eager. GPT-2's Conv1D become Linear layers where these are to be quantized: torch knows no others."""

    head = "float32"

    def __init__(self, folder, work, threads):
        import torch, transformers
        self.torch = torch
        torch.set_num_threads(threads)
        self.model = transformers.GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32).eval()
        self.version = f"torch {torch.__version__}, transformers {transformers.__version__}"

    def linears(self):
        from transformers.pytorch_utils import Conv1D
        for parent in list(self.model.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, Conv1D):
                    linear = self.torch.nn.Linear(*child.weight.shape)
                    linear.weight.data, linear.bias.data = child.weight.data.T.contiguous(), child.bias.data
                    setattr(parent, name, linear)

    def reset(self):
        self.past = None

    def feed(self, ids):
        with self.torch.inference_mode():
            out = self.model(self.torch.tensor([ids]), past_key_values=self.past, use_cache=True, logits_to_keep=1)
        self.past = out.past_key_values
        return int(out.logits[0, -1].argmax())


class TorchDynamic(Torch):
    """torch.ao's quantize_dynamic(). torchao's needs torch.compile to be faster than float32."""

    head = "int8"

    def __init__(self, *args):
        super().__init__(*args)
        self.linears()
        quantize = self.torch.ao.quantization.quantize_dynamic
        self.model = quantize(self.model, {self.torch.nn.Linear}, dtype=self.torch.qint8)


class OnnxRuntime(Engine):
    """A graph with keys and values as inputs and outputs; quantize_dynamic() with signed weights by channel."""

    head = "int8"

    def __init__(self, folder, work, threads):
        import numpy, onnxruntime
        self.numpy = numpy
        path = os.path.join(work, "gpt2-int8.onnx")
        if not os.path.exists(path):
            from onnx_gpt2 import export
            from onnxruntime.quantization import QuantType, quantize_dynamic
            export(folder, os.path.join(work, "gpt2.onnx"))
            quantize_dynamic(os.path.join(work, "gpt2.onnx"), path + ".part", weight_type=QuantType.QInt8, per_channel=True)
            os.rename(path + ".part", path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.shapes = {i.name: i.shape for i in self.session.get_inputs() if i.name != "ids"}
        self.version = f"onnxruntime {onnxruntime.__version__}"

    def reset(self):
        self.past = {n: self.numpy.zeros((1, s[1], 0, s[3]), self.numpy.float32) for n, s in self.shapes.items()}

    def feed(self, ids):
        logits, *present = self.session.run(None, {"ids": self.numpy.array([ids], self.numpy.int64), **self.past})
        self.past = dict(zip(self.past, present))
        return int(logits.argmax())


class CTranslate2:
    """Its own loop; the time of every token comes from its callback."""

    head = "int8"

    def __init__(self, folder, work, threads):
        import ctranslate2
        converted = os.path.join(work, "ctranslate2")
        if not os.path.exists(converted):
            self.convert(folder, work, converted + ".part")
            os.rename(converted + ".part", converted)
        self.generator = ctranslate2.Generator(converted, compute_type="int8", inter_threads=1, intra_threads=threads)
        self.version = f"ctranslate2 {ctranslate2.__version__}"

    @staticmethod
    def convert(folder, work, out):
        """The converter wants a tokenizer: id n is the word "tn"."""
        import shutil, ctranslate2, tokenizers, transformers
        source = os.path.join(work, "gpt2-words")
        shutil.copytree(folder, source, dirs_exist_ok=True)
        with open(os.path.join(folder, "config.json")) as file:
            size = json.load(file)["vocab_size"]
        words = tokenizers.models.WordLevel({f"t{i}": i for i in range(size)}, unk_token="t0")
        end = f"t{size - 1}"
        transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizers.Tokenizer(words), bos_token=end, eos_token=end,
                                             unk_token=end).save_pretrained(source)
        ctranslate2.converters.TransformersConverter(source).convert(out, quantization="int8", force=True)

    def measure(self, prompt, new):
        heard, ids = [], []

        def hear(step):
            heard.append(time.perf_counter())
            ids.append(step.token_id)
            return False

        began = time.perf_counter()
        self.generator.generate_batch([[f"t{i}" for i in prompt]], max_length=new, sampling_topk=1, beam_size=1,
                                      include_prompt_in_result=False, callback=hear)
        if len(ids) != new:
            raise RuntimeError(f"ended after {len(ids)} of {new} tokens")
        return heard[0] - began, heard[-1] - heard[0], ids


class LlamaCpp(Engine):
    """llama.cpp through its C interface, from a GGUF that its own quantizer made."""

    def __init__(self, folder, work, threads, kind):
        import llama_cpp
        self.c = llama_cpp
        self.log = llama_cpp.llama_log_callback(lambda level, text, data: None)
        self.c.llama_log_set(self.log, None)
        self.c.llama_backend_init()
        path = os.path.join(work, f"gpt2-{kind}.gguf")
        if not os.path.exists(path):
            self.convert(folder, work, kind, path)
        model = self.c.llama_model_default_params()
        self.model = self.c.llama_model_load_from_file(path.encode(), model)
        context = self.c.llama_context_default_params()
        context.n_ctx, context.n_batch, context.n_ubatch = 1024, 512, 512
        context.n_threads = context.n_threads_batch = threads
        self.context = self.c.llama_init_from_model(self.model, context)
        if not self.context:
            raise RuntimeError(f"llama.cpp does not load {path}")
        self.vocab = self.c.llama_vocab_n_tokens(self.c.llama_model_get_vocab(self.model))
        self.version = f"llama.cpp of llama-cpp-python {llama_cpp.__version__}"

    def convert(self, folder, work, kind, path):
        from gguf_gpt2 import convert
        plain = os.path.join(work, "gpt2-f16.gguf")
        if not os.path.exists(plain):
            convert(folder, plain + ".part")
            os.rename(plain + ".part", plain)
        how = self.c.llama_model_quantize_default_params()
        how.ftype = {"Q8_0": self.c.LLAMA_FTYPE_MOSTLY_Q8_0, "Q4_0": self.c.LLAMA_FTYPE_MOSTLY_Q4_0}[kind]
        how.nthread = 1
        if self.c.llama_model_quantize(plain.encode(), (path + ".part").encode(), how) != 0:
            raise RuntimeError("llama.cpp does not quantize the model")
        os.rename(path + ".part", path)

    def reset(self):
        self.c.llama_memory_clear(self.c.llama_get_memory(self.context), True)

    def feed(self, ids):
        import numpy
        tokens = (self.c.llama_token * len(ids))(*ids)
        if self.c.llama_decode(self.context, self.c.llama_batch_get_one(tokens, len(ids))) != 0:
            raise RuntimeError("llama_decode failed")
        logits = self.c.llama_get_logits_ith(self.context, -1)
        return int(numpy.ctypeslib.as_array(logits, shape=(self.vocab,)).argmax())


class LlamaQ8(LlamaCpp):
    head = "Q8_0"

    def __init__(self, *args):
        super().__init__(*args, kind="Q8_0")


class LlamaQ4(LlamaCpp):
    head = "Q6_K"

    def __init__(self, *args):
        super().__init__(*args, kind="Q4_0")


ENGINES = {"PyTorch fp32": Torch, "PyTorch int8": TorchDynamic, "ONNX Runtime int8": OnnxRuntime,
           "CTranslate2 int8": CTranslate2, "llama.cpp Q8_0": LlamaQ8, "llama.cpp Q4_0": LlamaQ4}


def main():
    answers = os.fdopen(os.dup(1), "w")  # what the engines print themselves goes to standard error
    os.dup2(2, 1)

    def say(what):
        print(json.dumps(what), file=answers, flush=True)

    name, folder, work, threads = sys.argv[1:]
    try:
        engine = ENGINES[name](folder, work, int(threads))
        say({"version": engine.version, "head": engine.head})
        for line in sys.stdin:
            job = json.loads(line)
            times = [engine.measure(job["prompt"], job["new"]) for _ in range(job["runs"])]
            say({"prefill": statistics.median(t[0] for t in times), "decode": statistics.median(t[1] for t in times),
                 "ids": times[0][2]})
    except Exception as problem:  # a peer that fails is a line in the table, whatever it was
        say({"missing": f"{type(problem).__name__}: {problem}".splitlines()[0][:160]})


if __name__ == "__main__":
    main()
