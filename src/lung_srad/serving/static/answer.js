// One answer on the screen: words, picture, events that can be heard, files to take away.
import { draw } from "./picture.js";
import { ask } from "./service.js";
import { $, DASHES, QUALITY, confidence, counted, made, place, time } from "./words.js";

const FILES = [
  ["csv", "CSV", ".csv", "text/csv"], ["json", "JSON", ".json", "application/json"],
  ["audacity", "Audacity labels", ".labels.txt", "text/plain"], ["raven", "Raven table", ".selections.txt", "text/plain"],
];
const NARROWEST = 0.012; // of the picture, so that a short event can be hit
let shown = null, at = 0, end = null, playable = true, addresses = [];

export function show(entry) {
  const found = entry.answer.classification, [kind, verdict] = QUALITY[found.quality.verdict];
  addresses.forEach((each) => URL.revokeObjectURL(each));
  addresses = [];
  shown = entry;
  $("answer").hidden = $("skip").hidden = false;
  $("answer-title").textContent = entry.file.name;
  $("words").textContent = inWords(found);
  $("verdict").replaceChildren("Quality: ", made("strong", kind, kind), `. ${verdict}`);
  const said = [...found.quality.findings.map((each) => each.text), ...found.notices];
  $("findings").replaceChildren(...said.map((text) => made("li", text)));
  playable = true;
  $("no-sound").hidden = true;
  $("play").disabled = false;
  $("sound").src = address(entry.file);
  $("seek").max = found.seconds;
  listEvents(found);
  $("legend").replaceChildren(...found.class_names.map((name, index) => legend(name, index)));
  $("exports").replaceChildren(...FILES.map(([form, name, ending, type]) => download(name, entry.answer.files[form], entry.file.name + ending, type)), report(entry));
  draw(entry.answer);
  seek(0);
}

function inWords(found) {
  const { n, mean, labels } = found.summary;
  if (!n) return `${time(found.seconds)} long. Nothing in this recording could be classified.`;
  const likeliest = Object.keys(mean).reduce((a, b) => (mean[b] > mean[a] ? b : a));
  const kind = n === 1 ? found.kind.slice(0, -1) : found.kind;
  return `${time(found.seconds)} long, most like “${likeliest}”: ${labels[likeliest]} of ${n} ${kind} called so, confidence ${confidence(mean[likeliest])} (mean probability ${mean[likeliest].toFixed(2)}).`;
}

function address(blob) {
  addresses.push(URL.createObjectURL(blob));
  return addresses.at(-1);
}

function download(name, text, file, type) {
  return Object.assign(made("a", name, "button"), { href: address(new Blob([text], { type })), download: file });
}

function report(entry) {
  const button = made("button", "Report (HTML)");
  button.type = "button";
  button.onclick = async () => {
    button.disabled = true;
    $("status").textContent = `The report of ${entry.file.name} is being made.`;
    try {
      const text = await ask(entry.file, "html", () => {});
      download("", text, `${entry.file.name}.html`, "text/html").click();
      $("status").textContent = `The report of ${entry.file.name} is there.`;
    } catch (error) { $("status").textContent = error.message; }
    button.disabled = false;
  };
  return button;
}

function legend(name, index) {
  const item = made("li"), line = document.createElementNS("http://www.w3.org/2000/svg", "svg"), stroke = document.createElementNS(line.namespaceURI, "path");
  line.setAttribute("class", `c${index % 4}`);
  line.setAttribute("aria-hidden", "true");
  for (const [key, value] of [["d", "M0 4H28"], ["stroke", "currentColor"], ["stroke-width", "2.5"], ["stroke-dasharray", DASHES[index % 4].join(" ")]]) stroke.setAttribute(key, value);
  line.append(stroke);
  item.append(line, made("span", name), made("span"));
  return item;
}

