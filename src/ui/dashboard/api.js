// Asking the API, with the key of who is signed in.

import { key } from "./session.js";

const ROOT = new URL("../unified/", import.meta.url);
const DEADLINE_MS = 20_000;
const PAGE_ROWS = 100;

// An answer that is no success, or none at all (status 0). The message is for people.
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// How far this machine's clock is behind the server's, in milliseconds.
let behindMs = 0;

// Now, as the server's clock shows it: that is what spans are counted by.
export const serverNow = () => Date.now() + behindMs;

export async function get(path, args = {}, signal = undefined, authorization = key()) {
  const url = new URL(path, ROOT);
  url.search = new URLSearchParams(args).toString();
  const answer = await send(url, authorization, signal);
  const told = Date.parse(answer.headers.get("date") ?? "");
  // The header has whole seconds, so a difference of one is none.
  if (told) behindMs = Math.abs(told - Date.now()) > 2_000 ? told - Date.now() : 0;
  const body = await answer.json().catch(() => null);
  if (!answer.ok) throw new ApiError(answer.status, body?.message ?? `The server answered ${answer.status}.`);
  if (body === null) throw new ApiError(answer.status, "The server's answer broke off; try again.");
  return body;
}

async function send(url, authorization, signal) {
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  const options = { headers: { authorization }, cache: "no-store", credentials: "omit", redirect: "error" };
  try {
    return await fetch(url, { ...options, signal: signal ? AbortSignal.any([signal, deadline]) : deadline });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "The server cannot be reached. Is it running, and are you online?");
  }
}

// The rows of a list from `offset` on, about `rowsMax` of them at most. The server decides how many come at a time, so
// the end is where none come.
export async function list(path, args, signal, rowsMax, offset = 0) {
  const rows = [];
  while (rows.length < rowsMax) {
    const page = await get(path, { ...args, limit: PAGE_ROWS, offset: offset + rows.length }, signal);
    if (page.length === 0) return { rows, hasMore: false };
    rows.push(...page);
  }
  return { rows, hasMore: true };
}
