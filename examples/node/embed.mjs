// Vectors of texts in Node: node embed.mjs BUNDLE TEXT ...
import path from "node:path";
import { pathToFileURL } from "node:url";
import { InferenceSession, Tensor } from "onnxruntime-node";

// onnxruntime sends telemetry from version 1.29 on, unless this is set before the first session opens.
process.env.ORT_DISABLE_TELEMETRY ??= "1";

/** Opens a bundle's text.onnx, which finds model.onnx_data beside it. */
export function open(bundle) {
  return InferenceSession.create(path.join(bundle, "onnx", "text.onnx"), {
    intraOpNumThreads: 1, // the graph's operations are too small to share
    enableMemPattern: false, // it keeps a plan for each size of input that it sees: memory would grow
  });
}

/**
 * What text.onnx takes: the texts' UTF-8 bytes, end to end, and where each text starts. The graph cuts long texts, but
 * slowly: if yours are longer than the bundle's README says that it reads, cut them before.
 */
export function pack(texts) {
  const encoded = texts.map((text) => Buffer.from(text));
  const starts = new BigInt64Array(texts.length);
  for (let i = 1; i < texts.length; i++) {
    starts[i] = starts[i - 1] + BigInt(encoded[i - 1].length);
  }
  const utf8 = new Uint8Array(Buffer.concat(encoded));
  return {
    utf8: new Tensor("uint8", utf8, [utf8.length]),
    offsets: new Tensor("int64", starts, [texts.length]),
  };
}

/** The rows of a float32 [N, dim] tensor. */
export function rows(tensor) {
  const [count, dim] = tensor.dims;
  return Array.from({ length: count }, (_, i) => tensor.data.subarray(i * dim, (i + 1) * dim));
}

/** One Float32Array for each text. */
export async function embed(session, texts) {
  const { sentence_embedding } = await session.run(pack(texts), ["sentence_embedding"]);
  return rows(sentence_embedding);
}

async function main([bundle, ...texts]) {
  if (texts.length === 0) {
    console.error("usage: node embed.mjs BUNDLE TEXT ...");
    process.exit(2);
  }
  const session = await open(bundle);
  for (const [i, vector] of (await embed(session, texts)).entries()) {
    const start = Array.from(vector.subarray(0, 4), (value) => value.toFixed(4)).join(" ");
    console.log(`${start} ... (${vector.length} dimensions)  ${texts[i]}`);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(process.argv.slice(2));
}
