// Shows the document beside it and tries calls. Whatever comes from outside gets
// into the page as text, by textContent and attributes, never as markup.
"use strict";

const $ = (id) => document.getElementById(id);
let doc = null;

// make returns an element with attributes and children, which may be text.
function make(name, attributes, ...children) {
  const e = document.createElement(name);
  for (const [k, v] of Object.entries(attributes || {})) {
    if (v !== undefined && v !== false) e.setAttribute(k, v === true ? "" : v);
  }
  e.append(...children.filter((c) => c !== null && c !== undefined && c !== ""));
  return e;
}

// resolve follows references. Names in them are those of the document's own.
function resolve(x) {
  for (let hops = 0; x && x.$ref && hops < 10; hops++) {
    const found = x.$ref.replace(/^#\//, "").split("/").reduce((at, part) => (at ? at[part] : undefined), doc);
    const { $ref, ...beside } = x;
    x = { ...found, ...beside };
  }
  return x || {};
}

function operations() {
  const all = [];
  for (const [path, item] of Object.entries(doc.paths)) {
    for (const method of ["get", "put", "post", "delete", "options", "head", "patch", "trace"]) {
      if (item[method]) all.push({ path, method: method.toUpperCase(), op: item[method] });
    }
    for (const [method, op] of Object.entries(item["x-additionalOperations"] || {})) all.push({ path, method, op });
  }
  return all;
}

const words = (o) => [o.method, o.path, o.op.operationId, o.op.description || ""].join(" ").toLowerCase();
const verb = (method) => make("span", { class: "verb", "data-method": method }, method);

function showList() {
  const wanted = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const groups = new Map((doc.tags || []).map((t) => [t.name, []]));
  for (const o of operations()) {
    if (wanted.every((w) => words(o).includes(w))) groups.get(o.op.tags[0])?.push(o);
  }
  const list = $("list");
  list.replaceChildren();
  const current = decodeURIComponent(location.hash.slice(1));
  for (const [name, ops] of groups) {
    if (ops.length === 0) continue;
    const items = ops.map((o) =>
      make("li", {}, make("a", { href: "#" + encodeURIComponent(o.op.operationId), title: o.op.operationId, "aria-current": o.op.operationId === current && "true" },
        verb(o.method), make("span", { class: "path" }, o.path))));
    list.append(make("h2", {}, name), make("ul", {}, ...items));
  }
  if (!list.firstChild) list.append(make("p", { class: "quiet" }, "Nothing matches."));
}

// Schemas as text: what a value looks like, a few levels deep.

function typeOf(schema) {
  const s = resolve(schema);
  if (s.anyOf && s.anyOf[0].type === "number") return "number";
  if (s.type === "array") return "array of " + typeOf(s.items);
  const type = Array.isArray(s.type) ? s.type.join(" or ") : s.type || (s.enum ? "string" : "any");
  return type === "object" && s.additionalProperties ? "map of " + typeOf(s.additionalProperties) : type;
}

function constraints(schema) {
  const s = resolve(schema), said = [];
  const n = s.anyOf && s.anyOf[0].type === "number" ? s.anyOf[0] : s;
  const say = (key, text) => n[key] !== undefined && said.push(text + " " + JSON.stringify(n[key]));
  if (s.format) said.push(s.format);
  if (s.contentEncoding) said.push(s.contentEncoding);
  say("minimum", "≥"); say("exclusiveMinimum", ">"); say("maximum", "≤"); say("exclusiveMaximum", "<");
  say("minLength", "length ≥"); say("maxLength", "length ≤"); say("minItems", "items ≥"); say("maxItems", "items ≤");
  say("minProperties", "entries ≥"); say("maxProperties", "entries ≤");
  if (n.uniqueItems) said.push("unique");
  say("const", "always"); say("default", "default");
  if (n.pattern) said.push("matches " + n.pattern);
  if (n.enum) said.push("one of " + n.enum.join(", "));
  return said.join(" · ");
}

function describe(schema, above = []) {
  const name = schema && schema.$ref, s = resolve(schema);
  if (name && above.includes(name)) return make("p", { class: "quiet" }, "as above: " + name.split("/").pop());
  const down = name ? [...above, name] : above;
  if (s.type === "array") return describe(s.items, down);
  if (s.additionalProperties) return describe(s.additionalProperties, down);
  const either = s.oneOf || (s.anyOf && s.anyOf[0].type !== "number" ? s.anyOf : null);
  if (either && !s.properties) return make("div", {}, ...either.map((x) => describe(x, down)));
  const fields = Object.entries(s.properties || {});
  if (fields.length === 0) return make("p", { class: "quiet" }, typeOf(s), " ", constraints(s));
  return make("dl", { class: "fields" }, ...fields.flatMap(([key, f]) => {
    const inner = resolve(f.type === "array" ? f.items : f.additionalProperties || f);
    const text = [make("span", { class: "type" }, typeOf(f)), " ", make("span", { class: "quiet" }, constraints(f))];
    if (f.description) text.push(make("div", {}, f.description));
    if (inner.properties) text.push(make("details", {}, make("summary", {}, "fields"), describe(f, down)));
    return [
      make("dt", {}, make("code", {}, key), (s.required || []).includes(key) ? make("span", { class: "required" }, "required") : ""),
      make("dd", {}, ...text),
    ];
  }));
}

// example makes a value that a caller can start from.
function example(schema, above = []) {
  const name = schema && schema.$ref, s = resolve(schema);
  if (name && above.includes(name)) return undefined;
  const down = name ? [...above, name] : above;
  if (s.default !== undefined) return s.default;
  if (s.const !== undefined) return s.const;
  if (s.enum) return s.enum[0];
  if (s.anyOf) return example(s.anyOf[0], down);
  if (s.format === "date-time") return "2026-01-02T03:04:05Z";
  switch (Array.isArray(s.type) ? s.type[0] : s.type) {
    case "boolean": return false;
    case "integer": case "number": return s.minimum || 0;
    case "string": return s.format === "int64" || s.format === "uint64" ? "0" : "";
    case "array": return [];
    case "object": {
      const value = {}, left = new Set();
      // Of each oneof only the first.
      for (const of of s.allOf || []) for (const x of (of.oneOf || []).slice(1)) for (const f of x.required || []) left.add(f);
      for (const [key, f] of Object.entries(s.properties || {})) {
        const v = left.has(key) || above.length > 2 ? undefined : example(f, down);
        if (v !== undefined) value[key] = v;
      }
      return value;
    }
    default: return null;
  }
}

function access(op) {
  if (op.security.length === 0) return "Anybody may call it.";
  const scopes = [...new Set(op.security.flatMap((s) => Object.values(s).flat()))];
  return "Credentials: " + op.security.flatMap(Object.keys).join(" or ") + (scopes.length ? "; scopes: " + scopes.join(", ") : "") + ".";
}

function notes(op) {
  const items = [access(op)], policy = op["x-policy"];
  if (policy?.anyRole) items.push("Role: " + policy.anyRole.join(" or ") + ".");
  for (const c of policy?.conditions || []) items.push("Condition " + c.id + (c.message ? ": " + c.message : "") + ".");
  for (const r of [...(op["x-ratelimit"] || []), ...(doc["x-ratelimit"] || [])]) {
    items.push(`Rate ${r.name}: ${r.requests} in ${r.period}, ${r.burst} at once` + (r.key ? ", by " + r.key : "") + ".");
  }
  const limits = doc["x-limits"];
  if (limits?.bodyBytes && op.requestBody) items.push("Body: at most " + limits.bodyBytes + " bytes.");
  if (op["x-priority"]) items.push("In overload: " + op["x-priority"] + ".");
  if (op.deprecated) items.push("Deprecated.");
  return make("ul", { class: "notes" }, ...items.map((i) => make("li", {}, i)));
}

// The form of a call.

function showOperation() {
  showList();
  const id = decodeURIComponent(location.hash.slice(1));
  const o = operations().find((x) => x.op.operationId === id) || operations()[0];
  if (!o) return $("main").replaceChildren(make("p", { class: "quiet" }, "There are no operations."));
  const params = (o.op.parameters || []).map(resolve);
  const inputs = new Map(), form = make("form", { class: "try" });
  const shown = params.filter((p) => p.name !== "$alt" && p.name !== "Grpc-Timeout");
  for (const p of [...shown, ...params.filter((x) => !shown.includes(x))]) {
    const schema = p.schema || Object.values(p.content)[0].schema;
    const many = p.style === "deepObject" ? "key=value, one a line" : resolve(schema).type === "array" ? "one a line" : "";
    const input = make(many ? "textarea" : "input", { rows: many && 2, placeholder: many, required: p.required, spellcheck: "false", autocomplete: "off" });
    inputs.set(p, input);
    form.append(make("label", { class: "parameter" },
      make("span", {}, make("code", {}, p.name), " ", make("span", { class: "quiet" }, p.in), p.required ? make("span", { class: "required" }, "required") : ""),
      input, make("span", { class: "hint" }, make("span", { class: "type" }, typeOf(schema)), " ", constraints(schema), p.description ? make("div", {}, p.description) : "")));
  }
  let body = null, type = "";
  if (o.op.requestBody) {
    type = Object.keys(o.op.requestBody.content)[0];
    const schema = o.op.requestBody.content[type].schema;
    body = make("textarea", { rows: 10, spellcheck: "false", "aria-label": "Body" });
    if (schema) body.value = JSON.stringify(example(schema), null, 2);
    form.append(make("h3", {}, "Body"), body,
      schema ? make("details", {}, make("summary", {}, type + ": " + typeOf(schema)), describe(schema)) : make("p", { class: "quiet" }, "Any media type; what is typed here goes as text/plain."));
  }
  const answer = make("section", { class: "answer", "aria-live": "polite" });
  const stop = make("button", { type: "button", hidden: true }, "Stop");
  const send = make("button", { type: "submit" }, "Send");
  form.append(make("div", { class: "buttons" }, send, stop));
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    call(o, inputs, body, type === "*/*" ? "text/plain" : type, answer, send, stop);
  });
  const unsendable = o.method === "*" ? make("p", { class: "quiet" }, "Takes any method that no other operation at its path does.") : form;
  $("main").replaceChildren(
    make("h2", { class: "operation" }, verb(o.method), " ", make("code", {}, o.path)),
    make("p", { class: "quiet" }, o.op["x-grpc-method"]),
    make("p", {}, o.op.description || ""), notes(o.op),
    make("h3", {}, "Try it"), unsendable, answer,
    make("h3", {}, "Answers"), answers(o.op));
}

