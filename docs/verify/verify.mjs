// Verifies a delivery of Anyhook's in JavaScript, with nothing but Node.
//
// A receiver calls `standard` (or `sig256`) with the raw body as it came in, before anything parses it. The program below
// does the same for a delivery in a file:
//
//     echo '{"headers": {...}, "body": "..."}' | node verify.mjs standard whsec_...
import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

// How far a delivery may be from now, in seconds: an older one may be a copy that somebody sends again.
const TOLERANCE_S = 300;

// Standard Webhooks' key: what the base64 behind `whsec_` stands for, else the secret's own bytes.
const keyOf = (secret) => (secret.startsWith("whsec_") ? Buffer.from(secret.slice(6), "base64") : Buffer.from(secret));

const isSame = (one, other) => one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other));

// True if `webhook-signature` is by one of these secrets, over this very body, and of now. `headers` have lower-case
// names, `body` is a Buffer. While a secret is replaced the header has a signature by each.
export function standard(headers, body, secrets) {
  const id = headers["webhook-id"] ?? "";
  const sentAt = headers["webhook-timestamp"] ?? "";
  if (!/^\d+$/.test(sentAt) || Math.abs(Date.now() / 1000 - Number(sentAt)) > TOLERANCE_S) return false;
  const sent = (headers["webhook-signature"] ?? "").split(" ").filter((one) => one.startsWith("v1,"));
  return secrets.some((secret) => {
    const digest = createHmac("sha256", keyOf(secret)).update(`${id}.${sentAt}.`).update(body).digest("base64");
    return sent.some((one) => isSame(one, `v1,${digest}`));
  });
}

// True if the body's `sig256` is by one of these secrets, over `data` and the nonce. `data` is sent as JSON.stringify
// prints it. It says nothing about when it was sent; only `standard` does. For a workspace whose `signature_encoding` is
// hex, ask for that digest.
export function sig256(body, secrets) {
  let payload;
  try {
    payload = JSON.parse(body.toString());
  } catch {
    return false;
  }
  const { data, nonce, sig256: sent } = payload ?? {};
  if (!Array.isArray(data) || typeof nonce !== "string" || typeof sent !== "string") return false;
  return secrets.some((secret) => {
    const digest = createHmac("sha256", secret).update(JSON.stringify(data)).update(nonce).digest("base64");
    return isSame(sent, digest);
  });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [by, ...secrets] = process.argv.slice(2);
  if (!["standard", "sig256"].includes(by) || secrets.length === 0) {
    console.error("usage: verify.mjs standard|sig256 SECRET... < delivery.json");
    process.exit(2);
  }
  const { headers, body } = JSON.parse(readFileSync(0, "utf8"));
  const raw = Buffer.from(body);
  const isGood = by === "standard" ? standard(headers, raw, secrets) : sig256(raw, secrets);
  console.log(isGood ? "verified" : "refused");
  process.exit(isGood ? 0 : 1);
}
