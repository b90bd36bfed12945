// Records the microphone as a wav file; the samples are taken by recorder.js in the audio thread.
import { $ } from "./words.js";

let recording = null, starting = false;

export async function record(add) {
  if (starting) return;
  starting = true;
  try {
    if (recording) await stop(add); else await start();
  } catch (error) {
    $("status").textContent = `The microphone cannot be used (${error.message}).`;
  } finally { starting = false; }
}

async function start() {
  if (!navigator.mediaDevices) throw new Error("a browser lets a page use it only under https or on 127.0.0.1");
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
  const context = new AudioContext(), blocks = [];
  try {
    await context.audioWorklet.addModule("/recorder.js");
  } catch (error) {
    stream.getTracks().forEach((track) => track.stop());
    throw error;
  }
  const node = new AudioWorkletNode(context, "recorder"), begun = Date.now();
  node.port.onmessage = (event) => blocks.push(event.data);
  context.createMediaStreamSource(stream).connect(node);
  const tell = () => { $("record").textContent = `Stop recording (${Math.round((Date.now() - begun) / 1000)} s)`; };
  recording = { stream, context, blocks, clock: setInterval(tell, 500) };
  tell();
  $("status").textContent = "The microphone is being recorded.";
}

async function stop(add) {
  const { stream, context, blocks, clock } = recording;
  recording = null;
  clearInterval(clock);
  stream.getTracks().forEach((track) => track.stop());
  const rate = context.sampleRate;
  await context.close();
  $("record").textContent = "Record from the microphone";
  $("status").textContent = blocks.length ? "" : "Nothing was recorded.";
  const when = new Date().toISOString().slice(0, 19).replace("T", " ").replaceAll(":", ".");
  if (blocks.length) add([new File([wav(blocks, rate)], `microphone ${when}.wav`, { type: "audio/wav" })]);
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
