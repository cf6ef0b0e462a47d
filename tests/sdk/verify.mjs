// Reads {"secret", "headers", "body"} from standard input and verifies the delivery with npm's standardwebhooks and,
// by what JSON.stringify prints of the parsed data, its sig and sig256. Exits 1 where one is wrong.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

const { secret, headers, body } = JSON.parse(readFileSync(0, "utf8"));
const payload = new Webhook(secret).verify(body, headers);
const signed = JSON.stringify(payload.data) + payload.nonce;
assert.equal(createHmac("sha256", secret).update(signed).digest("base64"), payload.sig256);
assert.equal(createHmac("sha1", secret).update(signed).digest("base64"), payload.sig);
assert.throws(() => new Webhook(secret).verify(`${body} `, headers));
console.log(`verified ${payload.data.length} records`);
