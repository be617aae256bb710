// Modals and the Home tab: what is filled in stays here until it is sent.
import { blocks } from "./page_blocks.js";
import { el, rich } from "./page_text.js";

const dialog = document.getElementById("modal");
const form = dialog.querySelector("form");
let open = null, values = {};

const option = (one) => el("option", { value: one.value }, rich(one.text));
const local = (at) => new Date((at - new Date(at * 1000).getTimezoneOffset() * 60) * 1000).toISOString().slice(0, 16);

/** For each kind of field: its node, how it shows a value, and what it holds. */
const fields = {
  static_select: (element) => [
    el("select", { className: "field" }, el("option", { value: "" }, "Choose…"),
      element.options?.map(option),
      element.option_groups?.map((group) => el("optgroup", { label: group.label.text }, group.options.map(option)))),
    element.initial_option?.value ?? "", (value) => value, (value) => value,
  ],
  datetimepicker: (element) => [
    el("input", { className: "field", type: "datetime-local" }), String(element.initial_date_time ?? ""),
    (value) => (value ? local(Number(value)) : ""), (value) => (value ? String(new Date(value) / 1000) : ""),
  ],
  plain_text_input: (element) => [
    el(element.multiline ? "textarea" : "input", { className: "field", maxLength: element.max_length ?? 3000 }),
    element.initial_value ?? "", (value) => value, (value) => value,
  ],
};

function input(block, use) {
  const { element, block_id } = block;
  const [node, initial, shown, held] = fields[element.type](element);
  node.name = block_id;
  node.value = shown(values[block_id] ??= initial);
  node.addEventListener("input", () => { values[block_id] = held(node.value); });
  node.addEventListener("change", () => block.dispatch_action && use(element.action_id, values[block_id], block_id));
  return [
    el("label", {}, el("strong", {}, rich(block.label)), block.optional ? " (optional)" : null, node),
    el("p", { className: "wrong", role: "alert" }),
  ];
}

/** Show a person's modal, if there is one; `post(path, body)` sends their actions. */
export function showModal(view, post) {
  if (!view) {
    open = null;
    return dialog.close();
  }
  if (open?.id !== view.id || open.callback_id !== view.callback_id) values = {};
  open = view;
  const focused = document.activeElement?.name;
  const use = (action_id, chosen, block_id) => post("/page/use", { action_id, option: chosen, block_id, values });
  dialog.querySelector("h2").textContent = view.title.text;
  dialog.querySelector("div").replaceChildren(...blocks(view.blocks, use, { input }));
  const [close, send] = dialog.querySelectorAll("footer button");
  close.textContent = view.close?.text ?? "Cancel";
  send.textContent = view.submit?.text ?? "Submit";
  send.hidden = !view.submit;
  form.onsubmit = async (event) => {
    event.preventDefault();
    send.disabled = true;
    showWrong((await post("/page/submit", { values }))?.errors ?? {});
    send.disabled = false;
  };
  close.onclick = () => post("/page/close");
  dialog.oncancel = (event) => { event.preventDefault(); post("/page/close"); };
  if (!dialog.open) dialog.showModal();
  if (focused) form.elements[focused]?.focus();
}

function showWrong(errors) {
  for (const node of form.querySelectorAll("label + .wrong")) {
    node.textContent = errors[node.previousElementSibling.lastElementChild.name] ?? "";
  }
  form.querySelector("footer + .wrong").textContent = errors[""] ?? "";
}

/** Show a person's Home tab. */
export function showHome(view, post) {
  const use = (action_id, chosen, block_id) =>
    post("/page/use", { action_id, option: chosen, block_id, values: {}, is_home: true });
  const shown = view ? blocks(view.blocks, use) : [el("p", { className: "block" }, "Nothing yet.")];
  document.getElementById("home").replaceChildren(...shown);
}
