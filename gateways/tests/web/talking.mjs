// What people do in a conversation of the web client, for suites and for pictures.

export const composer = (page) => page.locator(".composer textarea");

export async function say(page, text) {
  await composer(page).fill(text);
  await composer(page).press("Enter");
}

/** The newest message with this text. */
export const message = (page, text) => page.locator("li.row", { hasText: text }).last();

/** One of the tools of a message, by its name. */
export async function tool(page, text, name) {
  const row = message(page, text);
  await row.scrollIntoViewIfNeeded();
  await row.locator(".bubble").hover();
  await row.getByRole("button", { name, exact: true }).click();
}

/** A row of the list. */
export const conversation = (page, name) => page.getByRole("navigation").getByRole("link", { name });