function answers(op) {
  return make("dl", { class: "answers" }, ...Object.entries(op.responses).flatMap(([status, r]) => {
    const known = resolve(r), text = [known.description];
    for (const [type, c] of status < "400" ? Object.entries(known.content || {}) : []) {
      text.push(c.schema ? make("details", {}, make("summary", {}, type + ": " + typeOf(c.schema)), describe(c.schema)) : make("div", { class: "quiet" }, type));
    }
    return [make("dt", { "data-class": status[0] }, status), make("dd", {}, ...text)];
  }));
}

const escaped = (value, multi) => (multi ? value.split("/").map(encodeURIComponent).join("/") : encodeURIComponent(value));

// request makes URL and headers from what is typed in.
function request(o, inputs) {
  const query = new URLSearchParams(), headers = {};
  let path = o.path;
  for (const [p, input] of inputs) {
    const value = input.value;
    if (value === "" && p.in !== "path") continue;
    if (p.in === "path") path = path.replace("{" + p.name + "}", () => escaped(value, p["x-multi-segment"]));
    else if (p.in === "header") headers[p.name] = value;
    else if (input.tagName === "TEXTAREA") {
      for (const line of value.split("\n").filter(Boolean)) {
        const [key, ...rest] = line.split("=");
        if (p.style === "deepObject") query.append(`${p.name}[${key}]`, rest.join("="));
        else query.append(p.name, line);
      }
    } else query.append(p.name, value);
  }
  if ($("token").value) headers.Authorization = "Bearer " + $("token").value;
  if ($("key").value) headers["X-Api-Key"] = $("key").value;
  return { url: path + (query.size ? "?" + query : ""), headers };
}

