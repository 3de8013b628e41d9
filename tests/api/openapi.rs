//! `/openapi.yaml`, `/docs`

use crate::harness::Api;

/// `vitrine-server openapi > openapi.yaml` renews the file.
#[tokio::test]
async fn the_committed_document_is_the_served_one() {
    let api = Api::start().await;
    let served = api.get("/openapi.yaml").await;
    assert_eq!(served.headers["content-type"], "application/yaml");
    let committed = include_str!("../../openapi.yaml");
    assert!(
        served.body == committed,
        "openapi.yaml is out of date: run `vitrine-server openapi > openapi.yaml`"
    );
}

#[test]
fn every_path_documents_its_errors() {
    let document = vitrine::http::openapi();
    let json: serde_json::Value = serde_json::to_value(&document).unwrap();
    for (path, methods) in json["paths"].as_object().unwrap() {
        for (method, operation) in
            methods.as_object().unwrap().iter().filter(|(method, _)| *method != "servers")
        {
            let responses = operation["responses"].as_object().unwrap();
            assert!(
                path == "/livez" || responses.keys().any(|status| !status.starts_with('2')),
                "{method} {path}"
            );
            assert!(operation["summary"].is_string(), "{method} {path}");
            for (status, response) in responses {
                let told = response["description"].as_str().is_some_and(|told| !told.is_empty());
                assert!(
                    told || response["$ref"].is_string(),
                    "{method} {path}: {status} has no description"
                );
                assert!(status.parse::<u16>().is_ok(), "{method} {path}: {status} is a range");
            }
        }
    }
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let api = Api::start().await;
    assert_eq!(api.get("/docs").await.status, 303);
    let page = api.get("/docs/").await;
    assert!(page.body.contains("swagger-ui") && !page.body.contains("https://"), "{}", page.body);
    assert_eq!(api.get("/docs/swagger-ui-bundle.js").await.status, 200);
    assert!(api.get("/docs/swagger-initializer.js").await.body.contains("/openapi.yaml"));
}
