// Numbers and times as people read them.

export const percent = (share, digits = 1) => `${(share * 100).toFixed(digits)} %`;

/** A probability: certainty is never claimed, and what is tiny is not 0. */
export function probability(p) {
  if (p > 0.999 && p < 1.01) return "> 99.9 %";
  if (p < 0.001) return "< 0.1 %";
  return percent(p);
}

export const signed = (value, digits = 2) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;

export function duration(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

export const moment = (text) => (text ? new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }) : "–");

/** A figure of a chart: short, and as exact as its size allows. */
export const figure = (value) => (value === 0 ? "0" : value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(2) : value.toFixed(3));
