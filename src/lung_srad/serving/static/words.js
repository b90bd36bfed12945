// Small things that every part of the page says or makes. All text is set as text, never as HTML.
export const $ = (id) => document.getElementById(id);
export const made = (name, text = "", kind = "") => Object.assign(document.createElement(name), { textContent: text, className: kind });
export const time = (seconds) => {
  const tenths = Math.round(10 * seconds);
  return `${Math.floor(tenths / 600)}:${((tenths % 600) / 10).toFixed(1).padStart(4, "0")}`;
};
export const counted = (number, one) => `${number || "no"} ${one}${number === 1 ? "" : "s"}`;
export const QUALITY = {
  accept: ["good", "Nothing doubtful was found in the sound."],
  warn: ["doubtful", "Something in the sound is doubtful; read this before relying on the answer."],
  reject: ["unfit", "This recording is not fit to be judged. Do not rely on the answer."],
};
export const DASHES = [[], [12, 4], [3, 3], [12, 3, 3, 3]]; // a class is told by more than its colour

// DECISIONS: words-of-confidence
export function confidence(probability) {
  if (probability >= 0.9) return "high";
  if (probability >= 0.75) return "moderate";
  return probability >= 0.5 ? "low" : "very low";
}

// The number by which a class has its colour and its dashes.
export const place = (found, label) => Math.max(0, found.class_names.indexOf(label)) % 4;
