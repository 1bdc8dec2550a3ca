"use strict";
// The expert's answers: radio buttons in the table of links become lines of a knowledge file, saved by the browser.
(function () {
  const box = document.getElementById("answers");
  if (!box) { return; }
  const choices = Array.from(document.querySelectorAll(".choice"));
  const [tell, shown, name] = [".tell", "pre", "input"].map(function (one) { return box.querySelector(one); });
  const [save, clear] = [".save", ".clear"].map(function (one) { return box.querySelector(one); });
  const grammar = /^\s*(\S+)\s+(never\s+causes|maybe\s+causes|may\s+cause|causes)\s+(\S+)(?:\s+at\s+lag\s+(\d+)(?:\s*\.\.\s*(\d+))?)?\s*(?:#.*)?$/;
  box.hidden = false;
  document.querySelectorAll(".answer").forEach(function (one) { one.hidden = false; });

  function answerOf(choice) {
    const checked = choice.querySelector("input:checked");
    return checked ? checked.value : "";
  }

  function plain(text) { return text.replace(/\s+/g, " ").trim(); }

  // One answer as statements; an arrow the data gave no direction is denied both ways.
  function statementsOf(choice) {
    const { cause, effect, lag, oriented, said } = choice.dataset;
    const answer = answerOf(choice);
    const one = function (from, to, never) { return { from: from, to: to, never: never, lag: lag, said: plain(said) }; };
    if (answer === "certain") { return [one(cause, effect, false)]; }
    if (answer === "reverse") { return [one(effect, cause, false)]; }
    if (answer !== "never") { return []; }
    return oriented === "yes" ? [one(cause, effect, true)] : [
      { ...one(cause, effect, true), only: true }, { ...one(effect, cause, true), only: true }];
  }

  function lineOf(statement, all) {
    // at every lag, unless another lag of the same pair was called certain
    const mixed = all.some(function (other) {
      return !other.never && other.from === statement.from && other.to === statement.to;
    });
    const verb = statement.never ? "never causes" : "causes";
    const lag = !statement.never || mixed || statement.only ? " at lag " + statement.lag : "";
    return statement.from + " " + verb + " " + statement.to + lag;
  }

  // Whether a name of the earlier knowledge (* any text, ? any one sign) speaks of this series.
  function covers(pattern, series) {
    const source = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&").replace(/\*/g, ".*").replace(/\?/g, ".");
    return new RegExp("^" + source + "$").test(series);
  }

  function overlap(first, last, lag, all) {
    return all || first === undefined || (lag >= Number(first) && lag <= Number(last || first));
  }

  // Earlier lines stay, so that what was forbidden once stays forbidden; one that an answer contradicts is taken back.
  function earlierLines(statements, lines) {
    const text = box.dataset.knowledge.split(/\r?\n/);
    while (text.length && !text[text.length - 1].trim()) { text.pop(); }
    return text.map(function (line) {
      const found = grammar.exec(line);
      if (!found) { return line; }
      const [, from, verb, to, first, last] = found;
      const against = statements.some(function (one, place) {
        const everywhere = !/ at lag /.test(lines[place]);
        // a suspicion may be dropped whole; what was said for sure of many series is left to a person
        const same = verb.startsWith("may") ? covers(from, one.from) && covers(to, one.to)
          : one.from === from && one.to === to;
        return same && one.never !== verb.startsWith("never")
          && overlap(first, last, Number(one.lag), everywhere);
      });
      return against ? "# taken back: " + line.trim() : line;
    });
  }

  function written() {
    const statements = choices.flatMap(statementsOf);
    const lines = statements.map(function (one) { return lineOf(one, statements); });
    const unique = lines.map(function (line, place) { return line + "  # " + statements[place].said; })
      .filter(function (line, place) { return lines.indexOf(lines[place]) === place; });
    const by = plain(name.value);
    const head = "# Answers to the report " + plain(box.dataset.report) + (by ? ", by " + by : "");
    return { count: choices.filter(answerOf).length, answers: [head].concat(unique),
             earlier: earlierLines(statements, lines) };
  }

  function refresh() {
    const now = written();
    tell.textContent = now.count === 0 ? "No link is marked yet."
      : now.count === 1 ? "1 link is marked." : now.count + " links are marked.";
    shown.textContent = now.answers.join("\n");
    shown.hidden = now.count === 0;
    save.disabled = clear.disabled = now.count === 0;
    choices.forEach(function (one) {
      const answer = answerOf(one);
      one.classList.toggle("never", answer === "never");
      one.classList.toggle("certain", answer === "certain" || answer === "reverse");
    });
  }

  save.addEventListener("click", function () {
    const now = written();
    const text = now.earlier.concat(now.answers).join("\n") + "\n";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
    link.download = "knowledge.txt";
    link.click();
    window.setTimeout(function () { URL.revokeObjectURL(link.href); }, 10000);
    tell.textContent = "Saved as knowledge.txt in your downloads.";
  });
  clear.addEventListener("click", function () {
    choices.forEach(function (one) { one.querySelector('input[value=""]').checked = true; });
    refresh();
  });
  choices.forEach(function (one) { one.addEventListener("change", refresh); });
  name.addEventListener("input", refresh);
  refresh();
})();
