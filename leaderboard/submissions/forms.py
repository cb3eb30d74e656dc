"""The submit form: it shows fields and takes texts. What they mean is checked as for REST, elsewhere."""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.core.files.base import File

from evaluations.sparsity.sweeps import Sweep
from evaluations.systems import KINDS
from leaderboard.submissions import checkpoints, sweeps, texts, tracks
from leaderboard.submissions.choices import Choices
from leaderboard.submissions.earlier import SEARCH
from leaderboard.submissions.fields import (
    SEARCHED,
    NeededField,
    member_fields,
    option_fields,
    search_fields,
    system_fields,
    track_fields,
)
from leaderboard.submissions.members import MemberChoice, member_field
from leaderboard.submissions.options import option_field
from leaderboard.submissions.refusals import Refused
from leaderboard.submissions.runs import ARCHIVE, file_field
from leaderboard.submissions.validation import SubmissionRequest

TEXTS = (*texts.LINES, *texts.PARAGRAPHS)
DESCRIPTION = ("organisation", "licence", "url", "description", "training_data", "note")


@dataclass(frozen=True)
class SweepField:
    """A curve's check box and its values. `lists`: from which values may be chosen, for most curves none."""

    name: str
    box: forms.BoundField
    values: forms.BoundField
    lists: list[forms.BoundField] = field(default_factory=list)


@dataclass(frozen=True)
class SweepGroup:
    sweep: Sweep
    curves: list[SweepField] = field(default_factory=list)


