// The page in a real browser, with both builds of onnxruntime-web: BUNDLE=... node --test
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const BROWSERS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};
const SIZES = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };
const FIRST_HITS = {
  "mountain that spits fire": "Volcanoes erupt",
  "learning while asleep": "Sleep helps the brain",
  "a machine that flies without a pilot": "A drone is",
};

const NONSENSE = "asdf qwertz";
const QUERIES = JSON.parse(await readFile("near.json", "utf8"));

const bundle = process.env.BUNDLE ?? "../../models/potion-base-8M-onnx";
const golden = await goldenOf(bundle);
/** The page offers a second model. */
const other = `../../models/potion-base-${path.basename(bundle) === "potion-base-2M-onnx" ? "8M" : "2M"}-onnx`;
/** A Unigram's text.onnx adds in float64, which the WebGPU build has no operators for. */
const isUnigram = path.basename(bundle).startsWith("unigram");
/** A test model knows no words: what it finds near says nothing. */
const isTestModel = isUnigram || path.basename(bundle).startsWith("bpe");
let server, browser, slow;

async function goldenOf(folder) {
  return JSON.parse(await readFile(path.join(folder, "golden.json"), "utf8"));
}

/** The search page from build/; the first page from the folder as README.md has it, with the bundle beside. */
function fileOf(pathname) {
  const [, root, ...rest] = pathname.split("/");
  if (root === "bundle") return path.join(bundle, ...rest);
  if (["first.html", "node_modules"].includes(root)) return path.join(root, ...rest);
  return path.join("build", pathname.endsWith("/") ? `${pathname}index.html` : pathname);
}

