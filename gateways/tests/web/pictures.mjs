// A lively afternoon in the web client, for pictures of its main views: light, dark, high contrast,
// German, on a phone. Everything in them was typed by people in browsers.
//
//   KLATSCH_WEB_PICTURES=FOLDER node gateways/tests/web/pictures.mjs

import { addAccounts, finish, picture, signIn, startServer, step, visit } from "./harness.mjs";
import { composer, conversation, tool } from "./talking.mjs";

const NAMES = { jonas: "Jonas Keller", mira: "Mira Okafor", tariq: "Tariq Aziz", sophie: "Sophie Laurent", elif: "Elif Demir" };
addAccounts("anna", ...Object.keys(NAMES));
await startServer();
const anna = await visit("anna");
const people = Object.fromEntries(await Promise.all(Object.keys(NAMES).map(async (name) => [name, await visit(name)])));
const { jonas, mira, tariq, sophie } = people;

const say = async (page, text) => {
  await composer(page).fill(text);
  await composer(page).press("Enter");
  await page.locator("li.row .body", { hasText: text.replace(/[*_`]/g, "").slice(0, 20) }).last().waitFor();
};
const open = (page, name) => conversation(page, name).first().click();
const react = async (page, text, emoji) => {
  await tool(page, text, "React");
  await page.getByRole("dialog", { name: "React" }).getByRole("button", { name: emoji }).click();
};
const presence = async (page, show, status) => {
  await page.getByRole("button", { name: "Your presence" }).click();
  const card = page.getByRole("dialog", { name: "Your presence" });
  await card.getByText(show, { exact: true }).click();
  await card.getByLabel("Status").fill(status);
  await card.getByRole("button", { name: "Set" }).click();
};
const choose = async (page, role, name) => {
  await page.getByRole("button", { name: "Settings", exact: true }).click();
  await page.getByRole("tab", { name: "Appearance" }).click();
  await page.getByRole(role, { name }).click();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
};

await step("everybody knows everybody", async () => {
  await signIn(anna, "anna");
  for (const [name, page] of Object.entries(people)) await signIn(page, name);
  for (const [name, whole] of Object.entries(NAMES)) {
    await anna.getByRole("button", { name: "New", exact: true }).click();
    await anna.getByRole("menuitem", { name: "Add a contact" }).click();
    await anna.getByLabel("Address").fill(name);
    await anna.getByLabel("Name (optional)").fill(whole);
    await anna.getByRole("button", { name: "Add", exact: true }).click();
    await people[name].getByRole("button", { name: "Accept" }).first().click();
  }
  await presence(mira, "Away", "On the train until four");
  await presence(tariq, "Do not disturb", "Writing the quarterly report");
  await presence(sophie, "Available", "In the office today");
});

await step("they talk", async () => {
  for (const [page, text] of [[mira, "Train is late again, start without me"], [tariq, "The numbers are in, have a look when you can"]]) {
    await open(page, /anna/);
    await say(page, text);
  }
  await open(jonas, /anna/);
  await open(anna, /Jonas/);
  await say(jonas, "Morning! Did you see the draft for the new landing page?");
  await say(anna, "Just now. I like it a lot");
  await say(anna, "The headline could be shorter: *Talk, where you work*");
  await say(jonas, "Oh, that is good. Stealing it");
  await react(anna, "Stealing it", "😂");
  await react(jonas, "headline could be shorter", "🎉");
  await say(anna, "One thing in the signup form:\n```\nif (invitation.isUsed) {\n  return showDoor();\n}\n```");
  await say(jonas, "Right, that should check the date as well");
  await tool(anna, "check the date", "Reply");
  await say(anna, "Exactly. I will add a test for it. Lunch at *12:30*?");
  await say(jonas, "Perfect 🥗");
});

await step("and in a room", async () => {
  await anna.getByRole("button", { name: "New", exact: true }).click();
  await anna.getByRole("menuitem", { name: "Create a room" }).click();
  await anna.getByLabel("Name of the room").fill("Launch");
  await anna.getByLabel("Description (optional)").fill("Everything until the big day");
  for (const whole of ["Jonas Keller", "Sophie Laurent", "Tariq Aziz"]) await anna.getByRole("checkbox", { name: whole }).check();
  await anna.getByRole("button", { name: "Create", exact: true }).click();
  await anna.locator("header .name", { hasText: "Launch" }).waitFor();
  for (const page of [jonas, sophie, tariq]) {
    await open(page, /Invitation/);
    await page.getByRole("button", { name: "Join", exact: true }).first().click();
    await page.locator("header .name", { hasText: "Launch" }).waitFor();
  }
  await say(anna, "Hello everybody! Ten days to go");
  await say(sophie, "The translations are done, French and Italian too");
  await say(tariq, "Press release is with legal, back on Thursday");
  await say(jonas, "Staging is up: https://staging.example.org");
  await say(sophie, "@anna do we need new screenshots for the press kit?");
  await say(anna, "Yes please! Light and dark, and one on a phone 📱");
  await react(jonas, "Yes please!", "👍");
  await react(sophie, "Yes please!", "👍");
  await anna.getByRole("button", { name: "People in the room" }).click();
  const panel = anna.getByRole("complementary", { name: "About the room" });
  await panel.getByRole("button", { name: "Change topic" }).click();
  await panel.getByRole("textbox", { name: "Topic" }).fill("Launch on the 9th 🚀");
  await panel.getByRole("button", { name: "Save" }).click();
  await anna.locator("header .hint", { hasText: "Launch on the 9th" }).waitFor();
});

await step("pictures are taken", async () => {
  // For the eye alone: the last fade is over.
  const still = () => anna.waitForFunction(() => document.getAnimations().every((it) => it.playState !== "running" || it.effect.getComputedTiming().endTime === Infinity));
  await anna.mouse.move(700, 5);
  await still();
  await picture(anna, "show-room");
  await anna.getByRole("complementary", { name: "About the room" }).getByRole("button", { name: "Close" }).click();
  await open(anna, /Jonas/);
  await open(mira, /anna/);
  await say(mira, "Out of the tunnel, see you soon");
  await anna.mouse.move(700, 5);
  await still();
  await picture(anna, "show-light");
  await choose(anna, "radio", "Dark");
  await anna.mouse.move(700, 5);
  await still();
  await picture(anna, "show-dark");
  await open(anna, /Launch/);
  await still();
  await picture(anna, "show-room-dark");
  await choose(anna, "radio", "Light");
  await choose(anna, "switch", /High contrast/);
  await still();
  await picture(anna, "show-contrast");
  await choose(anna, "switch", /High contrast/);
  const phone = await visit("phone", { viewport: { width: 390, height: 780 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true, locale: "de-DE", colorScheme: "dark" });
  await signIn(phone, "anna");
  await phone.getByRole("navigation").getByRole("link", { name: /Launch/ }).waitFor();
  await still();
  await picture(phone, "show-phone-list");
  await open(phone, /Launch/);
  await phone.locator("li.row").last().waitFor();
  await still();
  await picture(phone, "show-phone");
  await phone.context().close();
});

await finish();
