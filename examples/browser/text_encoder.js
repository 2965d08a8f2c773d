// Vectors of texts in the browser, by text.onnx in onnxruntime-web.

/**
 * Opens a bundle's text.onnx.
 * graph: its bytes, a Uint8Array. table: the bytes of model.onnx_data, unless the table is in the graph itself.
 */
export function open(ort, graph, table) {
  ort.env.wasm.numThreads = 1; // the graph's operations are too small to share
  return ort.InferenceSession.create(graph, {
    executionProviders: ["wasm"],
    enableMemPattern: false, // it keeps a plan for each size of input that it sees: memory would grow
    externalData: table ? [{ path: "model.onnx_data", data: table }] : [],
  });
}

/**
 * What text.onnx takes: the texts' UTF-8 bytes, end to end, and where each text starts. The graph cuts long texts, but
 * slowly: if yours are longer than the bundle's README says that it reads, cut them before.
 */
export function pack(ort, texts) {
  const encoder = new TextEncoder();
  const encoded = texts.map((text) => encoder.encode(text));
  const starts = [];
  let length = 0;
  for (const bytes of encoded) {
    starts.push(length);
    length += bytes.length;
  }
  const utf8 = new Uint8Array(length);
  encoded.forEach((bytes, i) => utf8.set(bytes, starts[i]));
  return {
    utf8: new ort.Tensor("uint8", utf8, [length]),
    offsets: new ort.Tensor("int64", BigInt64Array.from(starts, BigInt), [texts.length]),
  };
}

/** The rows of a float32 [N, dim] tensor. */
export function rows({ dims: [count, dim], data }) {
  return Array.from({ length: count }, (_, i) => data.subarray(i * dim, (i + 1) * dim));
}

/** One Float32Array for each text. */
export async function embed(ort, session, texts) {
  const { sentence_embedding } = await session.run(pack(ort, texts), ["sentence_embedding"]);
  return rows(sentence_embedding);
}
