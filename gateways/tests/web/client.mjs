// Two people and the web client, from the door to the room: through a real server, in a real
// browser, under the page's own Content Security Policy.
//
//   node gateways/tests/web/client.mjs
//
// Environment: see harness.mjs. KLATSCH_WEB_PICTURES: a folder that gets pictures of the views.
// Prints PASS and FAIL lines; exits non-zero on any FAIL.

import "./over_tls.mjs";
import {
  accessible, addAccounts, command, expect, finish, ORIGIN, picture, signIn, startServer, step, stopServer, until, visit,
} from "./harness.mjs";
import { composer, conversation, message, say, tool } from "./talking.mjs";

addAccounts("carla");
await startServer();
let anna = await visit("anna");
let bert = await visit("bert", { locale: "de-DE", colorScheme: "dark" });

/** Makes an account on the page behind an invitation. */
async function signUp(page, link, name) {
  await page.goto(link);
  await page.getByLabel("Address").fill(name);
  await page.getByLabel("Password", { exact: true }).fill(`password-of-${name}`);
  await page.getByLabel("Password again").fill(`password-of-${name}`);
  await page.getByRole("button", { name: "Create account" }).click();
  await page.getByRole("heading", { name: "Welcome" }).waitFor();
}

await step("two people sign up by invitation links, which work once", async () => {
  for (const [page, name] of [[anna, "anna"], [bert, "bert"]]) {
    // Without a certificate there is no address on the web in it: the page is asked for by its token.
    const token = /[0-9a-f]{64}/.exec(command("invite"))?.[0];
    expect(token !== undefined, "no link");
    const here = `${ORIGIN}/invite/${token}`;
    await page.goto(here);
    await accessible(page, "an invitation");
    await picture(page, `invitation-page-${name}`);
    await signUp(page, here, name);
    await page.goto(here);
    await page.getByRole("heading", { name: "not valid" }).waitFor();
    await page.goto(`${ORIGIN}/`);
  }
});

await step("the door is accessible, and a wrong password is refused", async () => {
  await accessible(anna, "the door");
  await picture(anna, "door");
  await picture(bert, "door-de-dark");
  await anna.getByLabel("Address").fill("anna");
  await anna.getByLabel("Password", { exact: true }).fill("not this one");
  await anna.getByRole("button", { name: "Sign in" }).click();
  await anna.getByRole("alert").filter({ hasText: "password is wrong" }).waitFor();
});

await step("both sign in", async () => {
  await signIn(anna, "anna");
  await signIn(bert, "bert");
  await accessible(anna, "the empty list");
  await picture(anna, "empty");
});

/** Everything that the page keeps, by its key. */
const kept = (page) => page.evaluate(() => ({ ...sessionStorage, ...localStorage }));

/** The mechanism of every login of a page from now on. */
function logins(page) {
  const mechanisms = [];
  page.on("websocket", (socket) => {
    socket.on("framesent", ({ payload }) => mechanisms.push(.../<(?:auth|authenticate)\b[^>]*mechanism="([^"]+)"/.exec(payload)?.slice(1) ?? []));
  });
  return mechanisms;
}

await step("of the password nothing is kept, and after a reload a token is enough", async () => {
  const before = await kept(anna);
  const { token, keys } = JSON.parse(before["klatsch.session"]);
  expect(typeof token === "string" && keys === undefined, before["klatsch.session"]);
  expect(!JSON.stringify(before).includes("password-of-anna"), "the password is kept");
  const mechanisms = logins(anna);
  await anna.reload();
  await anna.locator(".sidebar").waitFor();
  await until(() => mechanisms.length > 0, "a login");
  expect(mechanisms.join() === "HT-SHA-256-NONE", mechanisms.join());
  await anna.getByRole("button", { name: "Add a contact" }).waitFor();
});

await step("one asks to be a contact, the other accepts, and each sees the other there", async () => {
  await anna.getByRole("button", { name: "Add a contact" }).click();
  await accessible(anna, "adding a contact");
  await picture(anna, "add-contact");
  await anna.getByLabel("Address").fill("bert");
  await anna.getByLabel("Name (optional)").fill("Bert Weber");
  await anna.getByRole("button", { name: "Add", exact: true }).click();
  await picture(bert, "request-de-dark");
  await bert.getByRole("button", { name: "Annehmen" }).first().click();
  await anna.locator("header .hint", { hasText: "Available" }).waitFor();
  await conversation(bert, /anna/).click();
  await bert.locator("header .hint", { hasText: /^Da$/ }).waitFor();
});

