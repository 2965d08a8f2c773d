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

const bundle = process.env.BUNDLE ?? "../../models/potion-base-2M-onnx";
const golden = JSON.parse(await readFile(path.join(bundle, "golden.json"), "utf8"));
let server, browser;

before(async () => {
  execFileSync(process.execPath, ["build.mjs", bundle]);
  server = createServer(async ({ url }, response) => {
    const { pathname } = new URL(url, "http://localhost");
    const file = path.join("build", pathname.endsWith("/") ? `${pathname}index.html` : pathname);
    try {
      const content = await readFile(file);
      response.writeHead(200, { "content-type": TYPES[path.extname(file)] ?? "application/octet-stream" }).end(content);
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

/** Runs in the page. */
async function run(texts) {
  const { opened, pack, rows } = await import("./search.js");
  const { ort, session } = await opened;
  const outputs = await session.run(pack(ort, texts), ["sentence_embedding", "input_ids", "token_offsets"]);
  const ids = Array.from(outputs.input_ids.data, Number);
  const starts = Array.from(outputs.token_offsets.data, Number);
  return rows(outputs.sentence_embedding).map((vector, i) => ({
    ids: ids.slice(starts[i], starts[i + 1]),
    vector: Array.from(vector),
  }));
}

function check(entries, found) {
  assert.equal(found.length, entries.length);
  for (const [i, { text, input_ids, sentence_embedding }] of entries.entries()) {
    const name = JSON.stringify(text.slice(0, 40));
    const { ids, vector } = found[i];
    assert.deepEqual(ids, input_ids, `token ids of ${name}`);
    assert.equal(vector.length, sentence_embedding.length, `dimensions of ${name}`);
    const near = sentence_embedding.every((x, j) => Math.abs(x - vector[j]) <= golden.tolerance);
    assert.ok(near, `vector of ${name}: ${vector}, expected ${sentence_embedding}`);
  }
}

for (const build of ["wasm", "webgpu"]) {
  test(`${build} build`, { timeout: 120_000 }, async () => {
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
      assert.match(await page.locator("#status").textContent(), /^vector in [\d.]+ m?s, search in [\d.]+ m?s$/);
    };

    await page.goto(`${origin}/?ort=${build}`);
    await page.locator("#status", { hasText: /^(vector|This did not)/ }).waitFor({ timeout: 100_000 });
    assert.deepEqual(errors, []);
    await firstHit("Volcanoes erupt"); // of the suggestion that it starts with

    const texts = golden.texts.map(({ text }) => text);
    check(golden.texts, await page.evaluate(run, texts));
    for (const entry of golden.texts) {
      check([entry], await page.evaluate(run, [entry.text]));
    }

    for (const [size, viewport] of Object.entries(SIZES)) {
      await page.setViewportSize(viewport);
      for (const [query, start] of Object.entries(FIRST_HITS)) {
        await page.locator("#query").fill("");
        await page.locator("#status", { hasText: "Type something." }).waitFor({ timeout: 10_000 });
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
      if (process.env.SCREENSHOT) await page.screenshot({ path: `${process.env.SCREENSHOT}-${build}-${size}.png` });
    }

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
