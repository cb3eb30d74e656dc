"""Who may do what over REST beyond being signed in: a token does what its scope says."""

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from leaderboard.accounts.models import AuthToken


class TokenScope(BasePermission):
    """To change something takes a session, or a token whose scope is `submit`."""

    message = "This token may only read. Make one that may submit on your account page."

    def has_permission(self, request: Request, view: Any) -> bool:
        if request.method in SAFE_METHODS or not isinstance(request.auth, AuthToken):
            return True
        return request.auth.scope == AuthToken.Scope.SUBMIT
