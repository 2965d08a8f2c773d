// Lays the page, a bundle's graph and onnxruntime-web out in build/, for any web server: node build.mjs BUNDLE
import { cp, mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";

const bundle = process.argv[2] ?? "../../models/potion-base-2M-onnx";
const page = ["index.html", "search.js", "passages.txt"];
const runtime = [
  "ort.wasm.bundle.min.mjs",
  "ort-wasm-simd-threaded.wasm",
  "ort.webgpu.bundle.min.mjs",
  "ort-wasm-simd-threaded.asyncify.wasm",
];

await rm("build", { recursive: true, force: true });
await mkdir("build/model", { recursive: true });
for (const name of page) {
  await cp(name, path.join("build", name));
}
for (const name of runtime) {
  await cp(path.join("node_modules/onnxruntime-web/dist", name), path.join("build/ort", name));
}

// The table is in text.onnx itself (m2v-onnx export --single-file), or in a file beside it that the graph names.
const graph = await readFile(path.join(bundle, "onnx/text.onnx"));
const files = ["text.onnx", ...(graph.includes("model.onnx_data") ? ["model.onnx_data"] : [])];
let bytes = 0;
for (const name of files) {
  await cp(path.join(bundle, "onnx", name), path.join("build/model", name));
  bytes += (await stat(path.join("build/model", name))).size;
}
await writeFile("build/model/files.json", JSON.stringify({ files, bytes }));
console.log(`build/: the page with ${bundle}, ${(bytes / 1e6).toFixed(1)} MB`);
