from django.urls import URLPattern, URLResolver, path, re_path

from .catalogue import Datasets, Kinds
from .hosts import HostDetail, Hosts
from .leaderboards import Leaderboard, Leaderboards
from .site import Docs, NotThere, Schema
from .submissions import Cancel, Points, Rerun, SubmissionDetail, Submissions

app_name = "api"

urlpatterns: list[URLPattern | URLResolver] = [
    path("leaderboards/", Leaderboards.as_view(), name="leaderboards"),
    path("leaderboards/<slug:name>/", Leaderboard.as_view(), name="leaderboard"),
    path("submissions/", Submissions.as_view(), name="submissions"),
    path("submissions/<uuid:submission_id>/", SubmissionDetail.as_view(), name="submission"),
    path("submissions/<uuid:submission_id>/points/", Points.as_view(), name="submission-points"),
    path("submissions/<uuid:submission_id>/cancel/", Cancel.as_view(), name="cancel"),
    path("submissions/<uuid:submission_id>/rerun/", Rerun.as_view(), name="rerun"),
    path("datasets/", Datasets.as_view(), name="datasets"),
    path("hosts/", Hosts.as_view(), name="hosts"),
    path("hosts/<slug:profile>/", HostDetail.as_view(), name="host"),
    path("kinds/", Kinds.as_view(), name="kinds"),
    path("schema/", Schema.as_view(), name="schema"),
    path("docs/", Docs.as_view(), name="docs"),
    re_path(r"", NotThere.as_view()),
]
