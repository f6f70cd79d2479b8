// Runs in the frame of an embedded checkout: tells the page around it how high it is, and when it is done.
"use strict";
(() => {
  if (window.parent === window) return;
  // What is told is the shop's own (its return URL) or plain (a height): any page that frames this one may know it.
  const tell = (message) => window.parent.postMessage({ source: "payments-core-sandbox", ...message }, "*");
  const height = () => tell({ type: "height", height: Math.ceil(document.body.getBoundingClientRect().height) });
  new ResizeObserver(height).observe(document.body);
  height();
  const { complete, returnUrl } = document.body.dataset;
  if (complete === "yes") tell({ type: "complete", returnUrl: returnUrl || null });
})();
