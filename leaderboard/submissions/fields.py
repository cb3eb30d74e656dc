"""The form's fields that depend on the kind of system: its model or its runs, and its options."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.conf import settings

from evaluations.systems import Kind, Option
from leaderboard.catalog.models import Dataset
from leaderboard.submissions import tracks
from leaderboard.submissions.earlier import SEARCH, Offered
from leaderboard.submissions.hub import EXAMPLE
from leaderboard.submissions.members import member_field
from leaderboard.submissions.options import option_field
from leaderboard.submissions.runs import ARCHIVE, file_field

PACKED_TYPES = ".zip,.tar,.tgz,.gz"
RUN_TYPES = ".trec,.run,.txt,.res,.tsv,.gz"
DEVICES = [("cpu", "CPU"), ("gpu", "GPU")]
SEARCHED = "member-searched"
FORMAT = "Six columns a line: query-id Q0 document-id rank score tag."


class NeededField(forms.CharField):
    """Marked as needed; that it is missing is said by `validation`, in the words that REST uses too."""

    def validate(self, value: Any) -> None:
        """Nothing more: a refusal must not say the same thing twice."""


class NeededFile(forms.FileField):
    """The same for a file."""

    def clean(self, data: Any, initial: Any = None) -> Any:
        return super().clean(data, initial) if data else None


def system_fields(kind: Kind, datasets: Sequence[Dataset]) -> dict[str, forms.Field]:
    if kind.takes == "model":
        return {**_model_fields(), ARCHIVE: _model_archive(), **_device_field()}
    if kind.takes == "folder":
        return {ARCHIVE: _vectors_archive(datasets)}
    if kind.takes == "vocabulary":
        return _vocabulary_fields()
    if kind.takes == "file":
        return _file_fields(datasets)
    return _device_field() if kind.members.maximum else {}


def member_fields(kind: Kind, offered: Sequence[Offered]) -> dict[str, forms.Field]:
    """A list for each member that a kind can have; none for most kinds."""
    wanted = kind.members
    listed = [(each.value, each.label) for each in offered]
    fields: dict[str, forms.Field] = {}
    for place in range(1, wanted.maximum + 1):
        is_needed, alone = place <= wanted.minimum, wanted.maximum == 1
        field = NeededField if is_needed else forms.CharField
        fields[member_field(place)] = field(
            required=is_needed,
            label=wanted.noun.capitalize() if alone else f"{wanted.noun.capitalize()} {place}",
            help_text="BM25, a submission of yours, or one on this board.",
            widget=forms.Select(choices=[("", "choose one" if is_needed else "none"), *listed]),
        )
    return fields


def search_fields(noun: str) -> dict[str, forms.Field]:
    """What narrows the lists of earlier submissions. `SEARCHED`: by what they are now; see `searches`."""
    return {
        SEARCH: forms.CharField(
            required=False,
            label=f"Search {noun}",
            help_text="A part of a system's name narrows the lists; what is chosen stays.",
            widget=forms.TextInput(attrs={"type": "search"}),
        ),
        SEARCHED: forms.CharField(required=False, widget=forms.HiddenInput),
    }


def searches(sent: Mapping[str, str]) -> bool:
    """Whether a sent form asks for other lists of submissions and not to be submitted."""
    return sent.get(SEARCH, "").strip() != sent.get(SEARCHED, "").strip()


def track_fields(kind: Kind) -> dict[str, forms.Field]:
    """Nothing where there is no choice."""
    choices = tracks.choices(kind)
    if not choices:
        return {}
    field = forms.CharField(
        required=False,
        label="Measure",
        help_text=tracks.help_text(kind),
        widget=forms.Select(choices=choices),
    )
    return {tracks.FIELD: field}


def option_fields(kind: Kind) -> dict[str, forms.Field]:
    return {option_field(option.name): _option_field(option) for option in kind.options}


def _model_fields() -> dict[str, forms.Field]:
    typed = {"placeholder": EXAMPLE, "autocapitalize": "off", "spellcheck": "false"}
    return {
        "location": forms.CharField(
            required=False,
            label="Model id",
            help_text=f"ORG/NAME as on the Hugging Face hub, such as {EXAMPLE}. No path and no web address."
            " Instead of it, an archive may be uploaded below. Weights must be safetensors; code from the"
            " repository is never run.",
            widget=forms.TextInput(attrs=typed),
        ),
        "revision": forms.CharField(
            required=False,
            help_text="A branch, a tag or a commit; empty takes the newest. It is pinned when you submit.",
            widget=forms.TextInput(attrs={"placeholder": "main"}),
        ),
    }


def _vocabulary_fields() -> dict[str, forms.Field]:
    fields = _model_fields()
    location = forms.CharField(
        required=False,
        label="Vocabulary of a model",
        help_text=f"Empty for words. A model of the Hugging Face hub, such as {EXAMPLE}, for the tokens of"
        " its own vocabulary; set stemmer and stop words to none then.",
        widget=fields["location"].widget,
    )
    return {"location": location, "revision": fields["revision"]}


def _device_field() -> dict[str, forms.Field]:
    help_text = "Which workers may run it. A GPU submission waits until a worker with a GPU is there."
    widget = forms.Select(choices=DEVICES)
    return {"device": forms.CharField(required=False, initial="cpu", help_text=help_text, widget=widget)}


def _file_fields(datasets: Sequence[Dataset]) -> dict[str, forms.Field]:
    fields: dict[str, forms.Field] = {}
    for dataset in datasets:
        fields[file_field(dataset.name)] = _file(
            f"Run for {dataset.name}",
            f"TREC run over its {dataset.queries:,} judged queries ({dataset.split}), plain or gzip.",
            RUN_TYPES,
        )
    example = datasets[0].name if datasets else "scifact"
    names = f"One file a dataset, named after it: {example}.trec, {example}.run.gz or {example}.txt."
    size = f"All files together may have {settings.UPLOAD_LIMIT_BYTES // 2**20} MB."
    return {**fields, ARCHIVE: _file("Or all runs in one zip", f"{names} {size}", ".zip")}


def _model_archive() -> forms.Field:
    files = "config, tokeniser and safetensors, as save_pretrained writes them"
    return _archive("Or an archive of the model", f"zip, tar or tar.gz of {files}.")


def _vectors_archive(datasets: Sequence[Dataset]) -> forms.Field:
    names = ", ".join(dataset.name for dataset in datasets)
    layout = "meta.json, documents and queries"
    folders = f" in a folder for each dataset ({names})" if len(datasets) > 1 else ""
    shown = _archive("Archive of the vectors", f"zip, tar or tar.gz of {layout}{folders}.")
    return NeededFile(
        label=shown.label, help_text=shown.help_text, widget=shown.widget, allow_empty_file=True
    )


def _archive(label: str, help_text: str) -> forms.Field:
    """htmx keeps the input when it swaps the form: no script may choose a file."""
    sent, unpacked = (size // 2**20 for size in (settings.UPLOAD_LIMIT_BYTES, settings.UNPACKED_LIMIT_BYTES))
    field = _file(label, f"{help_text} At most {sent:,} MB, unpacked {unpacked:,} MB.", PACKED_TYPES)
    field.widget.attrs["hx-preserve"] = "true"
    return field


def _file(label: str, help_text: str, accept: str) -> forms.Field:
    """Empty files pass here: the reader of runs has the better words for them."""
    widget = forms.FileInput(attrs={"accept": accept})
    return forms.FileField(
        required=False, allow_empty_file=True, label=label, help_text=help_text, widget=widget
    )


def _option_field(option: Option) -> forms.Field:
    initial = "" if option.default is None else option.default
    shown: dict[str, Any] = {
        "label": option.name.replace("_", " "),
        "help_text": _option_help(option),
        "required": False,
        "initial": initial,
    }
    if option.type == "bool":
        return forms.BooleanField(**shown)
    if option.choices:
        unset = [("", "not set")] if option.default is None else []
        named = [(choice, choice) for choice in (*option.choices, *option.resolved)]
        widget = forms.Select(choices=[*unset, *named])
        return forms.CharField(widget=widget, **shown)
    if option.type == "str":
        return forms.CharField(strip=False, **shown)
    return forms.CharField(widget=forms.NumberInput(attrs=_limits(option)), **shown)


def _limits(option: Option) -> dict[str, str]:
    limits = {"step": "1" if option.type == "int" else "any"}
    if option.minimum is not None:
        limits["min"] = f"{option.minimum:g}"
    if option.maximum is not None:
        limits["max"] = f"{option.maximum:g}"
    return limits


def _option_help(option: Option) -> str:
    if option.minimum is not None and option.maximum is not None:
        return f"{option.help} From {option.minimum:g} to {option.maximum:g}."
    return option.help
