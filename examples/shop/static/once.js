// A double click sends a form once. Without scripts the order's name does the same at the server.
"use strict";
(() => {
  for (const form of document.querySelectorAll("form[data-once]")) {
    let sent_ms = -Infinity;
    form.addEventListener("submit", (event) => {
      // For a moment only: whoever stopped the page from loading, or came back to it, may send it again.
      if (event.timeStamp - sent_ms < 1000) event.preventDefault();
      else sent_ms = event.timeStamp;
    });
  }
})();
