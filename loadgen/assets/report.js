"use strict";
// Draws a report from the JSON in #data. Texts enter the page as text nodes only.
addEventListener("DOMContentLoaded", () => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.getElementById("page");
  const colours = ["var(--c0)", "var(--c1)", "var(--c2)", "var(--c3)", "var(--c4)"];
  const SVG = "http://www.w3.org/2000/svg";

  const html = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
  const svg = (name, attributes = {}, ...children) => fill(document.createElementNS(SVG, name), attributes, children);
  function fill(node, attributes, children) {
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  }
  const count = (n) => Math.round(n).toString().replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
  const short = (n) => (n >= 1e6 ? +(n / 1e6).toPrecision(3) + "M" : n >= 1e3 ? +(n / 1e3).toPrecision(3) + "k" : +n.toPrecision(3) + "");
  const ms = (v) => (v < 10 ? v.toFixed(3) : v < 100 ? v.toFixed(2) : v < 1000 ? v.toFixed(1) : v.toFixed(0));

  const width = 560, left = 52, right = 14, top = 14, bottom = 30;

  /// Round numbers that divide the span from `from` to `to` into about five.
  function ticks(from, to) {
    const span = Math.max(to - from, 1e-9), raw = span / 5, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= raw);
    const list = [];
    for (let i = Math.ceil(from / step); i * step <= to + step * 1e-9; i++) list.push(+(i * step).toPrecision(12));
    return list;
  }
  /// 1, 2 and 5 times the powers of ten between two positive numbers; fewer where there are many.
  function logTicks(from, to) {
    const decades = Math.log10(to / from), parts = decades > 3 ? [1] : decades > 1.5 ? [1, 3] : [1, 2, 5];
    const list = [];
    for (let e = Math.floor(Math.log10(from)); e <= Math.ceil(Math.log10(to)); e++)
      for (const part of parts) { const v = part * 10 ** e; if (v >= from * 0.999 && v <= to * 1.001) list.push(v); }
    return list;
  }
  const linear = (from, to, a, b) => (v) => a + ((v - from) / Math.max(to - from, 1e-12)) * (b - a);
  const logarithmic = (from, to, a, b) => {
    const scale = linear(Math.log(from), Math.log(Math.max(to, from * 1.0001)), a, b);
    return (v) => scale(Math.log(Math.max(v, from)));
  };

  function figure(name, title, note, wide, ...content) {
    const attributes = { "data-chart": name };
    if (wide) attributes.class = "wide";
    return html("figure", attributes, html("h2", {}, title), html("p", { class: "note" }, note), ...content);
  }
  function legend(entries) {
    return html("div", { class: "legend" }, ...entries.map(([label, colour, dashed]) => {
      const line = dashed ? `repeating-linear-gradient(90deg, ${colour} 0 4px, transparent 4px 7px)` : colour;
      return html("span", {}, html("i", { style: `background:${line}` }), label);
    }));
  }
  /// Axes with their lines and labels; `x` and `y` are {scale, ticks, label}.
  function axes(w, h, x, y, format = short) {
    const g = svg("g");
    for (const tick of y.ticks) {
      const at = y.scale(tick);
      g.append(svg("line", { class: "grid-line", x1: left, x2: w - right, y1: at, y2: at }));
      g.append(svg("text", { x: left - 8, y: at + 4, "text-anchor": "end" }, format(tick)));
    }
    for (const [value, label] of x.ticks) {
      const at = x.scale(value);
      g.append(svg("line", { class: "grid-line", x1: at, x2: at, y1: top, y2: h - bottom }));
      g.append(svg("text", { x: at, y: h - bottom + 16, "text-anchor": "middle" }, label));
    }
    g.append(svg("line", { class: "axis", x1: left, x2: w - right, y1: h - bottom, y2: h - bottom }));
    return g;
  }
  const canvas = (w, h, ...children) => svg("svg", { viewBox: `0 0 ${w} ${h}`, role: "img" }, ...children);
  const line = (points, colour, dashed) => svg("path", {
    class: dashed ? "mark dashed" : "mark", stroke: colour,
    // A run of one second has one point: a dash shows it.
    d: (points.length === 1 ? [[points[0][0] - 4, points[0][1]], [points[0][0] + 4, points[0][1]]] : points)
      .map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(2)} ${y.toFixed(2)}`).join(""),
  });

  function percentileChart() {
    const w = 1140, h = 330;
    const curves = data.percentiles;
    const values = curves.flatMap((c) => [...c.latency, ...c.service].map((p) => p[1])).filter((v) => v > 0);
    const most = Math.max(...curves.map((c) => c.count), 10);
    const nines = Math.max(2, Math.min(6, Math.ceil(Math.log10(most))));
    const x = logarithmic(1, 10 ** nines, left, w - right);
    const low = Math.min(...values) * 0.9, high = Math.max(...values) * 1.1;
    const y = logarithmic(low, high, h - bottom, top);
    const labels = [[1, "0%"], [2, "50%"], [10, "90%"], [100, "99%"], [1e3, "99.9%"], [1e4, "99.99%"], [1e5, "99.999%"], [1e6, "99.9999%"]];
    const shown = labels.filter(([v]) => v <= 10 ** nines);
    const chart = canvas(w, h, axes(w, h, { scale: x, ticks: shown }, { scale: y, ticks: logTicks(low, high) }));
    curves.forEach((curve, i) => {
      const place = ([q, v]) => [x(Math.min(1 / (1 - q), 10 ** nines)), y(v)];
      if (curve.service.length) chart.append(line(curve.service.map(place), colours[i % 5], true));
      if (curve.latency.length) chart.append(line(curve.latency.map(place), colours[i % 5]));
    });
    const entries = curves.flatMap((c, i) => [[`${c.name}`, colours[i % 5]], [`${c.name}, service time`, colours[i % 5], true]]);
    return figure("percentiles", "Latency by percentile", "milliseconds since requests were due, on an axis of 1/(1−p); dashed: since they were begun", true, legend(entries), chart);
  }

  const end = () => Math.max(...data.seconds.map((s) => s.t + s.s), 1);
  const begin = () => Math.min(...data.seconds.map((s) => s.t), 0);
  function timeAxis(w) {
    const scale = linear(begin(), end(), left, w - right);
    return { scale, ticks: ticks(begin(), end()).map((t) => [t, t + " s"]) };
  }
  /// The warm-up in grey, and a line for each event.
  function marks(w, h, scale) {
    const g = svg("g");
    if (begin() < 0) {
      g.append(svg("rect", { class: "zone", x: scale(begin()), y: top, width: scale(0) - scale(begin()), height: h - top - bottom }));
      if (scale(0) - scale(begin()) > 54) g.append(svg("text", { x: scale(begin()) + 5, y: top + 12 }, "warm-up"));
    }
    data.events.forEach((event, i) => {
      const at = scale(event.at);
      g.append(svg("line", { class: "event", x1: at, x2: at, y1: top, y2: h - bottom }));
      g.append(svg("text", { class: "event-label", x: at + 3, y: top + 9 }, String(i + 1)));
    });
    return g;
  }
  function overTime(name, title, note, lines, options = {}) {
    const h = 230, x = timeAxis(width);
    const values = lines.flatMap((l) => l.points.map((p) => p[1]));
    const high = Math.max(...values, options.least || 1e-9);
    const positive = values.filter((v) => v > 0);
    const low = options.log ? Math.min(...positive, high) * 0.8 : 0;
    const y = options.log ? logarithmic(low, high * 1.2, h - bottom, top) : linear(0, high * 1.08, h - bottom, top);
    const steps = options.log ? logTicks(low, high * 1.2) : ticks(0, high * 1.08);
    const chart = canvas(width, h, marks(width, h, x.scale), axes(width, h, x, { scale: y, ticks: steps }, options.format));
    for (const l of lines) {
      const shown = options.log ? l.points.filter((p) => p[1] > 0) : l.points;
      if (shown.length) chart.append(line(shown.map(([t, v]) => [x.scale(t), y(v)]), l.colour));
    }
    return figure(name, title, note, false, legend(lines.map((l) => [l.name, l.colour])), chart);
  }
  const over = (key) => data.seconds.map((s) => [s.t + s.s / 2, s[key]]);

  function heatmap() {
    const w = 1140, h = 320, x = timeAxis(w), map = data.heatmap;
    const rows = map.cells.map((c) => c[1]);
    const low = Math.max(0, Math.min(...rows) - 1), high = Math.max(...rows) + 2;
    const value = (row) => map.bottom * 2 ** (row / map.rows);
    const y = linear(low, high, h - bottom, top);
    const place = (v) => y(Math.log2(v / map.bottom) * map.rows);
    const most = Math.max(...map.cells.map((c) => c[2]));
    const chart = canvas(w, h, axes(w, h, x, { scale: place, ticks: logTicks(value(low), value(high)) }));
    for (const [column, row, n] of map.cells) {
      const second = data.seconds[column];
      if (!second) continue;
      const alpha = 0.12 + 0.88 * (Math.log1p(n) / Math.log1p(most));
      chart.append(svg("rect", {
        class: "mark", x: x.scale(second.t), width: Math.max(1, x.scale(second.t + second.s) - x.scale(second.t) - 0.6),
        y: y(row + 1), height: y(row) - y(row + 1) - 0.5, fill: `rgb(var(--heat) / ${alpha.toFixed(3)})`,
      }, svg("title", {}, `${count(n)} requests, ${ms(value(row))} to ${ms(value(row + 1))} ms`)));
    }
    chart.append(marks(w, h, x.scale));
    return figure("heatmap", "Latency over time", "milliseconds since due; the darker (in the dark: the brighter), the more requests, on a logarithmic scale", true, chart);
  }

  function matrix() {
    const links = data.links || [];
    if (!links.length) return figure("matrix", "Datacenters", "the nodes' round trips are not known: a cluster of one node, or one that did not answer", false, html("p", { class: "mark" }, "no links"));
    const from = [...new Set(links.map((l) => l.from))].sort(), to = [...new Set(links.map((l) => l.to))].sort();
    const most = Math.max(...links.map((l) => l.milliseconds), 1e-6);
    const cell = 46, w = width, labels = 110, size = Math.min(110, (w - labels - 10) / to.length);
    const chart = canvas(w, 30 + cell * from.length + 6);
    to.forEach((name, i) => chart.append(svg("text", { x: labels + i * size + size / 2, y: 18, "text-anchor": "middle" }, name)));
    from.forEach((name, j) => {
      chart.append(svg("text", { x: labels - 10, y: 30 + j * cell + cell / 2 + 4, "text-anchor": "end" }, name));
      to.forEach((other, i) => {
        const link = links.find((l) => l.from === name && l.to === other);
        const alpha = link ? 0.1 + 0.55 * (link.milliseconds / most) : 0;
        chart.append(svg("rect", { class: "mark", x: labels + i * size, y: 30 + j * cell, width: size - 3, height: cell - 3, rx: 4, fill: `rgb(var(--heat) / ${alpha.toFixed(2)})` }));
        chart.append(svg("text", { class: "strong", x: labels + i * size + size / 2 - 1, y: 30 + j * cell + cell / 2 + 3, "text-anchor": "middle" }, link ? ms(link.milliseconds) : "–"));
      });
    });
    return figure("matrix", "Round trips between datacenters", "milliseconds, median over pairs of nodes, as the nodes of the row see them at the end", false, chart);
  }

  /// Latency of each client's datacenter, by operation and level.
  function byDatacenter() {
    const rows = [...new Set(data.table.map((r) => r.name[2]))], columns = [...new Set(data.table.map((r) => r.name[0] + " " + r.name[1]))];
    const head = html("tr", {}, html("th", { class: "word" }, "client in"), ...columns.map((c) => html("th", {}, c)));
    const body = rows.map((dc) => html("tr", {}, html("td", { class: "word mark" }, dc), ...columns.map((column) => {
      const row = data.table.find((r) => r.name[2] === dc && r.name[0] + " " + r.name[1] === column);
      return html("td", {}, row ? `${ms(row.ms[0])} / ${ms(row.ms[2])}` : "–");
    })));
    return figure("clients", "Clients by datacenter", "p50 / p99 in milliseconds", false, html("div", { class: "scroll" }, html("table", {}, head, ...body)));
  }

  function summary() {
    const quantiles = ["p50", "p90", "p99", "p99.9", "p99.99", "max"];
    const head = html("tr", {}, ...["operation", "level", "client in"].map((t) => html("th", { class: "word" }, t)), ...["ok", "per s", "failed", ...quantiles].map((t) => html("th", {}, t)));
    const body = data.table.map((row) => html("tr", {}, ...row.name.map((t) => html("td", { class: "word mark" }, t)),
      html("td", {}, count(row.ok)), html("td", {}, count(row.rate)), html("td", row.failed ? { class: "bad" } : {}, count(row.failed)), ...row.ms.map((v) => html("td", {}, ms(v)))));
    const failures = data.table.filter((row) => row.failed).map((row) => html("p", { class: "note" },
      `${row.name.join(" ")}: ${Object.entries(row.errors).map(([k, n]) => `${k} ${count(n)}`).join(", ")}; first: ${row.first}`));
    return figure("summary", "Latency", "milliseconds since requests were due; failed requests are not part of it", true, html("div", { class: "scroll" }, html("table", {}, head, ...body)), ...failures);
  }

  function events() {
    const head = html("tr", {}, ...["", "at", "took", "exit"].map((t) => html("th", {}, t)), html("th", { class: "word" }, "command"), html("th", { class: "word" }, "output"));
    const body = data.events.map((e, i) => html("tr", {}, html("td", { class: "mark" }, String(i + 1)), html("td", {}, e.at.toFixed(2) + " s"), html("td", {}, (e.end - e.at).toFixed(2) + " s"),
      html("td", e.code === 0 ? {} : { class: "bad" }, e.code === null ? "–" : String(e.code)), html("td", { class: "word" }, html("code", {}, e.command)), html("td", { class: "fill" }, html("code", {}, e.output.trim()))));
    return figure("events", "Events", "commands that were run; their numbers stand in the charts over time", true, html("div", { class: "scroll" }, html("table", {}, head, ...body)));
  }

  function facts(pairs) {
    return html("div", { class: "facts" }, ...pairs.map(([name, value]) => html("div", {}, html("span", {}, name), typeof value === "number" ? count(value) : value)));
  }
  function banners() {
    return [...(data.invalid || []).map((t) => html("div", { class: "banner bad" }, "INVALID: " + t)), ...(data.warnings || []).map((t) => html("div", { class: "banner warn" }, t))];
  }

  function run() {
    const grid = html("div", { class: "grid" });
    grid.append(summary());
    if (data.percentiles.length) grid.append(percentileChart());
    if (data.heatmap.cells.length) grid.append(heatmap());
    grid.append(overTime("throughput", "Requests per second", "that succeeded, failed, were late or dropped", [
      { name: "ok", colour: "var(--c0)", points: over("ok") }, { name: "failed", colour: "var(--bad)", points: over("failed") }, { name: "late or dropped", colour: "var(--warn)", points: over("late") }]));
    grid.append(overTime("latency", "Percentiles over time", "milliseconds since due, second by second, logarithmic", [
      { name: "p50", colour: "var(--c0)", points: over("p50") }, { name: "p99", colour: "var(--c1)", points: over("p99") }, { name: "p99.9", colour: "var(--c3)", points: over("p999") }], { log: true }));
    const node = (key, factor) => data.nodes.map((n, i) => ({ name: n.name, colour: colours[(i + 1) % 5], points: n.seconds.map((s) => [s.at, s[key] * factor]) }));
    grid.append(overTime("processors", "Processors in use", "by the generator, and by the nodes that were watched", [{ name: "loadgen", colour: "var(--c0)", points: over("cores") }, ...node("cores", 1)], { least: 0.1 }));
    grid.append(overTime("memory", "Memory", "resident, in MiB", [{ name: "loadgen", colour: "var(--c0)", points: data.seconds.filter((s) => s.memory).map((s) => [s.t + s.s / 2, s.memory / 1048576]) }, ...node("memory_bytes", 1 / 1048576)], { least: 1 }));
    grid.append(matrix(), byDatacenter());
    if (data.events.length) grid.append(events());
    const names = ["p50", "p99", "p99.9", "max"], places = [0, 2, 3, 5];
    const error = names.map((n, i) => `${n} ${ms(data.scheduling[places[i]])}`).join("  ");
    root.append(html("h1", {}, data.title), html("p", { class: "note" }, `the generator's own scheduling error: ${error} ms`), ...banners(), facts(data.config), facts(data.counts), grid);
  }

  function sweep() {
    const steps = [...data.steps].sort((a, b) => a.rate - b.rate), h = 360, w = 1140;
    const low = Math.min(...steps.map((s) => s.milliseconds[0])) * 0.8, high = Math.max(...steps.map((s) => s.milliseconds[3])) * 1.2;
    const from = steps[0].rate, to = Math.max(steps[steps.length - 1].rate, from * 1.01);
    const x = linear(from - (to - from) * 0.03, to + (to - from) * 0.03, left, w - right), y = logarithmic(low, high, h - bottom, top);
    const chart = canvas(w, h, axes(w, h, { scale: x, ticks: ticks(from, to).map((t) => [t, short(t) + "/s"]) }, { scale: y, ticks: logTicks(low, high) }));
    const names = ["p50", "p90", "p99", "p99.9"];
    names.forEach((name, i) => chart.append(line(steps.map((s) => [x(s.rate), y(Math.max(s.milliseconds[i], low))]), colours[i])));
    for (const s of steps) chart.append(svg("circle", { class: "mark", cx: x(s.rate), cy: y(s.milliseconds[2]), r: 4, fill: s.judgement === "met" ? "var(--c2)" : "var(--bad)" }, svg("title", {}, `${count(s.rate)}/s: ${s.missed.join("; ") || "met"}`)));
    if (data.knee) {
      chart.append(svg("line", { class: "event", x1: x(data.knee), x2: x(data.knee), y1: top, y2: h - bottom }));
      chart.append(svg("text", { class: "event-label", x: x(data.knee) + 5, y: top + 10 }, `${count(data.knee)}/s`));
    }
    const head = html("tr", {}, ...["rate", "ok/s", ...names, "max", "errors", "late"].map((t) => html("th", {}, t)), html("th", { class: "word" }, "verdict"));
    const body = steps.map((s) => html("tr", {}, html("td", { class: "mark" }, count(s.rate)), html("td", {}, count(s.throughput)), ...s.milliseconds.map((v) => html("td", {}, ms(v))),
      html("td", {}, count(s.errors)), html("td", {}, (s.late * 100).toFixed(2) + "%"), html("td", { class: s.judgement === "met" ? "fill" : "fill bad" }, s.missed.join("; ") || "met")));
    const found = data.knee ? `${count(data.knee)}/s is the highest rate measured that meets ${data.objectives.join(" ")}` : `no rate meets ${data.objectives.join(" ")}`;
    root.append(html("h1", {}, data.title), html("p", {}, found), facts(data.config), html("div", { class: "grid" },
      figure("sweep", "Latency by rate", "milliseconds since due, logarithmic; dots: p99, green where the objectives were met", true, legend(names.map((n, i) => [n, colours[i]])), chart),
      figure("steps", "Steps", "each in a folder of its own", true, html("div", { class: "scroll" }, html("table", {}, head, ...body)))));
  }

  document.title = data.title;
  if (data.kind === "sweep") sweep(); else run();
  document.body.dataset.drawn = "yes";
});
