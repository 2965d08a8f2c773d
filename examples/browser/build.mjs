// Lays the page, a bundle's graph and onnxruntime-web out in build/, for any web server: node build.mjs BUNDLE
import { cp, mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";

const bundle = process.argv[2] ?? "../../models/potion-base-8M-onnx";
const page = ["index.html", "search.js", "text_encoder.js", "passages.txt"];
const runtime = {
  wasm: ["ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"],
  webgpu: ["ort.webgpu.bundle.min.mjs", "ort-wasm-simd-threaded.asyncify.wasm"],
};

await rm("build", { recursive: true, force: true });
await mkdir("build/model", { recursive: true });
for (const name of page) {
  await cp(name, path.join("build", name));
}
for (const name of Object.values(runtime).flat()) {
  await cp(path.join("node_modules/onnxruntime-web/dist", name), path.join("build/ort", name));
}

/** Where the page finds a file of build/, and how large it is. */
async function file(url) {
  return { url, bytes: (await stat(path.join("build", url))).size };
}

async function model(name) {
  await cp(path.join(bundle, "onnx", name), path.join("build/model", name));
  return file(`model/${name}`);
}

// The table is in text.onnx itself (m2v-onnx export --single-file), or in a file beside it that the graph names.
const graph = await readFile(path.join(bundle, "onnx/text.onnx"));
const files = {
  graph: await model("text.onnx"),
  table: graph.includes("model.onnx_data") ? await model("model.onnx_data") : null,
  runtime: { wasm: await file(`ort/${runtime.wasm[1]}`), webgpu: await file(`ort/${runtime.webgpu[1]}`) },
};
await writeFile("build/files.json", JSON.stringify(files));
const bytes = files.graph.bytes + (files.table?.bytes ?? 0);
console.log(`build/: the page with ${bundle}, ${(bytes / 1e6).toFixed(1)} MB`);
