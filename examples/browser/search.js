// Search over passages in the tab: the model turns text into vectors, the rest is dot products.
import { embed as vectorsOf, open as openText } from "./text_encoder.js";

const HITS = 8;
const BATCH = 64;
const asked = new URLSearchParams(location.search);
const build = asked.get("ort") === "webgpu" ? "webgpu" : "wasm";

/**
 * The cosine from which a passage counts as near, by a model's number of dimensions. near.json has 50 queries about
 * subjects of the passages, and 50 of nonsense or of other subjects. With potion-base-8M (256 dimensions) the best
 * passage of all of the first and of 4 of the others reaches 0.34; with potion-base-2M (64), of all and of 15 reaches
 * 0.42. 25 more of each, written afterwards: 23 and 3; 23 and 6. The fewer dimensions, the nearer are texts that have
 * nothing to do with each other. The test counts the queries of near.json again.
 */
const NEAR = { 64: 0.42, 256: 0.34 };
const NEAR_OTHERWISE = 0.35;

const MB = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

async function get(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  return response;
}

/** The file's bytes; `told` hears of each part that arrives. */
async function download(url, told) {
  const parts = [];
  const reader = (await get(url)).body.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    parts.push(next.value);
    told(next.value.length);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** The session, after its files: the graph, the table where that is a file of its own, and onnxruntime's wasm. */
async function open() {
  const { models, runtime } = await (await get("files.json")).json();
  const names = models.map(({ name }) => name);
  const name = asked.get("model") ?? names[0];
  offer("ort", Object.keys(runtime), build);
  offer("model", names, name);
  const model = models[names.indexOf(name)];
  if (!model) throw new Error(`there is no model ${name} here: take one of the links below`);
  const { graph, table } = model;
  const wasm = runtime[build];
  const files = [graph, table, wasm].filter(Boolean);
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  let arrived = 0;
  const told = (count) => {
    arrived += count;
    opening(arrived, bytes);
  };
  const contents = await Promise.all(files.map(async ({ url }) => [url, await download(url, told)]));
  const found = new Map(contents);
  const ort = await import(`./ort/ort.${build}.bundle.min.mjs`);
  ort.env.wasm.wasmBinary = found.get(wasm.url);
  const session = await openText(ort, found.get(graph.url), table && found.get(table.url));
  return { ort, session, size: bytes - wasm.bytes };
}

/** Links to the page with each of some choices, in the place of the choice before. */
function offer(of, choices, chosen) {
  const links = choices.map((choice) => {
    const link = document.createElement("a");
    const search = new URLSearchParams(asked);
    search.set(of, choice);
    link.href = `?${search}`;
    link.textContent = choice;
    if (choice === chosen) link.setAttribute("aria-current", "page");
    return link;
  });
  document.querySelector(`#${of}`).replaceChildren(...links.flatMap((link, i) => (i ? [", ", link] : [link])));
}

export const opened = open();

/** A vector of length 1 for each text. */
async function embed(texts) {
  const { ort, session } = await opened;
  return (await vectorsOf(ort, session, texts)).map((vector) => {
    const length = Math.hypot(...vector) || 1;
    return vector.map((x) => x / length);
  });
}

const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);

function since(start) {
  const passed = performance.now() - start;
  return passed < 1000 ? `${passed.toFixed(passed < 10 ? 1 : 0)} ms` : `${(passed / 1000).toFixed(1)} s`;
}

const inputs = document.querySelector("#inputs");
const query = document.querySelector("#query");
const progress = document.querySelector("progress");
const status = document.querySelector("#status");
const list = document.querySelector("#hits");
const template = document.querySelector("template");
const suggestions = document.querySelectorAll("#try button");

function say(text) {
  if (status.textContent !== text) status.textContent = text; // a screen reader says it again otherwise
}

function opening(arrived, bytes) {
  progress.max = bytes;
  progress.value = arrived;
  document.querySelector("#arrived").textContent =
    arrived < bytes ? `${MB(arrived)} of ${MB(bytes)}` : `${MB(bytes)}, starting`;
}

/** The passages, each with its vector. */
async function load() {
  const start = performance.now();
  const { size } = await opened;
  const ready = since(start);
  const lines = (await (await get("passages.txt")).text()).trim().split("\n");
  const begin = performance.now();
  const passages = [];
  for (let i = 0; i < lines.length; i += BATCH) {
    const texts = lines.slice(i, i + BATCH);
    passages.push(...(await embed(texts)).map((vector, j) => ({ text: texts[j], vector })));
  }
  document.querySelector("#facts").textContent =
    `A model of ${MB(size)}, opened in ${ready}; ${lines.length} passages turned into vectors in ${since(begin)}.`;
  return passages;
}

export const loaded = load();

/** The passages nearest to a text, best first: their text, their score, and whether that is near. */
export async function nearest(text) {
  const passages = await loaded;
  const [vector] = await embed([text]);
  const least = NEAR[vector.length] ?? NEAR_OTHERWISE;
  return passages
    .map((passage) => ({ text: passage.text, score: dot(vector, passage.vector) }))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score)
    .slice(0, HITS)
    .map((hit) => ({ ...hit, near: hit.score >= least }));
}

function show(hits) {
  list.replaceChildren(
    ...hits.map(({ text, score, near }) => {
      const item = template.content.cloneNode(true);
      item.querySelector(".text").textContent = text;
      item.querySelector(".score").textContent = `${near ? "" : "far, "}${score.toFixed(2)}`;
      item.querySelector("li").classList.toggle("far", !near);
      item.querySelector("li").style.setProperty("--score", `${100 * score}%`);
      return item;
    }),
  );
}

function heading(text, hits, count) {
  if (!text) return `${count} passages to search. Type something.`;
  if (hits.some(({ near }) => near)) return `The nearest of ${count} passages:`;
  const none = `None of the ${count} passages is near`;
  if (hits.length === 0) return `${none}: the model knows none of these words.`;
  return `${none}. These are the least far, and likely about something else:`;
}

async function search(count, text) {
  const start = performance.now();
  const hits = text ? await nearest(text) : [];
  document.querySelector("#time").textContent = text ? `Found in ${since(start)}.` : "";
  say(heading(text, hits, count));
  show(hits);
}

/** Keeps the hits those of what is in the box. One search at a time: what is typed meanwhile has its turn next. */
function follow({ length }) {
  let shown;
  let busy = false;
  async function update() {
    if (busy) return;
    busy = true;
    try {
      while (shown !== query.value.trim()) {
        shown = query.value.trim();
        await search(length, shown);
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
  document.querySelector("#opening").hidden = true;
  inputs.disabled = false;
  query.value = suggestions[0].textContent;
  query.select();
  update();
}

function fail(error) {
  document.querySelector("#opening").hidden = true;
  say(`This did not work: ${error.message}`);
  throw error;
}

loaded.then(follow).catch(fail);
