// The figures in numbers: what the charts show, a row a span, newest first, and the totals of all.

import { el } from "./dom.js";
import * as format from "./format.js";

const count = (name, title) => ({ name, title, text: (figures) => format.number(figures[name]) });
const lag = (name, title) => ({ name, title, text: ({ lag }) => (lag ? format.duration(lag[name]) : "–") });
const TITLES = { created: "Created", updated: "Updated", deleted: "Deleted", untold: "Not told apart" };

function columns({ kinds }) {
  const parts = kinds.length === 1 ? [] : kinds.map((kind) => count(kind, TITLES[kind]));
  return [
    count("changes", "Changes"), ...parts, count("deliveries", "Deliveries"), count("records", "Records"),
    count("failures", "Failed attempts"), count("requests", "Vendor calls"), count("runs", "Polls"),
    count("failed_runs", "Failed polls"), lag("p50_ms", "Lag p50"), lag("p99_ms", "Lag p99"),
    lag("max_ms", "Longest lag"),
  ];
}

export function showTable(table, data) {
  const shown = columns(data);
  const cells = (figures) => shown.map(({ name, text }) => el("td", { "data-name": name }, text(figures)));
  const row = (span) => {
    const told = { datetime: span.from.toISOString(), title: format.utc(span) };
    const time = el("time", told, format.span(span, data.resolution));
    return el("tr", {}, el("th", { scope: "row" }, time), ...cells(span));
  };
  const rows = data.spans.filter((span) => !span.isEmpty).reverse().map(row);
  // Shares of deliveries cannot be added up over spans, so of lags only the longest has a total.
  const totals = { ...data.totals, lag: data.totals.lag && { max_ms: data.totals.lag.max_ms } };
  const isShare = (name) => name === "p50_ms" || name === "p99_ms";
  const sum = ({ name, text }) => el("td", { "data-name": name }, isShare(name) ? "" : text(totals));
  table.replaceChildren(
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, data.resolution === "day" ? "Day from" : "Hour"),
      ...shown.map(({ title }) => el("th", { scope: "col" }, title)))),
    el("tbody", {}, ...rows),
    el("tfoot", {}, el("tr", {}, el("th", { scope: "row" }, "In all"), ...shown.map(sum))),
  );
}

export function showTotals(list, { totals }) {
  const { counted, number } = format;
  const tile = (name, title, value, note) => el("div", { class: "tile", "data-name": name },
    el("dt", {}, title),
    el("dd", { class: "value" }, value),
    el("dd", { class: "note" }, note));
  const attempts = totals.deliveries + totals.failures;
  list.replaceChildren(
    tile("changes", "Changes", number(totals.changes), `found by ${counted(totals.runs, "poll")}`),
    tile("deliveries", "Deliveries", number(totals.deliveries), counted(totals.records, "record")),
    tile("failures", "Failed attempts", number(totals.failures),
      `${format.percent(totals.failures, attempts)} of attempts`),
    tile("requests", "Vendor calls", number(totals.requests), counted(totals.failed_runs, "failed poll")),
    tile("lag", "Lag, p99 at worst", totals.lag ? format.duration(totals.lag.p99_ms) : "–",
      totals.lag ? `longest ${format.duration(totals.lag.max_ms)}` : "nothing delivered"),
  );
}
