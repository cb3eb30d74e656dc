"""One-shot pruning of the weights of attention and MLPs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from evaluations.sparsity.sweeps.base import Altered, Facts, Subject, Sweep, Values, Variant

if TYPE_CHECKING:
    from evaluations.sparsity.sweeps.matrices import Matrix

SHARES = Values(
    "integer",
    ("10", "20", "30", "40", "50", "60", "70", "80", "90"),
    1,
    99,
    unmodified="0",
    sparser="greater",
)


@contextmanager
def _pruned(subject: Subject, prune: "Callable[[list[Matrix]], None]") -> Iterator[Altered]:
    from evaluations.sparsity.sweeps.matrices import prunable  # here, since they bring torch
    from evaluations.sparsity.sweeps.pruning import kept

    matrices = prunable(subject.module)
    before = _facts(subject.module, matrices, 0.0).axis
    with kept(matrices):
        prune(matrices)
        facts = _facts(subject.module, matrices, before)
        yield Altered(subject.system, lambda: facts)


def _magnitude(subject: Subject, value: str) -> Any:
    from evaluations.sparsity.sweeps.pruning import magnitudes, prune_together

    return _pruned(subject, lambda matrices: prune_together(matrices, int(value) / 100, magnitudes))


def _by_layer(subject: Subject, value: str) -> Any:
    from evaluations.sparsity.sweeps.pruning import magnitudes, prune_apart

    return _pruned(subject, lambda matrices: prune_apart(matrices, int(value) / 100, magnitudes))


def _random(subject: Subject, value: str) -> Any:
    from evaluations.sparsity.sweeps.pruning import prune_together, random_keys

    return _pruned(subject, lambda matrices: prune_together(matrices, int(value) / 100, random_keys))


def _pattern(subject: Subject, value: str) -> Any:
    from evaluations.sparsity.sweeps.pruning import prune_pattern

    kept_of, group = map(int, value.split(":"))
    return _pruned(subject, lambda matrices: prune_pattern(matrices, kept_of, group))


def _facts(module: Any, matrices: "list[Matrix]", before: float) -> Facts:
    """`before`: the share of prunable zeros of the unmodified model, which is level 0."""
    from evaluations.sparsity.sweeps.matrices import zeros

    pruned, prunable_all = zeros(matrix.weight for matrix in matrices)
    everywhere, parameters = zeros(module.parameters())
    share = pruned / prunable_all
    level = (share - before) / (1.0 - before) if before < 1.0 else 0.0
    shares = {"prunable_zeros_share": share, "weight_zeros_share": everywhere / parameters}
    return Facts(share, level, shares)


def _unmodified(subject: Subject) -> Facts:
    from evaluations.sparsity.sweeps.matrices import prunable

    matrices = prunable(subject.module)
    share = _facts(subject.module, matrices, 0.0).axis
    return _facts(subject.module, matrices, share)


SWEEP = Sweep(
    name="weights",
    title="Pruned weights",
    help="One-shot pruning, without training: weight matrices of attention and of MLPs or experts lose a "
    "share of their weights. Embeddings, norms, biases, routers and heads stay. Values are percent.",
    source="essential sparsity: Jaiswal et al. 2023; random: Liu et al. 2022; N:M: Mishra et al. 2021",
    kinds=("dense", "sparse", "late-interaction"),
    axis="share of prunable weights that are zero",
    unit="share",
    variants=(
        Variant(
            "magnitude", "Smallest magnitudes", "The weights of smallest magnitude over all matrices.",
            SHARES, model=_magnitude,
        ),
        Variant(
            "random", "Random (baseline)", "As many weights, drawn at random with a fixed seed.",
            SHARES, model=_random, is_baseline=True,
        ),
        Variant(
            "layer", "Smallest of each matrix", "The same share of each matrix, its smallest magnitudes.",
            SHARES, model=_by_layer,
        ),
        Variant(
            "nm", "N:M patterns", "At most N non-zeros in M consecutive inputs of an output.",
            Values("pattern", ("2:4", "4:8", "1:4")), model=_pattern,
        ),
    ),
    unmodified=_unmodified,
)  # fmt: skip
