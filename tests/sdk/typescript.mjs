// Every call of the official TypeScript SDK that Anyhook serves. The SDK checks each answer against its own schema and
// throws where one does not fit. Prints one JSON object for whoever started it.
//
// node typescript.mjs <server URL> <API key> <vendor URL> <hook URL>
import assert from "node:assert/strict";
import { UnifiedTo } from "@unified-api/typescript-sdk";

const [serverURL, jwt, apiUrl, hookUrl] = process.argv.slice(2);
const sdk = new UnifiedTo({ serverURL, security: { jwt } });
const HEX_ID = /^[0-9a-f]{24}$/;

async function until(what, condition) {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const found = await condition();
    if (found) return found;
    assert.ok(Date.now() < deadline, `not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function refused(status, act) {
  const error = await act().then(
    () => undefined,
    (error) => error,
  );
  assert.ok(error, `not refused with ${status}`);
  assert.equal(error.statusCode, status, String(error.message));
}

async function integrations() {
  const all = await sdk.integration.listUnifiedIntegrations({});
  const types = all.map((integration) => integration.type);
  for (const type of ["github", "redmine", "sandbox", "wordpress"]) assert.ok(types.includes(type), type);
  const crm = await sdk.integration.listUnifiedIntegrations({ categories: ["crm"], limit: 100, offset: 0 });
  assert.ok(crm.some((integration) => integration.type === "sandbox"));
  assert.ok(crm.every((integration) => integration.categories.includes("crm")));
  const sandbox = all.find((integration) => integration.type === "sandbox");
  assert.ok(sandbox.support.crm_contact.webhookEvents.updated.includes("virtual"));
  return types.length;
}

async function connections() {
  const made = await sdk.connection.createUnifiedConnection({
    integrationType: "sandbox",
    categories: ["crm", "ticketing"],
    permissions: ["crm_contact_read", "webhook"],
    externalXref: "customer-1",
    auth: { apiUrl, token: "sandbox", name: "Ada's account" },
  });
  assert.match(made.id, HEX_ID);
  assert.equal(made.integrationType, "sandbox");
  assert.equal(made.auth?.token, undefined, "a credential was answered");
  const got = await sdk.connection.getUnifiedConnection({ id: made.id });
  assert.deepEqual({ ...got, updatedAt: null }, { ...made, updatedAt: null });
  const listed = await sdk.connection.listUnifiedConnections({
    limit: 10,
    categories: ["crm"],
    externalXref: "customer-1",
  });
  assert.ok(listed.some((connection) => connection.id === made.id));
  const put = await sdk.connection.updateUnifiedConnection({
    id: made.id,
    connection: { ...got, externalXref: "customer-2" },
  });
  assert.equal(put.externalXref, "customer-2");
  const patched = await sdk.connection.patchUnifiedConnection({
    id: made.id,
    connection: { ...put, externalXref: "customer-3" },
  });
  assert.equal(patched.externalXref, "customer-3");
  assert.deepEqual(patched.createdAt, made.createdAt);
  return patched;
}

async function webhooks(connection) {
  const made = await sdk.webhook.createUnifiedWebhook({
    webhook: {
      connectionId: connection.id,
      objectType: "crm_contact",
      event: "updated",
      hookUrl,
      interval: 1,
      pageMaxLimit: 50,
    },
    includeAll: true,
  });
  assert.match(made.id, HEX_ID);
  assert.deepEqual([made.webhookType, made.isHealthy, made.interval], ["virtual", true, 1]);
  assert.equal((await sdk.webhook.getUnifiedWebhook({ id: made.id })).hookUrl, hookUrl);
  const listed = await sdk.webhook.listUnifiedWebhooks({
    connectionId: connection.id,
    object: "crm_contact",
    isHealthy: true,
    limit: 10,
  });
  assert.deepEqual(
    listed.map((webhook) => webhook.id),
    [made.id],
  );
  const put = await sdk.webhook.updateUnifiedWebhook({ id: made.id, webhook: { ...made, interval: 2 } });
  assert.equal(put.interval, 2);
  const patched = await sdk.webhook.patchUnifiedWebhook({ id: made.id, webhook: { ...put, pageMaxLimit: 20 } });
  assert.deepEqual([patched.pageMaxLimit, patched.interval, patched.environment], [20, 2, made.environment]);
  await sdk.webhook.updateUnifiedWebhookTrigger({ id: made.id });
  await sdk.webhook.patchUnifiedWebhookTrigger({ id: made.id });
  return patched;
}

async function apiCalls(webhook) {
  const calls = await until("audit rows of the webhook", async () => {
    const found = await sdk.apicall.listUnifiedApicalls({ webhookId: webhook.id, limit: 10, error: false });
    return found.length ? found : undefined;
  });
  assert.ok(calls.every((call) => call.webhookId === webhook.id && call.type === "webhook"));
  assert.equal((await sdk.apicall.getUnifiedApicall({ id: calls[0].id })).id, calls[0].id);
  const polls = await sdk.apicall.listUnifiedApicalls({
    connectionId: webhook.connectionId,
    type: "inbound",
    limit: 100,
  });
  assert.ok(polls.length > 0 && polls.every((call) => call.type === "inbound" && call.integrationType === "sandbox"));
}

async function notifications(connection, webhook) {
  const all = await sdk.notification.listUnifiedNotifications({ limit: 100, offset: 0, order: "desc" });
  const ofWebhook = all.filter((one) => one.webhookId === webhook.id);
  assert.equal(ofWebhook.at(-1)?.event, "WEBHOOK_CREATED");
  assert.equal(all.filter((one) => one.connectionId === connection.id).at(-1)?.event, "CONNECTION_CREATED");
  for (const one of all) assert.ok(HEX_ID.test(one.id) && one.createdAt && one.description && one.workspaceName, one);
  const first = await sdk.notification.listUnifiedNotifications({ limit: 1, order: "asc" });
  assert.equal(first.length, 1);
}

async function endings(connection, webhook) {
  await sdk.webhook.removeUnifiedWebhook({ id: webhook.id });
  await refused(404, () => sdk.webhook.getUnifiedWebhook({ id: webhook.id }));
  const other = await sdk.webhook.createUnifiedWebhook({
    webhook: { connectionId: connection.id, objectType: "crm_deal", event: "created", hookUrl },
  });
  await sdk.connection.removeUnifiedConnection({ id: connection.id });
  await refused(404, () => sdk.connection.getUnifiedConnection({ id: connection.id }));
  await refused(404, () => sdk.webhook.getUnifiedWebhook({ id: other.id }));
  const stranger = new UnifiedTo({ serverURL, security: { jwt: "another key" } });
  await refused(401, () => stranger.webhook.listUnifiedWebhooks({}));
}

const count = await integrations();
const connection = await connections();
const webhook = await webhooks(connection);
await apiCalls(webhook);
await notifications(connection, webhook);
await endings(connection, webhook);
console.log(JSON.stringify({ integrations: count }));
