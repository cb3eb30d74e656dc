"""Pages of the machines that measure."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from . import queries
from .models import HostProfile


@require_safe
def hosts(request: HttpRequest) -> HttpResponse:
    return render(request, "hosts/hosts.html", {"hosts": queries.hosts()})


@require_safe
def host(request: HttpRequest, profile: str) -> HttpResponse:
    try:
        found = queries.host(profile)
    except HostProfile.DoesNotExist as error:
        raise Http404 from error
    times = queries.reference_times(found)
    context = {
        "host": found,
        "times": times,
        "has_jumps": any(past.jump is not None for time in times for past in time.history),
        "now_alive": set(found.profile.workers.filter(queries.alive()).values_list("pk", flat=True)),
    }
    return render(request, "hosts/host.html", context)
