// Requests to this server, and the key that it may ask for.

const KEY = "forethought-key";

export class ApiError extends Error {
  constructor(message, hint, status) {
    super(message);
    this.hint = hint;
    this.status = status;
  }
}

export function setKey(key) {
  sessionStorage.setItem(KEY, key);
}

export async function send(path, options = {}) {
  const key = sessionStorage.getItem(KEY);
  const headers = { ...options.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("the server does not answer", "see whether forethought serve runs", 0);
  }
  if (!response.ok) throw await failure(response);
  return response;
}

async function failure(response) {
  let found = {};
  try {
    found = (await response.json()).error ?? {};
  } catch {
    // A proxy may answer with a page of its own.
  }
  const message = found.message ?? `the server answered ${response.status}`;
  return apiError({ ...found, message }, response.status);
}

// An error document of the server, whose message may end with the hint.
export function apiError({ message, hint = "" }, status = 0) {
  return new ApiError(hint ? message.replace(`. Hint: ${hint}`, "") : message, hint, status);
}

export async function getJson(path) {
  return (await send(path)).json();
}

// The server-sent messages of a response, in batches as they arrive.
export async function* messages(path, options = {}) {
  const response = await send(path, options);
  const decoder = new TextDecoder();
  let rest = "";
  for await (const part of chunks(response.body.getReader())) {
    const lines = (rest + decoder.decode(part, { stream: true })).split(/\r?\n/);
    rest = lines.pop();
    const data = lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim());
    const found = data.filter((text) => text && text !== "[DONE]");
    if (found.length) yield found.map((text) => JSON.parse(text));
  }
}

async function* chunks(reader) {
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.releaseLock();
  }
}
