// Fetches what is not seen at once: once, and again after it has failed.

type More = typeof import("./more");
let loading: Promise<More> | undefined;

export function later(): Promise<More> {
  loading ??= import("./more").catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  return loading;
}
