//! Runs a graph in rten: `m2v-rten GRAPH [OUTPUT] < batches > vectors`
//!
//! A line of input is a JSON object with an entry for each input of the graph: `{"input_ids": {"shape": [1, 2], "data":
//! [7592, 2088]}, ...}`. A line of output is the vectors, a JSON list of lists.

use std::{env, error::Error, io, time::Instant};

use rten::{Model, ValueOrView};
use rten_tensor::{AsView, Layout, NdTensor, Tensor};
use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("usage: m2v-rten GRAPH [OUTPUT] < batches > vectors")?;
    let model = Model::load_file(path)?; // finds model.onnx_data beside it
    let output = env::args().nth(2).unwrap_or("sentence_embedding".to_string());
    let output = model.node_id(&output)?;
    for line in io::stdin().lines() {
        let batch: Value = serde_json::from_str(&line?)?;
        let mut inputs: Vec<(_, ValueOrView)> = Vec::new();
        for (name, tensor) in batch.as_object().ok_or("expected an object")? {
            let numbers = |key: &str| tensor[key].as_array().into_iter().flatten().filter_map(Value::as_i64);
            let shape: Vec<usize> = numbers("shape").map(|n| n as usize).collect();
            let data: Vec<i32> = numbers("data").map(|n| n as i32).collect(); // rten reads int64 as i32
            inputs.push((model.node_id(name)?, Tensor::from_data(&shape, data).into()));
        }
        let begin = Instant::now();
        // Only this output is asked for: what last_hidden_state alone needs is not computed.
        let [vectors] = model.run_n(inputs, [output], None)?;
        if env::var_os("M2V_TIMES").is_some() {
            eprintln!("milliseconds {}", begin.elapsed().as_secs_f64() * 1e3); // for benchmarks/engines.py
        }
        let vectors: NdTensor<f32, 2> = vectors.try_into()?;
        let rows: Vec<Vec<f32>> = (0..vectors.size(0)).map(|i| vectors.slice(i).iter().copied().collect()).collect();
        println!("{}", serde_json::to_string(&rows)?);
    }
    Ok(())
}
