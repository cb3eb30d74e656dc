"""The k-th smallest of many short rows. Importing this brings torch."""

import numpy as np
import torch


def kth_smallest(values: torch.Tensor, k: int) -> torch.Tensor:
    """Of each row along the last axis, shape (..., 1), in float32; k from 1.

    On a CPU by numpy, whose partition takes an eighth of torch's `kthvalue` and less than a matrix product.
    """
    wide = values.float()
    if wide.is_cuda:
        return wide.kthvalue(k, dim=-1, keepdim=True).values
    found = np.partition(wide.detach().numpy(), k - 1, axis=-1)[..., k - 1 : k]
    return torch.from_numpy(np.ascontiguousarray(found))
