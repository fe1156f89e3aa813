// Every request to the service, with the token where there is one. What goes wrong becomes a Failure that says why.

import { askForToken, token } from "./token.js";

export class Failure extends Error {
  constructor(detail, status = 0) {
    super(detail);
    this.status = status;
  }
}

/** The answer to a request; a Failure where there is none, or where it is an error. A missing token is asked for once. */
export async function send(path, options = {}) {
  const response = await attempt(path, options);
  if (response.ok) return response;
  const failure = new Failure(await reason(response), response.status);
  if (response.status === 401 && (await askForToken(failure.message))) return again(path, options);
  throw failure;
}

async function again(path, options) {
  const response = await attempt(path, options);
  if (!response.ok) throw new Failure(await reason(response), response.status);
  return response;
}

async function attempt(path, options) {
  const headers = new Headers(options.headers);
  if (token()) headers.set("Authorization", `Bearer ${token()}`);
  try {
    return await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure("The service does not answer. It may have stopped, or the connection is gone.");
  }
}

async function reason(response) {
  try {
    return (await response.json()).detail;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    return `The service answered with status ${response.status} and no reason.`;
  }
}

export async function getJson(path, options) {
  return (await send(path, options)).json();
}

export async function sendJson(method, path, body) {
  return getJson(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

/** A picture as an address that <img> can show; images cannot carry the token themselves. */
export async function pictureUrl(path, options) {
  return URL.createObjectURL(await (await send(path, options)).blob());
}

/** Show a picture of the service in `image`; where it cannot be had, its text stands in for it. */
export async function showPicture(image, path) {
  try {
    const url = await pictureUrl(path);
    const old = image.src;
    image.src = url;
    await image.decode();
    if (old.startsWith("blob:")) URL.revokeObjectURL(old);
  } catch (error) {
    image.removeAttribute("src");
    throw error;
  }
}
