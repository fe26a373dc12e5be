// Requests to the server that served this page, and nobody else.

async function ask(path, query, body, signal) {
  const answer = await fetch(`api/${path}?${new URLSearchParams(query)}`, { method: "POST", body, signal });
  if (answer.ok) return answer;
  let message = `the server answered ${answer.status}`;
  try { message = (await answer.json()).error ?? message; } catch { /* it was no JSON */ }
  throw new Error(message);
}

// Return the server's answer to a question.
export async function told(path, query, body, signal) {
  return (await ask(path, query, body, signal)).json();
}

// Call `hear(kind, value)` for each server-sent event, until the stream ends or `signal` aborts it.
export async function listen(path, query, body, signal, hear) {
  const reader = (await ask(path, query, body, signal)).body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (waiting + value).split("\n\n");
    waiting = events.pop();
    for (const event of events) {
      const [kind, data] = event.split("\n").map((line) => line.slice(line.indexOf(": ") + 2));
      hear(kind, JSON.parse(data));
    }
  }
}

// Return a function that runs `work(latest argument)`, one at a time: while it runs, only the last call is remembered.
export function latest(work) {
  let running = false, next;
  return async function call(argument) {
    next = { argument };
    if (running) return;
    running = true;
    while (next) {
      const { argument: now } = next;
      next = undefined;
      await work(now);
    }
    running = false;
  };
}
