// The page: the messages of the channel and the thread, and the person's actions.
import { blocks } from "./page_blocks.js";
import { el, know, rich } from "./page_text.js";
import { listen, showStory } from "./page_story.js";
import { showHome, showModal } from "./page_views.js";

const $ = (selector) => document.querySelector(selector);
const SAME_DAY = { weekday: "long", month: "long", day: "numeric" };
const AVATARS = ["#4a154b", "#2b6cb0", "#b7791f", "#2f855a"];
let state = { channels: [], users: {} };
const me = new URLSearchParams(location.search).get("me") ?? "";
let here = "", thread = "", atHome = false;

const channel = () => state.channels.find((one) => one.id === here);
const isReply = (message) => message.thread_ts && message.thread_ts !== message.ts;
const inChannel = (message) => !isReply(message) || message.subtype === "thread_broadcast";
const when = (ts) => new Date(Number(ts) * 1000);

let sent = Promise.resolve();

// One at a time: parallel requests may overtake each other, and actions count in their order.
function post(path, body) {
  const what = JSON.stringify({ me: state.me, channel: here, ...body });
  return sent = sent.then(() => send(path, what), () => send(path, what));
}

async function send(path, body) {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body });
  if (!answer.ok) return console.warn(path, answer.status);
  return answer.json();
}

function avatar(user) {
  const name = state.users[user] ?? user;
  const initials = name.split(/\W/).map((word) => word[0]).join("").slice(0, 2).toUpperCase();
  const node = el("div", { className: "avatar", ariaHidden: "true" }, initials);
  node.style.background = AVATARS[Object.keys(state.users).indexOf(user) % AVATARS.length] ?? "#616061";
  return node;
}

function heading(message) {
  const at = when(message.ts);
  const isApp = message.user === state.bot || message.user === "USLACKBOT";
  return el("div", {},
    el("span", { className: "name" }, state.users[message.user] ?? message.user),
    isApp ? el("span", { className: "badge" }, "APP") : null,
    el("time", { dateTime: at.toISOString(), title: at.toLocaleString() },
      at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })));
}

function body(message) {
  const click = (action_id, option) => post("/page/click", { ts: message.ts, action_id, option });
  const edited = message.edited ? el("span", { className: "edited" }, " (edited)") : null;
  if (message.blocks) return [...blocks(message.blocks, click), edited];
  return [el("div", { className: "text" }, rich(message.text), edited)];
}

function repliesLink(message) {
  const replies = channel().messages.filter((one) => one.thread_ts === message.ts && isReply(one));
  if (!replies.length) return null;
  const words = `${replies.length} ${replies.length === 1 ? "reply" : "replies"}`;
  const last = when(replies.at(-1).ts).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const node = el("button", { className: "replies", type: "button" }, words, el("small", {}, `Last reply ${last}`));
  node.addEventListener("click", () => openThread(message.ts));
  return node;
}

function row(message, pane) {
  const note = message.ephemeral ? "👁 Only visible to you"
    : message.subtype && pane === "channel" ? "↳ replied to a thread" : "";
  const node = el("li", { className: message.ephemeral ? "message ephemeral" : "message" },
    note ? el("div", { className: "note" }, note) : null, avatar(message.user),
    el("div", {}, heading(message), body(message), pane === "channel" ? repliesLink(message) : null));
  node.dataset.ts = message.ts;
  return node;
}

