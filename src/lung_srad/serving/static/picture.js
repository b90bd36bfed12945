// The picture of one answer: the spectrogram, the probabilities below it, and seconds along both.
import { $, DASHES, time } from "./words.js";

// Quiet to loud: nine colours of matplotlib's magma, as in the report.
const LOUDNESS = [[0, 0, 4], [28, 16, 68], [79, 18, 123], [129, 37, 129], [181, 54, 122], [229, 80, 100], [251, 135, 97], [254, 194, 135], [252, 253, 191]];
const COLOURS = Array.from({ length: 256 }, (_, value) => {
  const at = value / 255 * 8, low = Math.min(7, Math.floor(at));
  return [0, 1, 2].map((part) => LOUDNESS[low][part] + (at - low) * (LOUDNESS[low + 1][part] - LOUDNESS[low][part])).concat(255);
});

export function draw({ classification: found, spectrogram, timeline }) {
  drawLevels(spectrogram, found.seconds);
  drawCurves(found, timeline);
  drawTicks(found.seconds);
}

function drawLevels({ rows, columns, hertz, data }, seconds) {
  const canvas = Object.assign($("spectrogram"), { width: columns, height: rows });
  canvas.setAttribute("aria-label", `Spectrogram, 0 to ${hertz} hertz over ${time(seconds)}`);
  const context = canvas.getContext("2d"), image = context.createImageData(columns, rows), bytes = atob(data);
  for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) {
    const value = bytes.charCodeAt((rows - 1 - row) * columns + column);
    image.data.set(COLOURS[value], 4 * (row * columns + column));
  }
  context.putImageData(image, 0, 0);
}

function drawCurves(found, timeline) {
  const canvas = $("curves"), context = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
  const width = canvas.width = Math.max(200, canvas.clientWidth) * devicePixelRatio, height = canvas.height = canvas.clientHeight * devicePixelRatio;
  const high = (probability) => height * (0.98 - 0.96 * probability), { onset } = found.event_rule;
  canvas.setAttribute("aria-label", `Probability of ${found.class_names.join(", ")} over time; the table of events says where they are high`);
  context.lineWidth = devicePixelRatio;
  context.strokeStyle = style.getPropertyValue("--line");
  context.beginPath();
  context.moveTo(0, high(onset));
  context.lineTo(width, high(onset));
  context.stroke();
  $("threshold").textContent = `event ${onset}`;
  $("threshold").style.top = `calc(${98 - 96 * onset}% - .4rem)`;
  context.lineWidth = 2 * devicePixelRatio;
  found.class_names.forEach((name, index) => {
    context.strokeStyle = style.getPropertyValue(`--c${index % 4}`);
    context.setLineDash(DASHES[index % 4].map((length) => length * devicePixelRatio));
    context.beginPath();
    let open = false;
    for (const [from, to, row] of timeline) {
      if (!row.length) { open = false; continue; }
      if (open) context.lineTo(width * from / found.seconds, high(row[index])); else context.moveTo(width * from / found.seconds, high(row[index]));
      context.lineTo(width * to / found.seconds, high(row[index]));
      open = true;
    }
    context.stroke();
  });
}

function drawTicks(seconds) {
  const room = $("ticks").clientWidth / 70;
  const step = [0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600].find((each) => seconds / each <= room) ?? 1200;
  const ticks = [];
  for (let at = 0; at < seconds - step / 3; at += step) {
    const tick = document.createElement("span");
    tick.textContent = step < 1 ? time(at) : time(at).slice(0, -2);
    tick.style.left = `${100 * at / seconds}%`;
    ticks.push(tick);
  }
  $("ticks").replaceChildren(...ticks);
}
