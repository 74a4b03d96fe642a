import { vitePreprocess } from "@sveltejs/vite-plugin-svelte";

export default {
  preprocess: vitePreprocess(),
  // Elements are made one by one, never parsed from text: the page needs no Trusted Types policy at all.
  compilerOptions: { runes: true, fragments: "tree" },
};
