// The conversation of client.mjs with a client that nobody here wrote on the other side: slixmpp.
//
//   KLATSCH_SLIXMPP=PYTHON node gateways/tests/web/slixmpp.mjs
//
// KLATSCH_SLIXMPP: a Python that has ../interop/requirements-slixmpp.txt; `run` makes one.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import {
  addAccounts, ADDRESS, configure, expect, finish, picture, signIn, startServer, step, visit, work,
} from "./harness.mjs";
import { composer, conversation, message, say, tool } from "./talking.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
configure({ listen: { c2s: `${ADDRESS}:5222` } });
addAccounts("anna", "otto");
await startServer();

const program = spawn(process.env.KLATSCH_SLIXMPP ?? "python3", [join(here, "slixmpp_person.py"), "otto"], {
  stdio: ["pipe", "pipe", "inherit"],
  // The server's own certificate is believed.
  env: { ...process.env, KLATSCH_ADDRESS: ADDRESS, SSL_CERT_FILE: join(work, "data/certificate.pem") },
});
const answers = createInterface({ input: program.stdout })[Symbol.asyncIterator]();

/** Lets Otto do something; what came of it. */
async function otto(what, more = {}) {
  program.stdin.write(`${JSON.stringify({ do: what, ...more })}\n`);
  const { value, done } = await answers.next();
  expect(!done, "slixmpp has ended");
  const { done: result, failed } = JSON.parse(value);
  expect(failed === undefined, `otto, ${what}: ${failed}`);
  return result;
}

const ANNA = "anna@localhost";
const anna = await visit("anna");

await step("otto comes with slixmpp, is asked, grants it and asks in turn", async () => {
  await otto("login");
  await signIn(anna, "anna");
  await anna.getByRole("button", { name: "Add a contact" }).first().click();
  await anna.getByLabel("Address").fill("otto");
  await anna.getByLabel("Name (optional)").fill("Otto Brandt");
  await anna.getByRole("button", { name: "Add", exact: true }).click();
  await otto("grant", { who: ANNA });
  await anna.locator("header .hint", { hasText: "Available" }).waitFor();
  await otto("befriend", { who: ANNA });
});

let first;
await step("they chat, and anna sees him type and read", async () => {
  await say(anna, "Hello Otto & <friends>");
  first = await otto("wait", { event: "message", body: "Hello Otto & <friends>" });
  expect(first.archived !== "", "no archive id");
  await otto("displayed", { to: ANNA, id: first.id });
  await message(anna, "Hello Otto").locator(".state.read").waitFor();
  await otto("typing", { to: ANNA });
  await anna.locator("p.typing").waitFor();
  await otto("chat", { to: ANNA, body: "Hello *Anna* <b>there</b>" });
  await message(anna, "Hello Anna").or(message(anna, "<b>there</b>")).first().waitFor();
  expect((await anna.locator(".body b").count()) === 0, "markup came through");
});

await step("both edit what they wrote", async () => {
  await composer(anna).press("ArrowUp");
  await composer(anna).fill("Hello Otto and friends");
  await composer(anna).press("Enter");
  const { replaces } = await otto("wait", { event: "message_correction", body: "Hello Otto and friends" });
  expect(replaces === first.id, replaces);
  const id = await otto("chat", { to: ANNA, body: "Waht did you say?" });
  await message(anna, "Waht did you say?").waitFor();
  await otto("edit", { to: ANNA, id, body: "What did you say?" });
  await message(anna, "What did you say?").getByText("edited").waitFor();
  expect((await anna.locator("li.row .body", { hasText: "Waht" }).count()) === 0, "the old words stay");
});

await step("both react, and take it back", async () => {
  const id = await otto("chat", { to: ANNA, body: "We won" });
  await message(anna, "We won").waitFor();
  await tool(anna, "We won", "React");
  await anna.getByRole("dialog", { name: "React" }).getByRole("button", { name: "🎉" }).click();
  const { reactions } = await otto("wait", { event: "reactions", reacts_to: id });
  expect(reactions.join() === "🎉", reactions.join());
  await message(anna, "We won").locator(".reactions button", { hasText: "🎉" }).click();
  const taken = await otto("wait", { event: "reactions", reacts_to: id });
  expect(taken.reactions.length === 0, taken.reactions.join());
  await otto("react", { to: ANNA, id: first.id, emoji: ["👍"] });
  await message(anna, "Hello Otto and friends").locator(".reactions button", { hasText: "👍" }).waitFor();
  await otto("react", { to: ANNA, id: first.id, emoji: [] });
  await message(anna, "Hello Otto and friends").locator(".reactions button").waitFor({ state: "detached" });
});

