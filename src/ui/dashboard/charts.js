// The charts that there are.

import { chart } from "./chart.js";
import { svg } from "./dom.js";
import * as format from "./format.js";
import { durations, linear } from "./scale.js";

const GRID_LINES = 4;
const NAMES = { created: "created", updated: "updated", deleted: "deleted", untold: "not told apart" };

// What tells a mark's series, figure and time to whoever reads the page.
const known = (name, value, span) => (
  { "data-series": name, "data-value": value, "data-from": span.from.toISOString(), class: `bar bar-${name}` });

// One bar a span, of one part for each series, from below to above.
function bars({ id, title, series, total, describe, legend }) {
  return chart({
    id,
    title,
    describe,
    legend,
    mark: format.compact,
    scale: (spans) => linear(Math.max(...spans.map((span) => span[total])), GRID_LINES),
    paint(group, data, { left, bar, y }) {
      data.spans.forEach((span, index) => {
        let below = 0;
        for (const name of series(data)) {
          const value = span[name];
          if (value === 0) continue;
          const [top, bottom] = [y(below + value), y(below)];
          const size = { x: left(index), y: top, width: bar, height: bottom - top };
          group.append(svg("rect", { ...known(name, value, span), ...size }));
          below += value;
        }
      });
    },
  });
}

// Shares of deliveries cannot be added up over spans: of all of them the worst is told.
function describeLag(figures, { totals }) {
  if (!figures.lag) return "nothing delivered";
  const [p50, p99] = [figures.lag.p50_ms, figures.lag.p99_ms].map(format.duration);
  return figures === totals ? `p99 at worst ${p99}` : `p50 ${p50}, p99 ${p99}`;
}

// A rod a span from the lag that half of the deliveries kept within to the one that 99 of 100 did.
function lags() {
  const ends = (span) => (span.lag ? [span.lag.p50_ms, span.lag.p99_ms] : []);
  return chart({
    id: "lag",
    title: "Lag, from found to delivered",
    describe: describeLag,
    legend: ({ isOfOneType }) => [["p50", "p50"], ["p99", isOfOneType ? "p99" : "p99, of the slowest object type"]],
    mark: format.duration,
    scale: (spans) => durations(Math.max(1, ...spans.flatMap(ends))),
    paint(group, data, { left, bar, y }) {
      const width = Math.min(bar, 12);
      data.spans.forEach((span, index) => {
        if (!span.lag) return;
        const [half, most] = ends(span);
        const x = left(index) + (bar - width) / 2;
        group.append(svg("rect", { class: "rod", x, y: y(most), width, height: Math.max(0, y(half) - y(most)) }));
        for (const [name, value] of [["p50", half], ["p99", most]]) {
          group.append(svg("rect", { ...known(name, value, span), x, y: y(value) - 1.5, width, height: 3 }));
        }
      });
    },
  });
}

function describeCalls({ requests, runs, failed_runs }) {
  const all = `${format.number(requests)} in ${format.counted(runs, "poll")}`;
  return failed_runs > 0 ? `${all}, ${format.number(failed_runs)} of which failed` : all;
}

function describeChanges(figures, { kinds }) {
  const all = format.counted(figures.changes, "change");
  const told = kinds.filter((kind) => figures[kind] > 0);
  const parts = told.map((kind) => `${format.number(figures[kind])} ${NAMES[kind]}`);
  return kinds.length === 1 || parts.length === 0 ? all : `${all}: ${parts.join(", ")}`;
}

export function makeCharts() {
  const { counted, number } = format;
  const one = (name) => ({ series: () => [name], total: name });
  return [
    bars({ id: "changes", title: "Changes", series: ({ kinds }) => kinds, total: "changes", describe: describeChanges,
      legend: ({ kinds }) => (kinds.length === 1 ? [] : kinds.map((kind) => [kind, NAMES[kind]])) }),
    bars({ id: "deliveries", title: "Deliveries", ...one("deliveries"),
      describe: (figures) => `${number(figures.deliveries)} with ${counted(figures.records, "record")}` }),
    bars({ id: "failures", title: "Failed attempts", ...one("failures"),
      describe: ({ failures, deliveries }) => `${number(failures)} of ${counted(failures + deliveries, "attempt")}` }),
    bars({ id: "requests", title: "Vendor calls", ...one("requests"), describe: describeCalls }),
    lags(),
  ];
}
