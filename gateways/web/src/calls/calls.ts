// What is loaded when somebody has signed in: the calls and their views, in one piece.

export { default as CallButtons } from "./CallButtons.svelte";
export { default as CallLayer } from "./CallLayer.svelte";
export { Calls } from "./calls.svelte";
