"""Turning away a request that is too large before any of it is parsed or stored."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt, csrf_protect

FORM_BYTES = 2**20  # what the fields beside the files may take
# A browser shows our answer only where its upload was read; beyond this it sees a closed connection.
DRAINED_BYTES = 2**30
CHUNK_BYTES = 2**16
View = Callable[..., HttpResponse]


def bounded_upload(view: View) -> View:
    """Checks the size first: the middleware's CSRF check would already read and store the whole upload."""
    protected = csrf_protect(view)

    @csrf_exempt
    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        size = int(request.META.get("CONTENT_LENGTH") or 0)
        if size > settings.UPLOAD_LIMIT_BYTES + FORM_BYTES:
            return _too_large(request, size)
        return protected(request, *args, **options)

    return checked


def _too_large(request: HttpRequest, size: int) -> HttpResponse:
    left = min(size, DRAINED_BYTES)
    while left > 0 and (chunk := request.read(min(CHUNK_BYTES, left))):
        left -= len(chunk)
    sizes = {"size": size, "limit": settings.UPLOAD_LIMIT_BYTES}
    return render(request, "submissions/too_large.html", sizes, status=413)
