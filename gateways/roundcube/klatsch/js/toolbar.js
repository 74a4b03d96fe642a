// The button among Roundcube's tasks: how others see us, how much is unread, and a menu to change
// the one and read the other.

"use strict";

window.klatsch ??= {};

klatsch.toolbar = ({ hub, text, ask, open }) => {
  const button = document.getElementById("klatsch-button");
  const menu = document.getElementById("klatsch-menu");
  if (!button || !menu) return;

  const badge = document.createElement("span");
  badge.className = "klatsch-badge";
  badge.setAttribute("aria-hidden", "true");
  badge.hidden = true;
  const dot = document.createElement("span");
  dot.className = "klatsch-dot";
  dot.setAttribute("aria-hidden", "true");
  button.append(dot, badge);

  function draw({ me, isUp }) {
    // Nothing is said before something is known.
    const isDown = isUp === false;
    const show = isUp === true && me ? me.show : "unknown";
    const unread = isUp === true && me ? me.unread : 0;
    dot.hidden = isUp !== true;
    dot.dataset.show = show;
    badge.hidden = unread === 0;
    badge.textContent = unread > 99 ? "99+" : `${unread}`;
    button.classList.toggle("klatsch-down", isDown);
    menu.classList.toggle("klatsch-down", isDown);
    menu.querySelector(".klatsch-quiet").hidden = !isDown;
    const parts = [text("chat")];
    if (isDown) parts.push(text("down"));
    else if (show !== "unknown") parts.push(text(`show_${show}`));
    if (unread > 0) parts.push(text("unread", { count: unread }));
    button.title = parts.join(", ");
    button.setAttribute("aria-label", button.title);
    for (const item of menu.querySelectorAll(".klatsch-show")) item.setAttribute("aria-pressed", `${item.dataset.show === me?.wish}`);
  }

  menu.addEventListener("click", (event) => {
    const item = event.target.closest("a");
    if (!item) return;
    event.preventDefault();
    if (item.id === "klatsch-open") open();
    else void ask("show", { _show: item.dataset.show }).then((answer) => (answer.up === true ? hub.heed(answer) : rcmail.display_message(text("down"), "notice")));
  });
  hub.listen(draw);
  draw(hub);
};
