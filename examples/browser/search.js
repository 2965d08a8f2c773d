// Search over passages in the tab: the model turns text into vectors, the rest is dot products.
const HITS = 8;
const BATCH = 64;
const BRIGHT = 0.3; // of a vector's number: shown in full colour
const build = new URLSearchParams(location.search).get("ort") === "webgpu" ? "webgpu" : "wasm";

/** What text.onnx takes: the texts' UTF-8 bytes, end to end, and where each text starts. */
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

async function get(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  return response;
}

async function open() {
  const ort = await import(`./ort/ort.${build}.bundle.min.mjs`);
  ort.env.wasm.numThreads = 1; // more need a server that isolates the page (COOP and COEP)
  const { files, bytes } = await (await get("model/files.json")).json();
  const [graph, ...tables] = await Promise.all(
    files.map(async (name) => new Uint8Array(await (await get(`model/${name}`)).arrayBuffer())),
  );
  const externalData = tables.map((data, i) => ({ path: files[i + 1], data }));
  const session = await ort.InferenceSession.create(graph, { executionProviders: ["wasm"], externalData });
  return { ort, session, bytes };
}

export const opened = open();

/** A vector of length 1 for each text. */
async function embed(texts) {
  const { ort, session } = await opened;
  const { sentence_embedding } = await session.run(pack(ort, texts), ["sentence_embedding"]);
  return rows(sentence_embedding).map((vector) => {
    const length = Math.hypot(...vector) || 1;
    return vector.map((x) => x / length);
  });
}

const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);

function since(start) {
  const passed = performance.now() - start;
  return passed < 1000 ? `${passed.toFixed(passed < 10 ? 1 : 0)} ms` : `${(passed / 1000).toFixed(1)} s`;
}

const query = document.querySelector("#query");
const status = document.querySelector("#status");
const canvas = document.querySelector("#vector");
const list = document.querySelector("#hits");
const template = document.querySelector("template");
const suggestions = document.querySelectorAll("#try button");

/** The passages, each with its vector. */
async function load() {
  const start = performance.now();
  const { bytes } = await opened;
  const ready = since(start);
  const lines = (await (await get("passages.txt")).text()).trim().split("\n");
  const begin = performance.now();
  const passages = [];
  for (let i = 0; i < lines.length; i += BATCH) {
    const texts = lines.slice(i, i + BATCH);
    passages.push(...(await embed(texts)).map((vector, j) => ({ text: texts[j], vector })));
  }
  document.querySelector("#facts").textContent =
    `A model of ${(bytes / 1e6).toFixed(1)} MB, opened in ${ready}; ` +
    `${lines.length} passages turned into vectors in ${since(begin)}.`;
  return passages;
}

function draw(vector) {
  canvas.width = vector.length;
  const context = canvas.getContext("2d");
  vector.forEach((x, i) => {
    context.fillStyle = `rgb(${x > 0 ? "64 120 255" : "255 136 64"} / ${Math.abs(x) / BRIGHT})`;
    context.fillRect(i, 0, 1, 1);
  });
}

function show(hits) {
  list.replaceChildren(
    ...hits.map(({ text, score }) => {
      const item = template.content.cloneNode(true);
      item.querySelector(".text").textContent = text;
      item.querySelector(".score").textContent = score.toFixed(2);
      item.querySelector("li").style.setProperty("--score", `${100 * score}%`);
      return item;
    }),
  );
}

async function search(passages, text) {
  const start = performance.now();
  const [vector] = await embed([text]);
  const embedded = since(start);
  const begin = performance.now();
  const hits = passages
    .map((passage) => ({ text: passage.text, score: dot(vector, passage.vector) }))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score)
    .slice(0, HITS);
  status.textContent = text ? `vector in ${embedded}, search in ${since(begin)}` : "Type something.";
  draw(vector);
  show(hits);
}

/** Keeps the hits those of what is in the box. One search at a time: what is typed meanwhile has its turn next. */
function follow(passages) {
  let shown;
  let busy = false;
  async function update() {
    if (busy) return;
    busy = true;
    try {
      while (shown !== query.value.trim()) {
        shown = query.value.trim();
        await search(passages, shown);
      }
    } catch (error) {
      fail(error);
    } finally {
      busy = false;
    }
  }
  query.addEventListener("input", update);
  for (const button of suggestions) {
    button.addEventListener("click", () => {
      query.value = button.textContent;
      update();
    });
  }
  query.value = suggestions[0].textContent;
  query.disabled = false;
  query.select();
  update();
}

function fail(error) {
  status.textContent = `This did not work: ${error.message}`;
  throw error;
}

document.querySelector(`a[href="?ort=${build}"]`).setAttribute("aria-current", "page");
load().then(follow).catch(fail);
