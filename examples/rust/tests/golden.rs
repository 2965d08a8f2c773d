//! The texts of golden.json as one batch and one by one: `BUNDLE=... ORT_DYLIB_PATH=... cargo test`

use std::{env, error::Error, fs, path::PathBuf};

use m2v_embed::{TextEncoder, rows};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    tolerance: f32,
    texts: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    text: String,
    input_ids: Vec<i64>,
    sentence_embedding: Vec<f32>,
}

#[test]
fn golden() -> Result<(), Box<dyn Error>> {
    // SAFETY: this is the only test, and the thread that waits for it reads no variables.
    unsafe { env::set_var("ORT_DISABLE_TELEMETRY", "1") };
    let bundle = env::var_os("BUNDLE").map_or("../../models/potion-base-2M-onnx".into(), PathBuf::from);
    let golden: Golden = serde_json::from_str(&fs::read_to_string(bundle.join("golden.json"))?)?;
    let mut encoder = TextEncoder::open(&bundle)?;
    check(&mut encoder, &golden.texts, golden.tolerance)?;
    for entry in &golden.texts {
        check(&mut encoder, std::slice::from_ref(entry), golden.tolerance)?;
    }
    Ok(())
}

fn check(encoder: &mut TextEncoder, entries: &[Entry], tolerance: f32) -> ort::Result<()> {
    let texts: Vec<&str> = entries.iter().map(|entry| entry.text.as_str()).collect();
    let outputs = encoder.run(&texts)?;
    let vectors = rows(&outputs["sentence_embedding"])?;
    let (_, ids) = outputs["input_ids"].try_extract_tensor::<i64>()?;
    let (_, starts) = outputs["token_offsets"].try_extract_tensor::<i64>()?;
    assert_eq!(vectors.len(), entries.len());
    for (i, entry) in entries.iter().enumerate() {
        let end = starts.get(i + 1).map_or(ids.len(), |&end| end as usize);
        let name: String = entry.text.chars().take(40).collect();
        assert_eq!(ids[starts[i] as usize..end], entry.input_ids, "token ids of {name:?}");
        assert_eq!(vectors[i].len(), entry.sentence_embedding.len(), "dimensions of {name:?}");
        for (found, expected) in vectors[i].iter().zip(&entry.sentence_embedding) {
            let difference = (found - expected).abs();
            assert!(difference <= tolerance, "the vector of {name:?} is off by {difference:.1e}");
        }
    }
    Ok(())
}
