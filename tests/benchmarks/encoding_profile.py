"""Where the time of encoding goes: one batch of the bench's model, operation by operation."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.framework import Table

if TYPE_CHECKING:
    import torch

TEXTS, TOKENS = 4, 256  # a batch of the board's on a processor, of texts as long as most of SciFact's
TURNS = 5
SHOWN = {
    "aten::addmm": "products with the weights",
    "aten::_scaled_dot_product_flash_attention_for_cpu": "attention",
    "aten::gelu": "GELU",
    "aten::copy_": "copies, of a product's bias above all",
    "aten::native_layer_norm": "layer norms",
}
PRODUCTS = ((TEXTS * TOKENS, 384, 1536), (2048, 2048, 2048))  # the model's widest, and a large one beside it


def tables(model: Path) -> tuple[Table, Table]:
    """On one thread, as each of the batches that run side by side."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _operations(_shares(model)), _products()
    finally:
        torch.set_num_threads(threads)


def _operations(shares: dict[str, float]) -> Table:
    rows = [(name, f"{shares.pop(key, 0.0):.0%}") for key, name in SHOWN.items()]
    rows.append(("all else", f"{sum(shares.values()):.0%}"))
    title = f"A batch of {TEXTS} texts of {TOKENS} tokens, fp32, one thread, by torch's profiler"
    return Table(title, ("operation", "share of the time"), tuple(rows))


def _products() -> Table:
    import torch

    dtypes = (torch.float32, torch.bfloat16)
    rows = [
        (" x ".join(map(str, shape)), *(f"{_gflops(*shape, dtype):.0f}" for dtype in dtypes))
        for shape in PRODUCTS
    ]
    columns = ("product", "GFLOP/s in fp32", "GFLOP/s in bf16")
    return Table("Products on one thread, the quickest of a few", columns, tuple(rows))


def _shares(model: Path) -> dict[str, float]:
    """Of the processor time spent in each operation itself."""
    import torch
    from transformers import AutoModel

    encoder = AutoModel.from_pretrained(str(model)).eval()
    tokens = torch.randint(1000, 20_000, (TEXTS, TOKENS), generator=torch.Generator().manual_seed(0))
    features = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    with torch.inference_mode():
        encoder(**features)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            for _ in range(TURNS):
                encoder(**features)
    times = {each.key: each.self_cpu_time_total for each in profile.key_averages()}
    return {key: value / sum(times.values()) for key, value in times.items()}


def _gflops(rows: int, inner: int, columns: int, dtype: "torch.dtype") -> float:
    import torch

    left, right = torch.randn(rows, inner).to(dtype), torch.randn(columns, inner).to(dtype)
    seconds = []
    for _ in range(TURNS):
        started = time.perf_counter()
        torch.nn.functional.linear(left, right)
        seconds.append(time.perf_counter() - started)
    return 2 * rows * inner * columns / min(seconds) / 1e9
