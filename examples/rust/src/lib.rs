//! Vectors of texts by `text.onnx`, the graph with the tokenizer inside.

use std::path::Path;

use ort::{
    session::{Session, SessionOutputs},
    value::{DynValue, Tensor},
};

/// A session of a bundle's `text.onnx`.
pub struct TextEncoder {
    session: Session,
}

impl TextEncoder {
    pub fn open(bundle: impl AsRef<Path>) -> ort::Result<Self> {
        let environment = ort::init().build()?;
        let graph = bundle.as_ref().join("onnx").join("text.onnx");
        // One thread: the graph's operations are too small to share.
        let session = Session::builder(&environment)?
            .with_intra_threads(1)?
            .commit_from_file(graph)?;
        Ok(Self { session })
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
            utf8.extend_from_slice(text.as_ref().as_bytes());
        }
        self.session.run(ort::inputs! {
            "utf8" => Tensor::from_array(([utf8.len()], utf8))?,
            "offsets" => Tensor::from_array(([offsets.len()], offsets))?,
        })
    }
}

/// The rows of a float32 `[N, dim]` tensor.
pub fn rows(value: &DynValue) -> ort::Result<Vec<Vec<f32>>> {
    let (shape, data) = value.try_extract_tensor::<f32>()?;
    Ok(data.chunks_exact(shape[1] as usize).map(<[f32]>::to_vec).collect())
}
