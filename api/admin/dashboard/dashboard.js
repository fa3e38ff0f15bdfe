// What the page does beside htmx: it draws the two charts, opens the dialog for a remedy,
// and keeps the address in step with the filters, so that it can be handed on.
"use strict";

(() => {
  const find = (id) => document.getElementById(id);
  const clock = (seconds) => new Date(seconds * 1000).toISOString().slice(11, 19);

  // Of each list, the parameters of the address that are its own.
  const parameters = {
    tenants: ["tenantSearch", "tenantSort", "tenantOrder", "tenantCursor"],
    segments: ["tenant", "state", "search", "sort", "order", "cursor"],
  };

  // keepAddress takes over what the list now shows, and leaves the other list's part.
  const keepAddress = (list, asked) => {
    const address = new URL(location.href);
    const shown = new URL(asked, location.href).searchParams;
    for (const name of parameters[list.id]) {
      const value = shown.get(name);
      value ? address.searchParams.set(name, value) : address.searchParams.delete(name);
    }
    history.replaceState(null, "", address);
  };

  document.addEventListener("htmx:after:swap", (event) => {
    const ctx = event.detail?.ctx;
    const target = ctx?.target;
    if (!target) return;
    if (target.id === "dialog-content") {
      const dialog = find("dialog");
      if (!dialog.open) dialog.showModal();
      dialog.querySelector("[autofocus]")?.focus();
    } else if (parameters[target.id]) {
      keepAddress(target, ctx.request.action);
    } else if (target.id === "detail") {
      find("detail-title")?.focus();
    }
  });

  // While the stream is broken, the page says since when. Who is no longer let in is led
  // to the login, by asking for the page itself.
  const lost = find("lost");
  const lose = (event) => {
    if (event.detail?.status === 401) location.reload();
    if (!lost.hidden) return;
    lost.querySelector("time").textContent = clock(Date.now() / 1000) + " UTC";
    lost.hidden = false;
  };
  document.addEventListener("htmx:sse:error", lose);
  document.addEventListener("htmx:sse:close", lose);
  // The stream has a message each second. Where none comes, the page says so as well: the
  // stream never began, or its connection is dead without a word. A page that nobody looks
  // at has no stream.
  const silence = 10_000; // milliseconds
  let heard = Date.now();
  document.addEventListener("htmx:sse:before:message", () => {
    heard = Date.now();
    lost.hidden = true;
  });
  document.addEventListener("visibilitychange", () => { heard = Date.now(); });
  setInterval(() => { if (!document.hidden && Date.now() - heard > silence) lose({}); }, 1000);
  document.addEventListener("htmx:response:error", (event) => {
    if (event.detail?.ctx?.response?.status === 401) location.reload();
  });

  // The extension goes on with a stream that broke off. One that could not even begin is
  // asked for here, again and again.
  const begin = (event) => {
    const stream = event.target;
    const url = stream.getAttribute?.("hx-sse:connect");
    if (!url) return;
    lose(event);
    setTimeout(() => htmx.ajax("GET", url, { source: stream, swap: stream.getAttribute("hx-swap") }), 2000);
  };
  document.addEventListener("htmx:error", begin);
  document.addEventListener("htmx:response:error", begin);

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.closes) find(button.dataset.closes).close();
    if (button.dataset.empties) find(button.dataset.empties).replaceChildren();
    if (button.dataset.window) show(button);
  });

  // Revealed keys do not stay in the page when the dialog is closed.
  find("dialog")?.addEventListener("close", () => find("dialog-content").replaceChildren());

  const short = (value) => value >= 1e6 ? value / 1e6 + " M" : value >= 1e3 ? value / 1e3 + " k" : String(value);
  const twoDigits = (value) => value == null ? "" : Math.round(value * 100) / 100;

  // A colour of the style is light-dark(...), which a canvas does not know: an element has it resolved.
  const resolved = (name) => {
    const probe = document.createElement("span");
    probe.className = "probe-" + name;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };

  let charts = [];
  let span = "1h";

  const axis = (over) => ({ stroke: resolved("quiet"), grid: { stroke: resolved("line"), width: 1 }, ticks: { stroke: resolved("line") }, ...over });
  const line = (label, name) => ({ label, stroke: resolved(name), width: 2, value: (_, v) => twoDigits(v), points: { show: false } });
  const bars = (label, name) => ({ label, scale: "calls", stroke: resolved(name), fill: resolved(name), paths: uPlot.paths.bars({ size: [0.6, 6] }), points: { show: false } });

  const chart = (id, series, axes, data) => {
    const place = find(id);
    const made = new uPlot({
      width: place.clientWidth, height: 180, series: [{ label: "at", value: (_, v) => v == null ? "" : clock(v) }, ...series],
      axes: [axis({ values: (_, ticks, __, ___, step) => ticks.map((at) => clock(at).slice(0, step < 60 ? 8 : 5)), space: 70 }), ...axes], scales: { y: { range: (_, low, high) => [0, Math.max(1, high * 1.05)] }, calls: { range: (_, low, high) => [0, Math.max(4, high * 2)] } },
      cursor: { drag: { x: true, y: false } },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    }, data, place);
    charts.push({ made, place });
  };

  const draw = (points) => {
    const column = (name) => points.map((point) => point[name]);
    const at = points.map((point) => Date.parse(point.at) / 1000);
    const backlog = [at, column("pending")];
    const flow = [at, column("taken"), column("delivered"), column("throttled"), column("failed")];
    if (charts.length > 0) {
      charts[0].made.setData(backlog);
      charts[1].made.setData(flow);
      return;
    }
    const left = axis({ values: (_, values) => values.map(short), size: 60 });
    chart("backlog", [line("pending", "taken")], [left], backlog);
    chart("flow", [line("taken", "taken"), line("delivered", "delivered"), bars("429", "throttled"), bars("failed", "failed")],
      [left, axis({ scale: "calls", side: 1, grid: { show: false }, values: (_, values) => values.map(short), size: 50 })], flow);
  };

  // A fetch that fails leaves the charts as they are; the next one is ten seconds away.
  const load = async () => {
    try {
      const answer = await fetch("/admin/api/v1/series?window=" + span, { credentials: "same-origin" });
      if (answer.ok) draw((await answer.json()).points);
    } catch { /* the relay is restarting, or the network is away */ }
  };

  const show = (button) => {
    span = button.dataset.window;
    for (const other of document.querySelectorAll("[data-window]")) other.setAttribute("aria-pressed", String(other === button));
    find("window-said").textContent = button.dataset.said;
    document.querySelector(".charts .twin").href = "/admin/api/v1/series?window=" + span;
    load();
  };

  const redraw = () => {
    for (const { made } of charts) made.destroy();
    charts = [];
    load();
  };

  if (find("backlog")) {
    load();
    setInterval(() => { if (!document.hidden) load(); }, 10000);
    addEventListener("resize", () => { for (const { made, place } of charts) made.setSize({ width: place.clientWidth, height: 180 }); });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  }
})();
