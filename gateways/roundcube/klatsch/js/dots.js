// A dot at every name: how somebody is, and a way to talk to them.
//
// Whoever is unknown to klatsch has no dot, and a mail of strangers looks as it always did. In rows
// of lists a dot is a picture that takes clicks, for rows are what the keyboard goes through there;
// in a mail and at a contact it is a button.

"use strict";

window.klatsch ??= {};

/** A text in the webmail's language. */
klatsch.text = (name, more = {}) =>
  Object.entries(more).reduce((whole, [key, value]) => whole.replace(`{${key}}`, () => value), rcmail.gettext(name, "klatsch"));

klatsch.dots = (hub, open) => {
  const { text } = klatsch;

  /** Puts a dot before an element, once. */
  function put(element, address, name, isInList) {
    address = address?.trim().toLowerCase() ?? "";
    if (!/^[^\s@]+@[^\s@]+$/.test(address) || element.dataset.klatsch === address) return;
    element.dataset.klatsch = address;
    const dot = document.createElement(isInList ? "span" : "button");
    dot.className = "klatsch-dot";
    dot.hidden = true;
    if (isInList) dot.setAttribute("role", "img");
    else dot.type = "button";
    act(dot, address, name);
    element.before(dot);
    hub.watch({ address, isGone: () => !dot.isConnected || !dot.ownerDocument.defaultView, show: (it) => paint(dot, name, it) });
  }

  /** A click is ours alone: it selects no row and writes no mail. */
  function act(dot, address, name) {
    for (const type of ["mousedown", "mouseup", "dblclick", "touchstart"]) dot.addEventListener(type, (event) => event.stopPropagation());
    dot.addEventListener("click", (event) => {
      event.preventDefault();
      event.stopPropagation();
      open(address, name);
    });
  }

  function paint(dot, name, { show, status }) {
    const isKnown = ["online", "chat", "away", "xa", "dnd", "offline"].includes(show);
    dot.hidden = !isKnown;
    if (!isKnown) return;
    dot.dataset.show = show;
    const state = text("is_shown", { name, show: text(`show_${show}`) });
    const whole = status ? `${state} (${status})` : state;
    dot.title = `${whole}\n${text("chat_with", { name })}`;
    dot.setAttribute("aria-label", dot.tagName === "BUTTON" ? `${whole}. ${text("chat_with", { name })}` : whole);
  }

  /** The names in a part of the page. */
  function scan(part, isInList) {
    for (const span of part.querySelectorAll("span.rcmContactAddress[title]")) put(span, span.title, span.textContent, true);
    if (isInList) return;
    for (const link of part.querySelectorAll("a[href^='mailto:']")) {
      // What somebody wrote into a mail is theirs.
      if (link.closest("#messagebody")) continue;
      put(link, address(link), link.textContent, false);
    }
  }

  /** Whom a mail goes to that is being written: they come and go. */
  function recipients(part) {
    const look = () => {
      for (const one of part.querySelectorAll("li.recipient")) {
        const name = one.querySelector(".name");
        const [found] = /[^\s<>,;"]+@[^\s<>,;"]+/.exec(one.querySelector(".email")?.textContent ?? "") ?? /[^\s<>,;"]+@[^\s<>,;"]+/.exec(one.textContent) ?? [];
        if (name && found) put(name, found, name.textContent, true);
      }
    };
    look();
    // The skin makes the lists, and Cc appears when it is wanted.
    new MutationObserver(look).observe(part.body, { childList: true, subtree: true });
  }

  const address = (link) => {
    try {
      return decodeURIComponent(link.getAttribute("href").slice("mailto:".length).split("?")[0]);
    } catch {
      return "";
    }
  };

  /** A row of the message list or of the contacts. */
  function row({ row, cid }) {
    const element = row?.obj ?? row;
    if (!(element instanceof Element)) return;
    const contact = cid === undefined ? undefined : rcmail.contact_list?.data?.[cid];
    const name = element.querySelector("td.name");
    if (contact && name?.firstChild) {
      if (!name.querySelector(".klatsch-name")) {
        const whole = document.createElement("span");
        whole.className = "klatsch-name";
        whole.append(...name.childNodes);
        name.append(whole);
      }
      put(name.querySelector(".klatsch-name"), contact.email, contact.name || contact.email, true);
    } else scan(element, true);
  }

  return { scan, row, recipients, address };
};
