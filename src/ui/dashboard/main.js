// Signing in and out.

import { get } from "./api.js";
import { byId } from "./dom.js";
import * as insights from "./insights.js";
import * as session from "./session.js";

const REFUSED = "This key is not known here. It begins with ahk_ unless you have set one of your own.";

function showSignIn(problem = "") {
  insights.stop();
  byId("dashboard").hidden = true;
  byId("sign-in").hidden = false;
  byId("sign-in-problem").textContent = problem;
  byId("key").toggleAttribute("aria-invalid", problem === REFUSED);
  byId("key").value = "";
  byId("key").focus();
}

function signOut(problem) {
  session.forget();
  showSignIn(problem);
}

function showDashboard(workspace) {
  byId("sign-in").hidden = true;
  byId("dashboard").hidden = false;
  byId("workspace").textContent = workspace.name;
  insights.start();
}

// Checks a key by the workspace that it opens. A server that cannot be reached says nothing about the key.
async function signIn(key) {
  // What cannot stand in a header is no key.
  if (!/^[\x21-\x7e]+$/.test(key)) return signOut(REFUSED);
  byId("sign-in-button").disabled = true;
  try {
    const workspace = await get("workspace", {}, undefined, key);
    session.keep(key);
    showDashboard(workspace);
    byId("title").focus();
  } catch (error) {
    if (error.status === 401) signOut(REFUSED);
    else showSignIn(error.message);
  } finally {
    byId("sign-in-button").disabled = false;
  }
}

insights.prepare((error) => {
  if (error.status === 401) signOut("This key is no longer taken; sign in with another.");
  return error.status === 401;
});
byId("sign-in-form").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn(byId("key").value.trim());
});
byId("sign-out").addEventListener("click", () => {
  session.forget();
  // Nothing that was shown stays behind.
  location.reload();
});

if (session.key()) signIn(session.key());
else showSignIn();
