import { describe, expect, it } from "vitest";
import { FakeLink } from "../xmpp/fake_link";
import { fetchServers, hasRelay } from "./services";

function server(services: string, credentials = ""): FakeLink {
  const link = new FakeLink();
  link.goOnline(false);
  link.script((request) => {
    const asked = request.firstElementChild?.localName;
    if (asked === "services") return services === "" ? "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>" : `<services xmlns='urn:xmpp:extdisco:2'>${services}</services>`;
    return asked === "credentials" && credentials !== "" ? `<credentials xmlns='urn:xmpp:extdisco:2'>${credentials}</credentials>` : undefined;
  });
  return link;
}

describe("STUN and TURN servers (XEP-0215)", () => {
  it("are what the server says, as addresses of a browser", async () => {
    const link = server(
      "<service type='stun' host='stun.example' port='3478' transport='udp'/>" +
        "<service type='turn' host='192.0.2.1' port='3478' transport='udp' username='u' password='p'/>" +
        "<service type='turns' host='2001:db8::1' port='5349' transport='tcp' username='u' password='p'/>",
    );
    expect(await fetchServers(link)).toEqual([
      { urls: "stun:stun.example:3478" },
      { urls: "turn:192.0.2.1:3478?transport=udp", username: "u", credential: "p" },
      { urls: "turns:[2001:db8::1]:5349?transport=tcp", username: "u", credential: "p" },
    ]);
  });

  it("get their credentials when these are not in the list", async () => {
    const link = server("<service type='turn' host='t.example' restricted='true'/>", "<service type='turn' host='t.example' username='u' password='p'/>");
    const servers = await fetchServers(link);
    expect(servers).toEqual([{ urls: "turn:t.example:3478", username: "u", credential: "p" }]);
    expect(hasRelay(servers)).toBe(true);
  });

  it("are left out where a browser would refuse the whole call: odd kinds, hosts, ports", async () => {
    const link = server(
      "<service type='ftp' host='f.example'/><service type='stun' host='a b'/><service type='stun' host='x?y'/><service type='stun' host='h.example' port='70000'/><service type='stun'/>",
    );
    expect(await fetchServers(link)).toEqual([]);
  });

  it("are four at most", async () => {
    expect(await fetchServers(server("<service type='stun' host='h.example'/>".repeat(50)))).toHaveLength(4);
  });

  it("are none when the server has none: two in one network find each other", async () => {
    const servers = await fetchServers(server(""));
    expect(servers).toEqual([]);
    expect(hasRelay(servers)).toBe(false);
  });
});
