// Does onnxruntime-node give the token ids and vectors of golden.json? BUNDLE=... node --test
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { before, test } from "node:test";
import { open, pack, rows } from "./embed.mjs";

const bundle = process.env.BUNDLE ?? "../../models/potion-base-2M-onnx";
const golden = JSON.parse(await readFile(path.join(bundle, "golden.json"), "utf8"));
let session;

before(async () => {
  session = await open(bundle);
});

async function check(entries) {
  const outputs = await session.run(pack(entries.map(({ text }) => text)), [
    "sentence_embedding",
    "input_ids",
    "token_offsets",
  ]);
  const ids = Array.from(outputs.input_ids.data, Number);
  const starts = Array.from(outputs.token_offsets.data, Number);
  const vectors = rows(outputs.sentence_embedding);
  assert.equal(vectors.length, entries.length);
  for (const [i, { text, input_ids, sentence_embedding }] of entries.entries()) {
    const name = JSON.stringify(text.slice(0, 40));
    assert.deepEqual(ids.slice(starts[i], starts[i + 1]), input_ids, `token ids of ${name}`);
    assert.equal(vectors[i].length, sentence_embedding.length, `dimensions of ${name}`);
    // Not Math.max of the differences: a NaN must fail too.
    const near = sentence_embedding.every((x, j) => Math.abs(x - vectors[i][j]) <= golden.tolerance);
    assert.ok(near, `vector of ${name}: ${vectors[i]}, expected ${sentence_embedding}`);
  }
}

test("one batch", () => check(golden.texts));

test("one by one", async () => {
  for (const entry of golden.texts) {
    await check([entry]);
  }
});
