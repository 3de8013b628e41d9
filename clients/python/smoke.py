"""Runs the README's requests against a server: ``python smoke.py URL [KEY]``."""

import sys

import httpx
from vitrine_client import Vitrine, VitrineConnectionError, VitrineError
from vitrine_client.types import RecommendationRequest

#: The first request of the README, as it stands there.
LADIESWEAR: RecommendationRequest = {
    "customer_id": "000fe0cb…",
    "k": 12,
    "filter": {"index_group_name": "Ladieswear", "price": {"max": 0.05}},
    "exclude": {"purchased": True},
    "max_per": {"product_code": 1},
    "fields": ["prod_name", "colour_group_name"],
}

#: The second one asks a sequence model.
GENERATED: RecommendationRequest = {
    "session": {"article_ids": ["0706016001", "0448509014"]},
    "k": 10,
    "generation": {"method": "sample", "temperature": 0.8, "top_p": 0.9, "seed": 7},
}


def lists(vitrine: Vitrine) -> None:
    answer = vitrine.recommend(LADIESWEAR)
    assert answer["items"] and "prod_name" in answer["items"][0]["article"]
    combined = vitrine.recommend(
        {
            "filter": {
                "any": [{"index_group_name": "Ladieswear"}, {"price": {"min": 1}}],
                "not": {"colour_group_name": ["Pink"]},
            },
            "offset": 0,
        }
    )
    ids = [item["article_id"] for item in combined["items"]]
    assert len(ids) == 12
    ranked = vitrine.recommend({"article_ids": [*ids[:3], "no such article"], "k": 4})
    assert ranked["meta"]["unknown_article_ids"] == ["no such article"]
    popular = vitrine.popular(k=3, filter={"index_group_name": "Ladieswear"}, fields=["prod_name"])
    assert len(popular["items"]) == 3
    first = popular["items"][0]["article_id"]
    assert len(vitrine.similar(first, k=2)["items"]) == 2
    assert vitrine.article(first)["article_id"] == first
    home = vitrine.placement("home", {"cart": [first], "k": 2})
    assert home["meta"]["placement"]["name"] == "home" and len(home["items"]) == 2
    assert all(item["article_id"] != first for item in home["items"])
    assert len(vitrine.placement("popular")["items"]) == 12
    sources = vitrine.recommend({"sources": [{"source": "popular", "limit": 5}], "k": 2})["meta"]["sources"]
    assert sources[0]["found"] == 5
    batch = vitrine.recommend_batch({"customer_ids": ["customer_id1", "nobody", ""], "k": 2})
    assert [("answer" in result, "problem" in result) for result in batch["results"]] == [
        (True, False),
        (True, False),
        (False, True),
    ]


def code_of(vitrine: Vitrine, request: RecommendationRequest) -> str:
    try:
        vitrine.recommend(request)
    except VitrineError as error:
        return error.code
    raise AssertionError("the request must be refused")


def retries() -> None:
    calls: list[str] = []

    def busy(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.path)
        if len(calls) < 3:
            problem = {"code": "overloaded", "detail": "busy", "status": 503}
            return httpx.Response(503, headers={"retry-after": "7"}, json=problem)
        return httpx.Response(200, json={"items": [], "meta": {}})

    waits: list[float] = []
    transport = httpx.MockTransport(busy)
    with Vitrine("http://shop.example", transport=transport, sleep=waits.append) as patient:
        assert patient.popular()["items"] == [] and waits == [5.0, 5.0]
    calls.clear()
    with Vitrine("http://shop.example", transport=transport, retries=0) as hasty:
        assert code_of(hasty, {}) == "overloaded"
    with Vitrine("http://127.0.0.1:9", retries=0) as nowhere:
        try:
            nowhere.popular()
        except VitrineConnectionError:
            return
    raise AssertionError("nothing listens there")


def main() -> None:
    url, *key = sys.argv[1:]
    with Vitrine(url, key=key[0] if key else None, timeout=30) as vitrine:
        lists(vitrine)
        assert code_of(vitrine, GENERATED) == "invalid_request"
        assert code_of(vitrine, {"filter": {"color": "Black"}}) == "unknown_attribute"
    retries()
    print("the Python client works")


if __name__ == "__main__":
    main()
