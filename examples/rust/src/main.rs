//! Prints vectors of texts: `cargo run -- BUNDLE TEXT ...`

use std::{env, error::Error};

use m2v_embed::TextEncoder;

fn main() -> Result<(), Box<dyn Error>> {
    // onnxruntime sends telemetry from version 1.29 on, unless this is set before it is loaded.
    if env::var_os("ORT_DISABLE_TELEMETRY").is_none() {
        // SAFETY: no other thread runs yet.
        unsafe { env::set_var("ORT_DISABLE_TELEMETRY", "1") };
    }
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Some((bundle, texts)) = arguments.split_first().filter(|(_, texts)| !texts.is_empty()) else {
        return Err("usage: cargo run -- BUNDLE TEXT ...".into());
    };
    let vectors = TextEncoder::open(bundle)?.embed(texts)?;
    for (text, vector) in texts.iter().zip(vectors) {
        let start: Vec<String> = vector.iter().take(4).map(|value| format!("{value:.4}")).collect();
        println!("{} ... ({} dimensions)  {text}", start.join(" "), vector.len());
    }
    Ok(())
}
