//! Runs a graph in tract: `m2v-tract GRAPH [OUTPUT] < batches > vectors`
//!
//! A line of input is a JSON object with an entry for each input of the graph: `{"input_ids": {"shape": [1, 2], "data":
//! [7592, 2088]}, ...}`. A line of output is the vectors, a JSON list of lists.

use std::{env, error::Error, io};

use serde_json::Value;
use tract_onnx::prelude::*;

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("usage: m2v-tract GRAPH [OUTPUT] < batches > vectors")?;
    let mut model = tract_onnx::onnx().model_for_path(path)?; // finds model.onnx_data beside it
    // Only this output is asked for: what last_hidden_state alone needs is not computed.
    model.select_outputs_by_name([env::args().nth(2).unwrap_or("sentence_embedding".to_string())])?;
    let names: Vec<String> = model.input_outlets()?.iter().map(|i| model.node(i.node).name.clone()).collect();
    let model = model.into_optimized()?.into_runnable()?;
    for line in io::stdin().lines() {
        let batch: Value = serde_json::from_str(&line?)?;
        let mut inputs = tvec!();
        for name in &names {
            let numbers = |key: &str| batch[name][key].as_array().into_iter().flatten().filter_map(Value::as_i64);
            let shape: Vec<usize> = numbers("shape").map(|n| n as usize).collect();
            let data: Vec<i64> = numbers("data").collect();
            inputs.push(Tensor::from_shape(&shape, &data)?.into_tvalue());
        }
        let outputs = model.run(inputs)?;
        let vectors = outputs[0].to_plain_array_view::<f32>()?;
        let rows: Vec<Vec<f32>> = vectors.outer_iter().map(|row| row.iter().copied().collect()).collect();
        println!("{}", serde_json::to_string(&rows)?);
    }
    Ok(())
}
