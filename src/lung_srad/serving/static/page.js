// The page: recordings in, sent one after another, and the list of what came back.
import { inList, nothingShown, show } from "./answer.js";
import { record } from "./microphone.js";
import { ask, drawable, model, setToken } from "./service.js";
import { $, counted, made } from "./words.js";

const waiting = [];
let working = false, given = 0, answered = 0, failed = 0;

function add(files) {
  for (const file of files) {
    const line = made("li"), name = made("b", file.name), note = made("span", "waiting", "quiet"), bar = made("progress"), cancel = made("button", "Cancel");
    const entry = { file, line, name, note, bar, cancel, stop: new AbortController(), answer: null };
    bar.setAttribute("aria-label", file.name);
    cancel.type = "button";
    cancel.setAttribute("aria-label", `Cancel ${file.name}`);
    cancel.onclick = () => { entry.stop.abort(); line.remove(); given--; tell(); $("files").focus(); };
    line.append(name, bar, note, cancel);
    $("list").append(line);
    waiting.push(entry);
    given++;
  }
  work();
}

async function work() {
  if (working) return;
  working = true;
  for (let entry = waiting.shift(); entry; entry = waiting.shift()) {
    if (entry.stop.signal.aborted) continue;
    try {
      entry.answer = drawable(await ask(entry.file, "page", (text, share) => moved(entry, text, share), entry.stop.signal), entry.file.name);
      finish(entry);
    } catch (error) {
      if (error.name !== "AbortError") fail(entry, error);
    }
    tell();
  }
  working = false;
}

function moved({ bar, note }, text, share) {
  note.textContent = text;
  if (share === undefined) bar.removeAttribute("value"); else bar.value = share;
}

function finish(entry) {
  const button = made("button", entry.file.name);
  button.type = "button";
  button.onclick = () => { choose(entry); $("answer").focus(); };
  entry.name.replaceWith(button);
  entry.name = button;
  entry.bar.remove();
  entry.cancel.remove();
  entry.note.textContent = inList(entry.answer.classification);
  answered++;
  if (nothingShown()) choose(entry);
}

function fail(entry, error) {
  if (error.status === 401) $("token-form").hidden = false;
  entry.bar.remove();
  entry.cancel.remove();
  entry.note.className = "failed";
  const own = `${entry.file.name}: `; // stands beside it already
  entry.note.textContent = error.message.startsWith(own) ? error.message.slice(own.length) : error.message;
  failed++;
}

function choose(entry) {
  for (const each of $("list").querySelectorAll("[aria-current]")) each.removeAttribute("aria-current");
  entry.name.setAttribute("aria-current", "true");
  show(entry);
}

function tell() {
  const all = answered === given ? "" : `${answered} of `;
  $("status").textContent = given ? `${all}${counted(given, "recording")} answered${failed ? `, ${failed} could not be` : ""}.` : "";
}

async function meet() {
  const reply = await model();
  if (reply.status === 401) {
    $("model").textContent = $("token").value ? "That is not the token of this service." : "This service asks for a token.";
    $("token-form").hidden = false;
    return;
  }
  if (reply.status === 503) { setTimeout(meet, 1000); return; }
  const known = await reply.json();
  $("token-form").hidden = true;
  $("model").textContent = `Model: ${known.name} (${known.system})${known.synthetic ? ", trained on simulated sounds alone; what it says of a real recording is not to be relied on" : ""}.`;
  $("stamp").textContent = known.notice[0].toUpperCase() + known.notice.slice(1);
  $("about").hidden = !known.card;
  $("card").textContent = known.card.replace(/^---\n[^]*?\n---\n+/, "");
}

$("files").onchange = (event) => { add(event.target.files); event.target.value = ""; };
$("record").onclick = () => record(add);
$("token-form").onsubmit = (event) => { event.preventDefault(); setToken($("token").value); meet(); };
for (const name of ["dragover", "dragleave", "drop"]) document.addEventListener(name, (event) => {
  event.preventDefault();
  $("drop").classList.toggle("over", name === "dragover");
  if (name === "drop") add(event.dataTransfer.files);
});
meet();
