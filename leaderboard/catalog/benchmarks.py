"""Bringing a benchmark to a list of datasets, without changing what published numbers mean."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db import transaction

from evaluations.datasets import BENCHMARKS, REGISTERED

from .errors import CatalogueError
from .models import Benchmark, BenchmarkDataset, Dataset
from .names import checked, dataset_name
from .signals import benchmark_changed

# Their lists are evaluations.datasets.BENCHMARKS.
TITLES = {
    "mini": "Mini",
    "beir-13": "BEIR, 13 public datasets",
    "beir-15": "BEIR, 15 datasets",
    "beir-18": "BEIR, 18 datasets",
}


@dataclass(frozen=True)
class Item:
    """One dataset of a list as it was typed, and the group that it averages into first ("" for none)."""

    dataset: str
    group: str = ""


@dataclass(frozen=True)
class Change:
    """What became of a benchmark: `created`, or the parts that were `changed` (none: it was so already)."""

    benchmark: Benchmark
    created: bool
    changed: tuple[str, ...]


@dataclass(frozen=True)
class Member:
    dataset: Dataset
    group: str


def put(
    name: str,
    dataset_names: Sequence[str] = (),
    *,
    title: str = "",
    description: str = "",
    position: int | None = None,
    force: bool = False,
) -> Change:
    """Create the benchmark, or bring it to this ordered list; empty texts leave what is there.

    `mini` and the `beir-...` bring their own list. Raises CatalogueError for datasets that are not in the
    catalogue, and where submissions were made to another list (unless `force`, which recomputes its entries).
    """
    wanted = _members(_items_of(name, dataset_names))
    texts = {"title": title, "description": description, "position": position}
    with transaction.atomic():
        benchmark, created = Benchmark.objects.select_for_update().get_or_create(
            name=name, defaults={"title": title or TITLES.get(name, name)}
        )
        changed = _set_texts(
            benchmark, {key: value for key, value in texts.items() if value not in ("", None)}
        )
        changed += _set_members(benchmark, wanted, force=force)
    return Change(benchmark, created, tuple(changed))


def append(name: str, dataset: Dataset, *, force: bool = False) -> Change:
    """Put a dataset at the end of a benchmark, which is created where there is none."""
    checked(name)
    with transaction.atomic():
        benchmark, created = Benchmark.objects.select_for_update().get_or_create(
            name=name, defaults={"title": name}
        )
        members = [Member(member.dataset, member.group) for member in benchmark.members()]
        if any(member.dataset == dataset for member in members):
            return Change(benchmark, created, ())
        wanted = [*members, Member(dataset, "")]
        check_columns(wanted)
        changed = _set_members(benchmark, wanted, force=force)
    return Change(benchmark, created, tuple(changed))


def describe(change: Change) -> str:
    """One line for the operator."""
    deed = (
        "created"
        if change.created
        else f"changed ({', '.join(change.changed)})"
        if change.changed
        else "was so already"
    )
    columns = [
        f"{member.group}:{member.dataset.name}" if member.group else member.dataset.name
        for member in change.benchmark.members()
    ]
    return f"{change.benchmark.name} {deed}: {', '.join(columns)}, protocol {change.benchmark.protocol}"


def parse(dataset_names: Sequence[str]) -> list[Item]:
    """`scifact`, `cqadupstack:cqadupstack-gis`, or `cqadupstack=android,gis` for a whole group."""
    return [item for text in dataset_names for item in _parse_one(text)]


def _parse_one(text: str) -> Iterator[Item]:
    group, equals, parts = text.partition("=")
    if equals:
        names = [part.strip() for part in parts.split(",") if part.strip()]
        if not names:
            raise CatalogueError(f"{text!r} names a group without datasets: write GROUP=ONE,TWO")
        yield from (Item(dataset_name(name), checked(group)) for name in names)
        return
    group, colon, dataset = text.rpartition(":")
    if not dataset:
        raise CatalogueError(f"{text!r} names no dataset: write DATASET, GROUP:DATASET or GROUP=ONE,TWO")
    yield Item(dataset_name(dataset), checked(group) if colon else "")


def _items_of(name: str, dataset_names: Sequence[str]) -> list[Item]:
    checked(name)
    items = parse(dataset_names)
    if name not in BENCHMARKS:
        if not items:
            raise CatalogueError(f"{name} needs datasets; only {', '.join(BENCHMARKS)} bring their own list")
        return items
    fixed = list(_fixed_items(name))
    if items and items != fixed:
        raise CatalogueError(f"{name} is a fixed list of datasets: leave them out, or choose another name")
    return fixed


def _fixed_items(name: str) -> Iterator[Item]:
    fixed = BENCHMARKS[name]
    for column in fixed.datasets:
        parts = fixed.groups.get(column)
        yield from (
            (Item(dataset_name(part), column) for part in parts) if parts else [Item(dataset_name(column))]
        )


def _members(items: Sequence[Item]) -> list[Member]:
    names = {candidate for item in items for candidate in _candidates(item)}
    # Oldest first, so that of several versions the newest stays.
    rows = {row.name: row for row in Dataset.objects.filter(name__in=names).order_by("created_at")}
    found = [(item, [rows[name] for name in _candidates(item) if name in rows]) for item in items]
    if missing := [_candidates(item)[0] for item, matches in found if not matches]:
        raise CatalogueError(f"not in the catalogue: {', '.join(missing)}. First: {_how_to_add(missing[0])}")
    members = [Member(matches[0], item.group) for item, matches in found]
    check_columns(members)
    return members


def _how_to_add(name: str) -> str:
    named = {dataset_name(dataset.name): dataset.source for dataset in REGISTERED.values()}
    return f"manage.py add_dataset {named.get(name) or f'FOLDER --name {name}'}"


def _candidates(item: Item) -> list[str]:
    """In a group, `android` may stand for `cqadupstack-android`."""
    prefix = f"{item.group}-" if item.group else ""
    whole = item.dataset if item.dataset.startswith(prefix) else prefix + item.dataset
    return list(dict.fromkeys([whole, item.dataset]))


def check_columns(members: Sequence[Member]) -> None:
    """Cells are kept by column name, so no two columns may share one."""
    names = [member.dataset.name for member in members]
    if twice := {name for name in names if names.count(name) > 1}:
        raise CatalogueError(f"named more than once: {', '.join(sorted(twice))}")
    alone = {member.dataset.name for member in members if not member.group}
    if shared := alone & {member.group for member in members}:
        raise CatalogueError(
            f"{', '.join(sorted(shared))} cannot be both a dataset and a group of one benchmark"
        )


def _set_texts(benchmark: Benchmark, texts: dict[str, str | int | None]) -> list[str]:
    changed = [key for key, value in texts.items() if getattr(benchmark, key) != value]
    for key in changed:
        setattr(benchmark, key, texts[key])
    if changed:
        benchmark.save(update_fields=changed)
    return changed


def _set_members(benchmark: Benchmark, wanted: Sequence[Member], *, force: bool) -> list[str]:
    present = [Member(member.dataset, member.group) for member in benchmark.members()]
    if present == list(wanted):
        return []
    same_numbers = {(m.dataset.pk, m.group) for m in present} == {(m.dataset.pk, m.group) for m in wanted}
    if not same_numbers and not force and benchmark.submissions.exists():
        raise CatalogueError(
            f"{benchmark.name} has submissions on another list ({_difference(present, wanted)}): its averages"
            " would change their meaning. Choose another name, or --force to recompute its entries"
        )
    benchmark.benchmarkdataset_set.all().delete()
    BenchmarkDataset.objects.bulk_create(
        BenchmarkDataset(benchmark=benchmark, dataset=member.dataset, position=place, group=member.group)
        for place, member in enumerate(wanted)
    )
    benchmark_changed.send(sender=Benchmark, benchmark=benchmark)
    return ["datasets"]


def _difference(present: Sequence[Member], wanted: Sequence[Member]) -> str:
    lost = [f"without {_label(member)}" for member in present if member not in wanted]
    gained = [f"with {_label(member)}" for member in wanted if member not in present]
    return ", ".join(lost + gained)


def _label(member: Member) -> str:
    version = f"{member.dataset.name} {member.dataset.protocol}"
    return f"{member.group}:{version}" if member.group else version
