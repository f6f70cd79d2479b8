// A small stand-in for Stripe.js, for embedded Checkout with the payments-core sandbox and for nothing else.
"use strict";
(() => {
  const origin = new URL(document.currentScript.src).origin;
  const absent = (name) => () => {
    throw new Error(`${name} is not implemented by the payments-core sandbox: use Stripe.js with a key of your own.`);
  };

  class EmbeddedCheckoutPage {
    #frame = null;
    #secret;
    #onComplete;
    #destroyed = false;

    constructor(secret, onComplete) {
      this.#secret = secret;
      this.#onComplete = onComplete;
    }

    mount(target) {
      if (this.#destroyed) throw new Error("This embedded Checkout was destroyed: create another one.");
      const place = typeof target === "string" ? document.querySelector(target) : target;
      if (!place) throw new Error(`There is no element ${target} to mount embedded Checkout on.`);
      if (this.#frame) throw new Error("This embedded Checkout is mounted already: unmount it first.");
      const frame = document.createElement("iframe");
      frame.src = `${origin}/c/embed/${encodeURIComponent(this.#secret)}`;
      frame.title = "Secure payment";
      frame.allow = "payment";
      frame.style.cssText = "width:100%;min-height:480px;border:0;display:block;color-scheme:light dark";
      window.addEventListener("message", this.#hear);
      this.#frame = frame;
      place.append(frame);
    }

    unmount() {
      window.removeEventListener("message", this.#hear);
      this.#frame?.remove();
      this.#frame = null;
    }

    destroy() {
      this.unmount();
      this.#destroyed = true;
    }

    #hear = ({ origin: from, source, data }) => {
      if (from !== origin || source !== this.#frame?.contentWindow || data?.source !== "payments-core-sandbox") return;
      if (data.type === "height") this.#frame.style.height = `${data.height}px`;
      if (data.type !== "complete") return;
      if (data.returnUrl) window.location.assign(data.returnUrl);
      else this.#onComplete?.();
    };
  }

  window.Stripe = (key) => {
    if (typeof key !== "string" || !key.startsWith("pk_test_"))
      throw new Error("The payments-core sandbox takes publishable test keys only (pk_test_…).");
    return {
      async createEmbeddedCheckoutPage({ clientSecret, fetchClientSecret, onComplete } = {}) {
        const secret = clientSecret ?? (await fetchClientSecret?.());
        if (!secret) throw new Error("Pass clientSecret or fetchClientSecret.");
        return new EmbeddedCheckoutPage(secret, onComplete);
      },
      elements: absent("elements"),
      initCheckoutElementsSdk: absent("initCheckoutElementsSdk"),
      confirmPayment: absent("confirmPayment"),
      handleNextAction: absent("handleNextAction"),
    };
  };
})();
