// Addresses that are fetched: of files and pictures, http and https alone. (Links in texts are
// found in `../text/styling.ts`.)

/** Characters of an address: browsers take no more without complaint. */
const URL_CHARS_MAX = 2_000;

/** The address of a file or an image to fetch; `undefined` for anything that is not the web. */
export function webUrl(text: string | undefined): string | undefined {
  if (text === undefined || text.length > URL_CHARS_MAX || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  const isWeb = url.protocol === "https:" || url.protocol === "http:";
  // A name before the host makes it look like another ("https://bank.example@evil.example/").
  return isWeb && url.username === "" && url.password === "" ? url.href : undefined;
}
