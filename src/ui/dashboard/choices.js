// What is chosen: a connection, an object type, hours or days, and how many. Kept in the address behind `#`, so that it
// can be bookmarked; the key is no part of it.

import { get, list } from "./api.js";
import { byId, el } from "./dom.js";
import { RESOLUTIONS } from "./figures.js";
import { time } from "./format.js";

const CONNECTIONS_AT_ONCE = 500;

let connections = [];
let listed = 0;

export const chosen = { connection: "", objectType: "", resolution: "hour", count: RESOLUTIONS.hour.count };

export const chosenConnection = () => connections.find(({ id }) => id === chosen.connection);

// Takes over what the address says, as far as it makes sense.
export function readAddress() {
  const args = new URLSearchParams(location.hash.slice(1));
  const resolution = args.get("by") === "day" ? "day" : "hour";
  const { counts, count } = RESOLUTIONS[resolution];
  const wanted = Number(args.get("last"));
  chosen.connection = args.get("connection") ?? "";
  chosen.objectType = args.get("type") ?? "";
  chosen.resolution = resolution;
  chosen.count = counts.includes(wanted) ? wanted : count;
}

function writeAddress() {
  const { connection, objectType, resolution, count } = chosen;
  const args = new URLSearchParams({ connection, by: resolution, last: count });
  if (objectType) args.set("type", objectType);
  history.replaceState(null, "", `#${args}`);
}

// Loads the next connections, and the one that is chosen where it is not among them.
export async function loadConnections(signal) {
  const args = { sort: "created_at", order: "asc" };
  const { rows, hasMore } = await list("connection", args, signal, CONNECTIONS_AT_ONCE, listed);
  listed += rows.length;
  const known = new Set(connections.map(({ id }) => id));
  connections.push(...rows.filter(({ id }) => !known.has(id)));
  if (chosen.connection && !chosenConnection()) {
    const one = await get(`connection/${encodeURIComponent(chosen.connection)}`, {}, signal).catch((error) => {
      if (error.status !== 400 && error.status !== 404) throw error;
    });
    if (one) connections.push(one);
  }
  if (!chosenConnection()) chosen.connection = connections[0]?.id ?? "";
  byId("more-connections").hidden = !hasMore;
  showChoices();
}

// Takes over how a connection is by now.
export function updateConnection(connection) {
  connections = connections.map((known) => (known.id === connection.id ? connection : known));
}

export function forgetConnections() {
  connections = [];
  listed = 0;
}

// Two connections of one integration are told apart by what their owner calls them, else by the end of the id.
function nameOf({ id, integration_name, integration_type, external_xref, auth }) {
  return `${integration_name ?? integration_type} · ${auth?.name ?? external_xref ?? `…${id.slice(-6)}`}`;
}

// A list that is open is left alone where nothing in it has changed.
function options(select, pairs, value) {
  const isSame = ({ options }) => options.length === pairs.length
    && pairs.every(([value, text], index) => options[index].value === String(value) && options[index].text === text);
  if (!isSame(select)) select.replaceChildren(...pairs.map(([value, text]) => el("option", { value }, text)));
  select.value = value;
}

export function showChoices() {
  options(byId("connection"), connections.map((connection) => [connection.id, nameOf(connection)]), chosen.connection);
  byId("connection").disabled = connections.length === 0;
  for (const radio of document.getElementsByName("resolution")) radio.checked = radio.value === chosen.resolution;
  const { resolution } = chosen;
  const times = RESOLUTIONS[resolution].counts.map((count) => [count, `last ${time(resolution, count)}`]);
  options(byId("span-count"), times, chosen.count);
  byId("object-type").value = chosen.objectType;
}

// Offers those of which there are figures; one that is chosen stays so while there are none.
export function showObjectTypes(types) {
  const known = !chosen.objectType || types.includes(chosen.objectType) ? types : [...types, chosen.objectType].sort();
  options(byId("object-type"), [["", "All"], ...known.map((type) => [type, type])], chosen.objectType);
}

// Calls `changed` whenever something else is chosen.
export function watchChoices(changed) {
  const on = (element, take) => element.addEventListener("change", () => {
    take(element.value);
    showChoices();
    writeAddress();
    changed();
  });
  on(byId("connection"), (value) => Object.assign(chosen, { connection: value, objectType: "" }));
  on(byId("object-type"), (value) => Object.assign(chosen, { objectType: value }));
  on(byId("span-count"), (value) => Object.assign(chosen, { count: Number(value) }));
  for (const radio of document.getElementsByName("resolution")) {
    on(radio, (value) => Object.assign(chosen, { resolution: value, count: RESOLUTIONS[value].count }));
  }
}
