from django.urls import URLPattern, URLResolver, path

from . import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("hosts/", views.hosts, name="hosts"),
    path("hosts/<slug:profile>/", views.host, name="host"),
]