before(async () => {
  execFileSync(process.execPath, ["build.mjs", bundle, other]);
  server = createServer(async ({ url }, response) => {
    const { pathname } = new URL(url, "http://localhost");
    try {
      const content = await readFile(fileOf(pathname));
      if (pathname.endsWith("text.onnx")) await slow;
      const type = TYPES[path.extname(pathname)] ?? (pathname.endsWith("/") ? "text/html" : "application/octet-stream");
      response.writeHead(200, { "content-type": type }).end(content);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? BROWSERS.find(existsSync),
    // As root in a container there is no sandbox; the rest keeps the browser itself off the network.
    args: ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"],
  });
});

after(async () => {
  await browser?.close();
  server?.close();
});

/** These run in the page. */
async function run(texts) {
  const { opened } = await import("./search.js");
  const { pack, rows } = await import("./text_encoder.js");
  const { ort, session } = await opened;
  const outputs = await session.run(pack(ort, texts), ["sentence_embedding", "input_ids", "token_offsets"]);
  const ids = Array.from(outputs.input_ids.data, Number);
  const starts = Array.from(outputs.token_offsets.data, Number);
  return rows(outputs.sentence_embedding).map((vector, i) => ({
    ids: ids.slice(starts[i], starts[i + 1]),
    vector: Array.from(vector),
  }));
}

async function shareNear(texts) {
  const { nearest } = await import("./search.js");
  let near = 0;
  for (const text of texts) near += (await nearest(text))[0]?.near ? 1 : 0;
  return near / texts.length;
}

function check({ texts: entries, tolerance }, found) {
  assert.equal(found.length, entries.length);
  for (const [i, { text, input_ids, sentence_embedding }] of entries.entries()) {
    const name = JSON.stringify(text.slice(0, 40));
    const { ids, vector } = found[i];
    assert.deepEqual(ids, input_ids, `token ids of ${name}`);
    assert.equal(vector.length, sentence_embedding.length, `dimensions of ${name}`);
    const near = sentence_embedding.every((x, j) => Math.abs(x - vector[j]) <= tolerance);
    assert.ok(near, `vector of ${name}: ${vector}, expected ${sentence_embedding}`);
  }
}

/** All texts in one batch, and each by itself. */
async function checkAll(page, golden) {
  check(golden, await page.evaluate(run, golden.texts.map(({ text }) => text)));
  for (const entry of golden.texts) {
    check({ ...golden, texts: [entry] }, await page.evaluate(run, [entry.text]));
  }
}

for (const build of ["wasm", "webgpu"]) {
  test(`${build} build, test model`, { timeout: 120_000, skip: !isTestModel }, async () => {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${server.address().port}/?ort=${build}`);
    if (build === "webgpu" && isUnigram) {
      await page.locator("#status", { hasText: "Could not find an implementation" }).waitFor({ timeout: 100_000 });
    } else {
      await page.locator("#status", { hasText: /^(The nearest|None of|This did not)/ }).waitFor({ timeout: 100_000 });
      await checkAll(page, golden);
    }
    await page.close();
  });

  test(`${build} build`, { timeout: 120_000, skip: isTestModel }, async () => {
    const origin = `http://127.0.0.1:${server.address().port}`;
    const context = await browser.newContext({ viewport: SIZES.desktop });
    const page = await context.newPage();
    const requests = [];
    const errors = [];
    context.on("request", (request) => requests.push(request.url()));
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    const firstHit = async (start) => {
      await page.locator("#hits li").first().filter({ hasText: start }).waitFor({ timeout: 10_000 });
      assert.equal(await page.locator("#status").textContent(), "The nearest of 311 passages:");
      assert.match(await page.locator("#time").textContent(), /^Found in [\d.]+ m?s\.$/);
    };

    // While the graph is on its way, the page says how much there is, and nothing can be typed.
    let arrive;
    slow = new Promise((resolve) => (arrive = resolve));
    await page.goto(`${origin}/?ort=${build}`);
    await page.locator("#arrived", { hasText: /^[\d.]+ MB of \d[\d.]+ MB$/ }).waitFor({ timeout: 30_000 });
    assert.ok(await page.getByRole("progressbar", { name: "Opening the model" }).isVisible());
    assert.ok(await page.locator("#query").isDisabled());
    assert.ok(await page.getByRole("button", { name: "extinct animals" }).isDisabled());
    if (process.env.SCREENSHOT) await page.screenshot({ path: `${process.env.SCREENSHOT}-${build}-opening.png` });
    arrive();
    await page.locator("#status", { hasText: /^(The nearest|This did not)/ }).waitFor({ timeout: 100_000 });
    assert.deepEqual(errors, []);
    assert.ok(await page.locator("#query").isEnabled());
    assert.ok(await page.locator("#opening").isHidden());
    await firstHit("Volcanoes erupt"); // of the suggestion that it starts with

    await checkAll(page, golden);

    for (const [size, viewport] of Object.entries(SIZES)) {
      await page.setViewportSize(viewport);
      for (const [query, start] of Object.entries(FIRST_HITS)) {
        await page.locator("#query").fill("");
        await page.locator("#status", { hasText: "311 passages to search. Type" }).waitFor({ timeout: 10_000 });
        assert.equal(await page.locator("#hits li").count(), 0);
        await page.locator("#query").pressSequentially(query);
        await firstHit(start);
      }
      await page.getByRole("button", { name: "extinct animals" }).click();
      await firstHit("Dinosaurs");
      const [content, room] = await page.evaluate(() => {
        const { scrollWidth, clientWidth } = document.documentElement;
        return [scrollWidth, clientWidth];
      });
      assert.ok(content <= room, `${size}: ${content} pixels in a window of ${room}`);
      if (process.env.SCREENSHOT) {
        await page.locator("#query").fill("a machine that flies without a pilot and without a sound");
        await page.locator("#hits li").first().waitFor();
        await page.screenshot({ path: `${process.env.SCREENSHOT}-${build}-${size}.png` });
      }

      await page.getByRole("button", { name: NONSENSE }).click();
      await page.locator("#status", { hasText: "None of the 311 passages is near. These are the least far" }).waitFor();
      const [hits, far] = [page.locator("#hits li"), page.locator("#hits li.far", { hasText: /far, 0\.\d\d/ })];
      assert.equal(await far.count(), await hits.count());
      if (process.env.SCREENSHOT) await page.screenshot({ path: `${process.env.SCREENSHOT}-${build}-${size}-far.png` });
      await page.locator("#query").fill("\u{10ffff}"); // no token at all
      await page.locator("#status", { hasText: "the model knows none of these words" }).waitFor();
      assert.equal(await hits.count(), 0);
    }

    // What search.js says of its thresholds.
    const about = await page.evaluate(shareNear, QUERIES.about);
    const elsewhere = await page.evaluate(shareNear, QUERIES.elsewhere);
    assert.ok(about >= 0.94, `near are ${about} of the queries about the passages`);
    assert.ok(elsewhere <= 0.32, `near are ${elsewhere} of the queries about something else`);

    assert.deepEqual(errors, []);
    assert.deepEqual(
      requests.filter((url) => !url.startsWith(`${origin}/`) && !url.startsWith("data:")),
      [],
    );
    assert.ok(requests.some((url) => url.endsWith(".wasm")));
    // Not only does it not ask elsewhere: it may not.
    const refused = await page.evaluate(
      (url) =>
        new Promise((resolve) => {
          document.addEventListener("securitypolicyviolation", ({ blockedURI }) => resolve(blockedURI));
          fetch(url)
            .catch(() => {})
            .finally(() => setTimeout(resolve, 1000, "nothing"));
        }),
      origin.replace("127.0.0.1", "localhost"),
    );
    assert.match(refused, /^http:\/\/localhost:/);
    await context.close();
  });
}

test("another model, by its link", { timeout: 120_000 }, async () => {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/?ort=wasm&model=none`);
  await page.locator("#status", { hasText: "there is no model none here" }).waitFor({ timeout: 30_000 });
  await page.getByRole("link", { name: path.basename(other, "-onnx"), exact: true }).click();
  await page.locator("#status", { hasText: /^(The nearest|This did not)/ }).waitFor({ timeout: 100_000 });
  await checkAll(page, await goldenOf(other));
  await page.close();
});

test("the first page of README.md", { timeout: 120_000 }, async () => {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/first.html`);
  await page.locator("#out", { hasText: "dimensions" }).waitFor({ timeout: 100_000 });
  const shown = await page.locator("#out").textContent();
  const dim = golden.texts[0].sentence_embedding.length;
  const line = (text) => `(-?\\d\\.\\d{4} ){4}\\.\\.\\. \\(${dim} dimensions\\)  ${text}\\n`;
  assert.match(shown, new RegExp(`^${line("It's dangerous to go alone!")}${line("Take this\\.")}$`));
  if (path.basename(bundle) === "potion-base-8M-onnx") {
    const readme = await readFile("README.md", "utf8");
    assert.ok(readme.includes(`\`\`\`text\n${shown}\`\`\``), shown);
  }
  await page.close();
});