await step("a message travels, is styled, and is seen to be read", async () => {
  await composer(anna).pressSequentially("Is *this* on?", { delay: 20 });
  await bert.locator("p.typing", { hasText: "schreibt" }).waitFor();
  await composer(anna).press("Enter");
  await message(bert, "Is this on?").locator("strong", { hasText: "this" }).waitFor();
  await message(anna, "Is this on?").locator(".state.read").waitFor();
  await say(bert, "Loud & clear: https://example.org/a?b=c <b>ok</b>");
  await message(anna, "Loud & clear").locator("a[href='https://example.org/a?b=c'][rel~=noopener]").waitFor();
  expect((await anna.locator(".body b").count()) === 0, "markup came through");
});

await step("the last message is edited with the up key", async () => {
  await composer(anna).press("ArrowUp");
  await composer(anna).fill("Is *this thing* on?");
  await composer(anna).press("Enter");
  await message(bert, "Is this thing on?").getByText("bearbeitet").waitFor();
  await message(anna, "Is this thing on?").getByText("edited").waitFor();
});

await step("a reaction comes and goes", async () => {
  await tool(anna, "Loud & clear", "React");
  await anna.getByRole("dialog", { name: "React" }).getByRole("button", { name: "🎉" }).click();
  const theirs = message(bert, "Loud & clear").locator(".reactions button", { hasText: "🎉" });
  await theirs.waitFor();
  await theirs.click();
  await message(anna, "Loud & clear").locator(".reactions .count", { hasText: "2" }).waitFor();
  await theirs.click();
  await message(anna, "Loud & clear").locator(".reactions .count").waitFor({ state: "detached" });
});

await step("an answer quotes, and leads back", async () => {
  await tool(bert, "this thing on", "Antworten");
  await bert.locator(".special", { hasText: "Antwort an" }).waitFor();
  await say(bert, "It is.");
  const quote = message(anna, "It is.").locator(".quote");
  await quote.filter({ hasText: "this thing" }).waitFor();
  await quote.click();
  await anna.locator("li.row.target", { hasText: "this thing on" }).waitFor();
});

await step("a message is deleted for both", async () => {
  await say(anna, "Not this one");
  await message(bert, "Not this one").waitFor();
  await tool(anna, "Not this one", "More");
  await anna.getByRole("menuitem", { name: "Delete" }).click();
  await bert.locator("li.row", { hasText: "Nachricht gelöscht" }).waitFor();
  await anna.locator("li.row", { hasText: "Message deleted" }).waitFor();
});

await step("an emoji is completed, and one is picked", async () => {
  await composer(anna).pressSequentially("Coffee? :coff");
  await anna.getByRole("option", { name: /☕/ }).waitFor();
  await composer(anna).press("Tab");
  await anna.getByRole("button", { name: "Emoji" }).click();
  await anna.getByRole("searchbox", { name: "Search emoji" }).fill("rocket");
  await anna.getByRole("searchbox", { name: "Search emoji" }).press("Enter");
  await composer(anna).press("Enter");
  await message(bert, "Coffee? ☕ 🚀").waitFor();
});

await step("a picture is sent with a caption, is seen, and is enlarged", async () => {
  const png = await anna.evaluate(async () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 900, height: 600 });
    const context = canvas.getContext("2d");
    const sky = context.createLinearGradient(0, 0, 0, 600);
    sky.addColorStop(0, "#f4a261");
    sky.addColorStop(0.6, "#e76f51");
    sky.addColorStop(1, "#264653");
    context.fillStyle = sky;
    context.fillRect(0, 0, 900, 600);
    context.fillStyle = "#ffe8c2";
    context.beginPath();
    context.arc(610, 260, 70, 0, 7);
    context.fill();
    context.fillStyle = "#1d3540";
    context.beginPath();
    context.moveTo(0, 600);
    [[150, 330], [260, 430], [420, 270], [600, 470], [720, 380], [900, 520], [900, 600]].forEach(([x, y]) => context.lineTo(x, y));
    context.fill();
    return canvas.toDataURL("image/png").split(",")[1];
  });
  await anna.locator(".composer input[type=file]").setInputFiles({ name: "sunset.png", mimeType: "image/png", buffer: Buffer.from(png, "base64") });
  await anna.getByLabel("Description of sunset.png").fill("A sunset behind mountains");
  await picture(anna, "files");
  await say(anna, "From my window");
  const image = bert.locator(".picture img").last();
  await image.waitFor();
  await bert.waitForFunction(() => [...document.querySelectorAll(".picture img")].every((it) => it.complete && it.naturalWidth > 0));
  await message(bert, "From my window").waitFor();
  await image.click();
  await bert.locator("dialog figure img").waitFor();
  await picture(bert, "lightbox-de-dark");
  await bert.keyboard.press("Escape");
  await bert.locator("dialog figure").waitFor({ state: "detached" });
});

