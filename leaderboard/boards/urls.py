from django.urls import URLPattern, URLResolver, path

from . import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.home, name="home"),
    path("leaderboards/<slug:benchmark>/", views.leaderboard, name="leaderboard"),
    path("leaderboards/<slug:benchmark>/board.csv", views.leaderboard_csv, name="leaderboard-csv"),
    path("leaderboards/<slug:benchmark>/chart.json", views.leaderboard_chart, name="leaderboard-chart"),
    path("systems/<uuid:system_id>/", views.system, name="system"),
    path("curves/<uuid:evaluation_id>/<slug:sweep>.json", views.sweep_figure, name="sweep-figure"),
    path("submissions/<uuid:submission_id>/points.csv", views.points_csv, name="submission-points-csv"),
    path("artefacts/<uuid:evaluation_id>/<str:name>", views.artefact, name="artefact"),
    path("runs/<int:file_id>/", views.upload, name="run-file"),
    path("datasets/", views.datasets, name="datasets"),
    path("datasets/<slug:name>/", views.dataset, name="dataset"),
    path("method/", views.method, name="method"),
]
