// The page: sends recordings, one after another, and draws what comes back. All text is set as text, never as HTML.
const $ = (id) => document.getElementById(id);
const made = (name, text = "", kind = "") => Object.assign(document.createElement(name), { textContent: text, className: kind });
const time = (seconds) => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;
const VERDICTS = {
  accept: "Nothing doubtful was found in the sound.",
  warn: "Something in the sound is doubtful; read on before relying on the answer.",
  reject: "This recording is not fit to be judged. Do not rely on the answer.",
};
const FILES = [
  ["csv", "CSV", ".csv", "text/csv"], ["json", "JSON", ".json", "application/json"],
  ["audacity", "Audacity", ".labels.txt", "text/plain"], ["raven", "Raven", ".selections.txt", "text/plain"],
];
let token = "", shown = null, end = null, working = false;
const waiting = [];

function sure(probability) {
  if (probability >= 0.9) return "very sure";
  if (probability >= 0.75) return "rather sure";
  return probability >= 0.5 ? "hardly sure" : "unsure";
}

function headers() { return token ? { Authorization: `Bearer ${token}` } : {}; }

function ask(file, form, moved) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(), body = new FormData();
    body.append("file", file, file.name);
    request.open("POST", `/v1/classify?format=${form}`);
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => moved(event.loaded < event.total ? `sending ${Math.round(100 * event.loaded / event.total)} %` : "waiting for its turn");
    request.onprogress = () => {
      const line = request.responseText.trimEnd().split("\n").at(-1);
      if (request.status === 200 && line.startsWith('{"progress"') && line.endsWith("}")) moved(`heard ${Math.round(100 * JSON.parse(line).progress)} %`);
    };
    request.onerror = () => reject(new Error(`${file.name}: the service does not answer; a running service; start it again`));
    request.onload = () => {
      if (request.status === 401) $("token-form").hidden = false;
      try {
        if (request.status !== 200) throw new Error(JSON.parse(request.responseText).error);
        if (form !== "page") return resolve(request.responseText);
        const last = JSON.parse(request.responseText.trimEnd().split("\n").at(-1));
        if (!last.answer) throw new Error(last.error || `${file.name}: the answer was cut; a whole one; send it again`);
        resolve(last.answer);
      } catch (error) { reject(error); }
    };
    request.send(body);
  });
}

function add(files) {
  for (const file of files) {
    const line = made("li"), button = made("button", file.name), note = made("span", "waiting", "quiet");
    button.disabled = true;
    button.type = "button";
    line.append(button, note);
    $("list").append(line);
    const entry = { file, button, note, answer: null };
    button.onclick = () => { show(entry); $("answer").focus(); };
    waiting.push(entry);
  }
  work();
}

async function work() {
  if (working) return;
  working = true;
  for (let entry = waiting.shift(); entry; entry = waiting.shift()) {
    try {
      entry.answer = await ask(entry.file, "page", (text) => { entry.note.textContent = text; });
      const found = entry.answer.classification;
      entry.note.textContent = `${found.events.length} event${found.events.length === 1 ? "" : "s"}, quality: ${found.quality.verdict}`;
      entry.button.disabled = false;
      $("status").textContent = `${entry.file.name}: answered.`;
      if (!shown) show(entry);
    } catch (error) {
      entry.note.className = "failed";
      entry.note.textContent = error.message;
      $("status").textContent = `${entry.file.name} could not be answered.`;
    }
  }
  working = false;
}

function show(entry) {
  const { classification: found, files } = entry.answer, sound = $("sound");
  for (const each of $("list").querySelectorAll("button")) each.setAttribute("aria-pressed", String(each === entry.button));
  if (shown) URL.revokeObjectURL(sound.src);
  shown = entry;
  end = null;
  $("answer").hidden = false;
  $("answer-title").textContent = entry.file.name;
  $("words").textContent = inWords(found);
  $("no-sound").hidden = sound.hidden = false;
  $("no-sound").hidden = true;
  sound.src = URL.createObjectURL(entry.file);
  $("seek").max = found.seconds;
  drawAll();
  list(found);
  $("verdict").textContent = VERDICTS[found.quality.verdict];
  $("findings").replaceChildren(...[...found.quality.findings.map((each) => each.text), ...found.notices].map((text) => made("li", text)));
  $("exports").replaceChildren(...FILES.map(([form, name, ending, kind]) => download(name, files[form], entry.file.name + ending, kind)), report(entry));
  move();
}