/** Insert a message, or replace its older version; focus, menu and scroll stay. */
function place(pane, message) {
  const list = $(`#${pane} .messages`);
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const old = list.querySelector(`[data-ts="${message.ts}"]`);
  const action = old?.contains(document.activeElement) && document.activeElement.dataset.action;
  const node = row(message, pane);
  const menu = node.querySelector("details");
  if (menu && old?.querySelector("details[open]")) menu.open = true;
  if (old) old.replaceWith(node);
  else list.append(...dayBefore(list, message), node);
  if (action) node.querySelector(`[data-action="${CSS.escape(action)}"]`)?.focus();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

function dayBefore(list, message) {
  const day = when(message.ts).toLocaleDateString([], SAME_DAY);
  if (list.dataset.day === day) return [];
  list.dataset.day = day;
  return [el("li", { className: "day" }, el("span", {}, day))];
}

function clear(pane) {
  const list = $(`#${pane} .messages`);
  list.replaceChildren();
  delete list.dataset.day;
}

function showChannel() {
  $("#home").hidden = !atHome;
  $("#channel").hidden = atHome;
  clear("channel");
  $("#title").textContent = `${channel().kind === "im" ? "" : "# "}${channel().name}`;
  $("#channel textarea").placeholder = `Message ${$("#title").textContent}`;
  channel().messages.filter(inChannel).forEach((message) => place("channel", message));
  openThread(thread);
  showNames();
  if (atHome) $("#title").textContent = state.users[state.bot];
}

function showNames() {
  $("#to-home").setAttribute("aria-current", atHome ? "page" : "");
  $("#channels").replaceChildren(...state.channels.map((one) => {
    const mark = one.kind === "im" ? "• " : one.kind === "groups" ? "🔒 " : "# ";
    const node = el("button", { type: "button", className: one.isNew ? "new" : "" }, mark + one.name);
    if (one.id === here && !atHome) node.setAttribute("aria-current", "page");
    node.addEventListener("click", () => {
      [here, thread, one.isNew, atHome] = [one.id, "", false, false];
      showChannel();
    });
    return el("li", {}, node);
  }));
}

/** Open the bot's Home tab, which the bot then publishes. */
function openHome() {
  [atHome, thread] = [true, ""];
  showChannel();
  post("/page/home");
}

/** The person that the page shows, and the choices beside the channels. */
function showMe() {
  $("#me").replaceChildren(...state.people.map((id) => el("option", { value: id }, state.users[id])));
  $("#me").value = state.me;
  $("#shortcuts").replaceChildren(...Object.entries(state.shortcuts).map(([callback_id, name]) => {
    const node = el("button", { type: "button" }, `⚡ ${name}`);
    node.addEventListener("click", () => post("/page/shortcut", { callback_id }));
    return el("li", {}, node);
  }));
}

function openThread(ts) {
  thread = ts;
  $("aside").hidden = !ts;
  clear("thread");
  if (!ts) return;
  channel().messages.filter((one) => one.ts === ts || one.thread_ts === ts)
    .forEach((message) => place("thread", message));
}

function onMessage({ channel: id, message, deleted }) {
  const there = state.channels.find((one) => one.id === id);
  if (!there) return load();
  const index = there.messages.findIndex((one) => one.ts === message.ts);
  if (index >= 0) there.messages.splice(index, 1, ...(deleted ? [] : [message]));
  else if (!deleted) there.messages.push(message);
  if (id !== here) {
    there.isNew = true;
    return showNames();
  }
  if (deleted) return showChannel();
  if (inChannel(message)) place("channel", message);
  if (thread && [message.ts, message.thread_ts].includes(thread)) place("thread", message);
  const parent = isReply(message) && there.messages.find((one) => one.ts === message.thread_ts);
  if (parent) place("channel", parent);
}

async function load() {
  state = await (await fetch(`/page/state?me=${me}`)).json();
  here = channel() ? here : state.channels[0].id;
  know({ users: state.users, groups: state.groups, me: state.me,
    channels: Object.fromEntries(state.channels.map((one) => [one.id, one.name])) });
  $("#team").textContent = state.team;
  thread = channel().messages.some((one) => one.ts === thread) ? thread : "";
  showStory(state.story);
  showChannel();
  showMe();
  showViews(state);
}

function showViews({ modal, home }) {
  showModal(modal, post);
  showHome(home, post);
}

/** What a person may mean who typed this: the command, or names after the last @. */
function meant(typed) {
  const said = typed.match(/(?:^|\s)@([\w.-]*)$/);
  if (said) {
    const begin = typed.slice(0, typed.length - said[1].length);
    const fits = Object.entries(state.handles).filter(([name]) => name.startsWith(said[1].toLowerCase()));
    return fits.map(([name, id]) => [`@${name}`, state.users[id.slice(2, -1)] ?? "a group", `${begin}${name} `]);
  }
  const isCommand = typed.startsWith("/") && state.command.startsWith(typed.split(" ")[0]);
  return isCommand ? [[state.command, state.usage_hint, `${state.command} `]] : [];
}

function composer(form, threadTs) {
  const field = form.querySelector("textarea"), hints = form.querySelector(".hints");
  const complete = (text) => { field.value = text; field.focus(); hint(); };
  const hint = () => hints.replaceChildren(...meant(field.value).map(([name, what, text]) => {
    const node = el("button", { type: "button" }, el("strong", {}, name), " ", el("span", {}, what));
    node.addEventListener("click", () => complete(text));
    return el("li", {}, node);
  }));
  field.addEventListener("input", hint);
  field.addEventListener("keydown", (event) => {
    const [first] = meant(field.value), isName = first?.[0].startsWith("@");
    const isEnter = event.key === "Enter" && !event.shiftKey && !event.isComposing;
    if (first && ((isEnter && isName) || (event.key === "Tab" && (isName || !field.value.includes(" "))))) {
      event.preventDefault();
      complete(first[2]);
    } else if (isEnter) { event.preventDefault(); form.requestSubmit(); }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = field.value.trim();
    field.value = "";
    hint();
    if (text) post("/page/say", { text, thread_ts: threadTs() });
  });
}

/** Open the message that a link of the workspace leads to. */
function follow(event) {
  const [, id, name] = event.target.closest("a")?.href.match(/local\.slack\.com\/archives\/(\w+)\/p(\d+)/) ?? [];
  const there = state.channels.find((one) => one.id === id);
  if (!there) return;
  event.preventDefault();
  [here, thread, there.isNew, atHome] = [id, "", false, false];
  showChannel();
  const ts = `${name.slice(0, -6)}.${name.slice(-6)}`;
  const node = $(`#channel [data-ts="${ts}"]`);
  node?.scrollIntoView({ block: "start" });
  if (there.messages.some((one) => one.thread_ts === ts && isReply(one))) openThread(ts);
}

composer($("#channel form"), () => "");
listen(post);
document.addEventListener("click", follow);
composer($("#thread form"), () => thread);
$("#close").addEventListener("click", () => openThread(""));
$("#theme").addEventListener("click", () => {
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme ?? (isDark ? "dark" : "light");
  document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
});
$("#to-home").addEventListener("click", openHome);
$("#me").addEventListener("change", () => { location.search = `?me=${$("#me").value}`; });
const changes = new EventSource(`/page/changes?me=${me}`);
changes.onopen = () => { $("#link").textContent = ""; load(); };
changes.onerror = () => { $("#link").textContent = "Connection lost, trying again…"; };
// A button that is replaced while it is pressed is never clicked: what changes waits for its release.
let isPressed = false, waiting = [];
document.addEventListener("pointerdown", () => { isPressed = true; });
for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => setTimeout(release));
changes.onmessage = ({ data }) => (isPressed ? waiting.push(JSON.parse(data)) : show(JSON.parse(data)));

function release() {
  const held = waiting;
  [isPressed, waiting] = [false, []];
  held.forEach(show);
}

function show(change) {
  if (change.message) onMessage(change);
  if ("modal" in change) showViews(change);
  if ("story" in change) showStory(change.story);
}
