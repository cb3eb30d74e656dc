"""The address that load balancers and container engines ask: answers 200 only where the database answers."""

from django.db import connection
from django.http import HttpRequest, HttpResponse


def healthz(_: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse("ok", content_type="text/plain")