class SubmissionForm(forms.Form):
    """One kind's fields for one benchmark. All take any text, so that nothing typed is lost in a refusal."""

    kind = forms.CharField(required=False, widget=forms.HiddenInput)
    benchmark = forms.CharField(required=False, widget=forms.HiddenInput)
    key = forms.CharField(required=False, widget=forms.HiddenInput)
    name = NeededField(
        label="System name",
        help_text="As the leaderboard will show it. A new version of the same system keeps its name.",
    )
    organisation = forms.CharField(
        required=False, help_text="Who made it: a company, a university, a person."
    )
    licence = forms.CharField(required=False, help_text="Of the weights or the code, such as Apache-2.0.")
    url = forms.CharField(
        required=False,
        label="Link",
        help_text="A page about it: a paper, a model card, a repository.",
        widget=forms.URLInput(attrs={"placeholder": "https://"}),
    )
    description = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What is particular about it, in a few sentences. Plain text, shown on the system's page.",
    )
    training_data = forms.CharField(
        required=False,
        label="Training data",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What it was trained on, naming any dataset of this benchmark:"
        " readers tell zero-shot results from in-domain ones by it.",
    )
    note = forms.CharField(required=False, help_text="A line about this one submission, for your own list.")

    def __init__(self, chosen: Choices, data: Any = None, files: Any = None, **options: Any) -> None:
        super().__init__(data, files, label_suffix="", **options)
        self.chosen = chosen
        named = {"kind": chosen.kind.name, "benchmark": chosen.offer.benchmark.name}
        self.initial = {"key": uuid.uuid4().hex, **self.initial, **named}
        for name, limit in {**texts.LINES, **texts.PARAGRAPHS}.items():
            self.fields[name].widget.attrs["maxlength"] = limit
        self.fields |= system_fields(chosen.kind, chosen.offer.datasets) | option_fields(chosen.kind)
        self.fields |= track_fields(chosen.kind)
        self.fields |= member_fields(chosen.kind, chosen.members)
        if chosen.kind.members.maximum:
            self.fields |= search_fields("members")
        elif sweeps.averages(chosen.kind):
            self.fields |= search_fields("checkpoints")
        if SEARCH in self.fields:
            self.initial[SEARCHED] = self.initial.get(SEARCH, "")
        self.fields |= sweeps.form_fields(chosen.kind, chosen.checkpoints)

    def clean(self) -> dict[str, Any]:
        for name, message in sweeps.left_out(self.chosen.kind, self.cleaned_data):
            self.add_error(name, message)
        return self.cleaned_data

    def request(self) -> SubmissionRequest:
        """What was sent, as the code behind page and REST takes it. To be called on a bound form."""
        self.is_valid()
        sent = self.cleaned_data
        return SubmissionRequest(
            kind=self.data.get("kind", ""),
            benchmark=self.data.get("benchmark", ""),
            device=sent.get("device") or "cpu",
            tracks=sent.get(tracks.FIELD, ""),
            sweeps=sweeps.asked_in(self.chosen.kind, sent),
            options=self._options(),
            members=self._members(),
            files=self._files(),
            archive=sent.get(ARCHIVE),
            **{name: sent.get(name, "") for name in (*TEXTS, "location", "revision")},
        )

    def show(self, refusal: Refused) -> None:
        """Put each message beside its field; what has no field here goes to the top."""
        for name, messages in refusal.errors.items():
            for message in messages:
                self.add_error(name if name in self.fields else None, message)

    def summary(self) -> Iterator[tuple[str, str, str]]:
        """(id of the input or nothing, label, message) of each error, for the list on top."""
        for name, messages in self.errors.items():
            bound = self[name] if name in self.fields else None
            seen = bound if bound and not bound.is_hidden else None
            for message in messages:
                yield seen.auto_id if seen else "", str(seen.label) if seen else "", str(message)

    def system_fields(self) -> list[forms.BoundField]:
        names = ("location", "revision", *(() if self.takes_runs else (ARCHIVE,)), "device", tracks.FIELD)
        return [self[name] for name in names if name in self.fields]

    def run_fields(self) -> list[forms.BoundField]:
        return [field for field in self if isinstance(field.field, forms.FileField)]

    @property
    def takes_runs(self) -> bool:
        return self.chosen.kind.takes == "file"

    @property
    def can_look(self) -> bool:
        return self.chosen.kind.takes in ("model", "folder")

    @property
    def has_files(self) -> bool:
        return bool(self.files)

    def member_fields(self) -> list[forms.BoundField]:
        """Those that are always shown: as many as are needed, and what was chosen beyond."""
        wanted = self.chosen.kind.members
        fields = [self[member_field(place)] for place in range(1, wanted.maximum + 1)]
        used = max((place for place, field in enumerate(fields, 1) if field.value()), default=0)
        return fields[: max(wanted.minimum, used)]

    def submission_search(self) -> forms.BoundField:
        return self[SEARCH]

    def more_member_fields(self) -> list[forms.BoundField]:
        shown = len(self.member_fields())
        return [self[member_field(place)] for place in range(shown + 1, self.chosen.kind.members.maximum + 1)]

    def option_fields(self) -> list[forms.BoundField]:
        return [self[option_field(option.name)] for option in self.chosen.kind.options]

    def sweep_groups(self) -> list[SweepGroup]:
        """The curves that fit the kind, those of one sweep together."""
        groups: dict[str, SweepGroup] = {}
        for curve in sweeps.offered(self.chosen.kind):
            group = groups.setdefault(curve.sweep.name, SweepGroup(curve.sweep))
            box, values = self[sweeps.box(curve)], self[sweeps.values_input(curve)]
            lists = (*checkpoints.PLACE_FIELDS, checkpoints.ORDER) if checkpoints.are_named_by(curve) else ()
            group.curves.append(SweepField(curve.name, box, values, [self[name] for name in lists]))
        return list(groups.values())

    def asks_for_sweeps(self) -> bool:
        """Whether a curve is chosen, was refused or is searched for: its part of the form is then open."""
        curves = [curve for group in self.sweep_groups() for curve in group.curves]
        asked = any(curve.box.value() or curve.values.errors for curve in curves)
        filled = (SEARCH, *checkpoints.PLACE_FIELDS)
        return asked or any(self[name].value() for name in filled if name in self.fields)

    def description_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in DESCRIPTION]

    def _options(self) -> dict[str, object]:
        """An input left empty leaves its option at the default."""
        names = [option.name for option in self.chosen.kind.options]
        sent = {name: self.cleaned_data.get(option_field(name)) for name in names}
        return {name: value for name, value in sent.items() if value not in ("", None)}

    def _members(self) -> tuple[MemberChoice, ...]:
        """In their order; lists left at `none` are no members."""
        places = range(1, self.chosen.kind.members.maximum + 1)
        sent = [self.cleaned_data.get(member_field(place)) for place in places]
        return tuple(
            MemberChoice(kind=value) if value in KINDS else MemberChoice(submission=value)
            for value in sent
            if value
        )

    def _files(self) -> Mapping[str, "File[Any]"]:
        names = [dataset.name for dataset in self.chosen.offer.datasets]
        sent = {name: self.cleaned_data.get(file_field(name)) for name in names}
        return {name: upload for name, upload in sent.items() if upload is not None}
