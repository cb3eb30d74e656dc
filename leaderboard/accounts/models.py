"""People and their API tokens."""

import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models
from knox.models import AbstractAuthToken, AuthTokenManager


class User(AbstractUser):  # type: ignore[django-manager-missing] # knox, whose tokens refer to it, has no types
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.CharField(max_length=120, blank=True)


class AuthToken(AbstractAuthToken):
    """A hashed API token that its owner named, so that one leaked script can be shut out alone."""

    class Scope(models.TextChoices):
        READ = "read", "read"
        SUBMIT = "submit", "read and submit"

    # knox makes tokens with its manager: `create(user, name=..., scope=...)` answers (row, secret).
    objects = AuthTokenManager()

    name = models.CharField(max_length=80, default="token")
    scope = models.CharField(max_length=10, choices=Scope.choices, default=Scope.SUBMIT)
