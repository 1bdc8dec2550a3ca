"use strict";
// Draws the timeline at the width of the page, switches the time shown, and sorts tables. No library but Vega.
window.terracast = {
  // the text of a chart in the colours of a dark page; the report in one file is always light
  inTheDark: function (chart) {
    if (document.documentElement.dataset.site === undefined || !window.matchMedia("(prefers-color-scheme: dark)").matches) { return chart; }
    const dark = { "#20262b": "#e7eaec", "#2d353b": "#e7eaec", "#4b545c": "#b3bcc3", "#e8ebed": "#2c343b", "#b9c0c6": "#66727b",
      "#0072B2": "#6cb6e6", "#8a8f94": "#a9b3ba", "#47525a": "#b3bcc3", "#00785a": "#43c79f", "#C24A00": "#ff9455" };
    return chart.replace(/"white"/g, '"transparent"').replace(/#[0-9a-fA-F]{6}/g, function (one) { return dark[one] || one; });
  }
};
(function () {
  const holder = document.getElementById("timeline");
  const source = document.getElementById("timeline-chart");
  const dayLength = 86400000;
  let days = null;
  let drawnWidth = 0;
  let drawing = Promise.resolve();
  let view = null;

  function fitted() {
    const chart = JSON.parse(window.terracast.inTheDark(source.textContent));
    const width = Math.max(220, holder.clientWidth - 72);
    const narrow = width < 590;
    const touch = window.matchMedia("(pointer: coarse)").matches;
    chart.vconcat.forEach(function (panel) {
      panel.width = width;
      panel.title = { text: panel.title, limit: width + 40 };
      let ticks = null;
      (panel.layer || []).forEach(function (layer) {
        const x = layer.encoding.x;
        if (x && x.axis) { ticks = x.axis; }
        // on a phone names would cover each other: they stand in the list below the chart
        if (narrow && layer.mark.type === "text") { layer.mark.opacity = 0; }
      });
      if (ticks) { ticks.tickCount = narrow ? 4 : 8; }
      if (days) {
        panel.layer.forEach(function (layer) {
          const bounds = layer.encoding.x.scale.domain;
          if (bounds) { layer.encoding.x.scale.domain = [bounds[1] - days * dayLength, bounds[1]]; }
        });
      }
      panel.layer.forEach(function (layer) { if (layer.mark.type !== "text") { layer.mark.clip = true; } });
    });
    // a finger that scrolls the page must not drag the chart
    if (touch && chart.params) {
      chart.params = chart.params.filter(function (one) { return one.bind !== "scales"; });
    }
    return chart;
  }

  function draw() {
    drawnWidth = holder.clientWidth;
    drawing = drawing.then(function () {
      if (view) { view.finalize(); }
      return window.vegaEmbed(holder, fitted(), { mode: "vega-lite", renderer: "svg", actions: false });
    }).then(function (result) { view = result; holder.dataset.drawn = "yes"; });
  }

  if (holder && source && window.vegaEmbed) {
    draw();
    let waiting = 0;
    window.addEventListener("resize", function () {
      window.clearTimeout(waiting);
      waiting = window.setTimeout(function () { if (holder.clientWidth !== drawnWidth) { draw(); } }, 150);
    });
    const range = document.querySelector(".range");
    const bounds = JSON.parse(source.textContent).vconcat[0].layer
      .map(function (layer) { return layer.encoding.x.scale.domain; }).find(Boolean);
    const span = (bounds[1] - bounds[0]) / dayLength;
    range.querySelectorAll("button").forEach(function (one) { one.hidden = Number(one.dataset.days) >= span; });
    range.hidden = !range.querySelector("button[data-days]:not([data-days='']):not([hidden])");
    range.addEventListener("click", function (event) {
      const button = event.target.closest("button");
      if (!button) { return; }
      range.querySelectorAll("button").forEach(function (one) { one.setAttribute("aria-pressed", one === button); });
      days = Number(button.dataset.days) || null;
      draw();
    });
  }

  function valueOf(row, column) {
    const cell = row.cells[column];
    const text = cell.dataset.value === undefined ? cell.textContent : cell.dataset.value;
    const real = Number(text.replace(/−/g, "-").replace(/,/g, ""));
    return text.trim() === "" || Number.isNaN(real) ? text.trim().toLowerCase() : real;
  }

  function compare(one, other) {
    // words after numbers, so that what is not known comes last
    if (typeof one !== typeof other) { return typeof one === "number" ? -1 : 1; }
    return typeof one === "number" ? one - other : one.localeCompare(other);
  }

  document.querySelectorAll("table.sortable thead th:not(.plain)").forEach(function (head) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", function () {
      const table = head.closest("table");
      const place = head.cellIndex;
      const falling = head.getAttribute("aria-sort") === "ascending";
      table.querySelectorAll("thead th").forEach(function (one) { one.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const rows = Array.from(table.tBodies[0].rows);
      rows.sort(function (a, b) { return compare(valueOf(a, place), valueOf(b, place)) * (falling ? -1 : 1); });
      table.tBodies[0].append(...rows);
    });
  });

  // paper cannot unfold: print everything
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(function (one) { one.open = true; });
  });
})();
