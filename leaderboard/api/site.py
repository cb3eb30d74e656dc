"""The schema, its documentation page, and what answers where there is nothing."""

from typing import Any

from django.http import HttpResponseRedirect
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.views import APIView


class Schema(SpectacularAPIView):
    """Neither counted nor refused: tools fetch it before they know how to sign in."""

    throttle_classes = ()


class Docs(SpectacularSwaggerSplitView):
    """Split, since the site allows no inline script."""

    url_name = "api:schema"
    throttle_classes = ()


class NotThere(APIView):
    """JSON for every other address under the API; one that only lacks its last slash is sent on."""

    permission_classes = ()

    @extend_schema(exclude=True)
    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        if request.method in ("GET", "HEAD") and not request.path.endswith("/"):
            return HttpResponseRedirect(request.get_full_path(force_append_slash=True))
        return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        raise NotFound("There is no such address. Addresses end with a slash; /api/v1/docs/ lists them.")
