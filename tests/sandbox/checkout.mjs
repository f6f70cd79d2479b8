// A checkout with stripe-node, unmodified: node checkout.mjs <node_modules> <api base> <webhook secret> <mode>
// Prints one JSON object. mode `open`: opens a session. mode `check`: reads session and events, verifies a webhook.
import { createRequire } from "node:module";

const [modules, base, secret, mode] = process.argv.slice(2);
const Stripe = createRequire(modules + "/")("stripe");
const { hostname, port } = new URL(base);
const stripe = new Stripe("sk_test_node", { host: hostname, port, protocol: "http", telemetry: false });

async function input() {
  let text = "";
  for await (const chunk of process.stdin) text += chunk;
  return JSON.parse(text);
}

async function open() {
  const price = await stripe.prices.create({
    currency: "usd",
    unit_amount: 2999,
    product_data: { name: "Premium T-Shirt" },
  });
  const session = await stripe.checkout.sessions.create({
    mode: "payment",
    line_items: [{ price: price.id, quantity: 2 }],
    success_url: "https://shop.test/thanks?session_id={CHECKOUT_SESSION_ID}",
    metadata: { order: "7" },
  });
  return { id: session.id, url: session.url, status: session.status, total: session.amount_total };
}

async function check() {
  const { id, body, signature } = await input();
  const session = await stripe.checkout.sessions.retrieve(id, { expand: ["payment_intent.latest_charge", "line_items"] });
  const event = stripe.webhooks.constructEvent(body, signature, secret);
  let forged = null;
  try {
    stripe.webhooks.constructEvent(body.replace("complete", "complet3"), signature, secret);
  } catch (error) {
    forged = error.type;
  }
  let declined = null;
  try {
    await stripe.paymentIntents.create({
      amount: 2000, currency: "usd", confirm: true, payment_method: "pm_card_chargeDeclined",
      return_url: "https://shop.test/back",
    });
  } catch (error) {
    declined = [error.type, error.code, error.decline_code, error.payment_intent.status];
  }
  const types = [];
  for await (const one of stripe.events.list({ limit: 2 })) types.push(one.type);
  return {
    paid: session.payment_status,
    last4: session.payment_intent.latest_charge.payment_method_details.card.last4,
    quantity: session.line_items.data[0].quantity,
    event: [event.type, event.data.object.id],
    version: event.api_version === Stripe.API_VERSION || event.api_version,
    forged,
    declined,
    types: types.length,
  };
}

console.log(JSON.stringify(await (mode === "open" ? open() : check())));
