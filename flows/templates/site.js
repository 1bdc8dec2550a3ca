"use strict";
// What the pages of the site do: a chosen node, an episode over time, the way from the map to a forecast.
(function () {
  const known = {};
  const page = read("node-page");
  const chooser = document.getElementById("node");
  const holder = document.getElementById("node-chart");
  let shown = null;
  let view = null;
  let drawing = Promise.resolve();

  function read(name) {
    const source = document.getElementById(name);
    return source ? JSON.parse(source.textContent) : null;
  }

  function words(value) {
    if (value === null || value === undefined) { return "–"; }
    const text = Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
    return text.replace("-", "−");
  }

  function moment(at) { return new Date(at).toISOString().slice(0, 16).replace("T", " "); }

  function fill(name, rows) {
    const body = document.getElementById(name);
    body.replaceChildren.apply(body, rows.map(function (cells) {
      const row = document.createElement("tr");
      cells.forEach(function (text, place) {
        const cell = document.createElement(place ? "td" : "th");
        if (place) { cell.className = "n"; } else { cell.scope = "row"; }
        cell.textContent = text;
        row.append(cell);
      });
      return row;
    }));
  }

  function rowsOf(times, columns, names) {
    return times.map(function (at, place) {
      const row = { at: at, time: moment(at) + " UTC" };
      names.forEach(function (name, column) { row[name] = columns[column][place]; });
      return row;
    });
  }

  function dataOf(node) {
    const forecast = rowsOf(page.valid_times, node.quantiles, ["p10", "p25", "p50", "p75", "p90"]);
    const week = rowsOf(page.week_times, node.week, ["p10", "p50", "p90"]);
    const observed = rowsOf(page.times, [node.observed], ["value"]);
    const seen = new Map(observed.map(function (row) { return [row.at, row.value]; }));
    week.forEach(function (row) { row.came = seen.has(row.at) ? seen.get(row.at) : null; });
    const first = week.length ? week[0].at : 0;
    const last = week.length ? week[week.length - 1].at : 0;
    const back = page.valid_times.length ? Math.max(page.past, 3 * (page.valid_times[page.valid_times.length - 1] - page.valid_times[0])) : 0;
    const from = page.issue_time === null || !back ? 0 : page.issue_time - back;
    return {
      forecast: forecast, week: week,
      observed: observed.filter(function (row) { return row.at >= from; }),
      came: observed.filter(function (row) { return row.at >= first && row.at <= last; }),
      issued: page.issue_time === null ? [] : [{ at: page.issue_time }]
    };
  }

  function tell(node, data) {
    const last = data.forecast[data.forecast.length - 1];
    const seen = data.observed.filter(function (row) { return row.value !== null; }).pop();
    const parts = [];
    if (last) { parts.push("forecast " + (words(last.p50) + " " + page.units).trim() + " (80 %: " + words(last.p10) + " to " + words(last.p90) + ") for " + last.time); }
    if (seen) { parts.push("last observed " + (words(seen.value) + " " + page.units).trim() + " at " + seen.time); }
    document.getElementById("told").textContent = node.node + ": " + (parts.join("; ") || "no value yet") + ".";
    fill("forecast-rows", data.forecast.map(function (row) {
      return [moment(row.at), words(row.p50), words(row.p25) + " to " + words(row.p75), words(row.p10) + " to " + words(row.p90)];
    }));
    fill("week-rows", data.week.slice().reverse().map(function (row) {
      return [moment(row.at), words(row.came), words(row.p50), words(row.p10) + " to " + words(row.p90)];
    }));
  }

  function draw() {
    if (!shown || !window.vegaEmbed) { return; }
    const data = dataOf(shown);
    tell(shown, data);
    const chart = JSON.parse(window.terracast.inTheDark(JSON.stringify(page.chart)));
    chart.datasets = data;
    chart.vconcat.forEach(function (panel) { panel.width = Math.max(220, holder.clientWidth - 72); });
    drawing = drawing.then(function () {
      if (view) { view.finalize(); }
      return window.vegaEmbed(holder, chart, { mode: "vega-lite", renderer: "svg", actions: false });
    }).then(function (result) { view = result; holder.dataset.drawn = shown.node; });
  }

  function choose() {
    const option = chooser.selectedOptions[0];
    if (!option) { return; }
    const file = option.dataset.file;
    window.history.replaceState(null, "", "#" + encodeURIComponent(option.value));
    if (known[file]) { shown = known[file]; draw(); return; }
    const script = document.createElement("script");
    script.src = "data/" + file;
    script.onerror = function () { document.getElementById("told").textContent = "These data were renewed meanwhile: load the page again."; };
    window.terracast.node = function (node) { known[file] = node; if (chooser.selectedOptions[0] && chooser.selectedOptions[0].dataset.file === file) { shown = node; draw(); } };
    document.head.append(script);
  }

  function fromAddress() {
    const wanted = decodeURIComponent(window.location.hash.slice(1));
    const found = Array.from(chooser.options).find(function (one) { return one.value === wanted; });
    if (found) { found.selected = true; }
    choose();
  }

  if (page && chooser) {
    const all = Array.from(chooser.options);
    const finder = document.getElementById("find");
    document.getElementById("choose").addEventListener("submit", function (event) { event.preventDefault(); });
    chooser.addEventListener("change", choose);
    window.addEventListener("hashchange", fromAddress);
    if (finder) {
      finder.addEventListener("input", function () {
        const part = finder.value.trim().toLowerCase();
        const left = all.filter(function (one) { return one.textContent.toLowerCase().includes(part); });
        chooser.replaceChildren.apply(chooser, left);
        if (left.length) { left[0].selected = true; choose(); }
      });
    }
    let waiting = 0;
    let width = holder.clientWidth;
    window.addEventListener("resize", function () {
      window.clearTimeout(waiting);
      waiting = window.setTimeout(function () { if (holder.clientWidth !== width) { width = holder.clientWidth; draw(); } }, 150);
    });
    fromAddress();
  }

  const frames = read("frames");
  const slider = document.getElementById("period");
  if (frames && slider) {
    const marks = Array.from(document.querySelectorAll("#over-time .node"));
    const grades = ["better", "same", "worse", "bad", "unknown"];
    const show = function () {
      const frame = frames[Number(slider.value) - 1];
      marks.forEach(function (mark) {
        mark.classList.remove.apply(mark.classList, grades);
        mark.classList.add(grades[Number(frame.grades[mark.dataset.place])]);
      });
      document.getElementById("period-told").textContent = frame.words;
      slider.setAttribute("aria-valuetext", frame.words);
    };
    slider.addEventListener("input", show);
    show();
  }

  const map = document.querySelector("#where .map");
  if (map) {
    map.classList.add("linked");
    map.addEventListener("click", function (event) {
      const mark = event.target.closest("[data-node]");
      if (mark) { window.location.href = "forecast.html#" + encodeURIComponent(mark.dataset.node); }
    });
  }
})();
