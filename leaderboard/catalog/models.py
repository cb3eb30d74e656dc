"""What can be measured and compared: datasets, benchmarks, systems and their revisions."""

import hashlib
import uuid
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import models

from leaderboard.catalog.members import Part


class Dataset(models.Model):
    """Corpus, queries and qrels of one split: its identity is its name **and** its checksums."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.SlugField(max_length=80)
    split = models.CharField(max_length=20, default="test")
    source = models.CharField(
        max_length=500, help_text="A registered name, or a folder on the workers' machines."
    )
    self_hits = models.CharField(
        max_length=6, choices=[("keep", "keep"), ("remove", "remove")], default="keep"
    )
    corpus_checksum = models.CharField(
        max_length=64, blank=True, help_text="Empty: the dataset has no corpus."
    )
    queries_checksum = models.CharField(max_length=64)
    qrels_checksum = models.CharField(max_length=64)
    documents = models.PositiveIntegerField(null=True)
    queries = models.PositiveIntegerField()
    judgements = models.PositiveIntegerField()
    licence = models.CharField(max_length=120, blank=True)
    protocol = models.CharField(max_length=12, help_text="Hash of the retrieval protocol on this dataset.")
    warnings = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "-created_at"]
        constraints = [
            models.UniqueConstraint(
                "name",
                "split",
                "corpus_checksum",
                "queries_checksum",
                "qrels_checksum",
                "self_hits",
                name="dataset_identity",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def has_corpus(self) -> bool:
        return bool(self.corpus_checksum)


class Benchmark(models.Model):
    """A named, ordered list of datasets; its value is their macro-average."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.SlugField(max_length=80, unique=True)
    title = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    position = models.PositiveSmallIntegerField(
        default=100, help_text="Boards are listed by it, lowest first."
    )
    datasets: "models.ManyToManyField[Dataset, BenchmarkDataset]" = models.ManyToManyField(
        Dataset, through="BenchmarkDataset", related_name="benchmarks"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["position", "name"]

    def __str__(self) -> str:
        return self.title or self.name

    def members(self) -> "models.QuerySet[BenchmarkDataset]":
        return self.benchmarkdataset_set.select_related("dataset").order_by("position")

    @property
    def protocol(self) -> str:
        """Hash of the members' protocol hashes: two boards with the same one hold comparable averages."""
        return board_protocol(self.members())


def board_protocol(members: "Iterable[BenchmarkDataset]") -> str:
    """Of members that are loaded already; see `Benchmark.protocol`."""
    lines = (f"{member.group}:{member.dataset.protocol}" for member in members)
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:12]


class BenchmarkDataset(models.Model):
    benchmark = models.ForeignKey(Benchmark, on_delete=models.CASCADE)
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT)
    position = models.PositiveSmallIntegerField(default=0)
    group = models.SlugField(
        max_length=80, blank=True, help_text="Members of one group average into one cell first (CQADupStack)."
    )

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint("benchmark", "dataset", name="benchmark_dataset_once")]

    def __str__(self) -> str:
        return f"{self.benchmark.name}/{self.dataset.name}"


class System(models.Model):
    """What is compared. Its revisions hold what was run."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="systems")
    name = models.CharField(max_length=100)
    family = models.CharField(max_length=20)
    organisation = models.CharField(max_length=120, blank=True)
    licence = models.CharField(max_length=60, blank=True)
    url = models.URLField(blank=True)
    description = models.TextField(max_length=2000, blank=True)
    training_data = models.TextField(
        max_length=2000,
        blank=True,
        help_text="Declared by the submitter; needed to tell zero-shot from in-domain.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint("owner", "name", name="system_name_once_per_owner")]

    def __str__(self) -> str:
        return self.name


class Revision(models.Model):
    """One exact thing to run: kind, location at a pinned version, options, and the hashes of its files."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    system = models.ForeignKey(System, on_delete=models.PROTECT, related_name="revisions")
    kind = models.CharField(max_length=20)
    location = models.CharField(max_length=300, blank=True, help_text="A hub id; empty for uploaded files.")
    version = models.CharField(
        max_length=80, blank=True, help_text="The hub's commit, or a hash of the files."
    )
    options = models.JSONField(default=dict, blank=True)
    files: "models.JSONField[Any, Any]" = models.JSONField(
        default=dict, blank=True, help_text="File name to sha256."
    )
    members: "models.JSONField[Any, Any]" = models.JSONField(
        default=list,
        blank=True,
        help_text="What it is made of, as it was when submitted; see members.py.",
    )
    content_hash = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint("system", "content_hash", name="revision_content_once")]

    def __str__(self) -> str:
        return f"{self.system.name} {self.short}"

    @property
    def short(self) -> str:
        """Eight characters that tell this revision from its siblings on a page."""
        version: str = self.version
        return (version.removeprefix("sha256:") or self.content_hash)[:8]

    @property
    def made_of(self) -> tuple[Part, ...]:
        return tuple(Part.from_json(member) for member in self.members)

    @property
    def parts(self) -> tuple[Part, ...]:
        """All that is loaded to run it: itself, then what it is made of."""
        return self.as_part(), *self.made_of

    def as_part(self, name: str = "") -> Part:
        """Itself as it is loaded, without what it is made of."""
        own = (self.kind, self.location, self.version, self.options, self.files)
        return Part(*own, revision=self.pk, system=self.system_id, name=name)


class RevisionMember(models.Model):
    """Keeps a member's revision, and with it the files uploaded for it, as long as what is made of it."""

    revision = models.ForeignKey(Revision, on_delete=models.CASCADE, related_name="kept_members")
    member = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="member_of")

    class Meta:
        constraints = [models.UniqueConstraint("revision", "member", name="revision_member_once")]

    def __str__(self) -> str:
        return f"{self.member} in {self.revision}"


class RevisionFile(models.Model):
    """A file the submitter uploaded for a revision: for `run`, one a dataset."""

    revision = models.ForeignKey(Revision, on_delete=models.CASCADE, related_name="uploads")
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, null=True)
    file = models.FileField(max_length=300)
    sha256 = models.CharField(max_length=64)
    size_bytes = models.PositiveBigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint("revision", "dataset", name="one_upload_per_dataset")]

    def __str__(self) -> str:
        return str(self.file.name)
