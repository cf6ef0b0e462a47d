// A chart: its head, its axes, and a cursor that pointers and arrow keys move over its spans. The bars or marks in it
// are drawn by `paint`. To assistive technology it is a slider over the spans; the table has the same figures.

import { el, svg } from "./dom.js";
import * as format from "./format.js";
import { named } from "./scale.js";

const HEIGHT = 168;
const MARGIN = { top: 10, right: 6, bottom: 22, left: 52 };
const NAME_WIDTH = { hour: 56, day: 92 };

// `describe(figures)` is a text of a span or of the totals; `scale(spans)`, `paint(group, spans, layout)` and
// `mark(value)` make what is in it; `legend(data)` has pairs of a class and a name.
export function chart({ id, title, describe, scale, paint, mark, legend = () => [] }) {
  const readout = el("p", { class: "readout" });
  const names = el("ul", { class: "legend" });
  const label = { "aria-labelledby": `${id}-title` };
  const plot = el("div", { class: "plot", tabindex: 0, role: "slider", "aria-valuemin": 0, ...label });
  const head = el("div", { class: "head" }, el("h2", { id: `${id}-title` }, title), readout);
  const element = el("section", { class: `panel chart-${id}`, id: `chart-${id}`, ...label }, head, names, plot);
  let data = null;
  let cursor = null;
  let layout = null;

  function draw() {
    if (!data || plot.clientWidth === 0) return;
    layout = measure(data, plot.clientWidth, scale(data.spans));
    const band = svg("rect", { class: "cursor", y: MARGIN.top, height: layout.depth, width: layout.slot });
    const bars = svg("g", { class: "bars" });
    paint(bars, data, layout);
    const parts = [axis(layout, mark), times(data, layout), band, bars, hits(data, layout, describe)];
    plot.replaceChildren(svg("svg", { width: layout.width, height: HEIGHT, "aria-hidden": "true" }, ...parts));
    point(cursor);
  }

  function point(index) {
    cursor = index === null ? null : Math.max(0, Math.min(data.spans.length - 1, index));
    const figures = cursor === null ? data.totals : data.spans[cursor];
    const when = cursor === null ? "" : `${format.span(figures, data.resolution)} · `;
    readout.textContent = when + describe(figures, data);
    readout.title = cursor === null ? "" : format.utc(figures);
    plot.setAttribute("aria-valuemax", data.spans.length - 1);
    plot.setAttribute("aria-valuenow", cursor ?? data.spans.length - 1);
    plot.setAttribute("aria-valuetext", cursor === null ? `In all: ${describe(figures, data)}` : readout.textContent);
    const band = plot.querySelector(".cursor");
    band?.setAttribute("visibility", cursor === null ? "hidden" : "visible");
    band?.setAttribute("x", MARGIN.left + (cursor ?? 0) * (layout?.slot ?? 0));
  }

  plot.addEventListener("keydown", (event) => {
    if (!data) return;
    const last = data.spans.length - 1;
    const [before, after] = [(cursor ?? last + 1) - 1, (cursor ?? last) + 1];
    const moves = { ArrowLeft: before, ArrowRight: after, Home: 0, End: last, Escape: null };
    if (!(event.key in moves) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    point(moves[event.key]);
  });
  plot.addEventListener("pointermove", (event) => {
    if (!layout) return;
    const index = Math.floor((event.clientX - plot.getBoundingClientRect().left - MARGIN.left) / layout.slot);
    point(index < 0 || index >= data.spans.length ? null : index);
  });
  plot.addEventListener("pointerleave", () => data && point(null));
  plot.addEventListener("blur", () => data && point(null));
  new ResizeObserver(draw).observe(plot);

  function show(next) {
    const at = cursor === null ? null : data.spans[cursor].from.getTime();
    data = next;
    const index = at === null ? -1 : data.spans.findIndex((span) => span.from.getTime() === at);
    cursor = index < 0 ? null : index;
    const entry = ([kind, name]) => el("li", {}, el("span", { class: `key key-${kind}` }), name);
    names.replaceChildren(...legend(data).map(entry));
    point(cursor);
    draw();
  }

  return { element, show };
}

function measure(data, width, scale) {
  const depth = HEIGHT - MARGIN.top - MARGIN.bottom;
  const slot = (width - MARGIN.left - MARGIN.right) / data.spans.length;
  const bar = Math.max(1, Math.min(slot - Math.min(4, slot * 0.25), 36));
  const left = (index) => MARGIN.left + index * slot + (slot - bar) / 2;
  const y = (value) => MARGIN.top + depth * (1 - scale.place(value));
  return { width, depth, slot, bar, left, y, ticks: scale.ticks };
}

function axis({ ticks, y, width }, mark) {
  const line = (value) => svg("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) });
  const place = { x: MARGIN.left - 8, dy: "0.32em", "text-anchor": "end" };
  const text = (value) => svg("text", { ...place, y: y(value) }, mark(value));
  return svg("g", { class: "axis" }, ...ticks.flatMap((value) => [line(value), text(value)]));
}

function times({ spans, resolution }, { slot, width }) {
  const most = Math.max(1, Math.floor((width - MARGIN.left) / NAME_WIDTH[resolution]));
  const half = NAME_WIDTH[resolution] / 2;
  const text = (index) => {
    const x = MARGIN.left + (index + 0.5) * slot;
    // What would stick out at the end is moved in.
    const isLast = x + half > width;
    const place = { x: isLast ? Math.min(width, x + slot / 2) : x, "text-anchor": isLast ? "end" : "middle" };
    return svg("text", { ...place, y: HEIGHT - 6 },
      format.tick(spans[index].from, resolution), svg("title", {}, format.utc(spans[index])));
  };
  return svg("g", { class: "axis" }, ...named(spans, resolution, most).map(text));
}

// What pointers rest on: a title with the time in UTC.
function hits(data, { slot, depth }, describe) {
  const size = { y: MARGIN.top, width: slot, height: depth };
  const hit = (span, index) => svg("rect", { x: MARGIN.left + index * slot, ...size },
    svg("title", {}, `${format.utc(span)}\n${describe(span, data)}`));
  return svg("g", { class: "hits" }, ...data.spans.map(hit));
}
