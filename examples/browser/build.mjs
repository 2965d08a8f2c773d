// Lays the page, the graphs of one or more bundles and onnxruntime-web out in build/, for any web server:
// node build.mjs BUNDLE ...
import { cp, mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";

const bundles = process.argv.length > 2 ? process.argv.slice(2) : ["../../models/potion-base-8M-onnx"];
const page = ["index.html", "search.js", "text_encoder.js", "passages.txt"];
const runtime = {
  wasm: ["ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"],
  webgpu: ["ort.webgpu.bundle.min.mjs", "ort-wasm-simd-threaded.asyncify.wasm"],
};

await rm("build", { recursive: true, force: true });
await mkdir("build", { recursive: true });
for (const name of page) {
  await cp(name, path.join("build", name));
}
for (const name of Object.values(runtime).flat()) {
  await cp(path.join("node_modules/onnxruntime-web/dist", name), path.join("build/ort", name));
}

/** Where the page finds a file of build/, and how large it is. */
async function file(url) {
  return { url, bytes: (await stat(path.join("build", decodeURIComponent(url)))).size };
}

/** A bundle's graph, and its table where that is not in the graph itself (m2v-onnx export --single-file). */
async function model(bundle) {
  const name = path.basename(path.resolve(bundle)).replace(/-onnx$/, "");
  async function copied(of) {
    await cp(path.join(bundle, "onnx", of), path.join("build/models", name, of));
    return file(`models/${encodeURIComponent(name)}/${of}`);
  }
  const graph = await readFile(path.join(bundle, "onnx/text.onnx"));
  return {
    name,
    graph: await copied("text.onnx"),
    table: graph.includes("model.onnx_data") ? await copied("model.onnx_data") : null,
  };
}

const models = await Promise.all(bundles.map(model));
const names = models.map(({ name }) => name);
if (new Set(names).size < names.length) throw new Error(`expected bundles of different names, got ${names.join(", ")}`);
const [wasm, webgpu] = [await file(`ort/${runtime.wasm[1]}`), await file(`ort/${runtime.webgpu[1]}`)];
await writeFile("build/files.json", JSON.stringify({ models, runtime: { wasm, webgpu } }));
for (const { name, graph, table } of models) {
  console.log(`build/: the page with ${name}, ${((graph.bytes + (table?.bytes ?? 0)) / 1e6).toFixed(1)} MB`);
}