await step("a file that is no picture can be fetched", async () => {
  await anna.locator(".composer input[type=file]").setInputFiles({ name: "minutes.txt", mimeType: "text/plain", buffer: Buffer.from("We met.") });
  await composer(anna).press("Enter");
  const link = bert.locator("a.file", { hasText: "minutes.txt" });
  await link.waitFor();
  const text = await (await bert.request.get(await link.getAttribute("href"))).text();
  expect(text === "We met.", text);
});

await step("a voice message is recorded, is heard, and is walked through with the keyboard", async () => {
  await anna.getByRole("button", { name: "Record a voice message" }).click();
  await anna.getByRole("timer", { name: "Recording" }).filter({ hasText: "0:02" }).waitFor();
  await accessible(anna, "a recording");
  await picture(anna, "voice-recording");
  await anna.keyboard.press("Escape");
  await composer(anna).waitFor();
  await anna.getByRole("button", { name: "Record a voice message" }).click();
  await anna.getByRole("timer", { name: "Recording" }).filter({ hasText: "0:02" }).waitFor();
  await anna.getByRole("button", { name: "Send the recording" }).click();
  const player = bert.locator(".player").last();
  const slider = player.getByRole("slider", { name: "Stelle" });
  // How long it is, is measured: recordings of browsers do not say it.
  await bert.waitForFunction(() => Number(document.querySelector(".player input")?.max) > 1.5);
  expect((await bert.locator(".player").count()) === 1, "what was thrown away was sent");
  await player.getByRole("button", { name: "Abspielen" }).click();
  await bert.waitForFunction(() => Number(document.querySelector(".player input")?.value) > 0);
  await player.getByRole("button", { name: /Tempo/ }).click();
  expect((await bert.locator(".player audio").evaluate((it) => it.playbackRate)) === 1.5, "it is not faster");
  await player.getByRole("button", { name: "Abspielen" }).waitFor();
  await slider.press("End");
  expect(Number(await slider.inputValue()) > 1.5, "End does not go to the end");
  await slider.press("Home");
  expect(Number(await slider.inputValue()) === 0, "Home does not go to the beginning");
  await slider.press("Space");
  await bert.waitForFunction(() => Number(document.querySelector(".player input")?.value) > 0);
  const bars = await player.locator("path.rest").getAttribute("d");
  expect(new Set(bars.match(/v[\d.]+/g)).size > 1, "the waveform is flat");
});

await step("the conversation is accessible in both themes", async () => {
  await accessible(anna, "a conversation");
  await accessible(bert, "a conversation in the dark");
  await picture(anna, "conversation");
  await picture(bert, "conversation-de-dark");
});

await step("a room is created, somebody is invited, comes, and is mentioned", async () => {
  await anna.getByRole("button", { name: "New", exact: true }).click();
  await anna.getByRole("menuitem", { name: "Create a room" }).click();
  await anna.getByLabel("Name of the room").fill("Kaffeeküche");
  await anna.getByRole("checkbox", { name: "Bert Weber" }).check();
  await accessible(anna, "creating a room");
  await picture(anna, "create-room");
  await anna.getByRole("button", { name: "Create", exact: true }).click();
  await anna.getByRole("heading", { level: 2 }).or(anna.locator("header .name", { hasText: "Kaffeeküche" })).first().waitFor();
  await conversation(bert, /Einladung/).click();
  await picture(bert, "invitation-de-dark");
  await bert.getByRole("button", { name: "Beitreten" }).first().click();
  await bert.locator("header .name", { hasText: "Kaffeeküche" }).waitFor();
  await composer(anna).pressSequentially("Good morning @be");
  await anna.getByRole("option", { name: /bert/i }).waitFor();
  await composer(anna).press("Enter");
  await composer(anna).press("Enter");
  await message(bert, "Good morning").locator(".mention.self").waitFor();
  await say(bert, "Guten Morgen!");
  await message(anna, "Guten Morgen!").locator(".sender", { hasText: "bert" }).waitFor();
});

