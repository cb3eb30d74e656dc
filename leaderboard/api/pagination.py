"""Pages of a list: `count`, `next`, `previous`, `results`, a hundred rows unless asked otherwise."""

from typing import Any

from rest_framework.pagination import PageNumberPagination
from rest_framework.response import Response


class Pages(PageNumberPagination):
    page_size = 100
    page_size_query_param = "page_size"
    max_page_size = 1000


class BoardPages(Pages):
    """Pages of a leaderboard, headed by what makes its numbers comparable."""

    def of(self, benchmark: str, protocol: str, results: Any) -> Response:
        answer = self.get_paginated_response(results)
        answer.data = {"benchmark": benchmark, "protocol": protocol, **answer.data}
        return answer

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        found = super().get_paginated_response_schema(schema)
        head = {"benchmark": {"type": "string"}, "protocol": {"type": "string"}}
        return {
            **found,
            "required": [*head, *found.get("required", [])],
            "properties": head | found["properties"],
        }
