// Axes: which values are marked, and where a value is, as a share of the axis from 0 to 1.

// From zero, in whole steps of 1, 2 or 5 times a power of ten; `count` is how many steps there shall be at most.
export function linear(most, count) {
  const least = Math.max(1, most) / count;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = Math.max(1, [1, 2, 5, 10].find((factor) => factor * power >= least) * power);
  const steps = Math.max(1, Math.ceil(most / step));
  const ticks = Array.from({ length: steps + 1 }, (_, index) => index * step);
  return { ticks, place: (value) => value / (steps * step) };
}

const DURATIONS_MS = [1, 10, 100, 1_000, 10_000, 60_000, 600_000, 3_600_000, 86_400_000];

// For durations: each mark is about ten times the one before, so that milliseconds and hours can both be seen.
export function durations(mostMs) {
  const end = DURATIONS_MS.findIndex((mark) => mark >= mostMs);
  const ticks = DURATIONS_MS.slice(0, Math.max(3, end < 0 ? DURATIONS_MS.length : end + 1));
  const top = Math.log10(ticks.at(-1));
  return { ticks, place: (value) => Math.min(1, Math.log10(Math.max(1, value)) / top) };
}

const STEPS = { hour: [1, 2, 3, 6, 12, 24, 48, 96], day: [1, 2, 5, 7, 10, 15, 30, 60] };

// Which spans are named beneath an axis that has room for `most` names.
export function named(spans, resolution, most) {
  const step = STEPS[resolution].find((step) => spans.length / step <= most) ?? spans.length;
  const isRound = ({ from }) => resolution === "hour" && step <= 24 && from.getHours() % step === 0;
  const isCounted = (index) => (resolution === "day" || step > 24) && (spans.length - 1 - index) % step === 0;
  return spans.map((_, index) => index).filter((index) => isRound(spans[index]) || isCounted(index));
}