await step("a room has people with roles, and a topic", async () => {
  await anna.getByRole("button", { name: "People in the room" }).click();
  const panel = anna.getByRole("complementary", { name: "About the room" });
  await panel.getByText("Owner").waitFor();
  await panel.getByRole("button", { name: "Change topic" }).click();
  await panel.getByRole("textbox", { name: "Topic" }).fill("Who cleans the machine?");
  await panel.getByRole("button", { name: "Save" }).click();
  await bert.locator("header .hint", { hasText: "Who cleans the machine?" }).waitFor();
  await accessible(anna, "a room with its panel");
  await picture(anna, "room");
  await panel.getByRole("button", { name: "Close" }).click();
});

await step("the switcher finds by a few letters", async () => {
  await anna.keyboard.press("Control+k");
  await accessible(anna, "the switcher");
  await anna.getByRole("combobox", { name: "Find or go to…" }).fill("web");
  await picture(anna, "switcher");
  await anna.keyboard.press("Enter");
  await anna.locator("header .name", { hasText: "Bert Weber" }).waitFor();
});

await step("a draft stays, and the list shows it", async () => {
  await composer(anna).fill("Half a thou");
  await conversation(anna, /Kaffeeküche/).click();
  await anna.locator("li", { hasText: "Bert Weber" }).getByText("Half a thou").waitFor();
});

await step("after a reload everything is there again", async () => {
  await anna.reload();
  await anna.locator("header .name", { hasText: "Kaffeeküche" }).waitFor();
  await message(anna, "Guten Morgen!").waitFor();
  await conversation(anna, /Bert Weber/).click();
  await anna.waitForFunction(() => document.querySelector(".composer textarea")?.value === "Half a thou");
  await composer(anna).fill("");
  for (const text of ["Is this thing on?", "Loud & clear", "It is.", "Coffee?", "From my window"]) await message(anna, text).waitFor();
  await message(anna, "Loud & clear").locator(".reactions button", { hasText: "🎉" }).waitFor();
  await message(anna, "Is this thing on?").getByText("edited").waitFor();
  await anna.locator("li.row", { hasText: "Message deleted" }).waitFor();
});

await step("what is written without a connection arrives when there is one", async () => {
  await anna.context().setOffline(true);
  await stopServer("SIGKILL");
  await anna.locator(".banner").waitFor();
  await say(anna, "Written in the dark");
  await message(anna, "Written in the dark").locator(".state.sending").waitFor();
  await picture(anna, "offline");
  await startServer();
  await anna.context().setOffline(false);
  await conversation(bert, /anna/).click();
  await message(bert, "Written in the dark").waitFor();
  await message(anna, "Written in the dark").locator(".state.read, .state.delivered, .state.sent").waitFor();
  expect((await bert.locator("li.row", { hasText: "Written in the dark" }).count()) === 1, "it came twice");
});

await step("settings change the look, the language, and are accessible", async () => {
  await anna.getByRole("button", { name: "Settings", exact: true }).click();
  await accessible(anna, "the settings");
  await anna.getByRole("tab", { name: "Appearance" }).click();
  await anna.getByRole("radio", { name: "Dark" }).check();
  expect((await anna.evaluate(() => document.documentElement.dataset.theme)) === "dark", "it is not dark");
  await picture(anna, "settings-dark");
  await anna.getByRole("radio", { name: "Light" }).check();
  await anna.getByLabel("Language").selectOption("de");
  await anna.getByRole("tab", { name: "Aussehen" }).waitFor();
  await accessible(anna, "the appearance in German");
  await picture(anna, "settings-de");
  await anna.getByLabel("Sprache").selectOption("auto");
  await anna.keyboard.press("Escape");
  await anna.getByRole("dialog").waitFor({ state: "detached" });
});

await step("blocking stops messages, and says so", async () => {
  await conversation(anna, /Bert Weber/).click();
  await anna.locator("header").getByRole("button", { name: "More" }).click();
  await anna.getByRole("menuitem", { name: "Block" }).click();
  await anna.getByText("Bert Weber is blocked.").waitFor();
  await anna.locator(".silent").getByRole("button", { name: "Unblock" }).click();
  await composer(anna).waitFor();
});

