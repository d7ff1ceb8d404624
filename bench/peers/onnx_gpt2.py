"""A GPT-2 checkpoint as an ONNX graph of one step: ids [1, T] and the past [1, H, P, D] of every layer, keys and
values, to logits [1, 1, V] behind the last id and the past with T more columns.
"""
import torch, transformers
from torch.nn.functional import scaled_dot_product_attention


class Step(torch.nn.Module):
    def __init__(self, folder):
        super().__init__()
        self.model = transformers.GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32).eval()
        self.heads = self.model.config.n_head

    def split(self, x):
        return x.view(1, -1, self.heads, x.shape[-1] // self.heads).transpose(1, 2)

    def forward(self, ids, *past):
        body = self.model.transformer
        length, before = ids.shape[1], past[0].shape[2]
        at = torch.arange(length) + before
        seen = torch.arange(before + length)[None, :] <= at[:, None]
        x = body.wte(ids) + body.wpe(at)
        present = []
        for i, block in enumerate(body.h):
            q, k, v = (self.split(part) for part in block.attn.c_attn(block.ln_1(x)).chunk(3, dim=-1))
            k, v = torch.cat([past[2 * i], k], dim=2), torch.cat([past[2 * i + 1], v], dim=2)
            present += [k, v]
            mixed = scaled_dot_product_attention(q, k, v, attn_mask=seen)
            x = x + block.attn.c_proj(mixed.transpose(1, 2).reshape(1, -1, x.shape[-1]))
            x = x + block.mlp(block.ln_2(x))
        return self.model.lm_head(body.ln_f(x[:, -1:])), *present


def export(folder, path):
    step = Step(folder)
    c = step.model.config
    past = [torch.zeros(1, c.n_head, 3, c.n_embd // c.n_head) for _ in range(2 * c.n_layer)]
    names = [f"past_{i}" for i in range(len(past))]
    length, before = torch.export.Dim("length", max=c.n_positions), torch.export.Dim("before", max=c.n_positions)
    torch.onnx.export(step, (torch.zeros(1, 5, dtype=torch.long), *past), path, dynamo=True, external_data=False,
                      input_names=["ids", *names], output_names=["logits", *(f"present_{i}" for i in range(len(past)))],
                      dynamic_shapes=({1: length}, tuple({2: before} for _ in past)))
