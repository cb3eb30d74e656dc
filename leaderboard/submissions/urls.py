from django.urls import URLPattern, URLResolver, path

from leaderboard.submissions import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("submit/", views.submit_page, name="submit"),
    path("submit/look/", views.submit_look, name="submit_look"),
    path("submit/fields/", views.submit_fields, name="submit_fields"),
    path("submissions/", views.submissions, name="submissions"),
    path("submissions/<uuid:submission_id>/", views.submission_page, name="submission"),
    path("submissions/<uuid:submission_id>/status/", views.submission_status, name="submission_status"),
    path("submissions/<uuid:submission_id>/cancel/", views.cancel, name="submission_cancel"),
    path("submissions/<uuid:submission_id>/rerun/", views.rerun, name="submission_rerun"),
]