function inWords(found) {
  const { n, mean, labels } = found.summary;
  if (!n) return "Nothing in this recording could be classified.";
  const likeliest = Object.keys(mean).reduce((a, b) => (mean[b] > mean[a] ? b : a));
  const kind = n === 1 ? found.kind.slice(0, -1) : found.kind;
  return `${time(found.seconds)} long. Most like: ${likeliest} (${sure(mean[likeliest])}, ${mean[likeliest].toFixed(2)}); ${labels[likeliest]} of ${n} ${kind} called so.`;
}

function download(name, text, file, kind) {
  const link = made("a", name, "button");
  link.href = URL.createObjectURL(new Blob([text], { type: kind }));
  link.download = file;
  return link;
}

function report(entry) {
  const button = made("button", "Report");
  button.onclick = async () => {
    button.disabled = true;
    $("status").textContent = "The report is being made.";
    try {
      const link = download("", await ask(entry.file, "html", () => {}), `${entry.file.name}.html`, "text/html");
      link.click();
      $("status").textContent = "The report is there.";
    } catch (error) { $("status").textContent = error.message; }
    button.disabled = false;
  };
  return button;
}

function place(found, label) { return Math.max(0, found.class_names.indexOf(label)) % 4; }

function list(found) {
  const rows = [], bands = [], lanes = [];
  for (const event of found.events) {
    const row = made("tr"), hear = made("button", event.label, `c${place(found, event.label)}`), cell = made("td");
    hear.setAttribute("aria-label", `Hear ${event.label} from ${time(event.start)} to ${time(event.end)}`);
    hear.onclick = () => hearEvent(event);
    cell.append(hear);
    row.append(cell, made("td", time(event.start)), made("td", time(event.end)), made("td", `${sure(event.mean)} (${event.mean.toFixed(2)})`));
    rows.push(row);
    const band = made("button", event.label, `c${place(found, event.label)}`);
    let lane = lanes.findIndex((last) => last <= event.start);
    if (lane < 0) lane = lanes.push(0) - 1;
    lanes[lane] = event.end;
    Object.assign(band.style, { left: `${100 * event.start / found.seconds}%`, width: `${100 * (event.end - event.start) / found.seconds}%`, top: `${2.2 * lane}rem` });
    band.setAttribute("aria-label", `${event.label}, ${time(event.start)} to ${time(event.end)}, ${sure(event.mean)}: hear it`);
    band.onclick = (click) => { click.stopPropagation(); hearEvent(event); };
    bands.push(band);
  }
  $("events").hidden = !rows.length;
  $("none").hidden = rows.length > 0;
  $("none").textContent = `No sound reaches a probability of ${found.event_rule.onset}.`;
  $("events").tBodies[0].replaceChildren(...rows);
  $("bands").replaceChildren(...bands);
  $("bands").style.height = `${2.2 * Math.max(1, lanes.length)}rem`;
  $("legend").replaceChildren(...found.class_names.map((name, index) => made("span", `━ ${name}`, `c${index % 4}`)));
}

function hearEvent(event) {
  $("sound").currentTime = event.start;
  end = event.end;
  $("sound").play().catch(() => {});
}

function drawAll() {
  const { classification: found, spectrogram, timeline } = shown.answer;
  const canvas = $("spectrogram"), dark = matchMedia("(prefers-color-scheme: dark)").matches;
  canvas.width = spectrogram.columns;
  canvas.height = spectrogram.rows;
  canvas.style.height = "180px";
  canvas.setAttribute("aria-label", `Spectrogram, 0 to ${spectrogram.hertz} hertz over ${time(found.seconds)}`);
  const context = canvas.getContext("2d"), image = context.createImageData(spectrogram.columns, spectrogram.rows);
  const bytes = atob(spectrogram.data);
  for (let row = 0; row < spectrogram.rows; row++) for (let column = 0; column < spectrogram.columns; column++) {
    const value = bytes.charCodeAt((spectrogram.rows - 1 - row) * spectrogram.columns + column);
    const ink = dark ? value : 255 - value, at = 4 * (row * spectrogram.columns + column);
    image.data.set([ink, dark ? ink : Math.min(255, ink + 8), dark ? ink : Math.min(255, ink + 20), 255], at);
  }
  context.putImageData(image, 0, 0);
  drawCurves(found, timeline);
}

