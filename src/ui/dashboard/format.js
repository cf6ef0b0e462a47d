// Figures and times as people read them. Times are in the browser's zone; `utc` is for titles.

const whole = new Intl.NumberFormat();
const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const share = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const tenths = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const date = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const second = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hourCycle: "h23" });

export const number = (value) => whole.format(value);
export const counted = (value, noun) => `${whole.format(value)} ${noun}${value === 1 ? "" : "s"}`;
export const compact = (value) => short.format(value);
export const percent = (part, all) => share.format(all > 0 ? part / all : 0);
export const seconds = (at) => second.format(at);

// How long so many spans are.
export function time(resolution, count) {
  return resolution === "hour" && count > 24 ? counted(count / 24, "day") : counted(count, resolution);
}

const UNITS = [["h", 3_600_000], ["min", 60_000], ["s", 1_000], ["ms", 1]];

export function duration(ms) {
  const [unit, length] = UNITS.find(([, length]) => ms >= length) ?? UNITS.at(-1);
  return `${tenths.format(ms / length)} ${unit}`;
}

const isMidnight = (at) => at.getHours() === 0 && at.getMinutes() === 0;

// When a span begins, to be written beneath an axis.
export function tick(at, resolution) {
  if (isMidnight(at)) return date.format(at);
  return resolution === "day" ? `${date.format(at)} ${clock.format(at)}` : clock.format(at);
}

// A span, in full: a day that does not begin at midnight here is shown with its hour.
export function span({ from, to }, resolution) {
  if (resolution === "day") return isMidnight(from) ? date.format(from) : `${date.format(from)}, ${clock.format(from)}`;
  return `${date.format(from)}, ${clock.format(from)}–${clock.format(to)}`;
}

const minute = (at) => at.toISOString().slice(0, 16).replace("T", " ");

export const utc = ({ from, to }) => `${minute(from)} to ${minute(to)} UTC`;
