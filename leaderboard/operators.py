"""What the admin pages of all apps share: rows that are looked at and acted on, but never edited by hand."""

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib import admin, messages
from django.http import HttpRequest

if TYPE_CHECKING:
    Admin = admin.ModelAdmin[Any]
    Inline = admin.TabularInline[Any, Any]
else:
    Admin, Inline = admin.ModelAdmin, admin.TabularInline

SHOWN_CHARACTERS = 60

admin.site.site_header = admin.site.site_title = f"{settings.SITE_NAME} operations"
admin.site.enable_nav_sidebar = False  # the queue's columns need the width


class ReadOnly:
    """Written by the code alone: an edit by hand would break what the rows promise each other."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyAdmin(ReadOnly, Admin):
    """A list to look at. Its actions name `operate` as their permission, since nobody may change its rows."""

    show_full_result_count = False  # one COUNT less on tables that only grow
    list_per_page = 50

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Every column: by itself Django leaves out ids and times, which are not editable."""
        return [field.name for field in self.opts.fields]

    def has_operate_permission(self, request: HttpRequest) -> bool:
        name = f"{self.opts.app_label}.change_{self.opts.model_name}"
        return bool(request.user.is_active and request.user.has_perm(name))


class ReadOnlyInline(ReadOnly, Inline):
    extra = 0
    can_delete = False
    show_change_link = True


def report(request: HttpRequest, done: int, of: int, deed: str) -> None:
    """Tell the operator what became of the chosen rows: `cancelled 2 of 3`."""
    level = messages.SUCCESS if done == of else messages.WARNING
    messages.add_message(request, level, f"{deed} {done} of {of}.")


def shortened(text: object) -> str:
    whole = str(text)
    return whole if len(whole) <= SHOWN_CHARACTERS else f"{whole[: SHOWN_CHARACTERS - 1]}…"
