// Reads {"secret", "headers", "body"} from standard input and verifies the delivery with npm's standardwebhooks alone.
// Exits 1 where it refuses it.
import { readFileSync } from "node:fs";
import { Webhook, WebhookVerificationError } from "standardwebhooks";

const { secret, headers, body } = JSON.parse(readFileSync(0, "utf8"));
try {
  new Webhook(secret).verify(body, headers);
} catch (error) {
  if (!(error instanceof WebhookVerificationError)) throw error;
  console.log(`refused: ${error.message}`);
  process.exit(1);
}
console.log("verified");
