// A bundle in transformers.js, which brings its own tokenizer, against golden.json: BUNDLE=... node --test
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { AutoModel, AutoTokenizer, env, pipeline } from "@huggingface/transformers";

// onnxruntime sends telemetry from version 1.29 on, unless this is set before the first session opens.
process.env.ORT_DISABLE_TELEMETRY ??= "1";

// The pipeline adds the rows up by itself, in float32: what that rounds away grows with the text.
const PIPELINE_TOLERANCE = 3e-6;

const bundle = path.resolve(process.env.BUNDLE ?? "../../../models/potion-base-2M-onnx");
const golden = JSON.parse(await readFile(path.join(bundle, "golden.json"), "utf8"));
// model2vec cuts long texts by characters first, transformers.js does not. Of the bundles here that tells in the BPE's.
if (path.basename(bundle).startsWith("bpe")) golden.texts = golden.texts.filter(({ text }) => text.length <= 1_000);
const { normalize } = JSON.parse(await readFile(path.join(bundle, "config.json"), "utf8"));
const texts = golden.texts.map(({ text }) => text);

env.allowRemoteModels = false;
env.localModelPath = path.dirname(bundle);
const name = path.basename(bundle);
const options = { dtype: "fp32" }; // the file without a suffix, model.onnx, whatever its table holds

function check({ text, sentence_embedding }, vector, tolerance) {
  const near = sentence_embedding.every((x, i) => Math.abs(x - vector[i]) <= tolerance);
  assert.ok(near, `vector of ${JSON.stringify(text.slice(0, 40))}: ${vector}, expected ${sentence_embedding}`);
}

test("AutoTokenizer and AutoModel", async () => {
  const tokenizer = await AutoTokenizer.from_pretrained(name);
  const model = await AutoModel.from_pretrained(name, options);
  const embed = async (batch) => {
    const { sentence_embedding } = await model(tokenizer(batch, { padding: true, truncation: true }));
    return sentence_embedding.tolist();
  };
  const vectors = await embed(texts);
  for (const [i, entry] of golden.texts.entries()) {
    check(entry, vectors[i], golden.tolerance);
    const { input_ids } = tokenizer(entry.text, { truncation: true });
    const known = input_ids.tolist()[0].map(Number);
    assert.deepEqual(
      known.filter((id) => id !== tokenizer.unk_token_id),
      entry.input_ids,
      "token ids",
    );
  }
});

test('pipeline("feature-extraction")', async () => {
  const extractor = await pipeline("feature-extraction", name, options);
  // Where no token is known, transformers.js divides zero by zero.
  const entries = golden.texts.filter(({ input_ids }) => input_ids.length > 0);
  const output = await extractor(
    entries.map(({ text }) => text),
    { pooling: "mean", normalize },
  );
  for (const [i, vector] of output.tolist().entries()) {
    check(entries[i], vector, Math.max(golden.tolerance, PIPELINE_TOLERANCE));
  }
});
