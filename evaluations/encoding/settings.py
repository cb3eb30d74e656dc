"""What a model runs on: device, precision, threads, and how fp32 products are computed. Imports torch."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from transformers.utils import logging as transformers_logging

from evaluations.encoding.threads import allowed_cores
from evaluations.systems.base import Runtime
from evaluations.systems.devices import resolve_device

PROBE_TOLERANCE = 1e-5
FASTER = 0.97  # of the other's time: less is a difference of chance
PROBE_TURNS = 3
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}

# Tokens of a batch, padding included. On a processor what a layer passes on should stay in the cache: on two
# cores with 512 KiB each, 1,024 tokens of all-MiniLM-L6-v2 take 0.8 of the time that 32,768 take a text.
BATCH_TOKENS = {"cpu": 1024, "cuda": 32_768}


@dataclass(frozen=True)
class Settings:
    """Made once a process by `prepare`; `products` names the fp32 matrix product."""

    device: str
    precision: str
    products: str
    threads: int

    @property
    def batch_tokens(self) -> int:
        return BATCH_TOKENS[self.device]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Without gradients; weights stay fp32, products run in the precision.

        That is nearer to fp32 than a converted model.
        """
        lower = self.precision != "fp32"
        products = torch.autocast(self.device, dtype=_DTYPES[self.precision]) if lower else nullcontext()
        with torch.inference_mode(), products:
            yield

    @contextmanager
    def one_thread_each(self) -> Iterator[None]:
        """For threads begun inside: each computes alone. Afterwards a product takes all threads again."""
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(self.threads)

    def facts(self) -> dict[str, str | int | None]:
        """For a report's provenance."""
        return {
            "device": self.device,
            "device_name": torch.cuda.get_device_name() if self.device == "cuda" else None,
            "precision": self.precision,
            "fp32_products": self.products,
            "threads": self.threads,
            "batch_tokens": self.batch_tokens,
        }


def prepare(runtime: Runtime, precision: str) -> Settings:
    """Before a model is loaded: quiet libraries, the device, the threads. Raises EvaluationError `DEVICE`."""
    threads = runtime.threads or allowed_cores()
    _quieten(threads)
    torch.set_num_threads(threads)
    device = resolve_device(runtime.device)
    return Settings(device, precision, fp32_products(device), threads)


def fp32_products(device: str) -> str:
    """Chooses the faster fp32 matrix product that is still fp32, and names it.

    On a CPU "medium" sends products to oneDNN, which keeps fp32 on some processors and uses bf16 on others:
    a probe decides, and another whether it is faster. On CUDA fp32 stays without TF32.
    """
    torch.set_float32_matmul_precision("highest")
    if device != "cpu":
        return "highest"
    own_s = _probe_s()
    torch.set_float32_matmul_precision("medium")
    if probe_error() < PROBE_TOLERANCE and _probe_s() < FASTER * own_s:
        return "medium (oneDNN, probed)"
    torch.set_float32_matmul_precision("highest")
    return "highest"


def probe_error() -> float:
    """Largest error of a float32 product relative to its largest element, against float64."""
    left, right = _probe_matrices()
    exact = left.double() @ right.double()
    return float(((left @ right).double() - exact).abs().max() / exact.abs().max())


def _probe_s() -> float:
    """Processor seconds of the quickest of a few layers, which other work disturbs least."""
    layer = _probe_layer()
    return min(_layer_s(*layer) for _ in range(PROBE_TURNS))


def _layer_s(tokens: torch.Tensor, weight: torch.Tensor, heads: torch.Tensor) -> float:
    """Products and attention in the proportions of an encoder's layer, on one thread as batches are.

    Attention decides: where oneDNN's products are as fast as the others, its small ones take three times
    as long (seen).
    """
    started = time.process_time()
    for _ in range(3):
        torch.nn.functional.linear(tokens, weight)
    torch.nn.functional.scaled_dot_product_attention(heads, heads, heads)
    return time.process_time() - started


def _probe_layer() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """1,024 tokens in four texts, a layer 384 wide with twelve heads: all-MiniLM-L6-v2's."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((1024, 384), (1536, 384), (4, 12, 256, 32))
    tokens, weight, heads = (torch.randn(shape, generator=generator) for shape in shapes)
    return tokens, weight, heads


def _probe_matrices() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(512, 1536, generator=generator), torch.randn(1536, 384, generator=generator)


def _quieten(threads: int) -> None:
    """Libraries write their own bars and warnings; standard error belongs to the one line of an error."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true" if threads > 1 else "false")
    os.environ.setdefault("RAYON_NUM_THREADS", str(threads))
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
