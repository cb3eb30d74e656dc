"""Profile and API tokens; all about signing in is django-allauth's."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from leaderboard.accounts.forms import ProfileForm, TokenForm
from leaderboard.accounts.models import AuthToken, User

MAX_TOKENS = 50
REFUSED = 422


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    form = ProfileForm(request.POST or None, instance=_person(request), label_suffix="")
    if form.is_valid():
        form.save()
        messages.success(request, "Saved.")
        return redirect("profile")
    return render(request, "accounts/profile.html", {"form": form}, status=REFUSED if form.errors else 200)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """The answer to making a token is the only page that ever shows it."""
    person = _person(request)
    form = TokenForm(request.POST or None, label_suffix="")
    if person.auth_token_set.count() >= MAX_TOKENS and form.is_bound:
        form.add_error(None, f"You have {MAX_TOKENS} tokens; revoke one that is no longer used.")
    if not form.is_valid():
        return _token_page(request, form, status=REFUSED if form.errors else 200)
    _, secret = AuthToken.objects.create(person, **form.cleaned_data)
    return _token_page(request, TokenForm(label_suffix=""), secret=secret)


@login_required
@require_POST
def revoke_token(request: HttpRequest) -> HttpResponse:
    digest = request.POST.get("digest", "")
    if not digest.isalnum():  # PostgreSQL refuses a NUL byte even in a comparison
        raise Http404
    token = get_object_or_404(AuthToken, user=_person(request), digest=digest)
    token.delete()
    messages.success(request, f"Revoked {token.name}.")
    return redirect("tokens")


def _token_page(
    request: HttpRequest, form: TokenForm, *, secret: str | None = None, status: int = 200
) -> HttpResponse:
    listed = _person(request).auth_token_set.order_by("-created")
    context = {"form": form, "secret": secret, "tokens": listed}
    return render(request, "accounts/tokens.html", context, status=status)


def _person(request: HttpRequest) -> User:
    return cast(User, request.user)
