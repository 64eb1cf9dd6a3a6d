// Opens reports in a headless Chromium and checks that every chart has drawn something, without errors and without
// fetching anything. Usage: node check.mjs REPORT.html... [--screenshots DIR]
import { mkdtempSync, rmSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const expected = {
  run: ["summary", "percentiles", "heatmap", "throughput", "latency", "processors", "memory", "matrix", "clients"],
  sweep: ["sweep", "steps"],
};
const words = process.argv.slice(2);
const at = words.indexOf("--screenshots");
const shots = at >= 0 ? resolve(words.splice(at, 2)[1]) : null;
if (words.length === 0) {
  console.error("usage: node check.mjs REPORT.html... [--screenshots DIR]");
  process.exit(2);
}
if (shots) mkdirSync(shots, { recursive: true });

const profile = mkdtempSync(join(tmpdir(), "check-report-"));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
let problems = 0;
const problem = (text) => { problems += 1; console.error(`PROBLEM ${text}`); };

for (const file of words) {
  for (const [scheme, width] of [["light", 1240], ["dark", 1240], ["light", 420]]) {
    const page = await browser.newPage();
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme: scheme });
    page.on("console", (message) => { if (message.type() === "error") problem(`${file}: console: ${message.text()}`); });
    page.on("pageerror", (error) => problem(`${file}: ${error}`));
    const url = pathToFileURL(resolve(file)).href;
    page.on("request", (request) => { if (request.url() !== url) problem(`${file}: it fetches ${request.url()}`); });
    await page.goto(url);
    await page.waitForSelector("body[data-drawn=yes]", { timeout: 10000 });
    const seen = await page.evaluate(() => ({
      kind: JSON.parse(document.getElementById("data").textContent).kind,
      charts: Object.fromEntries([...document.querySelectorAll("[data-chart]")].map((figure) => {
        const marks = [...figure.querySelectorAll(".mark")];
        const bad = marks.filter((mark) => /NaN|Infinity|undefined/.test(mark.outerHTML));
        const visible = marks.filter((mark) => { const box = mark.getBoundingClientRect(); return box.width > 0 || box.height > 0; });
        return [figure.dataset.chart, { marks: visible.length, bad: bad.length }];
      })),
      overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    }));
    for (const name of expected[seen.kind]) {
      const chart = seen.charts[name];
      if (!chart) problem(`${file}: no chart \`${name}\``);
      else if (chart.marks === 0) problem(`${file}: chart \`${name}\` has drawn nothing`);
      else if (chart.bad > 0) problem(`${file}: chart \`${name}\` has ${chart.bad} marks at no place`);
    }
    if (seen.overflow > 0) problem(`${file}: ${seen.overflow} px wider than a window of ${width}`);
    if (shots) await page.screenshot({ path: join(shots, `${basename(dirname(resolve(file)))}-${basename(file, ".html")}-${scheme}-${width}.png`), fullPage: true });
    console.log(`${file} ${scheme} ${width}: ${Object.entries(seen.charts).map(([name, chart]) => `${name} ${chart.marks}`).join(", ")}`);
    await page.close();
  }
}
await browser.close();
rmSync(profile, { recursive: true, force: true });
process.exit(problems === 0 ? 0 : 1);
