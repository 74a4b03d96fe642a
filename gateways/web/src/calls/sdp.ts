// Session descriptions as browsers write them: RFC 8866 as far as RFC 8829 (JSEP) uses it.
//
// A description is a list of lines for the session and one for each medium; what the lines mean
// is mapping.ts' business. Only the browser's own descriptions are read: those of a peer come as
// Jingle and are written here, from values that were checked before.

/** An attribute, `a=name:value`, or `a=name` where the value is undefined. */
export interface Attribute {
  name: string;
  value: string | undefined;
}

/** A medium: its `m=` line and attributes. */
export interface Section {
  kind: string;
  port: number;
  protocol: string;
  formats: string[];
  attributes: Attribute[];
}

/** A description. */
export interface Sdp {
  attributes: Attribute[];
  sections: Section[];
}

/** The first value of an attribute; `undefined` if there is none. */
export function value(of: { attributes: Attribute[] }, name: string): string | undefined {
  return of.attributes.find((attribute) => attribute.name === name)?.value;
}

/** Whether there is such an attribute. */
export function has(of: { attributes: Attribute[] }, name: string): boolean {
  return of.attributes.some((attribute) => attribute.name === name);
}

/** All values of an attribute. */
export function values(of: { attributes: Attribute[] }, name: string): string[] {
  return of.attributes
    .filter((attribute) => attribute.name === name)
    .map((attribute) => attribute.value ?? "");
}

/** Reads a description; lines other than `m=` and `a=` say nothing a call needs. */
export function parse(text: string): Sdp {
  const sdp: Sdp = { attributes: [], sections: [] };
  let into: { attributes: Attribute[] } = sdp;
  for (const line of text.split(/\r\n|\n/)) {
    if (line.startsWith("m=")) {
      const section = parseMedia(line.slice(2));
      sdp.sections.push(section);
      into = section;
    } else if (line.startsWith("a=")) {
      into.attributes.push(parseAttribute(line.slice(2)));
    }
  }
  return sdp;
}

function parseMedia(text: string): Section {
  const [kind = "", port = "0", protocol = "", ...formats] = text.split(" ");
  return { kind, port: Number.parseInt(port, 10), protocol, formats, attributes: [] };
}

function parseAttribute(text: string): Attribute {
  const colon = text.indexOf(":");
  if (colon < 0) return { name: text, value: undefined };
  return { name: text.slice(0, colon), value: text.slice(colon + 1) };
}

/** Writes a description. The origin's numbers say nothing: WebRTC compares whole descriptions. */
export function print(sdp: Sdp): string {
  const lines = ["v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0"];
  lines.push(...sdp.attributes.map(printAttribute));
  for (const section of sdp.sections) {
    const { kind, port, protocol, formats } = section;
    lines.push(`m=${kind} ${port} ${protocol} ${formats.join(" ")}`, "c=IN IP4 0.0.0.0");
    lines.push(...section.attributes.map(printAttribute));
  }
  return lines.map((line) => `${line}\r\n`).join("");
}

function printAttribute({ name, value }: Attribute): string {
  return value === undefined ? `a=${name}` : `a=${name}:${value}`;
}
