"""Whose failed logins are counted together."""

from collections.abc import Mapping

from django.http import HttpRequest

NAMED_BY = ("username", "email", "login")


def typed_name(request: HttpRequest, credentials: Mapping[str, str] | None = None) -> str:
    """What was typed as the name, in any login form: axes would not count a login by e-mail address."""
    given = credentials if credentials is not None else request.POST
    return next((str(given[key]).lower() for key in NAMED_BY if given.get(key)), "")
