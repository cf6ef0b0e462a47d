// The insights of what is chosen: loaded, shown, and loaded again on a button and while the page is looked at.

import { get, list, serverNow } from "./api.js";
import { makeCharts } from "./charts.js";
import * as choices from "./choices.js";
import { chosen } from "./choices.js";
import { byId, tell } from "./dom.js";
import { begin, objectTypes, summarise } from "./figures.js";
import * as format from "./format.js";
import { showTable, showTotals } from "./table.js";

const REFRESH_MS = 30_000;
const INSIGHTS_MAX = 10_000;
const NO_CONNECTIONS = "There are no connections yet. Make one by POST /unified/connection, and a webhook on it; "
  + "what is done for it is shown here.";

const charts = makeCharts();
let loading = null;
let loadedAt = 0;
let failed = () => {};
let isOn = false;
// What the figures on the page are of.
let shown = "";

// `onFailure` is asked first about what went wrong, and answers true if that settles it.
export function prepare(onFailure) {
  failed = onFailure;
  byId("charts").append(...charts.map((chart) => chart.element));
  byId("refresh").addEventListener("click", () => refresh("Refreshed."));
  byId("more-connections").addEventListener("click", more);
  choices.watchChoices(() => refresh("Figures updated."));
  setInterval(refreshIfOld, 1_000);
  document.addEventListener("visibilitychange", refreshIfOld);
}

export function start() {
  isOn = true;
  choices.readAddress();
  return more();
}

// Ends what is under way and takes everything off the page.
export function stop() {
  isOn = false;
  loading?.abort();
  loading = null;
  loadedAt = 0;
  shown = "";
  choices.forgetConnections();
  for (const id of ["figures", "empty", "problem", "health"]) byId(id).hidden = true;
  for (const id of ["updated", "announcement"]) byId(id).textContent = "";
}

// Loads more connections, and the figures, since what this ends may have been the loading of those.
const more = () => attempt(async (signal) => {
  await choices.loadConnections(signal);
  await load(signal);
});

async function refresh(announcement) {
  // A server that did not answer at first, or had none, has told no connections yet.
  const act = async (signal) => {
    if (!choices.chosenConnection()) await choices.loadConnections(signal);
    await load(signal);
  };
  if (await attempt(act)) byId("announcement").textContent = announcement;
}

function refreshIfOld() {
  const isDue = isOn && !loading && document.visibilityState === "visible" && Date.now() - loadedAt >= REFRESH_MS;
  if (isDue) refresh("");
}

// Acts, after ending what was under way; shows what goes wrong. True if it went well.
async function attempt(act) {
  loading?.abort();
  const mine = new AbortController();
  loading = mine;
  byId("dashboard").setAttribute("aria-busy", "true");
  try {
    await act(mine.signal);
    tell(byId("problem"), null);
    return true;
  } catch (error) {
    if (!mine.signal.aborted && !failed(error)) showProblem(error.message);
    return false;
  } finally {
    if (loading === mine) {
      loading = null;
      loadedAt = Date.now();
      byId("dashboard").removeAttribute("aria-busy");
    }
  }
}

async function load(signal) {
  const { id } = choices.chosenConnection() ?? {};
  if (!id) {
    choices.showObjectTypes([]);
    showHealth(undefined);
    return showEmpty(NO_CONNECTIONS);
  }
  const { resolution, count } = chosen;
  const fromMs = begin(resolution, count, serverNow());
  const query = { connection_id: id, resolution, updated_gte: new Date(fromMs).toISOString(), order: "asc" };
  const [connection, { rows, hasMore }] = await Promise.all([
    get(`connection/${id}`, {}, signal),
    list("insight", query, signal, INSIGHTS_MAX),
  ]);
  if (hasMore) throw new Error(`There are more than ${format.number(INSIGHTS_MAX)} figures; choose a shorter time.`);
  choices.updateConnection(connection);
  choices.showObjectTypes(objectTypes(rows));
  showHealth(connection);
  shown = JSON.stringify(chosen);
  const now = new Date();
  byId("updated").textContent = `Updated ${format.seconds(now)}`;
  byId("updated").title = now.toISOString();
  const data = summarise(rows, { ...chosen, fromMs });
  if (data.totals.isEmpty) showEmpty(`Nothing was done in the last ${format.time(resolution, count)}.`);
  else show(data);
}

function show(data) {
  byId("empty").hidden = true;
  byId("figures").hidden = false;
  showTotals(byId("totals"), data);
  for (const chart of charts) chart.show(data);
  showTable(byId("table"), data);
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const days = data.resolution === "day" ? "; a day is one of UTC" : "";
  const lags = data.isOfOneType ? "" : "; lags are those of the slowest object type";
  const left = `Without ${data.resolution}s in which nothing was done.`;
  byId("table-note").textContent = `Times in ${zone}${days}${lags}. ${left}`;
}

// Figures stay on the page while they are of what is chosen.
function showProblem(text) {
  tell(byId("problem"), text);
  if (shown === JSON.stringify(chosen)) return;
  byId("figures").hidden = true;
  byId("empty").hidden = true;
}

function showEmpty(text) {
  byId("figures").hidden = true;
  tell(byId("empty"), text);
}

function showHealth(connection) {
  const { state, message } = connection?.health ?? {};
  const isIll = state === "retrying" || state === "unhealthy";
  const text = isIll ? `This connection is ${state}: ${message ?? "no reason is known"}` : null;
  tell(byId("health"), connection?.is_paused ? "This connection is paused." : text);
}
