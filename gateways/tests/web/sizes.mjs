// How heavy a long conversation is: what is drawn of ten thousand messages, whether it keeps its place
// while they scroll by, and what of them stays in memory. Of time nothing is asserted here: that is
// gates.mjs.
//
//   node gateways/tests/web/sizes.mjs
//
// Prints PASS and FAIL lines, and every size measured.

import { accessible, expect, finish, picture, signIn, startServer, step, STEP_MS, visit } from "./harness.mjs";
import { importAccounts, MESSAGES } from "./long_history.mjs";
import { conversation, message } from "./talking.mjs";

const NODES_MAX = 1_500;
const HEAP_BYTES_MAX = 150_000_000;
/** All of it is walked through, screen by screen: half a minute on a machine at rest. */
const WALK_MS = 20 * STEP_MS;

importAccounts();
await startServer();

let reader;

await step("the newest of ten thousand messages are there", async () => {
  reader = await visit("reader");
  await signIn(reader, "reader");
  await conversation(reader, "Friend0").first().click();
  await message(reader, `Message ${MESSAGES - 1}`).waitFor();
});

await step(`ten thousand messages scroll by in ${NODES_MAX} elements, and none jumps`, async () => {
  const climbed = await reader.evaluate(async (patience) => {
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    const viewport = document.querySelector(".viewport");
    const rows = () => [...viewport.querySelectorAll("li[data-key]")];
    const seen = new Set();
    const result = { nodes: 0, jump: 0, seen: 0, frames: 0, milliseconds: 0 };
    const note = () => {
      for (const row of rows()) seen.add(row.dataset.key);
      result.nodes = Math.max(result.nodes, document.querySelectorAll("*").length);
    };
    const begin = performance.now();
    let moved = begin;
    note();
    while (!(viewport.scrollTop <= 0 && document.querySelector(".beginning"))) {
      const { scrollTop } = viewport;
      viewport.scrollTop = Math.max(0, scrollTop - 2_000);
      // Where the person's own scrolling has brought it.
      const height = viewport.getBoundingClientRect();
      const row = rows().find((it) => it.getBoundingClientRect().bottom > height.top);
      const top = row?.getBoundingClientRect().top;
      for (let count = 0; count < 3; count += 1) {
        await frame();
        result.frames += 1;
        if (row?.isConnected) result.jump = Math.max(result.jump, Math.abs(row.getBoundingClientRect().top - top));
      }
      const before = seen.size;
      note();
      if (seen.size > before || viewport.scrollTop !== scrollTop) moved = performance.now();
      if (performance.now() - moved > patience) break;
    }
    const isAtBeginning = viewport.scrollTop <= 0 && document.querySelector(".beginning") !== null;
    return { ...result, seen: seen.size, isAtBeginning, milliseconds: moved - begin };
  }, STEP_MS);
  const perSecond = (climbed.frames * 1_000) / climbed.milliseconds;
  console.log(`   ${climbed.seen} messages in ${(climbed.milliseconds / 1_000).toFixed(1)} s, ${climbed.nodes} elements at most, ${perSecond.toFixed(0)} frames a second, moved by ${climbed.jump.toFixed(2)} pixels at most`);
  expect(climbed.isAtBeginning, "it does not end at the beginning");
  expect(climbed.seen >= MESSAGES, `${climbed.seen} seen`);
  expect(climbed.nodes <= NODES_MAX, `${climbed.nodes} elements`);
  expect(climbed.jump <= 1, `moved by ${climbed.jump} pixels`);
  const devtools = await reader.context().newCDPSession(reader);
  await devtools.send("HeapProfiler.collectGarbage");
  const { usedSize } = await devtools.send("Runtime.getHeapUsage");
  await devtools.detach();
  console.log(`   heap: ${(usedSize / 1_000_000).toFixed(0)} MB`);
  expect(usedSize <= HEAP_BYTES_MAX, `${usedSize} bytes of heap`);
}, WALK_MS);

await step("a day in the middle is shown at once, and the newest again", async () => {
  await reader.locator(".day button").first().click();
  await accessible(reader, "going to a day");
  await picture(reader, "go-to-date");
  await reader.getByLabel("Day", { exact: true }).fill("2026-03-01");
  await reader.getByRole("button", { name: "Show", exact: true }).click();
  await reader.locator("li.row.target time").waitFor();
  const first = await reader.locator("li.row.target time").evaluate((it) => new Date(it.dateTime).toDateString());
  expect(first === "Sun Mar 01 2026", first);
  await reader.locator("button.pill").click();
  await message(reader, `Message ${MESSAGES - 1}`).waitFor();
});

await finish();
