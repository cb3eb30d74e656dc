"""People and their tokens."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangosUserAdmin
from django.http import HttpRequest

from leaderboard.operators import Admin

from .models import AuthToken, User

if TYPE_CHECKING:
    PersonAdmin = DjangosUserAdmin[User]
else:
    PersonAdmin = DjangosUserAdmin


@admin.register(User)
class UserAdmin(PersonAdmin):
    """Deactivate a person instead of deleting: submissions protect their owner."""

    list_display = ("username", "email", "organisation", "is_staff", "is_active", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser", "date_joined")
    search_fields = ("username", "email", "organisation")
    ordering = ("username",)
    readonly_fields = ("id", "date_joined", "last_login")
    fieldsets = (*(PersonAdmin.fieldsets or ()), ("SparseBoard", {"fields": ("organisation", "id")}))
    add_fieldsets = (*PersonAdmin.add_fieldsets, (None, {"fields": ("email", "organisation")}))


@admin.register(AuthToken)
class AuthTokenAdmin(Admin):
    """To shut out a leaked token, delete it. Made on the owner's page alone, where it is shown once."""

    list_display = ("token_key", "name", "user", "scope", "created", "expiry")
    list_filter = ("scope", "created", "expiry")
    search_fields = ("token_key", "name", "user__username")
    list_select_related = ("user",)
    fields = readonly_fields = ("token_key", "name", "user", "scope", "created", "expiry")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