function drawCurves(found, timeline) {
  const canvas = $("curves"), context = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
  const width = canvas.width = Math.max(320, canvas.clientWidth) * devicePixelRatio, height = canvas.height = 140 * devicePixelRatio;
  canvas.style.height = "140px";
  canvas.setAttribute("aria-label", `Probability of ${found.class_names.join(", ")} over time; the events below say where they are high`);
  context.lineWidth = 2 * devicePixelRatio;
  context.strokeStyle = style.getPropertyValue("--line");
  context.setLineDash([4, 6]);
  context.strokeRect(0, height * (1 - found.event_rule.onset), width, 0);
  context.setLineDash([]);
  found.class_names.forEach((name, index) => {
    context.strokeStyle = style.getPropertyValue(`--c${index % 4}`);
    context.beginPath();
    let open = false;
    for (const [from, to, row] of timeline) {
      if (!row.length) { open = false; continue; }
      const y = height * (1 - row[index]) * 0.96 + height * 0.02;
      if (open) context.lineTo(width * from / found.seconds, y); else context.moveTo(width * from / found.seconds, y);
      context.lineTo(width * to / found.seconds, y);
      open = true;
    }
    context.stroke();
  });
}

function move() {
  if (!shown) return;
  const sound = $("sound"), seconds = shown.answer.classification.seconds;
  if (end !== null && sound.currentTime >= end) { sound.pause(); end = null; }
  $("playhead").style.left = `${100 * Math.min(1, sound.currentTime / seconds)}%`;
  $("seek").value = sound.currentTime;
  $("seek").setAttribute("aria-valuetext", time(sound.currentTime));
  if (!sound.paused) requestAnimationFrame(move);
}

let recording = null;
async function record() {
  if (recording) {
    recording.stream.getTracks().forEach((track) => track.stop());
    const rate = recording.context.sampleRate, { blocks } = recording;
    await recording.context.close();
    recording = null;
    $("record").textContent = "Record from the microphone";
    if (blocks.length) add([new File([wav(blocks, rate)], `microphone-${Date.now()}.wav`, { type: "audio/wav" })]);
    return;
  }
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
    const context = new AudioContext(), blocks = [];
    await context.audioWorklet.addModule("/recorder.js");
    const node = new AudioWorkletNode(context, "recorder");
    node.port.onmessage = (event) => blocks.push(event.data);
    context.createMediaStreamSource(stream).connect(node);
    recording = { stream, context, blocks };
    $("record").textContent = "Stop recording";
    $("status").textContent = "The microphone is being recorded.";
  } catch (error) { $("status").textContent = `The microphone cannot be used (${error.message}).`; }
}

function wav(blocks, rate) {
  const count = blocks.reduce((sum, block) => sum + block.length, 0), view = new DataView(new ArrayBuffer(44 + 2 * count));
  const text = (at, letters) => [...letters].forEach((letter, index) => view.setUint8(at + index, letter.charCodeAt(0)));
  text(0, "RIFF"); view.setUint32(4, 36 + 2 * count, true); text(8, "WAVEfmt "); view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); view.setUint16(22, 1, true); view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true); view.setUint16(34, 16, true); text(36, "data"); view.setUint32(40, 2 * count, true);
  let at = 44;
  for (const block of blocks) for (const value of block) { view.setInt16(at, Math.max(-1, Math.min(1, value)) * 32767, true); at += 2; }
  return view.buffer;
}

async function meet() {
  const reply = await fetch("/v1/model", { headers: headers() });
  if (reply.status === 401) { $("token-form").hidden = false; $("model").textContent = "This service asks for a token."; return; }
  if (reply.status === 503) { setTimeout(meet, 1000); return; }
  const model = await reply.json();
  $("token-form").hidden = true;
  $("model").textContent = `Model ${model.name}: ${model.system}.`;
  $("stamp").textContent = model.notice[0].toUpperCase() + model.notice.slice(1);
}

$("files").onchange = (event) => { add(event.target.files); event.target.value = ""; };
$("record").onclick = record;
$("token-form").onsubmit = (event) => { event.preventDefault(); token = $("token").value; meet(); };
$("seek").oninput = (event) => { $("sound").currentTime = event.target.value; move(); };
$("plot").onclick = (event) => {
  if (event.target.tagName !== "CANVAS") return;
  $("sound").currentTime = shown.answer.classification.seconds * event.offsetX / event.target.clientWidth;
};
for (const name of ["play", "seeked", "timeupdate"]) $("sound").addEventListener(name, move);
$("sound").onerror = () => { $("no-sound").hidden = false; $("sound").hidden = true; };
for (const name of ["dragover", "dragleave", "drop"]) document.addEventListener(name, (event) => {
  event.preventDefault();
  $("drop").classList.toggle("over", name === "dragover");
  if (name === "drop") add(event.dataTransfer.files);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => shown && drawAll());
addEventListener("resize", () => shown && drawAll());
meet();