async function call(o, inputs, body, type, answer, send, stop) {
  const { url, headers } = request(o, inputs);
  const init = { method: o.method, headers, redirect: "manual", credentials: "omit", cache: "no-store", signal: null };
  if (body && body.value !== "" && o.method !== "GET") {
    init.body = body.value;
    headers["Content-Type"] = type;
  }
  const abort = new AbortController();
  init.signal = abort.signal;
  stop.hidden = false;
  send.disabled = true;
  stop.onclick = () => abort.abort();
  const status = make("p", { class: "status" }, "…"), text = make("pre", {});
  answer.replaceChildren(make("p", { class: "quiet" }, o.method + " " + url), status, text);
  const start = performance.now();
  try {
    const r = await fetch(url, init);
    status.textContent = `${r.status} ${r.statusText} · ${Math.round(performance.now() - start)} ms`;
    status.dataset.class = String(r.status)[0];
    const lines = [...r.headers].map(([k, v]) => k + ": " + v).join("\n");
    status.after(make("details", {}, make("summary", {}, "headers"), make("pre", {}, lines)));
    await show(r, text);
  } catch (e) {
    status.textContent = abort.signal.aborted ? "Stopped." : "Failed: " + e.message;
  } finally {
    stop.hidden = true;
    send.disabled = false;
  }
}

// show writes an answer as it comes, and no more of it than a page can hold.
async function show(r, to) {
  const most = 1 << 20, decoder = new TextDecoder(), reader = r.body?.getReader();
  let all = "";
  while (reader) {
    const { done, value } = await reader.read();
    if (done) break;
    all += decoder.decode(value, { stream: true });
    if (all.length > most) {
      all = all.slice(0, most) + "\n… and more, which is not shown";
      await reader.cancel();
      break;
    }
    to.textContent = all;
  }
  if (/json$/.test((r.headers.get("Content-Type") || "").split(";")[0]) && !/ndjson/.test(r.headers.get("Content-Type"))) {
    try { all = JSON.stringify(JSON.parse(all), null, 2); } catch { /* as it is */ }
  }
  to.textContent = all;
}

async function start() {
  $("credentials").addEventListener("submit", (e) => e.preventDefault());
  try {
    const r = await fetch("../openapi.json");
    if (!r.ok) throw new Error(String(r.status));
    doc = await r.json();
  } catch (e) {
    $("main").replaceChildren(make("p", {}, "The document cannot be loaded: " + e.message));
    return;
  }
  document.title = $("title").textContent = doc.info.title;
  $("about").textContent = [doc.info.version, doc.info.description].filter(Boolean).join(" — ");
  const schemes = doc.components.securitySchemes || {};
  $("token").parentElement.hidden = !schemes.bearer;
  $("key").parentElement.hidden = !schemes.apiKey;
  $("filter").addEventListener("input", showList);
  addEventListener("hashchange", () => { showOperation(); $("main").focus(); scrollTo(0, 0); });
  showOperation();
}

start();
