import { describe, expect, it } from "vitest";
import { parseConfig } from "./config";

const page = new URL("https://chat.example.org:5443/chat/");

describe("the server's settings", () => {
  it("default to the page's own host", () => {
    for (const nothing of [null, undefined, "x", 3, [], {}, { theme: 1, features: "no", domains: {} }]) {
      expect(parseConfig(nothing, page)).toMatchObject({
        name: "klatsch",
        domain: "chat.example.org",
        domains: ["chat.example.org"],
        websocket: "wss://chat.example.org:5443/xmpp-websocket",
        theme: { accent: undefined, logo: undefined },
        features: { registration: false, invitations: false, calls: false, vapid: undefined },
        embedOrigins: [],
      });
    }
  });
  it("are taken where they fit", () => {
    const config = parseConfig(
      {
        version: "1.0.0",
        domains: ["acme.test", "other.test", 7],
        websocket: "wss://ws.acme.test/x",
        bosh: "https://ws.acme.test/y",
        theme: { name: "Acme", accent: "#3A86ff", logo: "/logo" },
        embed_origins: ["https://mail.acme.test"],
        features: { registration: true, invitations: true, calls: true, upload: null, push: { key: "BKey" } },
      },
      page,
    );
    expect(config).toEqual({
      name: "Acme",
      domain: "acme.test",
      domains: ["acme.test", "other.test"],
      websocket: "wss://ws.acme.test/x",
      theme: { accent: "#3A86ff", logo: "https://chat.example.org:5443/logo" },
      features: { registration: true, invitations: true, calls: true, vapid: "BKey" },
      embedOrigins: ["https://mail.acme.test"],
    });
  });
  it("never lead a page with TLS to a socket without", () => {
    expect(parseConfig({ websocket: "ws://plain.test/x" }, page).websocket).toBe("wss://plain.test/x");
    expect(parseConfig({}, new URL("http://127.0.0.1:5280/")).websocket).toBe("ws://127.0.0.1:5280/xmpp-websocket");
  });
  it("take no accent and no logo that could be more than that", () => {
    expect(parseConfig({ theme: { accent: "red;background:url(x)", logo: "javascript:alert(1)" } }, page).theme).toEqual({
      accent: undefined,
      logo: undefined,
    });
  });
});
