// Above the table of messages, a field that leaves only the rows with what is typed or pasted into it.
// A pasted message has its own paths and numbers in it: a row also counts if a fixed part of its message is in there.
// Where no row does, those count that have most of the words.
"use strict";

const SHORTEST = 8;

function plain(text) {
  return text.toLowerCase().replace(/[\s"'“”‘’]+/g, " ").trim();
}

// The longest fixed part of each message in a cell.
function fixedParts(html) {
  const messages = html.split(/<br\s*\/?>/).map((one) => one.replace(/<[^>]*>/g, "").replace(/&amp;/g, "&"));
  return messages.map((one) => one.split("…").map(plain).sort((a, b) => b.length - a.length)[0]);
}

function matches(words, row, parts) {
  return row.includes(words) || parts.some((part) => part.length >= SHORTEST && words.includes(part));
}

// How many of the longer words a row has.
function commonWords(words, row) {
  return words.split(" ").filter((one) => one.length > 3 && row.includes(one)).length;
}

function addFilter(table) {
  const rows = [...table.tBodies[0].rows].map((row) => ({
    row,
    heading: row.cells[0].querySelector("strong") !== null && row.cells[1].textContent === "",
    text: plain(row.textContent),
    parts: fixedParts(row.cells[0].innerHTML),
  }));
  const field = document.createElement("input");
  field.type = "search";
  field.placeholder = "Type or paste a message";
  field.setAttribute("aria-label", field.placeholder);
  field.style.cssText = "width: 100%; padding: .5em; font: inherit; color: inherit; border: 1px solid";
  field.addEventListener("input", () => {
    const words = plain(field.value);
    const messages = rows.filter(({ heading }) => !heading);
    let shown = messages.filter(({ text, parts }) => matches(words, text, parts));
    if (shown.length === 0) {
      const most = Math.max(2, ...messages.map(({ text }) => commonWords(words, text)));
      shown = messages.filter(({ text }) => commonWords(words, text) === most);
    }
    for (const one of rows) {
      one.row.hidden = words !== "" && !shown.includes(one);
    }
  });
  (table.closest(".md-typeset__scrollwrap") || table).before(field);
}

if (typeof document !== "undefined" && /troubleshooting/.test(location.pathname)) {
  addFilter(document.querySelector("article table"));
}
