"""Every address of the site, by app."""

from django.contrib import admin
from django.urls import include, path

from leaderboard.health import healthz

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("admin/", admin.site.urls),
    path("accounts/", include("leaderboard.accounts.urls")),
    path("api/v1/", include("leaderboard.api.urls")),
    path("", include("leaderboard.hosts.urls")),
    path("", include("leaderboard.submissions.urls")),
    path("", include("leaderboard.boards.urls")),
]
