"""The client itself: time-outs, further tries, errors."""

import json
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import quote

import httpx

from .types import (
    Article,
    BatchRequest,
    BatchResponse,
    Filter,
    PlacementRequest,
    Problem,
    RecommendationRequest,
    RecommendationResponse,
)


class VitrineError(Exception):
    """The server answered with a problem document. ``problem["code"]`` says which kind it is."""

    def __init__(self, status: int, problem: Problem) -> None:
        super().__init__(f"{problem['code']}: {problem['detail']}")
        self.status = status
        self.problem = problem

    @property
    def code(self) -> str:
        return self.problem["code"]


class VitrineConnectionError(Exception):
    """No answer came: the server is out of reach, silent, or not Vitrine."""


class _Busy(Exception):
    """Another try may help, after ``wait`` seconds."""

    def __init__(self, error: Exception, wait: float) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait = wait


class Vitrine:
    """Calls one server. Safe to share between threads; close it, or use it in a ``with`` block.

    :param base_url: where the public listener is, such as ``https://recommend.shop.example``
    :param key: a key, where the server wants one
    :param timeout: seconds after which a try is given up
    :param retries: further tries when the server is busy (429, 503), out of reach or silent
    :param longest_wait: most seconds before another try, whatever the server asks for
    :param transport: in place of real connections, for tests
    """

    def __init__(
        self,
        base_url: str,
        *,
        key: str | None = None,
        timeout: float = 2.0,
        retries: int = 2,
        longest_wait: float = 5.0,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=timeout, transport=transport)
        self._retries = retries
        self._longest_wait = longest_wait
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def recommend(self, request: RecommendationRequest) -> RecommendationResponse:
        """Articles for a customer or guest."""
        return cast(RecommendationResponse, self._call("POST", "/v1/recommendations", body=request))

    def recommend_batch(self, request: BatchRequest) -> BatchResponse:
        """The same list options for up to 1,000 customers."""
        return cast(BatchResponse, self._call("POST", "/v1/recommendations/batch", body=request))

    def placement(self, name: str, request: PlacementRequest | None = None) -> RecommendationResponse:
        """Articles for a place in the shop, found as its placement says."""
        path = f"/v1/placements/{quote(name, safe='')}/recommendations"
        return cast(RecommendationResponse, self._call("POST", path, body=request or {}))

    def popular(
        self,
        *,
        k: int | None = None,
        offset: int | None = None,
        model: str | None = None,
        fields: Sequence[str] = (),
        filter: Filter | None = None,
        exclude_purchased_by: str | None = None,
    ) -> RecommendationResponse:
        """What sells best."""
        query = _query(k, offset, model, fields, filter)
        if exclude_purchased_by is not None:
            query["exclude_purchased_by"] = exclude_purchased_by
        return cast(RecommendationResponse, self._call("GET", "/v1/popular", query=query))

    def similar(
        self,
        article_id: str,
        *,
        k: int | None = None,
        offset: int | None = None,
        model: str | None = None,
        fields: Sequence[str] = (),
        filter: Filter | None = None,
    ) -> RecommendationResponse:
        """Articles like one."""
        path = f"/v1/articles/{quote(article_id, safe='')}/similar"
        return cast(RecommendationResponse, self._call("GET", path, query=_query(k, offset, model, fields, filter)))

    def article(self, article_id: str) -> Article:
        """One article as it is served."""
        return cast(Article, self._call("GET", f"/v1/articles/{quote(article_id, safe='')}"))

    def _call(self, method: str, path: str, *, query: dict[str, Any] | None = None, body: Any = None) -> Any:
        left = self._retries
        while True:
            try:
                return self._try(method, path, query, body)
            except _Busy as busy:
                if left <= 0:
                    raise busy.error from busy.error.__cause__
                left -= 1
                self._sleep(min(busy.wait, self._longest_wait))

    def _try(self, method: str, path: str, query: dict[str, Any] | None, body: Any) -> Any:
        try:
            response = self._http.request(method, path, params=query, json=body)
            answer = response.json()
        except (httpx.HTTPError, ValueError) as cause:
            error = VitrineConnectionError(f"{method} {path}: {cause or type(cause).__name__}")
            error.__cause__ = cause
            raise _Busy(error, 0.1) from cause
        if response.is_success:
            return answer
        if not (isinstance(answer, dict) and "code" in answer and "detail" in answer):
            raise VitrineConnectionError(f"{method} {path}: status {response.status_code} without a problem document")
        problem = VitrineError(response.status_code, cast(Problem, answer))
        if response.status_code in (429, 503):
            raise _Busy(problem, _retry_after(response))
        raise problem


def _query(
    k: int | None, offset: int | None, model: str | None, fields: Sequence[str], filter: Filter | None
) -> dict[str, Any]:
    query: dict[str, Any] = {"k": k, "offset": offset, "model": model}
    query["fields"] = ",".join(fields) or None
    query["filter"] = None if filter is None else json.dumps(filter)
    return {name: value for name, value in query.items() if value is not None}


def _retry_after(response: httpx.Response) -> float:
    """Seconds that the server asks to wait."""
    try:
        return float(response.headers.get("retry-after", "1"))
    except ValueError:
        return 1.0
