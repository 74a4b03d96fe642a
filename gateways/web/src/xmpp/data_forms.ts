// Data Forms: XEP-0004 version 2.13.1.

import { attr, child, children, childText, el, textOf } from "./xml";

/** The namespace. */
export const NS_DATA = "jabber:x:data";

/** One field of a form. */
export interface Field {
  readonly name: string;
  readonly type: string;
  readonly label: string;
  readonly values: readonly string[];
}

/** A form, as it comes. */
export interface Form {
  readonly type: string;
  readonly title: string;
  readonly fields: ReadonlyMap<string, Field>;
}

/** Fields of a form: more than any that people fill in. */
const FIELDS_MAX = 200;

/** Reads the form that is a child of an element. */
export function parseForm(parent: Element | undefined): Form | undefined {
  const x = child(parent, "x", NS_DATA);
  if (x === undefined) return undefined;
  const fields = children(x, "field", NS_DATA).slice(0, FIELDS_MAX).map(parseField);
  return {
    type: attr(x, "type") ?? "form",
    title: childText(x, "title", NS_DATA) ?? "",
    fields: new Map(fields.map((it) => [it.name, it])),
  };
}

function parseField(field: Element): Field {
  return {
    name: attr(field, "var") ?? "",
    type: attr(field, "type") ?? "text-single",
    label: attr(field, "label") ?? "",
    values: children(field, "value", NS_DATA).map(textOf),
  };
}

/** The first value of a field. */
export function formValue(form: Form | undefined, name: string): string | undefined {
  return form?.fields.get(name)?.values[0];
}

/** What a field is set to; nothing is said of one that is `undefined`. */
export type FieldValue = string | boolean | number | readonly string[] | undefined;

/** Builds the answer to a form, of a FORM_TYPE (XEP-0068). */
export function buildSubmit(formType: string, values: Readonly<Record<string, FieldValue>>): Element {
  const fields = Object.entries(values).map(([name, value]) =>
    value === undefined ? undefined : buildField(name, undefined, toTexts(value)),
  );
  return el("x", NS_DATA, { type: "submit" }, buildField("FORM_TYPE", "hidden", [formType]), fields);
}

function buildField(name: string, type: string | undefined, values: readonly string[]): Element {
  const texts = values.map((it) => el("value", NS_DATA, {}, it));
  return el("field", NS_DATA, { var: name, type }, texts);
}

function toTexts(value: string | boolean | number | readonly string[]): readonly string[] {
  if (typeof value === "boolean") return [value ? "1" : "0"];
  return typeof value === "object" ? value : [String(value)];
}
