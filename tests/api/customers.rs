//! `GET /v1/customers/{id}/recommendations`

use crate::harness::Api;
use serde_json::json;

#[tokio::test]
async fn the_answer_is_that_of_the_post() {
    let api = Api::start().await;
    let got =
        api.get("/v1/customers/customer_id3/recommendations?k=5&fields=bucket,price&exclude_purchased=true").await;
    let body = json!({"customer_id": "customer_id3", "k": 5, "fields": ["bucket", "price"], "exclude": {"purchased": true}});
    assert_eq!(got.json()["items"], api.recommend(body).await.json()["items"]);
    let filtered =
        api.get("/v1/customers/nobody/recommendations?filter=%7B%22bucket%22%3A%22ten%22%7D").await;
    assert_eq!(
        (filtered.article_ids().len(), &filtered.meta()["fallback"]),
        (10, &json!("unknown_customer"))
    );
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let api = Api::start().await;
    let get = async |path: &str| api.get(&format!("/v1/customers/{path}")).await;
    assert!(get("c/recommendations?k=many").await.problem(400, "invalid_request").contains("k"));
    assert!(
        get("c/recommendations?limit=3").await.problem(400, "invalid_request").contains("limit")
    );
    assert!(
        get("c/recommendations?k=0").await.problem(400, "invalid_request").contains("1 to 500")
    );
    assert!(
        get("c/recommendations?filter=%7B")
            .await
            .problem(400, "invalid_request")
            .contains("filter")
    );
    assert!(
        get("c/recommendations?fields=x").await.problem(400, "unknown_attribute").contains("`x`")
    );
    assert!(get("a%0Ab/recommendations").await.problem(400, "invalid_request").contains("control"));
    get("%FF/recommendations").await.problem(400, "invalid_request");
    get("c/recommendations?model=x").await.problem(404, "unknown_model");
}
