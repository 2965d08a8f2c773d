//! The same server in Rust: axum and model2vec-rs, as their documentation has them, on one thread.
//! `peer MODEL PORT`

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model2vec_rs::model::StaticModel;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Request {
    input: Input,
    encoding_format: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Vector {
    Floats(Vec<f32>),
    Base64(String),
}

#[derive(Serialize)]
struct Embedding {
    object: &'static str,
    index: usize,
    embedding: Vector,
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: usize,
    total_tokens: usize,
}

#[derive(Serialize)]
struct Answer {
    object: &'static str,
    data: Vec<Embedding>,
    model: &'static str,
    usage: Usage,
}

async fn embeddings(State(model): State<Arc<StaticModel>>, Json(request): Json<Request>) -> Json<Answer> {
    let texts = match request.input {
        Input::One(text) => vec![text],
        Input::Many(texts) => texts,
    };
    let base64 = request.encoding_format.as_deref() == Some("base64");
    let written = |vector: Vec<f32>| {
        if !base64 {
            return Vector::Floats(vector);
        }
        let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
        Vector::Base64(STANDARD.encode(bytes))
    };
    let data = model.encode(&texts).into_iter().enumerate();
    let data = data.map(|(index, vector)| Embedding { object: "embedding", index, embedding: written(vector) });
    let usage = Usage { prompt_tokens: 0, total_tokens: 0 };
    Json(Answer { object: "list", data: data.collect(), model: "model", usage })
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().expect("peer MODEL PORT");
    let port: u16 = arguments.next().and_then(|port| port.parse().ok()).expect("peer MODEL PORT");
    let model = StaticModel::from_pretrained(path, None, None, None).expect("a Model2Vec model");
    let app = Router::new()
        .route("/health", get(|| async { "ready" }))
        .route("/v1/embeddings", post(embeddings))
        .layer(DefaultBodyLimit::max(16 << 20))
        .with_state(Arc::new(model));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
    axum::serve(listener, app).await.expect("a server");
}
