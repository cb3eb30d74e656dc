"""Which processor, and which precision it does well. Imports torch where it must ask it."""

from evaluations.errors import EvaluationError

PRECISIONS = ("fp32", "bf16", "fp16")


def resolve_device(device: str) -> str:
    """`cpu` or `cuda`. Raises EvaluationError `DEVICE` where cuda is asked for and is not there."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise EvaluationError("DEVICE", "no CUDA device is available here; use --device cpu or auto")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def best_precision(device: str) -> str:
    """bf16 where the processor multiplies in it, otherwise fp32."""
    import torch

    if resolve_device(device) == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported() else "fp32"
