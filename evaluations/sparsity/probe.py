"""The costly profile of a model: it encodes a sample text by text while everything inside is watched.

One text at a time, so that nothing is padded; through the encoder's own path, so that prompts, lengths and
sides are those of the evaluation. Importing this brings torch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

from torch import nn
from transformers import PreTrainedModel

from evaluations.sparsity.activations import ActivationProbe, activation_findings
from evaluations.sparsity.attention import AttentionProbe, attention_findings
from evaluations.sparsity.compute import ComputeProbe, compute_metrics, eager
from evaluations.sparsity.experts import ExpertProbe, expert_findings
from evaluations.sparsity.names import COMPUTE_METRICS
from evaluations.sparsity.parameters import routing_of
from evaluations.sparsity.sample import RULE, Sample
from evaluations.tracks import Findings, not_applicable

Side = Literal["query", "document"]


@dataclass(frozen=True)
class ProbedModel:
    """`encode` takes one text of a side through `module`, whose transformer has this configuration."""

    module: nn.Module
    config: Mapping[str, object]
    encode: Callable[[str, Side], object]


def probed(model: ProbedModel, sample: Sample) -> Findings:
    """Activations, attention, experts and compute over the sample; every text is encoded twice."""
    routing = routing_of(model.config)
    activations = ActivationProbe(model.module)
    attention = AttentionProbe(model.module)
    experts = ExpertProbe(model.module, routing)
    with eager(transformers_in(model.module)):
        with _attached(activations, attention, experts):
            compute = _compute(model, sample)
        activations.second_pass()
        with _attached(activations):
            for side, texts in _sides(sample):
                for text in texts:
                    model.encode(text, side)
    found = activation_findings(activations.layers)
    found |= attention_findings(attention.layers, attention.buckets)
    return found | expert_findings(experts.loads, routing) | compute | _stated(sample)


class Probe(Protocol):
    def attach(self) -> Sequence[Any]:
        """Hooks into the model; the handles that remove them."""


def _compute(model: ProbedModel, sample: Sample) -> Findings:
    probe, found = ComputeProbe(model.module), Findings()
    for side, texts in _sides(sample):
        if texts:
            counted = [probe.run(partial(model.encode, text, side)) for text in texts]
            found |= Findings(compute_metrics(side, counted))
        else:
            names = [name for name in COMPUTE_METRICS if name.startswith(side)]
            found |= not_applicable(f"the sample has no {side}", *names)
    return found


def _sides(sample: Sample) -> tuple[tuple[Side, Sequence[str]], tuple[Side, Sequence[str]]]:
    return ("document", sample.documents), ("query", sample.queries)


def _stated(sample: Sample) -> Findings:
    stated = {"documents": len(sample.documents), "queries": len(sample.queries), "rule": RULE}
    return Findings(details={"sample": stated})


@contextmanager
def _attached(*probes: Probe) -> Iterator[None]:
    handles = [handle for probe in probes for handle in probe.attach()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def transformers_in(module: nn.Module) -> list[PreTrainedModel]:
    """The outermost ones: their implementations reach those inside."""
    found: list[PreTrainedModel] = []
    for child in module.modules():
        if isinstance(child, PreTrainedModel) and not any(child in list(each.modules()) for each in found):
            found.append(child)
    return found
