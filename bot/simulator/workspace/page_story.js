// The story above the workspace: its time, what happens in its world, and its controls.
import { el } from "./page_text.js";

const section = document.getElementById("story");
const field = (what) => section.querySelector(`[data-do="${what}"]`);
const FORMAT = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
let shown = "";

const clock = (at, format = FORMAT) => new Date(at * 1000).toLocaleTimeString([], format);

/** Let the controls send what a person wants. */
export function listen(post) {
  for (const node of section.querySelectorAll("[data-do]")) {
    const change = node.tagName === "SELECT" ? "change" : "click";
    node.addEventListener(change, () => post("/page/control", { do: node.dataset.do, value: node.value ?? "" }));
  }
}

function fill(select, options, chosen) {
  if (document.activeElement === select) return;
  select.replaceChildren(...options.map(([value, label]) => el("option", { value }, label)));
  select.value = chosen;
}

export function showStory(story) {
  section.hidden = !story;
  if (!story) return;
  section.querySelector("time").textContent = clock(story.at);
  const said = JSON.stringify({ ...story, at: 0 });
  if (said === shown) return;
  shown = said;
  field("pause").textContent = story.is_stopped ? "▶ Go on" : "⏸ Pause";
  fill(field("speed"), story.speeds.map((one) => [one, one === 1 ? "as in life" : `${one} times`]), story.speed);
  fill(field("scenario"), story.scenarios.map((one) => [one, one]), story.scenario);
  field("scenario").title = story.about;
  const { events } = story, last = events.at(-1)?.[0];
  const now = events.filter(([at]) => at === last).map(([, text]) => text).join(" · ");
  document.getElementById("world").textContent = story.end || (events.length
    ? `${clock(last, { hour: "2-digit", minute: "2-digit" })} ${now}` : story.about);
  section.querySelector("ol").replaceChildren(...events.map(([at, text]) => el("li", {}, `${clock(at)} ${text}`)));
}