// The bands are for the mouse; the table below has the same events for keyboard and screen reader (DECISIONS: bands-for-the-mouse).
function listEvents(found) {
  const rows = [], lanes = new Map();
  for (const event of found.events) {
    const row = made("tr"), cell = made("td"), hear = made("button", `▶ ${event.label}`, `c${place(found, event.label)}`);
    const band = made("button");
    hear.type = band.type = "button";
    hear.setAttribute("aria-label", `Hear ${event.label} from ${time(event.start)} to ${time(event.end)}`);
    hear.onclick = band.onclick = () => hearEvent(event, band);
    cell.append(hear);
    row.append(cell, made("td", time(event.start)), made("td", time(event.end)), made("td", `${confidence(event.mean)} (${event.mean.toFixed(2)})`));
    rows.push(row);
    const width = Math.max(NARROWEST, (event.end - event.start) / found.seconds);
    Object.assign(band.style, { left: `${100 * Math.min(event.start / found.seconds, 1 - width)}%`, width: `${100 * width}%` });
    band.tabIndex = -1;
    band.title = `Hear ${event.label}, ${time(event.start)} to ${time(event.end)}`;
    if (!lanes.has(event.label)) lanes.set(event.label, made("div", "", `lane c${place(found, event.label)}`));
    lanes.get(event.label).append(...(lanes.get(event.label).childElementCount ? [] : [made("span", event.label)]), band);
  }
  $("events").hidden = !rows.length;
  $("none").hidden = rows.length > 0;
  $("none").textContent = `No event: no sound reaches a probability of ${found.event_rule.onset}.`;
  $("events").tBodies[0].replaceChildren(...rows);
  $("bands").replaceChildren(...lanes.values());
}

function hearEvent(event, band) {
  seek(event.start);
  end = event.end;
  band.classList.add("heard");
  play();
}

function play() {
  if (!playable) return;
  $("sound").play().catch((error) => { if (error.name !== "AbortError") $("status").textContent = `The sound cannot be played (${error.message}).`; });
}

// Moves to a place, and forgets where an event that was being heard ends.
function seek(seconds) {
  forget();
  at = Math.max(0, Math.min(shown.answer.classification.seconds, seconds));
  if (playable) $("sound").currentTime = at;
  mark();
}

function forget() {
  end = null;
  for (const each of document.querySelectorAll("#bands .heard")) each.classList.remove("heard");
}

function move() {
  if (!shown || !playable) return;
  const sound = $("sound");
  if (!sound.seeking) at = sound.currentTime;
  if (end !== null && at >= end && !sound.seeking) { sound.pause(); at = end; forget(); }
  mark();
  if (!sound.paused) requestAnimationFrame(move);
}

function mark() {
  const { classification: found, timeline } = shown.answer, row = timeline.find(([from, to]) => at >= from && at < to)?.[2] ?? timeline.at(-1)?.[2] ?? [];
  $("playhead").style.left = `${100 * Math.min(1, at / found.seconds)}%`;
  $("seek").value = at;
  $("play").textContent = $("sound").paused ? "Play" : "Pause";
  $("place").textContent = `${time(at)} of ${time(found.seconds)}`;
  [...$("legend").children].forEach((item, index) => { item.lastChild.textContent = row.length ? row[index].toFixed(2) : "no answer"; });
  const likeliest = row.length ? found.class_names[row.indexOf(Math.max(...row))] : "no answer";
  $("seek").setAttribute("aria-valuetext", `${time(at)}, ${likeliest}`);
}

$("play").onclick = () => {
  if (!$("sound").paused) { $("sound").pause(); return; }
  if (at >= shown.answer.classification.seconds - 0.05) seek(0);
  play();
};
$("seek").oninput = (event) => seek(Number(event.target.value));
for (const id of ["spectrogram", "curves"]) $(id).onclick = (event) => seek(shown.answer.classification.seconds * event.offsetX / event.target.clientWidth);
for (const name of ["play", "pause", "seeked", "timeupdate", "ended"]) $("sound").addEventListener(name, move);
$("sound").onerror = () => {
  playable = false;
  $("no-sound").hidden = false;
  $("play").disabled = true;
};
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => shown && draw(shown.answer));
addEventListener("resize", () => shown && draw(shown.answer));

export const inList = (found) => `${counted(found.events.length, "event")}, quality ${QUALITY[found.quality.verdict][0]}`;
export const nothingShown = () => !shown;
