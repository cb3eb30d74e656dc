from django.urls import URLPattern, URLResolver, include, path

from leaderboard.accounts import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("profile/", views.profile, name="profile"),
    path("tokens/", views.tokens, name="tokens"),
    path("tokens/revoke/", views.revoke_token, name="token_revoke"),
    path("", include("allauth.account.urls")),
]
