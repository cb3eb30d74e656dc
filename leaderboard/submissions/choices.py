"""What the submit page offers: kinds of systems, benchmarks, and which of them fit together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from django.db.models import Prefetch
from django.urls import reverse

from evaluations.systems import WEB_KINDS, Kind
from leaderboard.accounts.models import User
from leaderboard.catalog.models import Benchmark, BenchmarkDataset, Dataset
from leaderboard.submissions import checkpoints, members, sweeps
from leaderboard.submissions.earlier import Offered


@dataclass(frozen=True)
class Offer:
    """A benchmark with its datasets in order, loaded once."""

    benchmark: Benchmark
    datasets: tuple[Dataset, ...]

    def obstacle(self, kind: Kind) -> str:
        """Why the kind cannot be evaluated on it; empty where it can."""
        without = [dataset.name for dataset in self.datasets if not dataset.has_corpus]
        if kind.needs_corpus and without:
            return f"{kind.title} needs the documents; no corpus here for {', '.join(without)}"
        return "" if self.datasets else "no dataset yet"


@dataclass(frozen=True)
class Choice:
    """One card of a chooser; choosing it is following its link, or with JavaScript swapping the form."""

    kind: str
    benchmark: str
    title: str
    help: str
    is_current: bool
    obstacle: str = ""
    datasets: tuple[Dataset, ...] = ()

    @property
    def url(self) -> str:
        return self._address("submit")

    @property
    def fields_url(self) -> str:
        return self._address("submit_fields")

    def _address(self, view: str) -> str:
        return f"{reverse(view)}?{urlencode({'kind': self.kind, 'benchmark': self.benchmark})}"


@dataclass(frozen=True)
class Choices:
    """What is chosen, and what could be. `members`: what a kind made of others may be made of.

    `checkpoints`: what a model may be averaged with.
    """

    kind: Kind
    offer: Offer
    kinds: tuple[Choice, ...]
    benchmarks: tuple[Choice, ...]
    members: tuple[Offered, ...] = ()
    checkpoints: tuple[Offered, ...] = ()


def choices(asked: Mapping[str, str], viewer: User, typed: Mapping[str, str] | None = None) -> Choices | None:
    """The page's choices for a query or a form; None where there is no benchmark yet.

    `typed`: what the form's other fields hold. Two queries, and up to three more for a kind that earlier
    submissions can be chosen for.
    """
    offers = _offers()
    if not offers:
        return None
    kind = WEB_KINDS.get(asked.get("kind", "")) or next(iter(WEB_KINDS.values()))
    named = next((offer for offer in offers if offer.benchmark.name == asked.get("benchmark")), None)
    offer = named or next((offer for offer in offers if not offer.obstacle(kind)), offers[0])
    found = Choices(kind, offer, _kinds(kind, offer), _benchmarks(kind, offer, offers))
    if kind.members.maximum:
        listed = members.offered(kind, offer.benchmark, offer.datasets, viewer, typed or {})
        return replace(found, members=tuple(listed))
    if sweeps.averages(kind):
        listed = checkpoints.offered(kind, offer.benchmark, viewer, typed or {})
        return replace(found, checkpoints=tuple(listed))
    return found


def _offers() -> list[Offer]:
    rows = BenchmarkDataset.objects.select_related("dataset").order_by("position")
    loaded = Benchmark.objects.prefetch_related(Prefetch("benchmarkdataset_set", queryset=rows))
    return [
        Offer(benchmark, tuple(member.dataset for member in benchmark.benchmarkdataset_set.all()))
        for benchmark in loaded
    ]


def _kinds(current: Kind, offer: Offer) -> tuple[Choice, ...]:
    return tuple(
        Choice(
            kind=kind.name,
            benchmark=offer.benchmark.name,
            title=kind.title,
            help=kind.help,
            is_current=kind.name == current.name,
        )
        for kind in WEB_KINDS.values()
    )


def _benchmarks(kind: Kind, current: Offer, offers: Sequence[Offer]) -> tuple[Choice, ...]:
    return tuple(
        Choice(
            kind=kind.name,
            benchmark=offer.benchmark.name,
            title=str(offer.benchmark),
            help=offer.benchmark.description,
            is_current=offer.benchmark.pk == current.benchmark.pk,
            obstacle=offer.obstacle(kind),
            datasets=offer.datasets,
        )
        for offer in offers
    )