await step("both answer, and the quote is told from the answer", async () => {
  await tool(anna, "We won", "Reply");
  await say(anna, "Congratulations!");
  const answer = await otto("wait", { event: "message_reply" });
  expect(answer.without_quote.trim() === "Congratulations!", JSON.stringify(answer));
  expect(answer.body.startsWith("> We won"), answer.body);
  await otto("reply", { to: ANNA, id: first.id, author: ANNA, quoted: "Hello Otto and friends", body: "Hello again" });
  const quote = message(anna, "Hello again").locator(".quote");
  await quote.filter({ hasText: "Hello Otto and friends" }).waitFor();
  const words = await message(anna, "Hello again").locator(".body").last().innerText();
  expect(!words.includes(">"), `the fallback is shown: ${words}`);
});

await step("both take a message back", async () => {
  await say(anna, "Forget this");
  const { id } = await otto("wait", { event: "message", body: "Forget this" });
  await tool(anna, "Forget this", "More");
  await anna.getByRole("menuitem", { name: "Delete" }).click();
  await otto("wait", { event: "message_retract", retracts: id });
  const mine = await otto("chat", { to: ANNA, body: "And this, too" });
  await message(anna, "And this, too").waitFor();
  await otto("retract", { to: ANNA, id: mine });
  await message(anna, "And this, too").waitFor({ state: "detached" });
  await anna.locator("li.row", { hasText: "Message deleted" }).nth(1).waitFor();
});

await step("both send a file, and get it", async () => {
  await anna.locator(".composer input[type=file]").setInputFiles({ name: "minutes.txt", mimeType: "text/plain", buffer: Buffer.from("We met.") });
  await composer(anna).press("Enter");
  const got = await otto("wait", { event: "message", file_name: "minutes.txt" });
  const text = await otto("fetch", { url: got.file });
  expect(text === "We met.", text);
  await otto("upload", { to: ANNA, name: "answer.txt", text: "So we did.", media_type: "text/plain" });
  const link = anna.locator("a.file", { hasText: "answer.txt" });
  await link.waitFor();
  const theirs = await (await anna.request.get(await link.getAttribute("href"))).text();
  expect(theirs === "So we did.", theirs);
  await picture(anna, "slixmpp");
});

await step("anna makes a room, otto comes on her invitation, and they talk there", async () => {
  await anna.getByRole("button", { name: "New", exact: true }).click();
  await anna.getByRole("menuitem", { name: "Create a room" }).click();
  await anna.getByLabel("Name of the room").fill("Workshop");
  await anna.getByRole("checkbox", { name: "Otto Brandt" }).check();
  await anna.getByRole("button", { name: "Create", exact: true }).click();
  await anna.locator("header .name", { hasText: "Workshop" }).waitFor();
  const room = await otto("invited");
  await otto("join", { room, nick: "otto" });
  await otto("chat", { to: room, body: "Good morning, everybody", kind: "groupchat" });
  await message(anna, "Good morning, everybody").locator(".sender", { hasText: "otto" }).waitFor();
  await say(anna, "Good morning");
  const said = await otto("wait", { event: "groupchat_message", body: "Good morning" });
  expect(said.archived !== "", "no archive id in the room");
  await otto("react", { to: room, id: said.archived, emoji: ["☕"], kind: "groupchat" });
  await message(anna, "Good morning").locator(".reactions button", { hasText: "☕" }).or(anna.locator(".reactions button", { hasText: "☕" })).first().waitFor();
  await picture(anna, "slixmpp-room");
});

await step("after a reload all of it is there", async () => {
  await anna.reload();
  await conversation(anna, /Otto Brandt/).first().click();
  for (const text of ["Hello Otto and friends", "What did you say?", "Congratulations!", "Hello again"]) await message(anna, text).waitFor();
  await anna.locator("li.row", { hasText: "Message deleted" }).nth(1).waitFor();
  await anna.locator("a.file", { hasText: "answer.txt" }).waitFor();
});

const ended = new Promise((done) => program.once("exit", done));
program.stdin.end();
await ended;
await finish();