await step("it fits a small phone, and a window that is zoomed", async () => {
  const phone = await visit("phone", { viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true, locale: "de-DE" });
  await signIn(phone, "anna");
  // What was said last is read from the archive.
  await phone.locator("li", { hasText: "Bert" }).getByText("Written in the dark").waitFor();
  await conversation(phone, /Kaffeeküche/).waitFor();
  await picture(phone, "phone-list-de");
  /** A page has one heading of the first level, whatever of it is to be seen. */
  const heading = async (page, name) => {
    const [first, ...others] = await page.getByRole("heading", { level: 1 }).allInnerTexts();
    expect(first === name && others.length === 0, `${[first, ...others]} instead of ${name}`);
  };
  await heading(phone, "klatsch");
  await conversation(phone, /Bert/).click();
  await message(phone, "Written in the dark").waitFor();
  await heading(phone, await phone.locator("header .name").innerText());
  await heading(anna, "klatsch");
  await picture(phone, "phone-conversation-de");
  const wide = await phone.evaluate(() => document.documentElement.scrollWidth);
  expect(wide <= 320, `it is ${wide} wide`);
  const name = await phone.locator("header .name").boundingBox();
  expect(name.width >= 72, `of the name ${name.width} pixels are left`);
  await accessible(phone, "a phone");
  await phone.getByRole("button", { name: "Zurück" }).click();
  await conversation(phone, /Kaffeeküche/).waitFor();
  await phone.context().close();
});

await step("another password ends what was kept, and the form says so", async () => {
  expect("klatsch.session" in (await kept(anna)), "nothing is kept");
  command("user", "passwd", "anna@localhost", "--password", "another one");
  await anna.getByRole("alert").filter({ hasText: "no longer valid" }).waitFor();
  expect(!("klatsch.session" in (await kept(anna))), "the token is still kept");
  await accessible(anna, "the door after another password");
  await picture(anna, "door-expired");
  await signIn(anna, "anna", "another one");
  await conversation(anna, /Kaffeeküche/).waitFor();
});

await step("whoever signs out leaves nothing, and on the server neither", async () => {
  const before = await kept(bert);
  await bert.getByRole("button", { name: "Einstellungen", exact: true }).click();
  await bert.getByRole("button", { name: "Abmelden" }).click();
  await bert.locator(".leave .actions").getByRole("button", { name: "Abmelden" }).click();
  await bert.locator("input[autocomplete=username]").waitFor();
  const left = await bert.evaluate(async () => ({
    databases: (await indexedDB.databases()).map(({ name }) => name),
    local: Object.keys(localStorage).filter((key) => !["klatsch.settings", "klatsch.config"].includes(key)),
  }));
  expect(JSON.stringify(left).includes("localhost") === false, JSON.stringify(left));
  expect(left.local.length === 0, left.local.join());
  // Whoever has taken a copy of it meanwhile has nothing.
  await bert.evaluate((all) => Object.entries(all).forEach(([key, value]) => localStorage.setItem(key, value)), before);
  await bert.reload();
  await bert.getByRole("alert").filter({ hasText: "gilt nicht mehr" }).waitFor();
});

await step("whoever signs out without a connection is signed out on the server when there is one", async () => {
  await signIn(bert, "bert");
  await until(async () => "klatsch.session" in (await kept(bert)), "a token");
  const before = await kept(bert);
  await bert.getByRole("button", { name: "Einstellungen", exact: true }).click();
  await bert.getByRole("button", { name: "Abmelden" }).click();
  await bert.context().setOffline(true);
  await stopServer("SIGKILL");
  await bert.locator(".leave .actions").getByRole("button", { name: "Abmelden" }).click();
  await bert.locator("input[autocomplete=username]").waitFor();
  const { "klatsch.farewells": farewell, ...others } = await kept(bert);
  const { token, jid } = JSON.parse(before["klatsch.session"]);
  expect(farewell !== undefined && !("klatsch.session" in others), `kept: ${Object.keys(await kept(bert))}`);
  expect(!farewell.includes(token), farewell);
  expect(!JSON.stringify(others).includes(jid), `who it was is kept: ${JSON.stringify(others)}`);
  await startServer();
  await bert.context().setOffline(false);
  await until(async () => !("klatsch.farewells" in (await kept(bert))), "the server was told");
  await bert.evaluate((all) => Object.entries(all).forEach(([key, value]) => localStorage.setItem(key, value)), before);
  await bert.reload();
  await bert.getByRole("alert").filter({ hasText: "gilt nicht mehr" }).waitFor();
});

await finish();
