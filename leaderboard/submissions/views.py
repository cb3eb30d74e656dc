"""The submit page, the status page, and a person's own list."""

from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page, require_http_methods, require_POST, require_safe

from leaderboard.accounts.models import User
from leaderboard.submissions import checkpoints, lifecycle, queries, submit
from leaderboard.submissions.bounded import bounded_upload
from leaderboard.submissions.choices import Choices, choices
from leaderboard.submissions.fields import searches
from leaderboard.submissions.forms import SubmissionForm
from leaderboard.submissions.look import Look, look
from leaderboard.submissions.models import Submission

PAGE_SIZE = 25
REFUSED = 422
STOP_POLLING = 286  # htmx's own: take this content and ask no more


@login_required
@bounded_upload
@require_http_methods(["GET", "HEAD", "POST"])
def submit_page(request: HttpRequest) -> HttpResponse:
    sent = request.POST if request.method == "POST" else request.GET
    chosen = choices(sent.dict(), _person(request), sent.dict())
    if chosen is None:
        return render(request, "submissions/no_benchmark.html")
    if request.method == "POST" and not searches(sent.dict()):
        return _submitted(request, chosen)
    return _page(request, SubmissionForm(chosen, initial=sent.dict()))


@login_required
@bounded_upload
@require_POST
def submit_fields(request: HttpRequest) -> HttpResponse:
    """The form for another kind or benchmark, with what was typed so far. The choice is in the query."""
    chosen = choices(request.GET.dict(), _person(request), request.POST.dict())
    if chosen is None:
        raise Http404
    form = SubmissionForm(chosen, initial=request.POST.dict())
    return render(request, "submissions/form.html", {"form": form, "chosen": chosen})


@login_required
@bounded_upload
@require_POST
def submit_look(request: HttpRequest) -> HttpResponse:
    """The form with what was typed and what the model, or the archive, says of itself. Nothing is stored."""
    chosen = choices(request.POST.dict(), _person(request), request.POST.dict())
    if chosen is None:
        return render(request, "submissions/no_benchmark.html")
    seen = look(SubmissionForm(chosen, request.POST, request.FILES).request())
    typed = {**request.POST.dict(), **seen.filled}
    asked = {**typed, "kind": seen.switched_to or chosen.kind.name}
    fitting = choices(asked, _person(request), typed) or chosen
    context = {"form": _form_after(seen, fitting, asked), "chosen": fitting, "look": seen}
    template = "form" if request.headers.get("HX-Request") else "submit"
    return render(request, f"submissions/{template}.html", context)


def _form_after(seen: Look, chosen: Choices, typed: dict[str, str]) -> SubmissionForm:
    """Messages stand beside their fields only in a form that counts as sent."""
    if seen.refusal is None:
        return SubmissionForm(chosen, initial=typed)
    form = SubmissionForm(chosen, typed)
    form.show(seen.refusal)
    return form


@require_safe
def submission_page(request: HttpRequest, submission_id: UUID) -> HttpResponse:
    context = _status(request, submission_id)
    submission: Submission = context["submission"]
    context["archive"] = submission.revision.uploads.filter(dataset=None).first()  # of a model or of vectors
    context["checkpoints"] = checkpoints.parts_of([submission]).get(submission.pk, {})
    return render(request, "submissions/submission.html", context)


@require_safe
@cache_control(private=True, no_cache=True)
@conditional_page
def submission_status(request: HttpRequest, submission_id: UUID) -> HttpResponse:
    """What moves on the status page; a browser that has it as it is gets 304."""
    context = _status(request, submission_id)
    code = STOP_POLLING if context["status"].is_terminal else 200
    return render(request, "submissions/status.html", context, status=code)


@require_POST
@login_required
def cancel(request: HttpRequest, submission_id: UUID) -> HttpResponse:
    submission = get_object_or_404(Submission, pk=submission_id)
    if not queries.may_manage(request.user, submission):
        raise PermissionDenied
    ended = lifecycle.cancel(submission, _person(request))
    messages.info(request, "Cancelled." if ended else "Nothing was left to cancel.")
    return redirect("submission", submission_id)


@require_POST
@login_required
def rerun(request: HttpRequest, submission_id: UUID) -> HttpResponse:
    related = Submission.objects.select_related("owner", "revision", "benchmark")
    submission = get_object_or_404(related, pk=submission_id)
    try:
        again = submit.rerun(submission, _person(request))
    except submit.Refused as refusal:
        messages.error(request, str(refusal))
        return redirect("submission", refusal.existing.pk if refusal.existing else submission_id)
    messages.success(request, "Queued again.")
    return redirect("submission", again.pk)


@require_safe
@login_required
def submissions(request: HttpRequest) -> HttpResponse:
    pages = Paginator(queries.submissions_of(_person(request)), PAGE_SIZE)
    return render(request, "submissions/submissions.html", {"page": pages.get_page(request.GET.get("page"))})


def _submitted(request: HttpRequest, chosen: Choices) -> HttpResponse:
    form = SubmissionForm(chosen, request.POST, request.FILES)
    try:
        validated = submit.validate(form.request())
        if form.errors:
            raise submit.Refused({})
        submission = _create(_person(request), validated, form.cleaned_data["key"])
    except submit.Refused as refusal:
        form.show(refusal)
        return _page(request, form, existing=refusal.existing, status=REFUSED)
    messages.success(request, "Queued. This page follows the evaluation; you may close it and come back.")
    for warning in validated.warnings:
        messages.warning(request, warning)
    return redirect("submission", submission.pk)


def _create(owner: User, validated: submit.ValidatedSubmission, key: str) -> Submission:
    """A form's key is there against double clicks: one that was sent, changed and sent again is meant."""
    try:
        return submit.create(owner, validated, idempotency_key=key)
    except submit.IdempotencyConflict:
        return submit.create(owner, validated)


def _page(
    request: HttpRequest, form: SubmissionForm, *, existing: Submission | None = None, status: int = 200
) -> HttpResponse:
    context = {"form": form, "chosen": form.chosen, "existing": existing}
    return render(request, "submissions/submit.html", context, status=status)


def _status(request: HttpRequest, submission_id: UUID) -> dict[str, Any]:
    try:
        status = queries.submission_status(submission_id, request.user)
    except Submission.DoesNotExist as error:
        raise Http404("There is no such submission.") from error
    may_manage = queries.may_manage(request.user, status.submission)
    return {"status": status, "submission": status.submission, "may_manage": may_manage}


def _person(request: HttpRequest) -> User:
    return cast(User, request.user)
