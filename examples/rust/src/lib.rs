//! Vectors of texts by `text.onnx`, the graph with the tokenizer inside.

use std::path::Path;

use ort::{
    session::{Session, SessionOutputs},
    value::{DynValue, Tensor},
};

/// A session of a bundle's `text.onnx`.
pub struct TextEncoder {
    session: Session,
    /// Bytes of a text that may count; the graph cuts the rest off, but slowly.
    limit: usize,
}

impl TextEncoder {
    /// Opens a bundle's `text.onnx`, which finds `model.onnx_data` beside it.
    pub fn open(bundle: impl AsRef<Path>) -> ort::Result<Self> {
        let environment = ort::init().build()?;
        let graph = bundle.as_ref().join("onnx").join("text.onnx");
        let session = Session::builder(&environment)?
            .with_intra_threads(1)? // the graph's operations are too small to share
            .with_memory_pattern(false)? // a plan for each size of input that it sees: memory would grow
            .commit_from_file(graph)?;
        let limit = bytes_that_count(&session)?;
        Ok(Self { session, limit })
    }

    /// One vector for each text.
    pub fn embed<S: AsRef<str>>(&mut self, texts: &[S]) -> ort::Result<Vec<Vec<f32>>> {
        rows(&self.run(texts)?["sentence_embedding"])
    }

    /// All outputs of the graph, given the texts' UTF-8 bytes, end to end, and where each text starts.
    pub fn run<S: AsRef<str>>(&mut self, texts: &[S]) -> ort::Result<SessionOutputs<'_>> {
        let mut utf8 = Vec::new();
        let mut offsets = Vec::with_capacity(texts.len());
        for text in texts {
            offsets.push(utf8.len() as i64);
            let bytes = text.as_ref().as_bytes();
            utf8.extend_from_slice(&bytes[..bytes.len().min(self.limit)]);
        }
        self.session.run(ort::inputs! {
            "utf8" => Tensor::from_array(([utf8.len()], utf8))?,
            "offsets" => Tensor::from_array(([offsets.len()], offsets))?,
        })
    }
}

/// Four bytes for each of the characters that the graph reads of a text.
fn bytes_that_count(session: &Session) -> ort::Result<usize> {
    let metadata = session.metadata()?;
    let number = |key| metadata.custom(key)?.parse::<usize>().ok(); // null: a text has no limit
    let characters = number("max_length").zip(number("median_token_length"));
    Ok(characters.map_or(usize::MAX, |(tokens, length)| 4 * tokens * length))
}

/// The rows of a float32 `[N, dim]` tensor.
pub fn rows(value: &DynValue) -> ort::Result<Vec<Vec<f32>>> {
    let (shape, data) = value.try_extract_tensor::<f32>()?;
    Ok(data.chunks_exact(shape[1] as usize).map(<[f32]>::to_vec).collect())
}
