// Slack's mrkdwn as DOM nodes. Foreign text is never parsed as HTML.

const EMOJI = {
  "+1": "👍", "-1": "👎", arrow_right: "➡️", arrows_counterclockwise: "🔄", bar_chart: "📊", ballot_box_with_check: "☑️",
  bell: "🔔", black_circle: "⚫", bulb: "💡", calendar: "📅", chart_with_downwards_trend: "📉",
  chart_with_upwards_trend: "📈", checkered_flag: "🏁", exclamation: "❗", eyes: "👀", fire: "🔥",
  globe_with_meridians: "🌐", grey_question: "❔", hammer_and_wrench: "🛠️", heavy_check_mark: "✔️",
  hourglass: "⌛", hourglass_flowing_sand: "⏳", house: "🏠", information_source: "ℹ️", key: "🔑",
  large_blue_circle: "🔵", large_blue_square: "🟦", large_green_circle: "🟢", large_green_square: "🟩",
  large_orange_circle: "🟠", large_orange_diamond: "🔶", large_orange_square: "🟧", large_red_square: "🟥",
  large_yellow_circle: "🟡", large_yellow_square: "🟨", link: "🔗", lock: "🔒", loud_sound: "🔊", mag: "🔍",
  bust_in_silhouette: "👤", memo: "📝", mute: "🔇", no_bell: "🔕", no_entry: "⛔", octagonal_sign: "🛑", ok_hand: "👌",
  question: "❓", red_circle: "🔴",
  repeat: "🔁", robot_face: "🤖", rotating_light: "🚨", satellite_antenna: "📡", see_no_evil: "🙈", shield: "🛡️",
  small_blue_diamond: "🔹", small_orange_diamond: "🔸", speech_balloon: "💬", stopwatch: "⏱️", tada: "🎉", thumbsup: "👍",
  warning: "⚠️", wave: "👋", white_check_mark: "✅", white_circle: "⚪", wrench: "🔧", x: "❌", zap: "⚡",
};
const DATES = {
  date_num: { year: "numeric", month: "2-digit", day: "2-digit" },
  date_short: { month: "short", day: "numeric", year: "numeric" },
  date_long: { weekday: "long", month: "long", day: "numeric", year: "numeric" },
  date: { month: "long", day: "numeric", year: "numeric" },
  time_secs: { hour: "2-digit", minute: "2-digit", second: "2-digit" },
  time: { hour: "2-digit", minute: "2-digit" },
};
const TOKEN = new RegExp(
  [
    "```([^]+?)```", "`([^`\\n]+)`", "<([^<>\\n]+)>",
    "(?<!\\w)\\*(?!\\s)([^*\\n]+)(?<!\\s)\\*(?!\\w)",
    "(?<!\\w)_(?!\\s)([^_\\n]+)(?<!\\s)_(?!\\w)",
    "(?<!\\w)~(?!\\s)([^~\\n]+)(?<!\\s)~(?!\\w)", ":([a-z0-9_+-]+):",
  ].join("|"),
);
const names = { users: {}, groups: {}, channels: {}, me: "" };

/** Set the names for the ids in mentions. */
export const know = (known) => Object.assign(names, known);

/** An element with properties and children; texts become text nodes. */
export function el(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

const unescape = (text) => text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
const emoji = (text) => text.replace(/:([a-z0-9_+-]+):/g, (whole, name) => EMOJI[name] ?? whole);

/** A text object, or mrkdwn in a string, as nodes. */
export function rich(text) {
  if (text?.type === "plain_text") return [emoji(text.text)];
  const lines = (text?.text ?? text ?? "").split(/(?<=\n)(?=&gt; ?|>)|(?<=^(?:&gt;|>).*\n)/m);
  return lines.flatMap((part) => {
    const quote = part.match(/^(?:&gt;|>) ?([^]*?)\n?$/);
    return quote ? el("blockquote", {}, inline(quote[1])) : inline(part);
  });
}

function inline(text) {
  const match = text.match(TOKEN);
  if (!match) return text ? [unescape(text)] : [];
  const before = text.slice(0, match.index);
  const after = text.slice(match.index + match[0].length);
  return [...inline(before), token(match), ...inline(after)];
}

function token([whole, pre, code, angle, bold, italic, strike, name]) {
  if (pre) return el("pre", {}, unescape(pre.replace(/^\n/, "")));
  if (code) return el("code", {}, unescape(code));
  if (angle) return reference(angle);
  if (bold) return el("strong", {}, inline(bold));
  if (italic) return el("em", {}, inline(italic));
  if (strike) return el("s", {}, inline(strike));
  return EMOJI[name] ?? whole;
}

function reference(inside) {
  const [target, label] = inside.split(/\|([^]*)/);
  const mention = (text, loud) => el("span", { className: loud ? "mention loud" : "mention" }, text);
  if (target[0] === "@") {
    const id = target.slice(1);
    return mention(`@${names.users[id] ?? label ?? id}`, id === names.me);
  }
  if (target[0] === "#") return mention(`#${names.channels[target.slice(1)] ?? label ?? target}`);
  if (target.startsWith("!date^")) return date(target, label);
  if (target.startsWith("!subteam^")) return mention(`@${names.groups[target.slice(9)] ?? label}`, true);
  if (target[0] === "!") return mention(`@${target.slice(1)}`, true);
  return link(unescape(target), label === undefined ? unescape(target) : inline(label));
}

/** A link that opens elsewhere; anything but http(s) and mail stays text. */
export function link(href, content, properties = {}) {
  if (!/^(https?:|mailto:)/i.test(href)) return el("span", {}, content);
  return el("a", { href, target: "_blank", rel: "noopener noreferrer", ...properties }, content);
}

function date(target, fallback) {
  const [, seconds, format, href] = target.split("^");
  const when = new Date(Number(seconds) * 1000);
  if (Number.isNaN(when.getTime())) return fallback ?? "";
  const text = (format ?? "{date}").replace(/\{(\w+?)(?:_pretty)?\}/g, (whole, name) =>
    name === "ago" ? `${Math.round((Date.now() - when) / 60000)} min ago`
      : DATES[name] ? when.toLocaleString([], DATES[name]) : whole);
  return href ? link(href, text) : el("span", { title: when.toLocaleString() }, text);
}
