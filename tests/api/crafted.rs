//! Bundles that were made to harm: right in every checksum, and asking for more than a machine has.

use crate::{
    harness::{Api, MODEL},
    shop::Original,
};
use axum::http::Method;
use prost::Message;
use serde_json::json;
use std::{path::Path, time::Duration};
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto};
use vitrine::serving::Config;

const FLOAT: i32 = 1;

fn zeros(name: &str, dims: [i64; 2]) -> TensorProto {
    let bytes = (dims[0] * dims[1]) as usize * 4;
    let (name, raw_data) = (name.to_owned(), vec![0; bytes]);
    TensorProto { name, dims: dims.to_vec(), data_type: FLOAT, raw_data, ..TensorProto::default() }
}

fn node(kind: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: kind.to_owned(),
        name: output.to_owned(),
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

/// Adds the sum of a matrix of `size` × `size` zeros, multiplied by itself so many times, to a
/// bias: the model answers as before, and a few kilobytes ask for any amount of memory and time.
fn burden(graph: &mut GraphProto, size: i64, products: usize) {
    graph.initializer.extend([zeros("tall", [size, 1]), zeros("wide", [1, size])]);
    let mut nodes = vec![node("Add", &["tall", "wide"], "square_0")];
    for n in 0..products {
        let square = format!("square_{n}");
        nodes.push(node("MatMul", &[&square, &square], &format!("square_{}", n + 1)));
    }
    nodes.push(node("ReduceSum", &[&format!("square_{products}")], "sum"));
    let bias = "layer_0_bias";
    for user in graph.node.iter_mut() {
        user.input
            .iter_mut()
            .filter(|input| *input == bias)
            .for_each(|input| *input = "burdened".to_owned());
    }
    nodes.push(node("Add", &[bias, "sum"], "burdened"));
    graph.node.splice(..0, nodes);
}

/// Puts a burdened version beside the others; answers it.
fn craft(models: &Path, size: i64, products: usize) -> String {
    let copy = Original::new().copy();
    copy.edit("item_tower.onnx", |bytes| {
        let mut model = ModelProto::decode(bytes.as_slice()).unwrap();
        burden(model.graph.as_mut().unwrap(), size, products);
        *bytes = model.encode_to_vec();
    });
    copy.reseal();
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(copy.file("manifest.json")).unwrap()).unwrap();
    let version = manifest["version"].as_str().unwrap().to_owned();
    let target = models.join(MODEL).join(&version);
    std::fs::create_dir(&target).unwrap();
    std::fs::create_dir(target.join("vocabularies")).unwrap();
    crate::harness::copy(copy.path(), &target);
    version
}

fn guarded(config: &mut Config) {
    config.models.checker = Some(env!("CARGO_BIN_EXE_vitrine-server").into());
    config.models.load_memory_mb = 2_048;
}

async fn activate(api: &Api, version: &str) -> crate::harness::Reply {
    let path = format!("/admin/v1/models/{MODEL}/activate");
    api.operate(Method::POST, &path, Some(json!({"version": version}))).await
}

#[tokio::test]
async fn a_bundle_that_asks_for_all_memory_is_refused() {
    let api = Api::start_with(guarded).await;
    // 640 GB.
    let version = craft(&api.models(), 400_000, 0);
    let detail = activate(&api, &version).await.problem(422, "bundle_refused");
    assert!(detail.contains(&version), "{detail}");
    assert_eq!(api.get("/v1/popular").await.meta()["model"]["version"], json!(api.versions[0]));
    // The same machinery lets honest bundles pass, this one included where its burden is light.
    let light = craft(&api.models(), 8, 2);
    assert_eq!(activate(&api, &light).await.status, 200);
    assert_eq!(activate(&api, &api.versions[1]).await.status, 200);
}

#[tokio::test]
async fn a_bundle_that_never_ends_is_refused() {
    let api = Api::start_with(|config| {
        guarded(config);
        config.models.load_timeout = Duration::from_secs(2);
    })
    .await;
    // 60 products of 4,000 × 4,000: minutes.
    let version = craft(&api.models(), 4_000, 60);
    let detail = activate(&api, &version).await.problem(422, "bundle_refused");
    assert!(detail.contains("more than 2 s"), "{detail}");
}

#[tokio::test]
async fn a_load_is_given_up_when_the_server_stops() {
    let api = Api::start_with(guarded).await;
    let version = craft(&api.models(), 4_000, 60);
    let (reply, ()) = tokio::join!(activate(&api, &version), async { api.service.stop_loading() });
    assert!(reply.problem(503, "not_ready").contains("stopping"));
    assert_eq!(api.status().await["refusals"], json!([]), "the bundle is not to blame");
}
