// Keeps the activity panel current. Without scripts the page shows what was true when it was loaded.
"use strict";
(() => {
  const panel = document.querySelector("[data-activity]");
  if (!panel) return;
  const element = (name, text, className) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };
  const money = (minor, currency) => {
    const format = new Intl.NumberFormat("en-US", { style: "currency", currency: currency.toUpperCase() });
    return format.format(minor / 10 ** format.resolvedOptions().maximumFractionDigits);
  };
  const item = (...parts) => {
    const made = element("li");
    made.append(...parts);
    return made;
  };
  const shown = {
    webhooks: (one) => item(element("code", one.type), element("span", one.note, "quiet")),
    orders: (one) =>
      item(
        element("strong", `Order ${one.orderId}`), " ",
        element("span", money(one.amount, one.currency), "amount"),
        element("span", one.items.map((line) => `${line.quantity} × ${line.name}`).join(", "), "quiet"),
      ),
    events: (one) => {
      const details = element("details");
      const summary = element("summary");
      summary.append(element("code", one.eventType), " ", element("span", money(one.data.amount, one.data.currency), "amount"));
      const text = element("pre", JSON.stringify(one, null, 2));
      text.tabIndex = 0;
      details.append(summary, text);
      return item(details);
    },
  };
  let last = "";
  const refresh = async () => {
    try {
      const answer = await fetch("/activity.json", { headers: { Accept: "application/json" } });
      if (!answer.ok) return;
      const text = await answer.text();
      if (text === last) return;
      // The first answer is shown too: something may have happened since the page was made.
      last = text;
      const activity = JSON.parse(text);
      for (const [name, show] of Object.entries(shown)) {
        const items = activity[name].map(show);
        panel.querySelector(`[data-list="${name}"]`).replaceChildren(...(items.length ? items : [element("li", "None yet.", "none")]));
      }
    } catch {
      // The shop is restarting; the next round will tell.
    }
  };
  panel.querySelector("[data-live]").hidden = false;
  refresh();
  setInterval(() => { if (!document.hidden) refresh(); }, 1500);
})();
