// Hono with stripe-node and pg: verify, insert the id alone, answer. Started with the port as its argument.

import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import pg from 'pg';
import Stripe from 'stripe';

const stripe = new Stripe('sk_test_bench');
const secret = process.env.BENCH_SECRET;
const pool = new pg.Pool({ connectionString: process.env.BENCH_DATABASE_URL, max: 10 });
const insert = { name: 'insert', text: 'INSERT INTO event (id) VALUES ($1) ON CONFLICT DO NOTHING' };
const app = new Hono();

app.post('/api/payments/webhooks/stripe', async (context) => {
  const body = await context.req.text();
  let event;
  try {
    event = stripe.webhooks.constructEvent(body, context.req.header('stripe-signature'), secret);
  } catch {
    return context.json({ error: 'invalid signature' }, 400);
  }
  await pool.query({ ...insert, values: [event.id] });
  return context.json({ received: true });
});

serve({ fetch: app.fetch, hostname: '127.0.0.1', port: Number(process.argv[2]) });
