// Elements: building and reading XML as DOM trees, never as text.
//
// RFC 6120 §11. What is built here cannot be broken out of, whatever a name or a body holds, for
// the serializer escapes it (row X12). Reading looks at namespaces, so that an element of another
// namespace with the same name is never mistaken for ours.

/** The namespace of stanzas on a client's stream. */
export const NS_CLIENT = "jabber:client";

const NS_XMLNS = "http://www.w3.org/2000/xmlns/";

/** Attributes; one that is `undefined` is left out. */
export type Attributes = Readonly<Record<string, string | number | undefined>>;

/** What stands inside an element: elements and text. Nothing is left out for `undefined`. */
export type Content = Element | string | undefined | readonly Content[];

let document_: XMLDocument | undefined;

function emptyDocument(): XMLDocument {
  document_ ??= document.implementation.createDocument(null, null, null);
  return document_;
}

/** XML 1.0 §2.2: signs that no document may hold; a stream that carries one is closed. */
// eslint-disable-next-line no-control-regex
const FORBIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** Text without the signs that XML cannot carry. */
export function xmlText(text: string): string {
  return text.replace(FORBIDDEN, "");
}

/** Builds an element of a namespace, with attributes and content. */
export function el(name: string, ns: string, attributes: Attributes = {}, ...content: Content[]): Element {
  const element = emptyDocument().createElementNS(ns, name);
  element.setAttributeNS(NS_XMLNS, "xmlns", ns);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) setAttribute(element, key, xmlText(String(value)));
  }
  append(element, content);
  return element;
}

function setAttribute(element: Element, key: string, value: string): void {
  if (key === "xml:lang") element.setAttributeNS("http://www.w3.org/XML/1998/namespace", key, value);
  else element.setAttribute(key, value);
}

/** Adds content to an element; a child of the same namespace need not declare it again. */
export function append(element: Element, content: Content): Element {
  if (content === undefined || content === "") return element;
  if (typeof content === "string") {
    element.appendChild(emptyDocument().createTextNode(xmlText(content)));
  } else if (content instanceof Element) {
    const child = content.ownerDocument === emptyDocument() ? content : adopt(content);
    if (child.namespaceURI === element.namespaceURI) child.removeAttributeNS(NS_XMLNS, "xmlns");
    element.appendChild(child);
  } else {
    for (const part of content) append(element, part);
  }
  return element;
}

/** Copies an element of another document, with a declaration of its namespace. */
function adopt(element: Element): Element {
  const copy = emptyDocument().importNode(element, true);
  if (copy.namespaceURI !== null) copy.setAttributeNS(NS_XMLNS, "xmlns", copy.namespaceURI);
  return copy;
}

/** A `message` stanza. */
export function message(attributes: Attributes, ...content: Content[]): Element {
  return el("message", NS_CLIENT, attributes, ...content);
}

/** A `presence` stanza. */
export function presence(attributes: Attributes = {}, ...content: Content[]): Element {
  return el("presence", NS_CLIENT, attributes, ...content);
}

/** An `iq` stanza; the link gives it an id. */
export function iq(type: "get" | "set" | "result" | "error", to: string | undefined, ...content: Content[]): Element {
  return el("iq", NS_CLIENT, { type, to }, ...content);
}

/** The first child of a name and a namespace. */
export function child(parent: Element | undefined, name: string, ns: string): Element | undefined {
  return parent === undefined ? undefined : children(parent, name, ns)[0];
}

/** The children of a namespace, in order; of any name for `'*'`. */
export function children(parent: Element | undefined, name: string, ns: string): Element[] {
  if (parent === undefined) return [];
  return Array.from(parent.children).filter(
    (it) => it.namespaceURI === ns && (name === "*" || it.localName === name),
  );
}

/** The element at the end of a path of child names, all of one namespace. */
export function path(parent: Element | undefined, ns: string, ...names: string[]): Element | undefined {
  return names.reduce<Element | undefined>((at, name) => child(at, name, ns), parent);
}

/** The text of an element; empty where there is none. */
export function textOf(element: Element | undefined): string {
  return element?.textContent ?? "";
}

/** The text of a child, `undefined` where there is no such child. */
export function childText(parent: Element | undefined, name: string, ns: string): string | undefined {
  const found = child(parent, name, ns);
  return found === undefined ? undefined : textOf(found);
}

/** An attribute, `undefined` where it is missing or empty. */
export function attr(element: Element | undefined, name: string): string | undefined {
  const value = element?.getAttribute(name);
  return value === null || value === undefined || value === "" ? undefined : value;
}

/** A whole number of an attribute or a text within limits, else `undefined` (row X20). */
export function wholeNumber(text: string | undefined, min: number, max: number): number | undefined {
  if (text === undefined || !/^\d{1,16}$/.test(text.trim())) return undefined;
  const value = Number(text);
  return value >= min && value <= max ? value : undefined;
}

/** XML schema's booleans. */
export function isTrue(text: string | undefined): boolean {
  return text === "true" || text === "1";
}

/** The XML of an element, for storage. */
export function serialize(element: Element): string {
  return new XMLSerializer().serializeToString(element);
}

/** Reads XML that was stored; `undefined` for what is none. */
export function parseStored(xml: string): Element | undefined {
  const parsed = new DOMParser().parseFromString(xml, "text/xml").documentElement;
  return parsed.getElementsByTagName("parsererror").length > 0 ? undefined : parsed;
}
