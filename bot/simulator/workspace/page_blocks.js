// Block Kit as DOM nodes, and the elements in it that a person can use.
import { el, link, rich } from "./page_text.js";

const svg = (tag, attributes, ...children) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
};
const COLOURS = ["#1d9bd1", "#2eb67d", "#ecb22e", "#e01e5a", "#8f5fbf", "#f2994a"];
const text = (object) => el("div", { className: "text" }, rich(object));
const picture = (block) => el("img", { src: block.image_url ?? "", alt: block.alt_text });

/** Ask for confirmation, if the element wants it. */
async function confirmed(question) {
  if (!question) return true;
  const dialog = document.getElementById("confirm");
  const [no, yes] = dialog.querySelectorAll("button");
  dialog.querySelector("h2").textContent = question.title.text;
  dialog.querySelector("div").replaceChildren(...rich(question.text));
  no.textContent = question.deny.text;
  yes.textContent = question.confirm.text;
  no.className = "button";
  yes.className = `button ${question.style ?? "primary"}`;
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((done) => dialog.addEventListener("close", done, { once: true }));
  return dialog.returnValue === "yes";
}

async function use(node, element, click, option = "") {
  if (!(await confirmed(element.confirm))) return;
  node.disabled = true;
  await click(element.action_id, option);
  node.disabled = false;
}

const elements = {
  button(element, click) {
    const className = `button ${element.style ?? ""}`;
    const label = element.accessibility_label ?? "";
    const node = element.url
      ? link(element.url, rich(element.text), { className, ariaLabel: label || null })
      : el("button", { className, type: "button", ariaLabel: label || null }, rich(element.text));
    node.addEventListener("click", () => use(node, element, click));
    return node;
  },
  overflow(element, click) {
    const menu = el("details", { className: "overflow" });
    const choices = element.options.map((option) => {
      const node = el("button", { type: "button" }, rich(option.text));
      node.addEventListener("click", () => {
        menu.open = false;
        if (option.url) window.open(option.url, "_blank", "noopener");
        use(node, element, click, option.value);
      });
      return node;
    });
    menu.append(el("summary", { className: "button", ariaLabel: "More actions" }, "⋯"), el("div", {}, choices));
    return menu;
  },
  static_select(element, click) {
    const options = element.options ?? element.option_groups.flatMap((group) => group.options);
    const placeholder = el("option", { value: "" }, element.placeholder?.text ?? "Choose…");
    const node = el("select", { className: "button", ariaLabel: placeholder.textContent }, placeholder,
      options.map((option) => el("option", { value: option.value }, rich(option.text))));
    node.value = element.initial_option?.value ?? "";
    node.addEventListener("change", () => node.value && use(node, element, click, node.value));
    return node;
  },
  image: (element) => el("span", { className: "picture" }, picture(element)),
};

function element(one, click) {
  const node = elements[one.type]?.(one, click) ?? el("span", { className: "unknown" }, `unsupported element: ${one.type}`);
  node.dataset.action = one.action_id ?? "";
  return node;
}

const cell = (one) => one.text ?? String(one.value ?? flat(one.elements ?? []));
const flat = (parts) => parts.map((part) => part.text ?? flat(part.elements ?? [])).join("");
const table = (block) => el("table", {}, block.rows.map((row, index) =>
  el("tr", {}, row.map((one) => el(index ? "td" : "th", {}, cell(one))))));

const WIDTH = 480, HEIGHT = 120;
function chart({ title, chart: { type, series, segments, axis_config: axes } }) {
  if (type === "pie") {
    return [el("strong", {}, title), el("ul", {}, segments.map((one) => el("li", {}, `${one.label}: ${one.value}`)))];
  }
  const top = Math.max(...series.flatMap((one) => one.data.map((point) => point.value)), 1e-9);
  const step = WIDTH / axes.categories.length;
  const drawn = series.flatMap(({ data }, nth) => {
    const at = (index) => [index * step + step / 2, HEIGHT - (data[index].value / top) * (HEIGHT - 8)];
    if (type === "bar") {
      const width = (step * 0.7) / series.length;
      return data.map((_, index) => svg("rect", { x: at(index)[0] - step * 0.35 + nth * width, y: at(index)[1],
        width, height: HEIGHT - at(index)[1], fill: COLOURS[nth] }));
    }
    const points = data.map((_, index) => at(index).join()).join(" ");
    return svg("polyline", { points, fill: "none", stroke: COLOURS[nth], "stroke-width": 2 });
  });
  const every = Math.ceil(axes.categories.length / 10);
  const labels = axes.categories.map((name, index) => (index % every ? "" :
    svg("text", { x: index * step + step / 2, y: HEIGHT + 14, "text-anchor": "middle" }, name)));
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT + 20}`, role: "img", "aria-label": title }, ...drawn, ...labels);
  const legend = series.map((one, nth) => el("span", { style: `color: ${COLOURS[nth]}` }, `● ${one.name} `));
  return [el("strong", {}, title), picture, el("small", {}, legend, `0 to ${top} · ${axes.x_label ?? ""}`)];
}

const kinds = {
  section: (block, click) => [
    el("div", {}, block.text ? text(block.text) : null,
      block.fields ? el("div", { className: "fields" }, block.fields.map(text)) : null),
    block.accessory ? element(block.accessory, click) : null,
  ],
  header: (block) => rich(block.text),
  divider: () => el("hr", { className: "divider" }),
  context: (block) => block.elements.map((one) => (one.type === "image" ? picture(one) : text(one))),
  actions: (block, click) => block.elements.map((one) => element(one, click)),
  image: (block) => [block.title ? text(block.title) : null, el("div", { className: "picture" }, picture(block))],
  markdown: (block) => text(block.text),
  rich_text: (block) => text({ type: "plain_text", text: flat(block.elements) }),
  table, data_table: table, data_visualization: chart,
};

/** All blocks; calls `click(action_id, option, block_id)` when an element is used. */
export function blocks(list, click, more = {}) {
  return list.map((block) => {
    const use = (action_id, option) => click(action_id, option, block.block_id);
    const shown = { ...kinds, ...more }[block.type]?.(block, use);
    return shown === undefined
      ? el("div", { className: "block unknown" }, `unsupported block: ${block.type}`)
      : el("div", { className: `block ${block.type}`, role: block.type === "header" ? "heading" : null }, shown);
  });
}
