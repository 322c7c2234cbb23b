// Shows what the server says, and tells it what was pressed. Texts and names are only
// ever set as text, never as markup.
"use strict";

const HELP_MANY = `Which of these labels apply to the text?

1 to 9  mark a label, or mark it no more
Enter   answer ALL labels on the screen: the marked ones yes, the others no
o       ask next for other labels of this text, that are not on the screen`;
const HELP_ONE = `Does the label apply to the text?

y  yes, it applies
n  no, it does not`;
const HELP = `
s  skip: I cannot tell. A skip is no answer; you are not asked again
u  undo: take back the last answer, then the one before it, and so on
w  why this is asked
r  report: answers and scores by label
?  this help

Each answer is saved at once. To stop, close the page. To go on another day,
start the program again and open the address that it prints.`;

const at = (id) => document.getElementById(id);
const token = location.hash.slice(1);
let state = null, annotator = null;

function make(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function fail(text) {
  at("error").textContent = text;
  at("error").hidden = !text;
}

// One request at a time, in order. Each bears the number of the question that was seen
// when the key was pressed: what comes late changes nothing.
let line = Promise.resolve(), waiting = 0;

function act(action, more = {}) {
  const number = state && state.number;
  waiting += 1;
  line = line.then(() => send({ annotator, action, number, ...more })).finally(() => { waiting -= 1; });
}

async function send(body) {
  if (body.action === "submit") body.marked = (state.question?.labels ?? []).map(([, on]) => on);
  if (body.action === "mark") body.value = !state.question?.labels[body.nth]?.[1];
  try {
    const answer = await fetch("act", {
      method: "POST",
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const told = await answer.json();
    if (told.error) { fail(told.error); return; }
    fail("");
    show(told);
  } catch {
    fail("The program does not answer: what you press is not saved. Is it still running? " +
      "After a new start, open the address that it prints.");
  }
}

function show(told) {
  const moved = !state || state.number !== told.number;
  state = told;
  at("join").hidden = true;
  at("work").hidden = false;
  const pace = told.per_minute ? `, ${Math.round(told.per_minute)} a minute` : "";
  const what = told.many ? (told.given === 1 ? " text" : " texts") : "";
  at("progress").textContent = `${told.given}${what} this session${pace}, ${told.in_all} answers in all`;
  for (const id of ["message", "notice", "activity"]) at(id).textContent = told[id];
  ask(told, moved);
  if (told.page) open(told.page);
}

function ask({ question, many, finished, busy }, moved) {
  at("place").textContent = question ? `${many ? "text" : "question"} ${question.place[0]} of ${question.place[1]}` : "";
  if (!question) {
    at("asked").textContent = finished ? "No question is left: every cell is answered or skipped."
      : busy ? "Choosing the next questions..." : "No questions: see below.";
    at("labels").replaceChildren();
    at("text").replaceChildren();
    keys(finished || busy ? [["u", "undo"], ["r", "report"], ["?", "help"]] : [["s", "try again"], ["u", "undo"]]);
    return;
  }
  at("asked").textContent = many ? "Which apply? Enter answers: marked yes, not marked NO."
    : `Does it apply: ${question.labels[0][0]}?`;
  at("labels").replaceChildren(...(many ? question.labels.map(box) : []));
  if (moved) {
    const parts = question.text.map(([part, hit]) => hit ? make("mark", part) : document.createTextNode(part));
    at("text").replaceChildren(...(parts.length ? parts : ["(an empty text)"]));
    at("text").scrollTop = 0;
  }
  keys(many
    ? [["Enter", "answer"], ["s", "skip"], ["u", "undo"], ["o", "other labels"], ["w", "why?"], ["r", "report"], ["?", "help"]]
    : [["y", "yes"], ["n", "no"], ["s", "skip"], ["u", "undo"], ["w", "why?"], ["r", "report"], ["?", "help"]]);
}

function box([name, marked], nth) {
  const button = make("button", "", { type: "button", "aria-pressed": String(marked) });
  button.append(make("kbd", nth + 1), name);
  button.addEventListener("click", () => act("mark", { nth }));
  return button;
}

function keys(pairs) {
  at("keys").replaceChildren(...pairs.map(([key, word], i) => {
    const button = make("button", "", { type: "button" });
    if (i === 0) button.className = "main";
    button.append(make("kbd", key), word);
    button.addEventListener("click", () => press(key));
    return button;
  }));
}

function open(text, isHelp = false) {
  at("shown").textContent = text;
  at("shown").className = isHelp ? "help" : "";
  if (!at("page").open) at("page").showModal();
}

function press(key) {
  const simple = { s: "skip", u: "undo", w: "why", r: "report" };
  if (key === "?" || key === "h") open((state.many ? HELP_MANY : HELP_ONE) + "\n" + HELP, true);
  else if (simple[key]) act(simple[key]);
  else if (state.many && key >= "1" && key <= "9") act("mark", { nth: Number(key) - 1 });
  else if (state.many && key === "Enter") act("submit");
  else if (state.many && key === "o") act("others");
  else if (!state.many && (key === "y" || key === "n")) act("answer", { value: Number(key === "y") });
  else return false;
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (!state || at("page").open) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (press(key)) event.preventDefault();
});

at("join").addEventListener("submit", (event) => {
  event.preventDefault();
  annotator = at("name").value.trim();
  sessionStorage.setItem("annotator", annotator);
  act("look");
});

// What happens in the background is asked for: more often where a question is awaited.
let ticks = 0;
setInterval(() => {
  ticks += 1;
  if (state && !waiting && !document.hidden && (!state.question || ticks % 5 === 0)) act("look");
}, 500);

annotator = sessionStorage.getItem("annotator");
if (annotator === null) at("join").hidden = false;
else act("look");
