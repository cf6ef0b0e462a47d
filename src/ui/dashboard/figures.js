// From the API's insights to what is shown: one entry a span, without gaps, over the object types that are chosen.

export const RESOLUTIONS = {
  hour: { lengthMs: 3_600_000, counts: [24, 72, 168], count: 24 },
  day: { lengthMs: 86_400_000, counts: [14, 30, 90], count: 30 },
};

// What changes are told apart by, where the server does.
export const KINDS = ["created", "updated", "deleted"];
const COUNTED = ["changes", ...KINDS, "deliveries", "records", "failures", "requests", "runs", "failed_runs"];
const LAGS = ["p50_ms", "p99_ms", "max_ms"];

export const objectTypes = (insights) => [...new Set(insights.map((insight) => insight.object_type))].sort();

// When the first of `count` spans began that end with the one at `now`.
export function begin(resolution, count, now) {
  const { lengthMs } = RESOLUTIONS[resolution];
  return (Math.floor(now / lengthMs) - count + 1) * lengthMs;
}

const nothing = () => ({ ...Object.fromEntries(COUNTED.map((name) => [name, 0])), lag: null, isEmpty: true });

// Adds one insight. Lags of several object types cannot be added: the slowest counts.
function add(figures, insight) {
  for (const name of COUNTED) figures[name] += insight[name] ?? 0;
  if (insight.lag) {
    const slower = (name) => [name, Math.max(figures.lag?.[name] ?? 0, insight.lag[name])];
    figures.lag = Object.fromEntries(LAGS.map(slower));
  }
  figures.isEmpty = false;
}

// Spans from `fromMs` on, with their totals. `kinds` are what changes are told apart by; `untold` is among them where
// some changes are of a time before that was counted.
export function summarise(insights, { resolution, count, fromMs, objectType }) {
  const { lengthMs } = RESOLUTIONS[resolution];
  const spans = Array.from({ length: count }, (_, index) => {
    const from = fromMs + index * lengthMs;
    return { from: new Date(from), to: new Date(from + lengthMs), ...nothing() };
  });
  const totals = nothing();
  const chosen = insights.filter((insight) => !objectType || insight.object_type === objectType);
  for (const insight of chosen) {
    const span = spans[(Date.parse(insight.from) - fromMs) / lengthMs];
    if (!span) continue;
    add(span, insight);
    add(totals, insight);
  }
  const isSplit = chosen.some((insight) => KINDS.some((kind) => kind in insight));
  for (const figures of [...spans, totals]) {
    figures.untold = Math.max(0, figures.changes - KINDS.reduce((sum, kind) => sum + figures[kind], 0));
  }
  const kinds = !isSplit ? ["changes"] : totals.untold > 0 ? [...KINDS, "untold"] : KINDS;
  return { resolution, spans, totals, kinds, isOfOneType: Boolean(objectType) || objectTypes(chosen).length < 2 };
}
