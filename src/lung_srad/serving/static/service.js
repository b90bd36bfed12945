// What the page asks of the service.
let token = "";

export const setToken = (text) => { token = text; };
const headers = () => (token ? { Authorization: `Bearer ${token}` } : {});
export const model = () => fetch("/v1/model", { headers: headers() });

// A busy service says when to ask again; anything else that is no answer is an error with a sentence.
export async function ask(file, form, moved, signal) {
  for (;;) {
    const reply = await once(file, form, moved, signal);
    if (!reply.again) return reply.text;
    moved(`the service is busy, asked again in ${reply.again} s`);
    await pause(reply.again, signal);
  }
}

function once(file, form, moved, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(), body = new FormData();
    body.append("file", file, file.name);
    request.open("POST", `/v1/classify?format=${form}`);
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    signal?.addEventListener("abort", () => request.abort());
    request.upload.onprogress = ({ loaded, total }) => (loaded < total ? moved(`sent ${Math.round(100 * loaded / total)} %`, loaded / total) : moved("waits for its turn"));
    request.onprogress = () => {
      const line = request.responseText.trimEnd().split("\n").at(-1);
      if (request.status !== 200 || !line.startsWith('{"progress"') || !line.endsWith("}")) return;
      const share = JSON.parse(line).progress;
      if (share > 0) moved(`heard ${Math.round(100 * share)} %`, share);
    };
    request.onerror = () => reject(new Error(`${file.name}: was not answered; a file that can be read, and a service that runs; look whether both are there, and send it again`));
    request.onabort = () => reject(new DOMException("", "AbortError"));
    request.onload = () => {
      const after = Number(request.getResponseHeader("Retry-After"));
      if (request.status === 503 && after > 0) return resolve({ again: after });
      if (request.status === 200) return resolve({ text: request.responseText });
      let text = `${file.name}: status ${request.status}; an answer; look into the log of the service`;
      try { text = JSON.parse(request.responseText).error; } catch { /* a proxy's own page */ }
      reject(Object.assign(new Error(text), { status: request.status }));
    };
    request.send(body);
  });
}

const pause = (seconds, signal) => new Promise((resolve, reject) => {
  setTimeout(resolve, 1000 * seconds);
  signal?.addEventListener("abort", () => reject(new DOMException("", "AbortError")));
});

// The answer that the page draws: the last of the lines that came.
export function drawable(text, name) {
  const last = JSON.parse(text.trimEnd().split("\n").at(-1));
  if (!last.answer) throw new Error(last.error || `${name}: the answer was cut; a whole one; send it again`);
  return last.answer;
}
